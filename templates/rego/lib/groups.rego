package lib.groups

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(policy) := (run_as_group(policy) | supplemental_groups(policy)) | fs_group(policy)

run_as_group(policy) := {message |
	strategy := value.get(policy, "runAsGroup", {"rule": "RunAsAny"})
	some container in pod.containers
	group := pod.effective(container, "runAsGroup", null)
	message := problem(strategy, sprintf("%s.securityContext.runAsGroup", [container.path]), group)
}

fs_group(policy) := {message |
	strategy := value.get(policy, "fsGroup", {"rule": "RunAsAny"})
	group := value.get(pod.security_context, "fsGroup", null)
	message := problem(strategy, "spec.securityContext.fsGroup", group)
}

supplemental_groups(policy) := {message |
	strategy := value.get(policy, "supplementalGroups", {"rule": "RunAsAny"})
	some group in groups_or_none
	message := problem(strategy, "spec.securityContext.supplementalGroups", group)
}

# No group at all is a value to judge, too.
groups_or_none := groups if {
	groups := value.get(pod.security_context, "supplementalGroups", [])
	count(groups) > 0
} else := [null]

problem(strategy, path, group) := message if {
	group == null
	strategy.rule == "MustRunAs"
	message := sprintf("%s: must be set, allowed are %s", [path, value.ranges(value.get(strategy, "ranges", []))])
} else := message if {
	group != null
	strategy.rule in ["MustRunAs", "MayRunAs"]
	ranges := value.get(strategy, "ranges", [])
	not value.in_ranges(group, ranges)
	message := sprintf("%s: %s is not allowed, allowed are %s", [path, value.text(group), value.ranges(ranges)])
}
