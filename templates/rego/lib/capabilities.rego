package lib.capabilities

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(allowed, default_add, required_drop) := {message |
	rules := {
		"allowed": as_set(allowed),
		"default_add": as_set(default_add),
		"required_drop": as_set(required_drop),
	}
	some container in pod.containers
	path := sprintf("%s.securityContext.capabilities", [container.path])
	messages := [
		not_allowed(path, rules, container.add),
		not_dropped(path, rules, container.drop),
		not_added(path, rules, container.add, container.drop),
	]
	some message in messages[_]
}

not_allowed(path, rules, add) := {message |
	not "*" in rules.allowed
	some capability in ((add - rules.allowed) - rules.default_add)
	message := sprintf("%s.add: %s may not be added, allowed are %s", [path, value.text(capability), value.list(rules.allowed | rules.default_add)])
}

# Names are taken literally: dropping ALL does not drop NET_RAW.
not_dropped(path, rules, drop) := {message |
	some capability in (rules.required_drop - drop)
	message := sprintf("%s.drop: %s must be dropped", [path, value.text(capability)])
}

not_added(path, rules, add, drop) := {message |
	some capability in ((rules.default_add - drop) - add)
	message := sprintf("%s.add: %s must be added or dropped", [path, value.text(capability)])
}

as_set(names) := {name | some name in names}
