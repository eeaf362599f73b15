package lib.capabilities

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(policy) := {message |
	rules := {
		"allowed": as_set(value.get(policy, "allowedCapabilities", [])),
		"default_add": as_set(value.get(policy, "defaultAddCapabilities", [])),
		"required_drop": as_set(value.get(policy, "requiredDropCapabilities", [])),
	}
	some container in pod.containers
	capabilities := value.get(container.security_context, "capabilities", {})
	add := as_set(value.get(capabilities, "add", []))
	drop := as_set(value.get(capabilities, "drop", []))
	path := sprintf("%s.securityContext.capabilities", [container.path])
	some message in ((not_allowed(path, rules, add) | not_dropped(path, rules, drop)) | not_added(path, rules, add, drop))
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
