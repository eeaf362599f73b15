# The pod under review, its containers and its volumes, as PodSecurityPolicy saw them.
package lib.pod

import future.keywords.contains
import future.keywords.if
import future.keywords.in

import data.lib.value

review := value.get(input, "review", {})

operation := value.get(review, "operation", "")

this := value.get(review, "object", {})

old := value.get(review, "oldObject", {})

spec := value.get(this, "spec", {})

annotations := value.get(value.get(this, "metadata", {}), "annotations", {})

old_annotations := value.get(value.get(old, "metadata", {}), "annotations", {})

security_context := value.get(spec, "securityContext", {})

# Init, regular and ephemeral containers: PodSecurityPolicy judged all three.
containers := [container |
	some field in ["initContainers", "containers", "ephemeralContainers"]
	some index, object in value.get(spec, field, [])
	container := {
		"field": field,
		"path": sprintf("spec.%s[%d]", [field, index]),
		"name": value.get(object, "name", ""),
		"object": object,
		"security_context": value.get(object, "securityContext", {}),
	}
]

# What counts for a container: its own value, else the pod's.
effective(container, key, fallback) := value.get(
	container.security_context, key,
	value.get(security_context, key, fallback),
)

# A volume has one source. Without one it is an emptyDir, which the API server writes down and a file may not.
volumes := [volume |
	some index, object in value.get(spec, "volumes", [])
	volume := {
		"path": sprintf("spec.volumes[%d]", [index]),
		"name": value.get(object, "name", ""),
		"object": object,
		"types": volume_types(object),
	}
]

volume_types(object) := types if {
	types := {type_name(key) | some key, source in object; key != "name"; source != null}
	count(types) > 0
} else := {"emptyDir"}

# The one type that a PodSecurityPolicy spells otherwise than a pod.
type_name("cephfs") := "cephFS"

type_name(key) := key if key != "cephfs"
