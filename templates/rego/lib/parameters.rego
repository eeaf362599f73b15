# What the constraint allows whom: PSPs under their names, and grants by namespace.
package lib.parameters

import data.lib.value

policies := value.get(value.get(input, "parameters", {}), "policies", {})

grants := value.get(value.get(input, "parameters", {}), "grants", {})
