package lib.apparmor

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(policy) := {message |
	strategy := value.get(policy, "appArmor", {})
	some container in pod.containers
	message := problem(strategy, container, profile(container))
}

# A list that is absent allows everything, but what would have been defaulted must be there.
problem(strategy, container, profile_name) := message if {
	profile_name == ""
	must_be_set(strategy)
	message := sprintf("%s.securityContext.appArmorProfile: must be set, here or as annotation %s%s", [container.path, prefix, container.name])
} else := message if {
	profile_name != ""
	allowed := value.get(strategy, "allowedProfileNames", null)
	allowed != null
	not profile_name in allowed
	message := sprintf("%s.securityContext.appArmorProfile: %s is not allowed, allowed are %s", [container.path, value.text(profile_name), value.list(allowed)])
}

must_be_set(strategy) if value.get(strategy, "allowedProfileNames", null) != null

must_be_set(strategy) if value.get(strategy, "defaultProfileName", "") != ""

prefix := "container.apparmor.security.beta.kubernetes.io/"

# As Kubernetes 1.30 and later rank them: the container's field, its annotation, the pod's field.
# Earlier releases have no field.
profile(container) := name if {
	field := value.get(container.security_context, "appArmorProfile", null)
	field != null
	name := of_field(field)
} else := name if {
	name := value.get(pod.annotations, sprintf("%s%s", [prefix, container.name]), "")
	name != ""
} else := of_field(value.get(pod.security_context, "appArmorProfile", {}))

of_field(field) := "runtime/default" if {
	field.type == "RuntimeDefault"
} else := "unconfined" if {
	field.type == "Unconfined"
} else := sprintf("localhost/%s", [value.get(field, "localhostProfile", "")]) if {
	field.type == "Localhost"
} else := ""
