package lib.apparmor

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(strategy) := {message |
	count(strategy) > 0
	some container in containers
	not runs_under_the_default(strategy, container)
	message := problem(strategy, container)
}

# Without a profile a runtime takes its own default one, which is the one called runtime/default. Of a privileged container it
# may take none.
runs_under_the_default(strategy, container) if {
	object.get(strategy, "unsetIsRuntimeDefault", false) == true
	container.profile == null
	container.privileged == false
}

# A list that is absent allows everything, but what would have been defaulted must be there.
problem(strategy, container) := message if {
	container.profile in {null, ""}
	must_be_set(strategy)
	message := sprintf(
		"%s.securityContext.appArmorProfile: must be set, here or as annotation %s",
		[container.path, container.annotation],
	)
} else := message if {
	not container.profile in {null, ""}
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

containers := [container |
	some given in pod.containers
	annotation := sprintf("container.apparmor.security.beta.kubernetes.io/%s", [value.get(given.object, "name", "")])
	container := {
		"path": given.path,
		"annotation": annotation,
		"profile": profile(given, annotation),
		"privileged": object.get(given.security_context, "privileged", false),
	}
]

# As Kubernetes 1.30 and later rank them: the container's field, its annotation, the pod's field.
# Earlier releases have no field. Where there is none of them it is null.
profile(container, annotation) := of_field(container.security_context.appArmorProfile) if {
	container.security_context.appArmorProfile != null
} else := name if {
	name := pod.annotations[annotation]
	name != ""
} else := of_field(pod.security_context.appArmorProfile) if {
	pod.security_context.appArmorProfile != null
} else := null

# A kind of profile that nobody knows is empty.
of_field(field) := "runtime/default" if {
	field.type == "RuntimeDefault"
} else := "unconfined" if {
	field.type == "Unconfined"
} else := sprintf("localhost/%s", [value.get(field, "localhostProfile", "")]) if {
	field.type == "Localhost"
} else := ""
