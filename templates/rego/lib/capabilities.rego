package lib.capabilities

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

# Names are taken literally: dropping ALL does not drop NET_RAW.
not_allowed(allowed, default_add) := {message |
	not "*" in allowed
	some [path, capability] in added
	not capability in allowed
	not capability in default_add
	names := {name | some name in array.concat(allowed, default_add)}
	message := sprintf("%s.securityContext.capabilities.add: %s may not be added, allowed are %s", [path, value.text(capability), value.list(names)])
}

not_dropped(required) := {message |
	some container in dropped
	some capability in required
	not capability in container.capabilities
	message := sprintf("%s.securityContext.capabilities.drop: %s must be dropped", [container.path, value.text(capability)])
}

not_added(default_add) := {message |
	some container in dropped
	some capability in default_add
	not capability in container.capabilities
	not [container.path, capability] in added
	message := sprintf("%s.securityContext.capabilities.add: %s must be added or dropped", [container.path, value.text(capability)])
}

added := [[container.path, capability] |
	some container in pod.containers
	some capability in container.security_context.capabilities.add
]

dropped := [{"path": container.path, "capabilities": capabilities} |
	some container in pod.containers
	capabilities := {capability | some capability in container.security_context.capabilities.drop}
]
