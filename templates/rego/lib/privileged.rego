package lib.privileged

import future.keywords.if
import future.keywords.in

import data.lib.pod

violations := {message |
	some container in pod.containers
	container.security_context.privileged
	message := sprintf("%s.securityContext.privileged: privileged containers are not allowed", [container.path])
}
