package lib.run_as_user

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(strategy) := {message |
	rule := object.get(strategy, "rule", "")
	rule != "RunAsAny"
	some container in pod.containers
	user := object.get(container.security_context, "runAsUser", null)
	problem := problem_of(rule, strategy, user, container.security_context)
	message := sprintf("%s.securityContext.%s", [container.path, problem])
}

problem_of("MustRunAs", strategy, user, _) := problem if {
	ranges := object.get(strategy, "ranges", [])
	not value.in_ranges(user, ranges)
	problem := sprintf("runAsUser: %s, allowed are %s", [outside(user), value.ranges(ranges)])
}

problem_of("MustRunAsNonRoot", _, user, security_context) := problem if {
	problem := root(user, object.get(security_context, "runAsNonRoot", null))
}

problem_of(rule, _, _, _) := "runAsUser: the policy has no rule for it" if {
	not rule in ["MustRunAs", "MustRunAsNonRoot"]
}

outside(null) := "must be set"

outside(user) := sprintf("%s is not allowed", [value.text(user)]) if user != null

root(user, non_root) := "runAsNonRoot: must be true, or runAsUser a user other than 0" if {
	non_root == null
	user == null
} else := "runAsNonRoot: false is not allowed, must be true" if {
	non_root == false
} else := "runAsUser: 0 is not allowed, the user must not be root" if {
	user == 0
}
