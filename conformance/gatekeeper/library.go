package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"conformance/lines"
	"conformance/manifest"
)

// A policy is the part of a PodSecurityPolicy that templates of the gatekeeper-library are for.
type policy struct {
	Metadata struct {
		Name        string            `json:"name"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Privileged               bool             `json:"privileged"`
		AllowPrivilegeEscalation *bool            `json:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool             `json:"readOnlyRootFilesystem"`
		AllowedCapabilities      []string         `json:"allowedCapabilities"`
		RequiredDropCapabilities []string         `json:"requiredDropCapabilities"`
		HostNetwork              bool             `json:"hostNetwork"`
		HostPorts                []idRange        `json:"hostPorts"`
		HostPID                  bool             `json:"hostPID"`
		HostIPC                  bool             `json:"hostIPC"`
		Volumes                  []string         `json:"volumes"`
		AllowedHostPaths         []map[string]any `json:"allowedHostPaths"`
		AllowedFlexVolumes       []map[string]any `json:"allowedFlexVolumes"`
		AllowedProcMountTypes    []string         `json:"allowedProcMountTypes"`
		AllowedUnsafeSysctls     []string         `json:"allowedUnsafeSysctls"`
		ForbiddenSysctls         []string         `json:"forbiddenSysctls"`
		RunAsUser                *strategy        `json:"runAsUser"`
		RunAsGroup               *strategy        `json:"runAsGroup"`
		SupplementalGroups       *strategy        `json:"supplementalGroups"`
		FSGroup                  *strategy        `json:"fsGroup"`
		SELinux                  struct {
			Rule    string         `json:"rule"`
			Options map[string]any `json:"seLinuxOptions"`
		} `json:"seLinux"`
	} `json:"spec"`
}

type idRange struct {
	Min int `json:"min"`
	Max int `json:"max"`
}

type strategy struct {
	Rule   string    `json:"rule"`
	Ranges []idRange `json:"ranges,omitempty"`
}

func (s *strategy) restricts() bool { return s != nil && s.Rule != "RunAsAny" }

// library prints a constraint for each policy and each of its controls that restricts something, as converters do that
// translate field by field, where the manifests have a template for it, and these templates. They are there to be
// measured: all of them together decide otherwise than the policies.
func library(manifests, cluster []string) error {
	loaded, err := manifest.Load(manifests)
	if err != nil {
		return err
	}
	templates := map[string]manifest.Object{}
	for _, object := range loaded {
		if object.Kind() != "ConstraintTemplate" {
			continue
		}
		kind, err := kindOf(object)
		if err != nil {
			return err
		}
		templates[kind] = object
	}
	objects, err := manifest.Load(cluster)
	if err != nil {
		return err
	}
	printed := map[string]bool{}
	for _, object := range objects {
		if object.Kind() != "PodSecurityPolicy" {
			continue
		}
		raw, err := object.JSON()
		if err != nil {
			return err
		}
		policy := policy{}
		if err := json.Unmarshal(raw, &policy); err != nil {
			return fmt.Errorf("%s: %w", object, err)
		}
		constraints := policy.constraints()
		for _, kind := range slices.Sorted(maps.Keys(constraints)) {
			template, known := templates[kind]
			if !known {
				continue
			}
			if !printed[kind] {
				raw, err := template.JSON()
				if err != nil {
					return err
				}
				fmt.Printf("---\n%s\n", raw)
				printed[kind] = true
			}
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

// kindOf returns the kind of the constraints of a template.
func kindOf(object manifest.Object) (string, error) {
	raw, err := object.JSON()
	if err != nil {
		return "", err
	}
	template := struct {
		Spec struct {
			CRD struct {
				Spec struct {
					Names struct {
						Kind string `json:"kind"`
					} `json:"names"`
				} `json:"spec"`
			} `json:"crd"`
		} `json:"spec"`
	}{}
	if err := json.Unmarshal(raw, &template); err != nil {
		return "", fmt.Errorf("%s: %w", object, err)
	}
	return template.Spec.CRD.Spec.Names.Kind, nil
}

// constraints returns the parameters of the policy's constraints by kind.
func (p *policy) constraints() map[string]map[string]any {
	spec := &p.Spec
	network := map[string]any{"hostNetwork": spec.HostNetwork}
	if len(spec.HostPorts) > 0 {
		network["min"], network["max"] = spec.HostPorts[0].Min, spec.HostPorts[0].Max
	}
	constraints := map[string]map[string]any{"K8sPSPHostNetworkingPorts": network}
	restrict := func(kind string, restricts bool, parameters map[string]any) {
		if restricts {
			constraints[kind] = parameters
		}
	}
	restrict("K8sPSPPrivilegedContainer", !spec.Privileged, nil)
	restrict("K8sPSPAllowPrivilegeEscalationContainer", spec.AllowPrivilegeEscalation != nil && !*spec.AllowPrivilegeEscalation, nil)
	restrict("K8sPSPReadOnlyRootFilesystem", spec.ReadOnlyRootFilesystem, nil)
	restrict("K8sPSPHostNamespace", !spec.HostPID || !spec.HostIPC, nil)
	restrict("K8sPSPCapabilities",
		!slices.Contains(spec.AllowedCapabilities, "*") || len(spec.RequiredDropCapabilities) > 0,
		map[string]any{
			"allowedCapabilities":      append([]string{}, spec.AllowedCapabilities...),
			"requiredDropCapabilities": append([]string{}, spec.RequiredDropCapabilities...),
		})
	restrict("K8sPSPVolumeTypes", !slices.Contains(spec.Volumes, "*"),
		map[string]any{"volumes": append([]string{}, spec.Volumes...)})
	restrict("K8sPSPHostFilesystem", len(spec.AllowedHostPaths) > 0,
		map[string]any{"allowedHostPaths": spec.AllowedHostPaths})
	restrict("K8sPSPFlexVolumes", len(spec.AllowedFlexVolumes) > 0,
		map[string]any{"allowedFlexVolumes": spec.AllowedFlexVolumes})
	restrict("K8sPSPProcMount", !slices.Contains(spec.AllowedProcMountTypes, "Unmasked"),
		map[string]any{"procMount": "Default"})
	restrict("K8sPSPForbiddenSysctls", true, map[string]any{
		"allowedSysctls":   append([]string{}, spec.AllowedUnsafeSysctls...),
		"forbiddenSysctls": append([]string{}, spec.ForbiddenSysctls...),
	})
	restrict("K8sPSPSELinuxV2", spec.SELinux.Rule != "RunAsAny",
		map[string]any{"allowedSELinuxOptions": []any{spec.SELinux.Options}})
	if spec.FSGroup.restricts() {
		constraints["K8sPSPFSGroup"] = spec.FSGroup.parameters()
	}
	users := map[string]any{}
	for field, strategy := range map[string]*strategy{
		"runAsUser": spec.RunAsUser, "runAsGroup": spec.RunAsGroup, "supplementalGroups": spec.SupplementalGroups,
	} {
		if strategy.restricts() {
			users[field] = strategy.parameters()
		}
	}
	restrict("K8sPSPAllowedUsers", len(users) > 0, users)

	profiles := func(kind, annotation string) {
		names := strings.Split(p.Metadata.Annotations[annotation], ",")
		restrict(kind, cmp.Or(names...) != "" && !slices.Contains(names, "*"), map[string]any{"allowedProfiles": names})
	}
	profiles("K8sPSPAppArmor", "apparmor.security.beta.kubernetes.io/allowedProfileNames")
	profiles("K8sPSPSeccomp", "seccomp.security.alpha.kubernetes.io/allowedProfileNames")
	return constraints
}

func (s *strategy) parameters() map[string]any {
	return map[string]any{"rule": s.Rule, "ranges": append([]idRange{}, s.Ranges...)}
}
