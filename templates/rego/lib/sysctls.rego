package lib.sysctls

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

# The sysctls that Kubernetes 1.24 calls safe.
safe := {
	"kernel.shm_rmid_forced",
	"net.ipv4.ip_local_port_range",
	"net.ipv4.ip_unprivileged_port_start",
	"net.ipv4.ping_group_range",
	"net.ipv4.tcp_syncookies",
}

violations(forbidden, allowed) := {message |
	some index, sysctl in pod.security_context.sysctls
	name := normalized(value.get(sysctl, "name", ""))
	problem := problem_of(name, forbidden, allowed)
	message := sprintf("spec.securityContext.sysctls[%d]: %s %s", [index, value.text(name), problem])
}

# Since Kubernetes 1.25 a new pod may separate the parts of a name by slashes: where a slash comes before any dot, both change places.
normalized(name) := changed if {
	pod.operation != "UPDATE"
	not contains(split(name, "/")[0], ".")
	changed := concat("/", [replace(part, "/", ".") | some part in split(name, ".")])
} else := name

# Forbidden comes before safe and allowed.
problem_of(name, forbidden, allowed) := "is not allowed" if {
	value.matches_any(name, forbidden)
} else := sprintf("is unsafe and not allowed, allowed are the safe ones and %s", [value.list(allowed)]) if {
	not name in safe
	not value.matches_any(name, allowed)
}
