package lib.host_paths

import future.keywords.every
import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

# An empty list allows every path.
violations(allowed) := paths(allowed) | mounts(allowed) if {
	count(allowed) > 0
	count(volumes) > 0
} else := set()

paths(allowed) := {message |
	some volume in volumes
	count(matching(volume.host_path, allowed)) == 0
	message := sprintf("%s.hostPath.path: %s is not allowed to be used, allowed are %s", [volume.path, value.text(volume.host_path), value.list([value.get(entry, "pathPrefix", "") | some entry in allowed])])
}

mounts(allowed) := {message |
	some volume in volumes
	entries := matching(volume.host_path, allowed)
	count(entries) > 0

	# One entry that allows writing is enough, wherever it stands.
	every entry in entries {
		value.get(entry, "readOnly", false)
	}
	some container in pod.containers
	some index, mount in container.object.volumeMounts
	value.get(mount, "name", "") == volume.name
	not value.get(mount, "readOnly", false)
	message := sprintf("%s.volumeMounts[%d].readOnly: must be true, %s may be mounted read-only alone", [container.path, index, value.text(volume.host_path)])
}

volumes := [{"path": volume.path, "name": name, "host_path": host_path} |
	some volume in pod.volumes
	"hostPath" in volume.types
	name := value.get(volume.object, "name", "")
	host_path := value.get(value.get(volume.object, "hostPath", {}), "path", "")
]

matching(path, allowed) := [entry |
	some entry in allowed
	below(path, value.get(entry, "pathPrefix", ""))
]

# Whole segments, one trailing slash aside: `/foo` covers `/foo/` and `/foo/bar`, not `/foobar`.
below(path, prefix) if {
	prefix != ""
	startswith(
		sprintf("%s/", [trim_suffix(path, "/")]),
		sprintf("%s/", [trim_suffix(prefix, "/")]),
	)
}
