# Who asks for what, and whether PodSecurityPolicy would have been asked at all.
package lib.request

import future.keywords.contains
import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

default judged := false

# Pods themselves, when they are created or changed. An audit and a file name no operation.
judged if {
	kind := value.get(pod.review, "kind", {})
	value.get(kind, "kind", "") == "Pod"
	value.get(kind, "group", "") == ""
	value.get(pod.review, "subResource", "") == ""
	pod.operation in ["", "CREATE", "UPDATE"]
	not only_for_garbage_collection
}

# Garbage collection must be able to finish: an update of nothing else, or of nothing at all, is let through.
only_for_garbage_collection if {
	pod.operation == "UPDATE"
	is_object(value.get(pod.review, "oldObject", null))
	without_bookkeeping(pod.this) == without_bookkeeping(pod.old)
}

without_bookkeeping(object) := {"metadata": kept, "rest": rest} if {
	metadata := value.get(object, "metadata", {})
	ignored := {"ownerReferences", "finalizers", "selfLink", "managedFields"}
	kept := {key: x | some key, x in metadata; not key in ignored}
	rest := {key: x | some key, x in object; key != "metadata"}
}

namespace := value.get(
	pod.review, "namespace",
	value.get(value.get(pod.this, "metadata", {}), "namespace", "default"),
)

user_info := value.get(pod.review, "userInfo", {})

requester := value.get(user_info, "username", "")

# A mirror pod has no service account. Where nobody asks, a missing one is still to be filled in by the API server.
service_account := name if {
	name := object.get(pod.spec, "serviceAccountName", object.get(pod.spec, "serviceAccount", ""))
	name != ""
} else := "default" if {
	requester == ""
} else := ""

# The pod's service account or the requester: either may be the one that may use a policy.
users contains sprintf("system:serviceaccount:%s:%s", [namespace, service_account]) if service_account != ""

users contains requester if requester != ""

groups contains "system:serviceaccounts" if service_account != ""

groups contains sprintf("system:serviceaccounts:%s", [namespace]) if service_account != ""

groups contains group if {
	some group in value.get(user_info, "groups", [])
}

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
