# What the constraint says: policies by name, and by namespace who may use them.
# Where there are very many, a library of the same package that holds them as tables takes the place of this one.
package lib.parameters

import future.keywords.if

import data.lib.value

given := value.get(input, "parameters", {})

# Each policy is of its own kind, and differs from no other of it.
kind(name) := name if {
	value.get(given, "policies", {})[name]
}

shared(kind_) := value.get(given, "policies", {})[kind_]

own(_) := {}

kinds := names

members(kind_) := {kind_}

names := object.keys(value.get(given, "policies", {}))

# The key `*` stands for every namespace.
grants(namespace) := value.get(given, "grants", {})[namespace]
