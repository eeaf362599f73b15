package lib.run_as_user

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(strategy) := {message |
	rule := value.get(strategy, "rule", "")
	rule != "RunAsAny"
	some container in pod.containers
	message := problem(rule, strategy, container)
}

problem("MustRunAs", strategy, container) := message if {
	message := out_of_ranges(container, object.get(strategy, "ranges", []))
}

problem("MustRunAsNonRoot", _, container) := message if {
	message := root(container)
}

problem(rule, _, container) := message if {
	not rule in ["MustRunAs", "MustRunAsNonRoot"]
	message := sprintf("%s.securityContext.runAsUser: the policy has no rule for it", [container.path])
}

out_of_ranges(container, ranges) := message if {
	container.run_as_user == null
	message := sprintf("%s.securityContext.runAsUser: must be set, allowed are %s", [container.path, value.ranges(ranges)])
} else := message if {
	not value.in_ranges(container.run_as_user, ranges)
	message := sprintf("%s.securityContext.runAsUser: %s is not allowed, allowed are %s", [container.path, value.text(container.run_as_user), value.ranges(ranges)])
}

root(container) := message if {
	container.run_as_non_root == null
	container.run_as_user == null
	message := sprintf(
		"%s.securityContext.runAsNonRoot: must be true, or runAsUser a user other than 0",
		[container.path],
	)
} else := message if {
	container.run_as_non_root == false
	message := sprintf("%s.securityContext.runAsNonRoot: false is not allowed, must be true", [container.path])
} else := message if {
	container.run_as_user == 0
	message := sprintf("%s.securityContext.runAsUser: 0 is not allowed, the user must not be root", [container.path])
}
