# The pod under review, its containers and its volumes, as PodSecurityPolicy saw them.
# What the controls ask of a container is looked up here, once, and not again for each policy.
package lib.pod

import future.keywords.if
import future.keywords.in

import data.lib.value

review := value.get(input, "review", {})

operation := value.get(review, "operation", "")

this := value.get(review, "object", {})

old := value.get(review, "oldObject", {})

spec := value.present(value.get(this, "spec", {}))

annotations := value.get(value.get(this, "metadata", {}), "annotations", {})

old_annotations := value.get(value.get(old, "metadata", {}), "annotations", {})

security_context := value.present(object.get(spec, "securityContext", {}))

# Init, regular and ephemeral containers: PodSecurityPolicy judged all three.
# For user, group and SELinux the container's own value counts, else the pod's.
containers := [container |
	some field in ["initContainers", "containers", "ephemeralContainers"]
	some index, object_ in object.get(spec, field, [])
	own := value.present(value.get(object_, "securityContext", {}))
	capabilities := object.get(own, "capabilities", {})
	container := {
		"field": field,
		"path": sprintf("spec.%s[%d]", [field, index]),
		"name": value.get(object_, "name", ""),
		"ports": value.get(object_, "ports", []),
		"volume_mounts": value.get(object_, "volumeMounts", []),
		"privileged": object.get(own, "privileged", false),
		"privilege_escalation": object.get(own, "allowPrivilegeEscalation", null),
		"read_only_root_filesystem": object.get(own, "readOnlyRootFilesystem", false),
		"proc_mount": object.get(own, "procMount", "Default"),
		"run_as_user": object.get(own, "runAsUser", object.get(security_context, "runAsUser", null)),
		"run_as_group": object.get(own, "runAsGroup", object.get(security_context, "runAsGroup", null)),
		"run_as_non_root": object.get(own, "runAsNonRoot", object.get(security_context, "runAsNonRoot", null)),
		"add": {name | some name in value.get(capabilities, "add", [])},
		"drop": {name | some name in value.get(capabilities, "drop", [])},
		"selinux_options": object.get(own, "seLinuxOptions", null),
		"seccomp_profile": object.get(own, "seccompProfile", null),
		"apparmor_profile": object.get(own, "appArmorProfile", null),
	}
]

# A volume has one source. Without one it is an emptyDir, which the API server writes down and a file may not.
volumes := [volume |
	some index, object_ in object.get(spec, "volumes", [])
	volume := {
		"path": sprintf("spec.volumes[%d]", [index]),
		"name": value.get(object_, "name", ""),
		"object": object_,
		"types": volume_types(object_),
	}
]

volume_types(object_) := types if {
	types := {type_name(key) | some key, source in object_; key != "name"; source != null}
	count(types) > 0
} else := {"emptyDir"}

# The one type that a PodSecurityPolicy spells otherwise than a pod.
type_name("cephfs") := "cephFS"

type_name(key) := key if key != "cephfs"
