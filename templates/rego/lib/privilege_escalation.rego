package lib.privilege_escalation

import future.keywords.if
import future.keywords.in

import data.lib.pod

violations(true, default_value) := {message |
	default_value != null
	some container in pod.containers
	not "allowPrivilegeEscalation" in object.keys(container.security_context)
	message := sprintf("%s.securityContext.allowPrivilegeEscalation: must be set, %v is the default", [container.path, default_value])
}

violations(allowed, _) := wherever_not_false if allowed != true

wherever_not_false := {message |
	some container in pod.containers
	not container.security_context.allowPrivilegeEscalation == false
	message := sprintf("%s.securityContext.allowPrivilegeEscalation: must be false", [container.path])
}
