package lib.host_network

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(policy) := network(policy) | ports(policy)

network(policy) := {message |
	value.get(pod.spec, "hostNetwork", false)
	not value.get(policy, "hostNetwork", false)
	message := "spec.hostNetwork: the host's network is not allowed to be used"
}

ports(policy) := {message |
	allowed := value.get(policy, "hostPorts", [])
	some container in pod.containers
	some index, port in value.get(container.object, "ports", [])
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
	value.get(pod.spec, "hostNetwork", false)
	container.field != "ephemeralContainers"
} else := 0
