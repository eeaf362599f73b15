package lib.privilege_escalation

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(policy) := {message |
	some container in pod.containers
	message := problem(
		value.get(policy, "allowPrivilegeEscalation", true),
		value.get(policy, "defaultAllowPrivilegeEscalation", null),
		container.path,
		value.get(container.security_context, "allowPrivilegeEscalation", null),
	)
}

problem(false, _, path, escalation) := message if {
	escalation != false
	message := sprintf("%s.securityContext.allowPrivilegeEscalation: must be false", [path])
}

problem(true, default_value, path, null) := message if {
	default_value != null
	message := sprintf("%s.securityContext.allowPrivilegeEscalation: must be set, %v is the default", [path, default_value])
}
