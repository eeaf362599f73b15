package lib.apparmor

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(strategy) := {message |
	count(strategy) > 0
	some container in containers
	message := problem(strategy, container)
}

# A list that is absent allows everything, but what would have been defaulted must be there.
problem(strategy, container) := message if {
	container.profile == ""
	must_be_set(strategy)
	message := sprintf(
		"%s.securityContext.appArmorProfile: must be set, here or as annotation %s",
		[container.path, container.annotation],
	)
} else := message if {
	container.profile != ""
	allowed := object.get(strategy, "allowedProfileNames", null)
	allowed != null
	not container.profile in allowed
	message := sprintf(
		"%s.securityContext.appArmorProfile: %s is not allowed, allowed are %s",
		[container.path, value.text(container.profile), value.list(allowed)],
	)
}

must_be_set(strategy) if object.get(strategy, "allowedProfileNames", null) != null

must_be_set(strategy) if object.get(strategy, "defaultProfileName", "") != ""

containers := [{"path": container.path, "annotation": annotation, "profile": profile(container, annotation)} |
	some container in pod.containers
	annotation := sprintf("container.apparmor.security.beta.kubernetes.io/%s", [value.get(container.object, "name", "")])
]

# As Kubernetes 1.30 and later rank them: the container's field, its annotation, the pod's field.
# Earlier releases have no field.
profile(container, annotation) := of_field(container.security_context.appArmorProfile) if {
	container.security_context.appArmorProfile != null
} else := name if {
	name := pod.annotations[annotation]
	name != ""
} else := of_field(object.get(pod.security_context, "appArmorProfile", {}))

of_field(field) := "runtime/default" if {
	field.type == "RuntimeDefault"
} else := "unconfined" if {
	field.type == "Unconfined"
} else := sprintf("localhost/%s", [value.get(field, "localhostProfile", "")]) if {
	field.type == "Localhost"
} else := ""
