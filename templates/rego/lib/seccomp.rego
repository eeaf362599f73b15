package lib.seccomp

import future.keywords.contains
import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(strategy) := missing(strategy, allowed) | not_allowed(allowed) if {
	allowed := object.get(strategy, "allowedProfileNames", [])
}

pod_key := "seccomp.security.alpha.kubernetes.io/pod"

container_key := "container.seccomp.security.alpha.kubernetes.io"

# What the plugin would still have to write makes it refuse the pod as it stands.
missing(strategy, allowed) := {"spec.securityContext.seccompProfile: must be set" |
	object.get(strategy, "defaultProfileName", "") != ""
	nothing_set
	is_allowed("", allowed)
}

nothing_set if {
	not pod.security_context.seccompProfile
	annotation_of_pod == ""
}

# Kubernetes up to 1.24 kept annotation and field of a stored pod together, so one that lacks the annotation has lost
# it. Later releases do without, and there no pod has it to lose.
lost := {message |
	pod.operation == "UPDATE"
	object.get(pod.annotations, pod_key, "") == ""
	field_of_pod != ""
	before := input.review.oldObject.metadata.annotations[pod_key]
	not before in ["", null]
	message := sprintf("metadata.annotations[%s]: must stay, the field alone is not enough here", [pod_key])
}

not_allowed(allowed) := {message |
	not "*" in allowed
	some [path, profile] in profiles
	not is_allowed(profile, allowed)
	message := sprintf("%s.securityContext.seccompProfile: %s, allowed are %s", [path, problem(profile), value.list(allowed)])
}

problem("") := "must be set"

problem(profile) := sprintf("%s is not allowed", [value.text(profile)]) if profile != ""

is_allowed(_, allowed) if "*" in allowed

is_allowed(profile, allowed) if profile in allowed

# Without a list no profile may be set, and none need be.
is_allowed("", []) := true

profiles contains ["spec", profile] if some profile in profiles_of_pod

profiles contains [path, profile] if {
	some path, profile in profiles_of_containers
	not profile in profiles_of_pod
}

# What a container has from its pod is judged there, unless the pod is judged by something else.
profiles contains [container.path, profile_for_containers] if {
	not profile_for_containers in profiles_of_pod
	some container in pod.containers
	not profiles_of_containers[container.path]
}

# On a new pod annotation and field say the same up to Kubernetes 1.26, or the API server refuses it. Later releases
# look at the field alone, where a different annotation must not hide it. So there both are judged.
profiles_of_pod := stated if {
	pod.operation == "CREATE"
	stated := {annotation_of_pod, field_of_pod} - {""}
	stated != set()
} else := {annotation_of_pod} if {
	annotation_of_pod != ""
} else := {field_of_pod}

annotation_of_pod := annotation if {
	annotation := pod.annotations[pod_key]
	not pod.security_context.seccompProfile
	is_read(annotation)
} else := object.get(pod.annotations, pod_key, "") if {
	pod.security_context.seccompProfile
} else := ""

field_of_pod := of_field(pod.security_context.seccompProfile) if {
	pod.security_context.seccompProfile
} else := ""

profile_for_containers := field_of_pod if {
	pod.security_context.seccompProfile
} else := annotation_of_pod

# By the path of the container: the field hides the annotation.
profiles_of_containers := object.union(
	{container.path: annotation |
		count(pod.annotations) > 0
		some container in pod.containers
		annotation := pod.annotations[sprintf("%s/%s", [container_key, object.get(container.object, "name", "")])]
		is_read(annotation)
	},
	{container.path: of_field(container.security_context.seccompProfile) | some container in pod.containers},
)

# The annotation of a new pod that should have brought the field with it, and did not, is one that nobody reads.
is_read(annotation) if not becomes_field(annotation)

is_read(_) if stored

stored if pod.operation != "CREATE"

becomes_field(annotation) if annotation in ["unconfined", "runtime/default", "docker/default"]

becomes_field(annotation) if {
	startswith(annotation, "localhost/")
	annotation != "localhost/"
}

of_field(field) := "runtime/default" if {
	field.type == "RuntimeDefault"
} else := "unconfined" if {
	field.type == "Unconfined"
} else := sprintf("localhost/%s", [field.localhostProfile]) if {
	field.type == "Localhost"
	not field.localhostProfile in ["", null]
} else := ""
