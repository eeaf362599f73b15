package main

import (
	"maps"
	"slices"
)

// volumeSources has a source for every volume type of a PodSecurityPolicy, under the policy's name for it.
var volumeSources = map[string]object{
	"awsElasticBlockStore":  {"volumeID": "vol-1"},
	"azureDisk":             {"diskName": "d", "diskURI": "https://example.com/d"},
	"azureFile":             {"secretName": "s", "shareName": "share"},
	"cephFS":                {"monitors": []any{"10.0.0.1:6789"}},
	"cinder":                {"volumeID": "vol-1"},
	"configMap":             {"name": "c"},
	"csi":                   {"driver": "a.csi.example.com"},
	"downwardAPI":           {"items": []any{object{"path": "labels", "fieldRef": object{"fieldPath": "metadata.labels"}}}},
	"emptyDir":              {},
	"ephemeral":             {"volumeClaimTemplate": object{"spec": object{"accessModes": []any{"ReadWriteOnce"}, "resources": object{"requests": object{"storage": "1Gi"}}}}},
	"fc":                    {"targetWWNs": []any{"50060e801049cfd1"}, "lun": 0},
	"flexVolume":            {"driver": "example/lvm"},
	"flocker":               {"datasetName": "d"},
	"gcePersistentDisk":     {"pdName": "d"},
	"gitRepo":               {"repository": "https://example.com/r.git"},
	"glusterfs":             {"endpoints": "e", "path": "p"},
	"hostPath":              {"path": "/data"},
	"iscsi":                 {"targetPortal": "10.0.0.1:3260", "iqn": "iqn.2001-04.com.example:storage.disk1", "lun": 0},
	"nfs":                   {"server": "nfs.example.com", "path": "/"},
	"persistentVolumeClaim": {"claimName": "c"},
	"photonPersistentDisk":  {"pdID": "d"},
	"portworxVolume":        {"volumeID": "v"},
	"projected":             {"sources": []any{object{"secret": object{"name": "s"}}}},
	"quobyte":               {"registry": "registry.example.com:7861", "volume": "v"},
	"rbd":                   {"monitors": []any{"10.0.0.1:6789"}, "image": "i"},
	"scaleIO":               {"gateway": "https://example.com", "system": "s", "secretRef": object{"name": "s"}, "volumeName": "v"},
	"secret":                {"secretName": "s"},
	"storageos":             {"volumeName": "v"},
	"vsphereVolume":         {"volumePath": "[ds] v"},
}

// volumeTypes lists all types in a fixed order.
func volumeTypes() []string { return slices.Sorted(maps.Keys(volumeSources)) }

// newVolume returns a volume of the given type.
func newVolume(name, kind string) object {
	key := kind
	if kind == "cephFS" {
		// The only type whose name in a pod is another.
		key = "cephfs"
	}
	return object{"name": name, key: clone(volumeSources[kind])}
}

// addVolume adds a volume to the pod and mounts it in its first container, unless readOnly is nil.
func addVolume(pod, volume object, readOnly any) {
	spec := at(pod, "spec")
	volumes, _ := spec["volumes"].([]any)
	name := volume["name"].(string) + string(rune('a'+len(volumes)))
	volume["name"] = name
	spec["volumes"] = append(volumes, volume)
	if readOnly == nil {
		return
	}
	mount := object{"name": name, "mountPath": "/mnt/" + name}
	if readOnly == true {
		mount["readOnly"] = true
	}
	container := first(pod, "containers")
	mounts, _ := container["volumeMounts"].([]any)
	container["volumeMounts"] = append(mounts, mount)
}

// tokenSources are the sources of the volume that the ServiceAccount plugin adds.
func tokenSources() []any {
	return []any{
		object{"serviceAccountToken": object{"path": "token", "expirationSeconds": 3607}},
		object{"configMap": object{"name": "kube-root-ca.crt", "items": []any{object{"key": "ca.crt", "path": "ca.crt"}}}},
		object{"downwardAPI": object{"items": []any{object{"path": "namespace", "fieldRef": object{"apiVersion": "v1", "fieldPath": "metadata.namespace"}}}}},
	}
}

// nearlyToken returns a projected volume that is that volume, or that volume but for one thing.
func nearlyToken(d dice) object {
	sources := tokenSources()
	switch d.IntN(8) {
	case 0:
		at(sources[0].(object), "serviceAccountToken")["path"] = "other"
	case 1:
		at(sources[0].(object), "serviceAccountToken")["audience"] = "vault"
	case 2:
		at(sources[1].(object), "configMap")["name"] = "other"
	case 3:
		item := at(sources[2].(object), "downwardAPI")["items"].([]any)[0].(object)
		at(item, "fieldRef")["fieldPath"] = pick(d, "metadata.name", "metadata.labels")
	case 4:
		item := at(sources[2].(object), "downwardAPI")["items"].([]any)[0].(object)
		item["path"] = "ns"
	case 5:
		sources = append(sources, object{"secret": object{"name": "s"}})
	case 6:
		sources = sources[:d.IntN(3)]
	}
	return object{"name": "token", "projected": object{"sources": sources}}
}
