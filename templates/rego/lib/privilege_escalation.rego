package lib.privilege_escalation

import future.keywords.if
import future.keywords.in

import data.lib.pod

violations(allowed, default_value) := {message |
	some container in pod.containers
	message := problem(allowed, default_value, container)
}

problem(allowed, default_value, container) := message if {
	allowed != true
	container.privilege_escalation != false
	message := sprintf("%s.securityContext.allowPrivilegeEscalation: must be false", [container.path])
} else := message if {
	container.privilege_escalation == null
	default_value != null
	message := sprintf("%s.securityContext.allowPrivilegeEscalation: must be set, %v is the default", [container.path, default_value])
}
