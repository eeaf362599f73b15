# Reading JSON that may lack anything, and printing it.
# Every function here is total: an undefined value would make a violation vanish, and with it the refusal.
package lib.value

import future.keywords.if
import future.keywords.in

# The value under a key; absent, null and a parent that is no object are the same.
get(parent, key, fallback) := found if {
	found := parent[key]
	found != null
} else := fallback

# Numbers of a reviewed object from a million up would print with an exponent.
text(x) := sprintf("%q", [x]) if {
	is_string(x)
} else := format_int(x, 10) if {
	is_number(x)
} else := sprintf("%v", [x])

# The elements of a list or set, in order.
list(xs) := concat(", ", [text(x) | some x in xs]) if {
	count(xs) > 0
} else := "none"

# Ranges as `1-5, 8`.
ranges(xs) := concat(", ", [range(x) | some x in xs]) if {
	count(xs) > 0
} else := "none"

range(x) := text(x.min) if {
	x.min == x.max
} else := sprintf("%s-%s", [text(object.get(x, "min", null)), text(object.get(x, "max", null))])

in_ranges(x, xs) if {
	some r in xs
	x >= r.min
	x <= r.max
}

# Whether a name is one of the patterns; a trailing `*` stands for any suffix.
matches_any(name, patterns) if {
	some pattern in patterns
	endswith(pattern, "*")
	startswith(name, trim_suffix(pattern, "*"))
}

matches_any(name, patterns) if name in patterns
