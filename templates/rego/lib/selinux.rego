package lib.selinux

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(strategy) := {message |
	not strategy.rule == "RunAsAny"
	expected := object.get(strategy, "seLinuxOptions", {})
	some place in places
	some message in problems(place.path, place.options, expected)
}

# The pod's options are judged even where every container has its own.
places := array.concat(
	[{
		"path": "spec.securityContext.seLinuxOptions",
		"options": object.get(pod.security_context, "seLinuxOptions", null),
	}],
	[{
		"path": sprintf("%s.securityContext.seLinuxOptions", [container.path]),
		"options": options,
	} |
		some container in pod.containers
		options := container.security_context.seLinuxOptions
	],
)

problems(path, options, expected) := {sprintf("%s: must be set", [path])} if {
	options == null
} else := {message |
	some member in ["level", "role", "type", "user"]
	actual := value.get(options, member, "")
	wanted := value.get(expected, member, "")
	not same(member, actual, wanted)
	message := sprintf("%s.%s: %s is not allowed, must be %s", [path, member, value.text(actual), value.text(wanted)])
}

same(_, actual, wanted) if actual == wanted

# The categories of a level may stand in any order.
same("level", actual, wanted) if {
	[sensitivity, categories] := split_level(actual)
	[wanted_sensitivity, wanted_categories] := split_level(wanted)
	sensitivity == wanted_sensitivity
	sort(split(categories, ",")) == sort(split(wanted_categories, ","))
}

split_level(level) := [substring(level, 0, colon), substring(level, colon + 1, -1)] if {
	colon := indexof(level, ":")
	colon >= 0
}
