package lib.groups

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

run_as_group(strategy) := {message |
	value.get(strategy, "rule", "") != "RunAsAny"
	some container in pod.containers
	path := sprintf("%s.securityContext.runAsGroup", [container.path])
	message := problem(strategy, path, container.run_as_group)
}

fs_group(strategy) := {message |
	value.get(strategy, "rule", "") != "RunAsAny"
	group := object.get(pod.security_context, "fsGroup", null)
	message := problem(strategy, "spec.securityContext.fsGroup", group)
}

supplemental_groups(strategy) := {message |
	value.get(strategy, "rule", "") != "RunAsAny"
	some group in groups_or_none
	message := problem(strategy, "spec.securityContext.supplementalGroups", group)
}

# No group at all is a value to judge, too.
groups_or_none := groups if {
	groups := object.get(pod.security_context, "supplementalGroups", [])
	count(groups) > 0
} else := [null]

problem(strategy, path, group) := message if {
	not value.get(strategy, "rule", "") in ["MustRunAs", "MayRunAs"]
	message := sprintf("%s: the policy has no rule for it", [path])
} else := message if {
	group == null
	strategy.rule == "MustRunAs"
	message := sprintf("%s: must be set, allowed are %s", [path, value.ranges(object.get(strategy, "ranges", []))])
} else := message if {
	group != null
	ranges := object.get(strategy, "ranges", [])
	not value.in_ranges(group, ranges)
	message := sprintf("%s: %s is not allowed, allowed are %s", [path, value.text(group), value.ranges(ranges)])
}
