package lib.seccomp

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(strategy) := missing(strategy, allowed) | not_allowed(allowed) if {
	allowed := object.get(strategy, "allowedProfileNames", [])
}

pod_key := "seccomp.security.alpha.kubernetes.io/pod"

container_key(container) := sprintf("container.seccomp.security.alpha.kubernetes.io/%s", [container.name])

pod_annotation := value.get(pod.annotations, pod_key, "")

pod_field := object.get(pod.security_context, "seccompProfile", null)

# What the plugin would still have to write makes it refuse the pod as it stands.
missing(strategy, allowed) := {"spec.securityContext.seccompProfile: must be set"} if {
	pod_field == null
	counted(pod_annotation, pod_field) == ""
	object.get(strategy, "defaultProfileName", "") != ""
	is_allowed("", allowed)
} else := {sprintf("metadata.annotations[%s]: must stay, the field alone is not enough here", [pod_key])} if {
	annotation_taken_away
} else := set()

# Kubernetes up to 1.24 kept annotation and field of a stored pod together, so one that lacks the annotation has lost
# it. Later releases do without, and there no pod has it to lose.
annotation_taken_away if {
	pod.operation == "UPDATE"
	pod_annotation == ""
	of_field(pod_field) != ""
	value.get(pod.old_annotations, pod_key, "") != ""
}

not_allowed(allowed) := {message |
	some found in array.concat(of_pod, of_containers)
	not is_allowed(found.profile, allowed)
	message := sprintf("%s: %s, allowed are %s", [found.path, problem(found.profile), value.list(allowed)])
}

problem("") := "must be set"

problem(profile) := sprintf("%s is not allowed", [value.text(profile)]) if profile != ""

is_allowed(_, allowed) if "*" in allowed

is_allowed(profile, allowed) if profile in allowed

# Without a list no profile may be set, and none need be.
is_allowed("", []) := true

of_pod := [{"path": "spec.securityContext.seccompProfile", "profile": profile} | some profile in profiles_of_pod]

# What a container has from its pod is judged there.
of_containers := [{"path": path, "profile": profile} |
	some container in pod.containers
	path := sprintf("%s.securityContext.seccompProfile", [container.path])
	some profile in profiles_of_container(container)
	not profile in profiles_of_pod
]

# On a new pod annotation and field say the same up to Kubernetes 1.26, or the API server refuses it. Later releases
# look at the field alone, where a different annotation must not hide it. So there both are judged.
profiles_of_pod := stated if {
	pod.operation == "CREATE"
	stated := {profile |
		some profile in [counted(pod_annotation, pod_field), of_field(pod_field)]
		profile != ""
	}
	count(stated) > 0
} else := {profile} if {
	profile := counted(pod_annotation, pod_field)
	profile != ""
} else := {of_field(pod_field)}

profiles_of_container(container) := {of_field(container.seccomp_profile)} if {
	container.seccomp_profile != null
} else := {counted(annotation, null)} if {
	annotation := value.get(pod.annotations, container_key(container), null)
	annotation != null
	counted(annotation, null) == annotation
} else := {of_field(pod_field)} if {
	pod_field != null
} else := {counted(pod_annotation, null)}

# The annotation of a new pod that should have brought the field with it, and did not, is one that nobody reads.
counted(annotation, field) := "" if {
	pod.operation == "CREATE"
	field == null
	becomes_field(annotation)
} else := annotation

becomes_field(annotation) if annotation in ["unconfined", "runtime/default", "docker/default"]

becomes_field(annotation) if {
	startswith(annotation, "localhost/")
	annotation != "localhost/"
}

of_field(field) := "runtime/default" if {
	value.get(field, "type", "") == "RuntimeDefault"
} else := "unconfined" if {
	value.get(field, "type", "") == "Unconfined"
} else := sprintf("localhost/%s", [value.get(field, "localhostProfile", "")]) if {
	value.get(field, "type", "") == "Localhost"
	value.get(field, "localhostProfile", "") != ""
} else := ""
