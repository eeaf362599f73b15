package main

import (
	"slices"
	"strings"
)

// A policy is a PodSecurityPolicy; the JSON names are those of policy/v1beta1.
type policy struct {
	name        string
	annotations map[string]string
	spec        policySpec
}

type policySpec struct {
	Privileged               bool              `json:"privileged,omitempty"`
	DefaultAddCapabilities   []string          `json:"defaultAddCapabilities,omitempty"`
	RequiredDropCapabilities []string          `json:"requiredDropCapabilities,omitempty"`
	AllowedCapabilities      []string          `json:"allowedCapabilities,omitempty"`
	Volumes                  []string          `json:"volumes,omitempty"`
	HostNetwork              bool              `json:"hostNetwork,omitempty"`
	HostPorts                []idRange         `json:"hostPorts,omitempty"`
	HostPID                  bool              `json:"hostPID,omitempty"`
	HostIPC                  bool              `json:"hostIPC,omitempty"`
	SELinux                  seLinux           `json:"seLinux"`
	RunAsUser                ids               `json:"runAsUser"`
	RunAsGroup               *ids              `json:"runAsGroup,omitempty"`
	SupplementalGroups       ids               `json:"supplementalGroups"`
	FSGroup                  ids               `json:"fsGroup"`
	ReadOnlyRootFilesystem   bool              `json:"readOnlyRootFilesystem,omitempty"`
	DefaultEscalation        *bool             `json:"defaultAllowPrivilegeEscalation,omitempty"`
	AllowEscalation          *bool             `json:"allowPrivilegeEscalation,omitempty"`
	AllowedHostPaths         []hostPath        `json:"allowedHostPaths,omitempty"`
	AllowedFlexVolumes       []flexVolume      `json:"allowedFlexVolumes,omitempty"`
	AllowedCSIDrivers        []csiDriver       `json:"allowedCSIDrivers,omitempty"`
	AllowedUnsafeSysctls     []string          `json:"allowedUnsafeSysctls,omitempty"`
	ForbiddenSysctls         []string          `json:"forbiddenSysctls,omitempty"`
	AllowedProcMountTypes    []string          `json:"allowedProcMountTypes,omitempty"`
	RuntimeClass             *runtimeClassRule `json:"runtimeClass,omitempty"`
}

type (
	idRange struct {
		Min int64 `json:"min"`
		Max int64 `json:"max"`
	}
	ids struct {
		Rule   string    `json:"rule"`
		Ranges []idRange `json:"ranges,omitempty"`
	}
	seLinux struct {
		Rule    string            `json:"rule"`
		Options map[string]string `json:"seLinuxOptions,omitempty"`
	}
	hostPath struct {
		PathPrefix string `json:"pathPrefix"`
		ReadOnly   bool   `json:"readOnly,omitempty"`
	}
	flexVolume struct {
		Driver string `json:"driver"`
	}
	csiDriver struct {
		Name string `json:"name"`
	}
	runtimeClassRule struct {
		Allowed []string `json:"allowedRuntimeClassNames"`
		Default string   `json:"defaultRuntimeClassName,omitempty"`
	}
)

const (
	allowedSeccomp  = "seccomp.security.alpha.kubernetes.io/allowedProfileNames"
	defaultSeccomp  = "seccomp.security.alpha.kubernetes.io/defaultProfileName"
	allowedAppArmor = "apparmor.security.beta.kubernetes.io/allowedProfileNames"
	defaultAppArmor = "apparmor.security.beta.kubernetes.io/defaultProfileName"
)

var (
	capabilityNames = []string{"CHOWN", "KILL", "MKNOD", "NET_ADMIN", "NET_RAW", "SETUID", "SYS_ADMIN", "SYS_TIME", "ALL"}
	sysctlNames     = []string{"kernel.msgmax", "kernel.shm_rmid_forced", "kernel.shmmax", "net.core.somaxconn", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.tcp_syncookies"}
	drivers         = []string{"example/cifs", "example/lvm", "vendor.example/fast"}
	csiDrivers      = []string{"a.csi.example.com", "b.csi.example.com", "c.csi.example.com"}
	prefixes        = []string{"/", "/data", "/data/", "/data/private", "/etc", "/var/log", "/var/log/pods"}
	runtimeClasses  = []string{"gvisor", "kata", "runc"}
	appArmor        = []string{"localhost/strict", "runtime/default", "unconfined"}
	seccomp         = []string{"docker/default", "localhost/profiles/a.json", "runtime/default", "unconfined"}
	policyNames     = []string{"10-base", "2-base", "baseline", "eks.privileged", "gce.unprivileged", "privileged", "restricted", "shop", "shop-db", "z.last"}
)

// newPolicy makes a policy that is wide open in most fields or closed in most, so that pods pass some and
// fail at single fields of others.
func newPolicy(d dice, name string) *policy {
	p := &policy{name: name, annotations: map[string]string{}}
	open := pick(d, 0.9, 0.6, 0.3)
	s := &p.spec
	s.Privileged = d.chance(open * open)
	s.HostPID = d.chance(open * open)
	s.HostIPC = d.chance(open * open)
	s.HostNetwork = d.chance(open * open)
	if d.chance(open) {
		for range 1 + d.IntN(3) {
			from := pick[int64](d, 0, 80, 443, 8000, 30000)
			s.HostPorts = append(s.HostPorts, idRange{from, from + pick[int64](d, 0, 1, 100)})
		}
	}
	s.RunAsUser = newIDs(d, open, "MustRunAs", "MustRunAsNonRoot")
	if d.chance(0.5) {
		group := newIDs(d, open, "MustRunAs", "MayRunAs")
		if group.Rule == "RunAsAny" || len(group.Ranges) == 0 {
			group = ids{Rule: "RunAsAny"}
		}
		s.RunAsGroup = &group
	}
	s.SupplementalGroups = newIDs(d, open, "MustRunAs", "MayRunAs")
	s.FSGroup = newIDs(d, open, "MustRunAs", "MayRunAs")
	s.SELinux = newSELinux(d, open)
	s.ReadOnlyRootFilesystem = !d.chance(open)
	newEscalation(d, s, open)
	newCapabilities(d, s, open)
	newVolumes(d, s, open)
	newSysctls(d, s, open)
	if d.chance(0.1) {
		s.AllowedProcMountTypes = some(d, 0.6, "Default", "Unmasked")
	}
	if !d.chance(open) {
		s.RuntimeClass = &runtimeClassRule{Allowed: some(d, 0.6, runtimeClasses...)}
		if s.RuntimeClass.Allowed == nil {
			s.RuntimeClass.Allowed = pick(d, []string{}, []string{"*"})
		}
		if first := append(s.RuntimeClass.Allowed, "")[0]; first != "*" && d.chance(0.3) {
			s.RuntimeClass.Default = first
		}
	}
	newProfiles(d, p, open)
	return p
}

func newIDs(d dice, open float64, closed ...string) ids {
	if d.chance(open) {
		return ids{Rule: "RunAsAny"}
	}
	result := ids{Rule: pick(d, closed...)}
	// A rule without ranges is stored, and makes the policy one that nobody can use.
	if d.chance(0.03) || result.Rule == "MustRunAsNonRoot" && d.chance(0.8) {
		return result
	}
	for range 1 + d.IntN(3) {
		from := pick[int64](d, 0, 1, 100, 1000, 2000, 65534)
		result.Ranges = append(result.Ranges, idRange{from, from + pick[int64](d, 0, 1, 500)})
	}
	return result
}

func newSELinux(d dice, open float64) seLinux {
	if d.chance(open) {
		return seLinux{Rule: "RunAsAny"}
	}
	if d.chance(0.03) {
		return seLinux{Rule: "MustRunAs"}
	}
	options := map[string]string{"level": pick(d, "s0", "s0:c0,c6", "s0:c123,c456,c7")}
	for _, member := range some(d, 0.4, "user", "role", "type") {
		options[member] = map[string]string{"user": "system_u", "role": "system_r", "type": "container_t"}[member]
	}
	return seLinux{"MustRunAs", options}
}

func newEscalation(d dice, s *policySpec, open float64) {
	yes, no := true, false
	if !d.chance(open) {
		s.AllowEscalation = &no
		if d.chance(0.3) {
			s.DefaultEscalation = &no
		}
		return
	}
	s.AllowEscalation = pick(d, nil, &yes)
	s.DefaultEscalation = pick(d, nil, nil, &yes, &no)
}

func newCapabilities(d dice, s *policySpec, open float64) {
	allowAll := d.chance(open * 0.5)
	if allowAll {
		s.AllowedCapabilities = []string{"*"}
	} else {
		s.AllowedCapabilities = some(d, 0.25, capabilityNames...)
	}
	if d.chance(0.3) {
		s.DefaultAddCapabilities = some(d, 0.2, capabilityNames...)
	}
	if allowAll || d.chance(open) {
		return
	}
	for _, name := range some(d, 0.3, capabilityNames...) {
		if !slices.Contains(s.AllowedCapabilities, name) && !slices.Contains(s.DefaultAddCapabilities, name) {
			s.RequiredDropCapabilities = append(s.RequiredDropCapabilities, name)
		}
	}
}

func newVolumes(d dice, s *policySpec, open float64) {
	switch {
	case d.chance(open * 0.6):
		s.Volumes = []string{"*"}
	default:
		s.Volumes = some(d, 0.4, volumeTypes()...)
		if d.chance(0.7) {
			s.Volumes = append(s.Volumes, "secret")
		}
		if d.chance(0.5) {
			s.Volumes = append(s.Volumes, "projected")
		}
	}
	if !d.chance(open) || d.chance(0.2) {
		for _, prefix := range some(d, 0.35, prefixes...) {
			s.AllowedHostPaths = append(s.AllowedHostPaths, hostPath{prefix, d.chance(0.4)})
		}
	}
	if !d.chance(open) {
		for _, name := range some(d, 0.5, drivers...) {
			s.AllowedFlexVolumes = append(s.AllowedFlexVolumes, flexVolume{name})
		}
		for _, name := range some(d, 0.5, csiDrivers...) {
			s.AllowedCSIDrivers = append(s.AllowedCSIDrivers, csiDriver{name})
		}
	}
	// The lists of paths and drivers matter where the type is allowed.
	for kind, listed := range map[string]bool{"hostPath": s.AllowedHostPaths != nil, "flexVolume": s.AllowedFlexVolumes != nil, "csi": s.AllowedCSIDrivers != nil} {
		if listed && !slices.Contains(s.Volumes, "*") && !slices.Contains(s.Volumes, kind) {
			s.Volumes = append(s.Volumes, kind)
		}
	}
	slices.Sort(s.Volumes)
}

func newSysctls(d dice, s *policySpec, open float64) {
	// One list takes kernel.*, the other net.*: the API server refuses lists that overlap.
	s.AllowedUnsafeSysctls = pick(d, nil, nil, []string{"kernel.msg*"}, []string{"kernel.*"}, []string{"kernel.msgmax", "kernel.shmmax"})
	if !d.chance(open) {
		s.ForbiddenSysctls = pick(d, nil, []string{"net.ipv4.tcp_syncookies"}, []string{"net.*"}, []string{"net.ipv4.ip_*", "net.core.somaxconn"})
	}
	switch {
	case d.chance(0.1):
		s.AllowedUnsafeSysctls, s.ForbiddenSysctls = []string{"*"}, nil
	case d.chance(0.1):
		s.AllowedUnsafeSysctls, s.ForbiddenSysctls = nil, []string{"*"}
	}
}

func newProfiles(d dice, p *policy, open float64) {
	// Seccomp forbids what is not named, so a policy without the annotation is a closed one.
	switch {
	case d.chance(open * 0.5):
		p.annotations[allowedSeccomp] = "*"
	case d.chance(0.6):
		p.annotations[allowedSeccomp] = strings.Join(some(d, 0.5, seccomp...), ",")
	}
	if d.chance(0.3) {
		p.annotations[defaultSeccomp] = pick(d, seccomp...)
	}
	if !d.chance(open) {
		p.annotations[allowedAppArmor] = strings.Join(some(d, 0.6, appArmor...), ",")
		if d.chance(0.5) {
			// Most published policies default to this one, and it alone has an exception of its own.
			p.annotations[defaultAppArmor] = pick(d, append(appArmor, "runtime/default", "runtime/default", "runtime/default")...)
		}
	}
}

func (p *policy) object() object {
	metadata := object{"name": p.name}
	if len(p.annotations) > 0 {
		metadata["annotations"] = p.annotations
	}
	return object{"apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "metadata": metadata, "spec": p.spec}
}
