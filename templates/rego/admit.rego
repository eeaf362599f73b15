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
import data.lib.volumes

violation contains {"msg": message, "details": {"violations": found}} if {
	request.judged
	not admitted
	found := {name: violations(parameters.policy(name)) | some name in nearest}
	message := explain(found)
}

default admitted := false

admitted if {
	some name in named
	count(violations(parameters.policy(name))) == 0
}

# Whoever may use thousands has those tried first that others may use here.
admitted if {
	all_usable
	some name in named_here
	count(violations(parameters.policy(name))) == 0
}

# And then all of them, kind by kind: what the policies of a kind have in common is judged once.
admitted if {
	all_usable
	some kind in parameters.kinds
	count(violations(parameters.shared(kind))) == 0
	some name in parameters.members(kind)
	not differs_too_much(name)
}

differs_too_much(name) if {
	some field, given in parameters.own(name)
	count(judge(field, given)) > 0
}

# The name `*` stands for all there are.
all_usable if "*" in granted

# The policies that may be used here by their names, whoever of the two may use them.
named := {name | some name in granted; parameters.policy(name)}

named_here := {name |
	some scope in ["*", request.namespace]
	subjects := parameters.grants(scope)
	some kind in ["users", "groups"]
	some given in object.get(subjects, kind, {})
	some name in given
	parameters.policy(name)
}

names := sort(parameters.names) if {
	all_usable
} else := sort(named)

# Whoever may use thousands is told about the first ones alone.
nearest := array.slice(names, 0, most_explained)

granted contains name if {
	some scope in ["*", request.namespace]
	subjects := parameters.grants(scope)
	some kind, here in {"users": request.users, "groups": request.groups}
	some subject in here
	some name in object.get(subjects, kind, {})[subject]
}

# Each control is given its own fields alone, so that policies which agree in them are judged once.
# Where a policy leaves everything open, the call is saved.
violations(given) := union({
	{m | policy.appArmor != {}; some m in apparmor.violations(policy.appArmor)},
	{m | capabilities.added != []; some m in capabilities.not_allowed(policy.allowedCapabilities, policy.defaultAddCapabilities)},
	{m | policy.requiredDropCapabilities != []; some m in capabilities.not_dropped(policy.requiredDropCapabilities)},
	{m | policy.defaultAddCapabilities != []; some m in capabilities.not_added(policy.defaultAddCapabilities)},
	{m | policy.allowedCSIDrivers != []; some m in csi_drivers.violations(policy.allowedCSIDrivers)},
	{m | policy.allowedFlexVolumes != []; some m in flex_volumes.violations(policy.allowedFlexVolumes)},
	{m | policy.fsGroup != run_as_any; some m in groups.fs_group(policy.fsGroup)},
	{m | policy.runAsGroup != run_as_any; some m in groups.run_as_group(policy.runAsGroup)},
	{m | policy.supplementalGroups != run_as_any; some m in groups.supplemental_groups(policy.supplementalGroups)},
	{m | pod.host_fields != set(); some m in host_namespaces.violations(policy.hostPID, policy.hostIPC)},
	{m | policy.hostNetwork != true; some m in host_network.network},
	{m | host_network.opened != set(); some m in host_network.ports(policy.hostPorts)},
	{m | policy.allowedHostPaths != []; some m in host_paths.violations(policy.allowedHostPaths)},
	{m | policy.allowPrivilegeEscalation != true; some m in privilege_escalation.not_forbidden},
	{m | policy.defaultAllowPrivilegeEscalation != null; some m in privilege_escalation.not_set(policy.allowPrivilegeEscalation, policy.defaultAllowPrivilegeEscalation)},
	{m | policy.privileged != true; some m in privileged.violations},
	proc_mount.violations(policy.allowedProcMountTypes),
	{m | policy.readOnlyRootFilesystem != false; some m in read_only_root_filesystem.violations},
	{m | policy.runAsUser != run_as_any; some m in run_as_user.violations(policy.runAsUser)},
	{m | policy.runtimeClass != null; some m in runtime_class.violations(policy.runtimeClass)},
	seccomp.lost,
	{m | policy.seccomp != any_profile; some m in seccomp.violations(policy.seccomp)},
	{m | policy.seLinux != run_as_any; some m in selinux.violations(policy.seLinux)},
	{m | pod.security_context.sysctls; some m in sysctls.violations(policy.forbiddenSysctls, policy.allowedUnsafeSysctls)},
	{m | policy.volumes != ["*"]; some m in volumes.violations(policy.volumes)},
}) if {
	policy := object.union(absent, given)
	run_as_any := {"rule": "RunAsAny"}
	any_profile := {"allowedProfileNames": ["*"]}
}

# A field that is absent has the value that PodSecurityPolicy gave it; where it demanded one, nothing is accepted.
absent := {
	"allowPrivilegeEscalation": true,
	"allowedCSIDrivers": [],
	"allowedCapabilities": [],
	"allowedFlexVolumes": [],
	"allowedHostPaths": [],
	"allowedProcMountTypes": ["Default"],
	"allowedUnsafeSysctls": [],
	"appArmor": {},
	"defaultAddCapabilities": [],
	"defaultAllowPrivilegeEscalation": null,
	"forbiddenSysctls": [],
	"fsGroup": {},
	"hostIPC": false,
	"hostNetwork": false,
	"hostPID": false,
	"hostPorts": [],
	"privileged": false,
	"readOnlyRootFilesystem": false,
	"requiredDropCapabilities": [],
	"runAsGroup": {"rule": "RunAsAny"},
	"runAsUser": {},
	"runtimeClass": null,
	"seLinux": {},
	"seccomp": {},
	"supplementalGroups": {},
	"volumes": [],
}

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
