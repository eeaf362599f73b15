package lib.read_only_root_filesystem

import future.keywords.if
import future.keywords.in

import data.lib.pod

violations := {message |
	some container in pod.containers
	not container.security_context.readOnlyRootFilesystem
	message := sprintf("%s.securityContext.readOnlyRootFilesystem: must be true", [container.path])
}
