package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"conformance/lines"
	"conformance/manifest"
)

// A spec is the part of a PodSecurityPolicy that five templates of the gatekeeper-library are for, those that
// Gatekeeper's own tests come with (pkg/webhook/testdata/psp-all-violations).
type spec struct {
	Privileged       bool             `json:"privileged"`
	HostNetwork      bool             `json:"hostNetwork"`
	HostPorts        []ports          `json:"hostPorts"`
	HostPID          bool             `json:"hostPID"`
	HostIPC          bool             `json:"hostIPC"`
	Volumes          []string         `json:"volumes"`
	AllowedHostPaths []map[string]any `json:"allowedHostPaths"`
}

type ports struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

// library prints a constraint for each policy and field that restricts something, as converters do that translate
// field by field. It is there to be measured: all of them together decide otherwise than the policies.
func library(cluster []string) error {
	objects, err := manifest.Load(cluster)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if object.Kind() != "PodSecurityPolicy" {
			continue
		}
		raw, err := object.JSON()
		if err != nil {
			return err
		}
		policy := struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Spec spec `json:"spec"`
		}{}
		if err := json.Unmarshal(raw, &policy); err != nil {
			return fmt.Errorf("%s: %w", object, err)
		}
		constraints := policy.Spec.constraints()
		for _, kind := range slices.Sorted(maps.Keys(constraints)) {
			pods := map[string]any{"apiGroups": []string{""}, "kinds": []string{"Pod"}}
			spec := map[string]any{"match": map[string]any{"kinds": []any{pods}}}
			// Templates without parameters refuse even an empty object of them.
			if len(constraints[kind]) > 0 {
				spec["parameters"] = constraints[kind]
			}
			written, err := lines.Marshal(map[string]any{
				"apiVersion": "constraints.gatekeeper.sh/v1beta1",
				"kind":       kind,
				"metadata":   map[string]any{"name": policy.Metadata.Name},
				"spec":       spec,
			})
			if err != nil {
				return err
			}
			fmt.Printf("---\n%s\n", written)
		}
	}
	return nil
}

// constraints returns the parameters of the policy's constraints by kind.
func (s *spec) constraints() map[string]map[string]any {
	constraints := map[string]map[string]any{}
	if !s.Privileged {
		constraints["K8sPSPPrivilegedContainer"] = map[string]any{}
	}
	if !s.HostPID || !s.HostIPC {
		constraints["K8sPSPHostNamespace"] = map[string]any{}
	}
	network := map[string]any{"hostNetwork": s.HostNetwork}
	if len(s.HostPorts) > 0 {
		network["min"], network["max"] = s.HostPorts[0].Min, s.HostPorts[0].Max
	}
	constraints["K8sPSPHostNetworkingPorts"] = network
	constraints["K8sPSPVolumeTypes"] = map[string]any{"volumes": append([]string{}, s.Volumes...)}
	if len(s.AllowedHostPaths) > 0 {
		constraints["K8sPSPHostFilesystem"] = map[string]any{"allowedHostPaths": s.AllowedHostPaths}
	}
	return constraints
}
