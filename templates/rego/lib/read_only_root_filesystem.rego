package lib.read_only_root_filesystem

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(policy) := {message |
	value.get(policy, "readOnlyRootFilesystem", false)
	some container in pod.containers
	not value.get(container.security_context, "readOnlyRootFilesystem", false)
	message := sprintf("%s.securityContext.readOnlyRootFilesystem: must be true", [container.path])
}
