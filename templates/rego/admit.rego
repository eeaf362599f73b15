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
	found := {name: objections(name) | some name in nearest}
	message := explain(found)
}

default admitted := false

admitted if {
	some name, kind in usable
	count(shared_objections[kind]) == 0
	count(own_objections(name)) == 0
}

# Whoever may use thousands has them tried kind by kind.
admitted if {
	all_usable
	some kind in parameters.kinds
	count(shared_objections[kind]) == 0
	some name in parameters.members(kind)
	count(own_objections(name)) == 0
}

# A rule and not a function, so that what the policies of a kind have in common is judged once.
shared_objections[kind] := violations(parameters.shared(kind)) if {
	kinds[kind]
}

objections(name) := shared_objections[parameters.kind(name)] | own_objections(name)

own_objections(name) := union({judge(field, given) | some field, given in parameters.own(name)})

kinds := parameters.kinds if {
	all_usable
} else := {kind | some kind in usable}

# The policies that may be used here by their names, whoever of the two may use them, with their kinds.
usable[name] := kind if {
	some name in granted
	kind := parameters.kind(name)
}

# The name `*` stands for all there are.
all_usable if "*" in granted

names := sort(parameters.names) if {
	all_usable
} else := sort(object.keys(usable))

# Whoever may use thousands is told about the first ones alone.
nearest := array.slice(names, 0, most_explained)

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

# Each control is given its own fields alone, so that policies which agree in them are judged once.
# A field that is absent has the value that PodSecurityPolicy gave it; where it demanded one, nothing is accepted.
violations(policy) := union({
	apparmor.violations(object.get(policy, "appArmor", {})),
	capabilities.violations(
		object.get(policy, "allowedCapabilities", []),
		object.get(policy, "defaultAddCapabilities", []),
		object.get(policy, "requiredDropCapabilities", []),
	),
	csi_drivers.violations(object.get(policy, "allowedCSIDrivers", [])),
	flex_volumes.violations(object.get(policy, "allowedFlexVolumes", [])),
	groups.fs_group(object.get(policy, "fsGroup", {})),
	groups.run_as_group(object.get(policy, "runAsGroup", {"rule": "RunAsAny"})),
	groups.supplemental_groups(object.get(policy, "supplementalGroups", {})),
	host_namespaces.violations(object.get(policy, "hostPID", false), object.get(policy, "hostIPC", false)),
	host_network.violations(object.get(policy, "hostNetwork", false), object.get(policy, "hostPorts", [])),
	host_paths.violations(object.get(policy, "allowedHostPaths", [])),
	privilege_escalation.violations(
		object.get(policy, "allowPrivilegeEscalation", true),
		object.get(policy, "defaultAllowPrivilegeEscalation", null),
	),
	privileged.violations(object.get(policy, "privileged", false)),
	proc_mount.violations(object.get(policy, "allowedProcMountTypes", ["Default"])),
	read_only_root_filesystem.violations(object.get(policy, "readOnlyRootFilesystem", false)),
	run_as_user.violations(object.get(policy, "runAsUser", {})),
	runtime_class.violations(object.get(policy, "runtimeClass", null)),
	seccomp.violations(object.get(policy, "seccomp", {})),
	selinux.violations(object.get(policy, "seLinux", {})),
	sysctls.violations(object.get(policy, "forbiddenSysctls", []), object.get(policy, "allowedUnsafeSysctls", [])),
	volumes.violations(object.get(policy, "volumes", [])),
})

# The fields in which policies of a kind may differ.
judge("allowedHostPaths", given) := host_paths.violations(given)

judge("fsGroup", given) := groups.fs_group(given)

judge("hostPorts", given) := host_network.ports(given)

judge("runAsGroup", given) := groups.run_as_group(given)

judge("runAsUser", given) := run_as_user.violations(given)

judge("seLinux", given) := selinux.violations(given)

judge("supplementalGroups", given) := groups.supplemental_groups(given)

# A field that is not among them refuses everything, and does not vanish.
judge(field, _) := {sprintf("%s: nothing here can judge it", [field])} if {
	not field in {"allowedHostPaths", "fsGroup", "hostPorts", "runAsGroup", "runAsUser", "seLinux", "supplementalGroups"}
}

# The policy with the fewest objections is the one that the author most likely meant; the first by name among equals.
explain(found) := message if {
	count(found) > 0
	fewest := min({count(messages) | some messages in found})
	closest := min({name | some name, messages in found; count(messages) == fewest})
	messages := sort(found[closest])
	message := sprintf("PodSecurityPolicy %s forbids this pod: %s (the closest of %s that %s may use in namespace %s: %s)", [
		closest,
		shortened(messages, most_messages, "; "),
		explained(count(found), count(names)),
		request.who,
		request.namespace,
		shortened(names, most_names, ", "),
	])
} else := sprintf("no PodSecurityPolicy may be used in namespace %s by %s", [request.namespace, request.who])

explained(first, all) := sprintf("%d", [all]) if {
	first == all
} else := sprintf("the first %d of %d", [first, all])

most_explained := 64

most_messages := 8

most_names := 16

shortened(texts, most, separator) := concat(separator, texts) if {
	count(texts) <= most
} else := sprintf("%s%sand %d more", [
	concat(separator, array.slice(texts, 0, most)),
	separator,
	count(texts) - most,
])
