package lib.privileged

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(policy) := {message |
	not value.get(policy, "privileged", false)
	some container in pod.containers
	value.get(container.security_context, "privileged", false)
	message := sprintf("%s.securityContext.privileged: privileged containers are not allowed", [container.path])
}
