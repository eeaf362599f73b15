# What the constraint says: policies by name, and by namespace who may use them.
# Where there are very many, a library of the same package that holds them as tables takes the place of this one.
package lib.parameters

import data.lib.value

given := value.get(input, "parameters", {})

policy(name) := value.get(given, "policies", {})[name]

names := object.keys(value.get(given, "policies", {}))

# The key `*` stands for every namespace.
grants(namespace) := value.get(given, "grants", {})[namespace]
