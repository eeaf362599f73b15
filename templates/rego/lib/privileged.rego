package lib.privileged

import future.keywords.if
import future.keywords.in

import data.lib.pod

violations(allowed) := {message |
	allowed != true
	some container in pod.containers
	container.privileged
	message := sprintf("%s.securityContext.privileged: privileged containers are not allowed", [container.path])
}
