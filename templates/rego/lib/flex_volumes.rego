package lib.flex_volumes

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

# An empty list allows every driver.
violations(entries) := {message |
	count(entries) > 0
	some volume in pod.volumes
	"flexVolume" in volume.types
	allowed := [value.get(entry, "driver", "") | some entry in entries]
	driver := value.get(value.get(volume.object, "flexVolume", {}), "driver", "")
	not driver in allowed
	message := sprintf("%s.flexVolume.driver: %s is not allowed to be used, allowed are %s", [volume.path, value.text(driver), value.list(allowed)])
}
