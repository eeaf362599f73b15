# What the constraint says: policies by name, and by namespace who may use them.
# Where there are very many, a library of the same package that holds them as tables takes the place of this one.
package lib.parameters

import future.keywords.if

policies := object.get(input, ["parameters", "policies"], {})

policy(name) := policies[name]

names := object.keys(policies)

# Each policy is of its own kind, and differs from no other of it.
kinds := names

shared(kind) := policies[kind]

members(kind) := {kind}

own(_) := {}

# The key `*` stands for every namespace.
grants(namespace) := input.parameters.grants[namespace]
