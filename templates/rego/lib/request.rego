# Who asks for what, and whether PodSecurityPolicy would have been asked at all.
package lib.request

import future.keywords.contains
import future.keywords.if
import future.keywords.in

import data.lib.pod

# Pods themselves, when they are created or changed. An audit and a file name no operation.
judged if {
	input.review.kind.kind == "Pod"
	object.get(input.review.kind, "group", "") in ["", null]
	object.get(input.review, "subResource", "") in ["", null]
	pod.operation in ["", "CREATE", "UPDATE"]
	not only_for_garbage_collection
}

# Garbage collection must be able to finish: an update of nothing else, or of nothing at all, is let through.
only_for_garbage_collection if {
	pod.operation == "UPDATE"
	is_object(input.review.oldObject)
	object.remove(input.review.object, ["metadata"]) == object.remove(input.review.oldObject, ["metadata"])
	metadata(input.review.object) == metadata(input.review.oldObject)
}

# Without what garbage collection keeps in it.
metadata(this) := {key: x |
	some key, x in this.metadata
	not key in ["ownerReferences", "finalizers", "selfLink", "managedFields"]
}

namespace := input.review.namespace if {
	input.review.namespace != null
} else := input.review.object.metadata.namespace if {
	input.review.object.metadata.namespace != null
} else := "default"

requester := input.review.userInfo.username if {
	input.review.userInfo.username != null
} else := ""

# A mirror pod has no service account. Where nobody asks, a missing one is still to be filled in by the API server.
service_account := name if {
	name := input.review.object.spec.serviceAccountName
	not name in ["", null]
} else := name if {
	name := input.review.object.spec.serviceAccount
	not name in ["", null]
} else := "default" if {
	requester == ""
} else := ""

# The pod's service account or the requester: either may be the one that may use a policy.
users contains sprintf("system:serviceaccount:%s:%s", [namespace, service_account]) if service_account != ""

users contains requester if requester != ""

groups contains "system:serviceaccounts" if service_account != ""

groups contains sprintf("system:serviceaccounts:%s", [namespace]) if service_account != ""

groups contains group if some group in input.review.userInfo.groups

# Audit, files and expanded workloads name no requester. What holds for every requester holds there too.
groups contains "system:authenticated" if requester == ""

who := concat(" or ", [name |
	some name in [service_account_text, requester_text]
	name != ""
])

service_account_text := sprintf("service account %s/%s", [namespace, service_account]) if {
	service_account != ""
} else := ""

requester_text := sprintf("user %s", [requester]) if {
	requester != ""
} else := ""
