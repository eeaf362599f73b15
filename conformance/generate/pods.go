package main

import "slices"

const (
	podSeccomp       = "seccomp.security.alpha.kubernetes.io/pod"
	containerSeccomp = "container.seccomp.security.alpha.kubernetes.io/"
	containerProfile = "container.apparmor.security.beta.kubernetes.io/"
)

// first returns the first container of a list of the pod's, made if there is none.
func first(pod object, list string) object {
	spec := at(pod, "spec")
	containers, _ := spec[list].([]any)
	if len(containers) == 0 {
		name := map[string]string{"containers": "app", "initContainers": "init", "ephemeralContainers": "debug"}[list]
		container := object{"name": name, "image": "registry.example.com/app:1"}
		if list == "ephemeralContainers" {
			container["terminationMessagePolicy"] = "File"
		}
		containers = []any{container}
		spec[list] = containers
	}
	return containers[0].(object)
}

// lists names the container lists that the pod has.
func lists(pod object) []string {
	var found []string
	for _, list := range []string{"initContainers", "containers", "ephemeralContainers"} {
		if _, has := at(pod, "spec")[list]; has {
			found = append(found, list)
		}
	}
	return found
}

// barePod returns a pod that says nothing about security.
func barePod(namespace string) object {
	pod := object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": "web", "namespace": namespace},
		"spec":     object{},
	}
	first(pod, "containers")
	return pod
}

// complyingPod returns a pod that the policy accepts as it stands, unless nothing can make it do so:
// everything that the policy would default is there.
func complyingPod(d dice, p *policy, namespace string) object {
	pod := barePod(namespace)
	if d.chance(0.3) {
		first(pod, "initContainers")
	}
	s := p.spec
	psc := at(at(pod, "spec"), "securityContext")
	if s.FSGroup.Rule == "MustRunAs" {
		set(psc, "fsGroup", inside(d, s.FSGroup))
	}
	if s.SupplementalGroups.Rule == "MustRunAs" {
		if id := inside(d, s.SupplementalGroups); id != nil {
			psc["supplementalGroups"] = []any{id}
		}
	}
	if s.SELinux.Rule == "MustRunAs" && s.SELinux.Options != nil {
		psc["seLinuxOptions"] = seLinuxOptions(s.SELinux.Options)
	}
	if s.RuntimeClass != nil {
		set(at(pod, "spec"), "runtimeClassName", orNil(s.RuntimeClass.Default))
	}
	if profile, ok := pickProfile(d, p.annotations, allowedSeccomp, defaultSeccomp); ok {
		setSeccomp(d, pod, psc, podSeccomp, profile)
	}
	for _, list := range lists(pod) {
		complyingContainer(d, p, pod, first(pod, list))
	}
	return pod
}

func complyingContainer(d dice, p *policy, pod, container object) {
	s := p.spec
	sc := at(container, "securityContext")
	switch s.RunAsUser.Rule {
	case "MustRunAs":
		set(sc, "runAsUser", inside(d, s.RunAsUser))
	case "MustRunAsNonRoot":
		if d.chance(0.5) {
			sc["runAsNonRoot"] = true
		} else {
			sc["runAsUser"] = 1000
		}
	}
	if s.RunAsGroup != nil && s.RunAsGroup.Rule == "MustRunAs" {
		set(sc, "runAsGroup", inside(d, *s.RunAsGroup))
	}
	if s.ReadOnlyRootFilesystem {
		sc["readOnlyRootFilesystem"] = true
	}
	switch {
	case s.AllowEscalation != nil && !*s.AllowEscalation:
		sc["allowPrivilegeEscalation"] = false
	case s.DefaultEscalation != nil:
		sc["allowPrivilegeEscalation"] = d.chance(0.5)
	}
	if len(s.RequiredDropCapabilities)+len(s.DefaultAddCapabilities) > 0 {
		capabilities := at(sc, "capabilities")
		if len(s.RequiredDropCapabilities) > 0 {
			capabilities["drop"] = asAny(s.RequiredDropCapabilities)
		}
		if len(s.DefaultAddCapabilities) > 0 {
			capabilities["add"] = asAny(s.DefaultAddCapabilities)
		}
	}
	if profile, ok := pickProfile(d, p.annotations, allowedAppArmor, defaultAppArmor); ok {
		at(at(pod, "metadata"), "annotations")[containerProfile+container["name"].(string)] = profile
	}
	if len(sc) == 0 {
		delete(container, "securityContext")
	}
}

// leaveOpen takes half of what a policy may default out of a pod, as those have it that count on the defaults.
func leaveOpen(d dice, pod object) {
	spec := at(pod, "spec")
	leave := func(from object, keys ...string) {
		for _, key := range keys {
			if d.chance(0.5) {
				delete(from, key)
			}
		}
	}
	leave(spec, "runtimeClassName")
	leave(at(spec, "securityContext"), "fsGroup", "supplementalGroups", "seLinuxOptions", "seccompProfile")
	annotations := at(at(pod, "metadata"), "annotations")
	leave(annotations, podSeccomp)
	for _, list := range lists(pod) {
		container := first(pod, list)
		leave(annotations, containerProfile+container["name"].(string))
		leave(at(container, "securityContext"), "runAsUser", "runAsNonRoot", "runAsGroup", "readOnlyRootFilesystem", "allowPrivilegeEscalation", "capabilities")
	}
}

// pickProfile returns a profile that the policy's annotations allow, if a pod needs one to be accepted.
func pickProfile(d dice, annotations map[string]string, allowed, byDefault string) (string, bool) {
	if profile := annotations[byDefault]; profile != "" {
		return profile, true
	}
	list, has := annotations[allowed]
	if !has || list == "" || list == "*" {
		return "", false
	}
	return pick(d, split(list)...), true
}

// setSeccomp asks for a profile by annotation, by field, or by both, as 1.19 and later allow.
func setSeccomp(d dice, pod, securityContext object, annotation, profile string) {
	way := d.IntN(3)
	if way != 0 {
		at(at(pod, "metadata"), "annotations")[annotation] = profile
	}
	if way != 1 {
		set(securityContext, "seccompProfile", seccompField(profile))
	}
}

func seccompField(profile string) any {
	switch profile {
	case "unconfined":
		return object{"type": "Unconfined"}
	case "runtime/default", "docker/default":
		return object{"type": "RuntimeDefault"}
	}
	return object{"type": "Localhost", "localhostProfile": profile[len("localhost/"):]}
}

// inside returns an id in one of the ranges, at one of its ends more often than not; nil without ranges.
func inside(d dice, rule ids) any {
	if len(rule.Ranges) == 0 {
		return nil
	}
	it := pick(d, rule.Ranges...)
	return pick(d, it.Min, it.Max, (it.Min+it.Max)/2)
}

// around returns ids on both sides of every end of the ranges.
func around(ranges []idRange, more ...int64) []int64 {
	found := more
	for _, it := range ranges {
		found = append(found, it.Min, it.Max, it.Max+1)
		if it.Min > 0 {
			found = append(found, it.Min-1)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func seLinuxOptions(options map[string]string) object {
	result := object{}
	for key, value := range options {
		result[key] = value
	}
	return result
}

func asAny(names []string) []any {
	result := make([]any, len(names))
	for i, name := range names {
		result[i] = name
	}
	return result
}

func orNil(text string) any {
	if text == "" {
		return nil
	}
	return text
}
