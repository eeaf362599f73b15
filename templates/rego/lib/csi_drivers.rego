package lib.csi_drivers

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

# An empty list allows every driver. Volumes behind a claim are not looked at.
violations(entries) := {message |
	count(entries) > 0
	some volume in pod.volumes
	"csi" in volume.types
	allowed := [value.get(entry, "name", "") | some entry in entries]
	driver := value.get(value.get(volume.object, "csi", {}), "driver", "")
	not driver in allowed
	message := sprintf("%s.csi.driver: %s is not allowed to be used inline, allowed are %s", [volume.path, value.text(driver), value.list(allowed)])
}
