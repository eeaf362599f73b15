package lib.host_network

import future.keywords.contains
import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

network := {message |
	"hostNetwork" in pod.host_fields
	message := "spec.hostNetwork: the host's network is not allowed to be used"
}

ports(allowed) := {message |
	some [path, host_port] in opened
	not value.in_ranges(host_port, allowed)
	message := sprintf("%s: %s is not allowed to be used, allowed are %s", [path, value.text(host_port), value.ranges(allowed)])
}

opened contains [path, port.hostPort] if {
	some container in pod.containers
	some index, port in container.object.ports
	port.hostPort > 0
	path := sprintf("%s.ports[%d].hostPort", [container.path, index])
}

# On the host's network every port is one of the host: the API server copies it, a file may not have it yet.
opened contains [path, port.containerPort] if {
	"hostNetwork" in pod.host_fields
	some container in pod.containers
	container.field != "ephemeralContainers"
	some index, port in container.object.ports
	object.get(port, "hostPort", 0) in [0, null]
	port.containerPort > 0
	path := sprintf("%s.ports[%d].hostPort", [container.path, index])
}
