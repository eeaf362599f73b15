package lib.privileged

import future.keywords.if
import future.keywords.in

import data.lib.pod

violations(allowed) := {message |
	not allowed
	some container in pod.containers
	container.privileged
	message := sprintf("%s.securityContext.privileged: privileged containers are not allowed", [container.path])
}
