package lib.runtime_class

import future.keywords.if
import future.keywords.in

import data.lib.value

# Without the block every class is allowed, and none need be set.
violations(strategy) := {message |
	strategy != null
	message := problem(strategy, class_name)
}

default class_name := null

class_name := input.review.object.spec.runtimeClassName

problem(strategy, name) := message if {
	name == null
	object.get(strategy, "defaultRuntimeClassName", null) != null
	message := sprintf("spec.runtimeClassName: must be set, %s is the default", [value.text(strategy.defaultRuntimeClassName)])
} else := message if {
	name != null
	allowed := object.get(strategy, "allowedRuntimeClassNames", [])
	not "*" in allowed
	not name in allowed
	message := sprintf("spec.runtimeClassName: %s is not allowed, allowed are %s", [value.text(name), value.list(allowed)])
}
