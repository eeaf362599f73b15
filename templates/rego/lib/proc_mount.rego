package lib.proc_mount

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(policy) := {message |
	allowed := value.get(policy, "allowedProcMountTypes", ["Default"])
	some container in pod.containers
	type := value.get(container.security_context, "procMount", "Default")
	not type in allowed
	message := sprintf("%s.securityContext.procMount: %s is not allowed, allowed are %s", [container.path, value.text(type), value.list(allowed)])
}
