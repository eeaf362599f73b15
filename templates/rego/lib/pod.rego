# The pod under review, its containers and its volumes, as PodSecurityPolicy saw them: what is null is absent.
# They are looked up here, once, and not again for each policy.
package lib.pod

import future.keywords.if
import future.keywords.in

default operation := ""

operation := input.review.operation if input.review.operation != null

# Which of these it sets.
host_fields := {field |
	some field in ["hostIPC", "hostNetwork", "hostPID"]
	given := input.review.object.spec[field]
	not given in [false, null]
}

annotations := {key: x | some key, x in input.review.object.metadata.annotations; x != null}

security_context := {key: x | some key, x in input.review.object.spec.securityContext; x != null}

# Init, regular and ephemeral containers: PodSecurityPolicy judged all three.
# For user and group the container's own value counts, else the pod's.
containers := [container |
	some field in ["initContainers", "containers", "ephemeralContainers"]
	some index, object_ in input.review.object.spec[field]
	own := {key: x | some key, x in object_.securityContext; x != null}
	container := {
		"field": field,
		"path": sprintf("spec.%s[%d]", [field, index]),
		"object": object_,
		"security_context": object.union(user_and_group, own),
	}
]

user_and_group := object.filter(security_context, ["runAsGroup", "runAsNonRoot", "runAsUser"])

# A volume has one source. Without one it is an emptyDir, which the API server writes down and a file may not.
volumes := [volume |
	some index, object_ in input.review.object.spec.volumes
	sources := {object.get(other_names, key, key) | some key, source in object_; key != "name"; source != null}
	volume := {
		"path": sprintf("spec.volumes[%d]", [index]),
		"object": object_,
		"types": sources | {"emptyDir" | sources == set()},
	}
]

# The one type that a PodSecurityPolicy spells otherwise than a pod.
other_names := {"cephfs": "cephFS"}
