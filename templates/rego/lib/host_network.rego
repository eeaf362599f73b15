package lib.host_network

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(host_network, host_ports) := network(host_network) | ports(host_ports)

network(allowed) := {message |
	pod.spec.hostNetwork
	allowed != true
	message := "spec.hostNetwork: the host's network is not allowed to be used"
}

ports(allowed) := {message |
	some container in pod.containers
	some index, port in container.ports
	host_port := opened(container, port)
	host_port > 0
	not value.in_ranges(host_port, allowed)
	message := sprintf("%s.ports[%d].hostPort: %s is not allowed to be used, allowed are %s", [container.path, index, value.text(host_port), value.ranges(allowed)])
}

# On the host's network every port is one of the host: the API server copies it, a file may not have it yet.
opened(container, port) := host_port if {
	host_port := value.get(port, "hostPort", 0)
	host_port != 0
} else := value.get(port, "containerPort", 0) if {
	pod.spec.hostNetwork
	container.field != "ephemeralContainers"
} else := 0
