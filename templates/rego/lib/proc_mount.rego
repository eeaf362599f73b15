package lib.proc_mount

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(allowed) := {message |
	some container in pod.containers
	type := object.get(container.security_context, "procMount", "Default")
	not type in allowed
	message := sprintf("%s.securityContext.procMount: %s is not allowed, allowed are %s", [container.path, value.text(type), value.list(allowed)])
}
