package lib.groups

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

run_as_group(strategy) := {message |
	some container in pod.containers
	group := object.get(container.security_context, "runAsGroup", null)
	not is_allowed(group, strategy)
	message := sprintf("%s.securityContext.runAsGroup: %s", [container.path, problem(group, strategy)])
}

fs_group(strategy) := {message |
	group := object.get(pod.security_context, "fsGroup", null)
	not is_allowed(group, strategy)
	message := sprintf("spec.securityContext.fsGroup: %s", [problem(group, strategy)])
}

supplemental_groups(strategy) := {message |
	some group in groups_or_none
	not is_allowed(group, strategy)
	message := sprintf("spec.securityContext.supplementalGroups: %s", [problem(group, strategy)])
}

# No group at all is a value to judge, too.
groups_or_none := groups if {
	groups := object.get(pod.security_context, "supplementalGroups", [])
	count(groups) > 0
} else := [null]

is_allowed(group, strategy) if {
	strategy.rule in ["MustRunAs", "MayRunAs"]
	value.in_ranges(group, strategy.ranges)
}

is_allowed(null, strategy) if strategy.rule == "MayRunAs"

is_allowed(_, strategy) if strategy.rule == "RunAsAny"

problem(group, strategy) := "the policy has no rule for it" if {
	not strategy.rule == "MustRunAs"
	not strategy.rule == "MayRunAs"
} else := sprintf("must be set, allowed are %s", [value.ranges(object.get(strategy, "ranges", []))]) if {
	group == null
} else := sprintf("%s is not allowed, allowed are %s", [value.text(group), value.ranges(object.get(strategy, "ranges", []))])
