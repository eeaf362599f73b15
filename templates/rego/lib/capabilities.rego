package lib.capabilities

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

# Names are taken literally: dropping ALL does not drop NET_RAW.
violations(allowed, default_add, required_drop) := union({
	{message |
		not "*" in allowed
		some container in containers
		some capability in container.add
		not capability in allowed
		not capability in default_add
		names := {name | some name in array.concat(allowed, default_add)}
		message := sprintf("%s.securityContext.capabilities.add: %s may not be added, allowed are %s", [container.path, value.text(capability), value.list(names)])
	},
	{message |
		some capability in required_drop
		some container in containers
		not capability in container.drop
		message := sprintf("%s.securityContext.capabilities.drop: %s must be dropped", [container.path, value.text(capability)])
	},
	{message |
		some capability in default_add
		some container in containers
		not capability in container.drop
		not capability in container.add
		message := sprintf("%s.securityContext.capabilities.add: %s must be added or dropped", [container.path, value.text(capability)])
	},
})

containers := [{"path": container.path, "add": add, "drop": drop} |
	some container in pod.containers
	add := {name | some name in container.security_context.capabilities.add}
	drop := {name | some name in container.security_context.capabilities.drop}
]
