package lib.volumes

import future.keywords.if
import future.keywords.in

import data.lib.pod
import data.lib.value

violations(allowed) := {message |
	not "*" in allowed
	some volume in pod.volumes
	some type in volume.types
	not type in allowed
	not token_under_secret(allowed, volume.path)
	message := sprintf("%s: %s volumes are not allowed to be used, allowed are %s", [volume.path, type, value.list(allowed)])
}

# The volume that the API server adds for the service account's token counts as a secret, which it once was.
token_under_secret(allowed, path) if {
	"secret" in allowed
	path in tokens
}

tokens := {volume.path |
	some volume in pod.volumes
	volume.types == {"projected"}
	not has_other_source(volume.object.projected)
}

has_other_source(projected) if {
	known := {index |
		some part in ["serviceAccountToken", "configMap", "downwardAPI"]
		projected.sources[index][part] != null
	}
	count(known) < count(projected.sources)
}

has_other_source(projected) if {
	token := projected.sources[_].serviceAccountToken
	token != null
	not is_token(token)
}

has_other_source(projected) if {
	config_map := projected.sources[_].configMap
	config_map != null
	not config_map.name == "kube-root-ca.crt"
}

has_other_source(projected) if {
	item := projected.sources[_].downwardAPI.items[_]
	not is_namespace(item)
}

is_token(token) if {
	token.path == "token"
	object.get(token, "audience", "") in ["", null]
}

is_namespace(item) if {
	item.path == "namespace"
	item.fieldRef.fieldPath == "metadata.namespace"
	object.get(item.fieldRef, "apiVersion", "v1") in ["v1", null]
}
