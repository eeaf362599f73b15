package lib.runtime_class

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

# Without the block every class is allowed, and none need be set.
violations(policy) := {message |
	strategy := value.get(policy, "runtimeClass", null)
	strategy != null
	message := problem(strategy, value.get(pod.spec, "runtimeClassName", null))
}

problem(strategy, name) := message if {
	name == null
	value.get(strategy, "defaultRuntimeClassName", null) != null
	message := sprintf("spec.runtimeClassName: must be set, %s is the default", [value.text(strategy.defaultRuntimeClassName)])
} else := message if {
	name != null
	allowed := value.get(strategy, "allowedRuntimeClassNames", [])
	not "*" in allowed
	not name in allowed
	message := sprintf("spec.runtimeClassName: %s is not allowed, allowed are %s", [value.text(name), value.list(allowed)])
}
