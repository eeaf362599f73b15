package lib.host_namespaces

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(policy) := {message |
	some field in ["hostPID", "hostIPC"]
	value.get(pod.spec, field, false)
	not value.get(policy, field, false)
	message := sprintf("spec.%s: the host's namespace is not allowed to be used", [field])
}
