package lib.host_namespaces

import future.keywords.if
import future.keywords.in

import data.lib.pod

violations(host_pid, host_ipc) := {message |
	some field in pod.host_fields
	object.get({"hostPID": host_pid, "hostIPC": host_ipc}, field, true) != true
	message := sprintf("spec.%s: the host's namespace is not allowed to be used", [field])
}
