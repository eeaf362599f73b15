package lib.volumes

import future.keywords.every
import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(allowed) := {message |
	not "*" in allowed
	some volume in pod.volumes
	some type in volume.types
	not type in allowed
	not token_under_secret(allowed, volume)
	message := sprintf("%s: %s volumes are not allowed to be used, allowed are %s", [volume.path, type, value.list(allowed)])
}

# The volume that the API server adds for the service account's token counts as a secret, which it once was.
token_under_secret(allowed, volume) if {
	"secret" in allowed
	volume.types == {"projected"}
	projected := value.get(volume.object, "projected", {})
	every source in value.get(projected, "sources", []) {
		is_token_source(source)
	}
}

is_token_source(source) if {
	parts := {part |
		some part in ["serviceAccountToken", "configMap", "downwardAPI"]
		value.get(source, part, null) != null
	}
	count(parts) > 0
	every part in parts {
		is_expected(part, source[part])
	}
}

is_expected("serviceAccountToken", token) if {
	value.get(token, "path", "") == "token"
	value.get(token, "audience", "") == ""
}

is_expected("configMap", config_map) if value.get(config_map, "name", "") == "kube-root-ca.crt"

is_expected("downwardAPI", downward) if {
	every item in value.get(downward, "items", []) {
		value.get(item, "path", "") == "namespace"
		field := value.get(item, "fieldRef", {})
		value.get(field, "apiVersion", "v1") == "v1"
		value.get(field, "fieldPath", "") == "metadata.namespace"
	}
}
