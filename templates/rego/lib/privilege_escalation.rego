package lib.privilege_escalation

import future.keywords.if
import future.keywords.in

import data.lib.pod

not_forbidden := {message |
	some container in pod.containers
	not container.security_context.allowPrivilegeEscalation == false
	message := sprintf("%s.securityContext.allowPrivilegeEscalation: must be false", [container.path])
}

# Where it must be false, that is said already.
not_set(allowed, default_value) := {message |
	allowed == true
	some path in unset
	message := sprintf("%s.securityContext.allowPrivilegeEscalation: must be set, %v is the default", [path, default_value])
}

unset := [container.path |
	some container in pod.containers
	not "allowPrivilegeEscalation" in object.keys(container.security_context)
]
