// Package apparmor writes AppArmor profiles into pods and policies, as annotations: Kubernetes 1.24 has no fields for them.
package apparmor

import (
	"slices"
	"strings"
)

const (
	// RuntimeDefault is the profile that a container runtime uses where a container that is not privileged names none.
	RuntimeDefault = "runtime/default"
	// container is the prefix of a pod's annotation for one of its containers; allowed and byDefault are a policy's
	// (k8s.io/api/core/v1/annotation_key_constants.go, Kubernetes 1.24).
	container = "container.apparmor.security.beta.kubernetes.io/"
	allowed   = "apparmor.security.beta.kubernetes.io/allowedProfileNames"
	byDefault = "apparmor.security.beta.kubernetes.io/defaultProfileName"
)

// Write names a profile for every container of a pod that is not privileged and names none.
// It returns whether there was such a container.
func Write(pod map[string]any, profile string) bool {
	written := false
	spec, _ := pod["spec"].(map[string]any)
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		members, _ := spec[list].([]any)
		for _, member := range members {
			about, _ := member.(map[string]any)
			name, _ := about["name"].(string)
			security, _ := about["securityContext"].(map[string]any)
			if privileged, _ := security["privileged"].(bool); privileged {
				continue
			}
			annotations := annotationsOf(pod)
			// The plugin takes an empty profile for none.
			if present, _ := annotations[container+name].(string); present == "" {
				annotations[container+name] = profile
				written = true
			}
		}
	}
	return written
}

// AllowBesideDefault adds a profile to the list of a policy whose default is runtime/default and whose list has it.
// It returns whether the policy is such a one. A policy without a list allows every profile already.
func AllowBesideDefault(policy map[string]any, profile string) bool {
	annotations := annotationsOf(policy)
	list, _ := annotations[allowed].(string)
	if annotations[byDefault] != RuntimeDefault || !slices.Contains(strings.Split(list, ","), RuntimeDefault) {
		return false
	}
	annotations[allowed] = list + "," + profile
	return true
}

// annotationsOf returns the annotations of an object, made if there are none.
func annotationsOf(object map[string]any) map[string]any {
	for _, key := range []string{"metadata", "annotations"} {
		member, ok := object[key].(map[string]any)
		if !ok {
			member = map[string]any{}
			object[key] = member
		}
		object = member
	}
	return object
}
