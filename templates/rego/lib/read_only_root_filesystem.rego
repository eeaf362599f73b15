package lib.read_only_root_filesystem

import future.keywords.if
import future.keywords.in

import data.lib.pod

violations(required) := {message |
	required
	some container in pod.containers
	not container.read_only_root_filesystem
	message := sprintf("%s.securityContext.readOnlyRootFilesystem: must be true", [container.path])
}
