# A pod is admitted when one of the PodSecurityPolicies that its service account or the requester may use accepts it as
# it stands. Gatekeeper wants every constraint to hold, so the choice between policies is made here, in one.
package psp

import future.keywords.contains
import future.keywords.if
import future.keywords.in

import data.lib.apparmor
import data.lib.capabilities
import data.lib.csi_drivers
import data.lib.flex_volumes
import data.lib.groups
import data.lib.host_namespaces
import data.lib.host_network
import data.lib.host_paths
import data.lib.parameters
import data.lib.pod
import data.lib.privilege_escalation
import data.lib.privileged
import data.lib.proc_mount
import data.lib.read_only_root_filesystem
import data.lib.request
import data.lib.run_as_user
import data.lib.runtime_class
import data.lib.seccomp
import data.lib.selinux
import data.lib.sysctls
import data.lib.value
import data.lib.volumes

violation contains {"msg": message, "details": {"violations": found}} if {
	request.judged
	not admitted
	found := {name: violations(parameters.policy(name)) | some name in usable}
	message := explain(found)
}

default admitted := false

admitted if {
	some name in usable
	count(violations(parameters.policy(name))) == 0
}

# The policies that may be used here, whoever of the two may use them. The name `*` stands for all there are.
usable contains name if {
	some name in granted
	parameters.policy(name)
}

usable contains name if {
	"*" in granted
	some name in parameters.names
}

granted contains name if {
	some scope in ["*", request.namespace]
	users := value.get(parameters.grants(scope), "users", {})
	some user in request.users
	some name in value.get(users, user, [])
}

granted contains name if {
	some scope in ["*", request.namespace]
	groups := value.get(parameters.grants(scope), "groups", {})
	some group in request.groups
	some name in value.get(groups, group, [])
}

violations(policy) := union({
	apparmor.violations(policy),
	capabilities.violations(policy),
	csi_drivers.violations(policy),
	flex_volumes.violations(policy),
	groups.violations(policy),
	host_namespaces.violations(policy),
	host_network.violations(policy),
	host_paths.violations(policy),
	privilege_escalation.violations(policy),
	privileged.violations(policy),
	proc_mount.violations(policy),
	read_only_root_filesystem.violations(policy),
	run_as_user.violations(policy),
	runtime_class.violations(policy),
	seccomp.violations(policy),
	selinux.violations(policy),
	sysctls.violations(policy),
	volumes.violations(policy),
})

# The policy with the fewest objections is the one that the author most likely meant; the first by name among equals.
explain(found) := message if {
	count(found) > 0
	fewest := min({count(messages) | some messages in found})
	closest := min({name | some name, messages in found; count(messages) == fewest})
	messages := sort(found[closest])
	names := sort(object.keys(found))
	message := sprintf("PodSecurityPolicy %s forbids this pod: %s (the closest of %d that %s may use in namespace %s: %s)", [
		closest,
		shortened(messages, most_messages, "; "),
		count(names),
		request.who,
		request.namespace,
		shortened(names, most_names, ", "),
	])
} else := sprintf("no PodSecurityPolicy may be used in namespace %s by %s", [request.namespace, request.who])

most_messages := 8

most_names := 16

shortened(texts, most, separator) := concat(separator, texts) if {
	count(texts) <= most
} else := sprintf("%s%sand %d more", [
	concat(separator, array.slice(texts, 0, most)),
	separator,
	count(texts) - most,
])
