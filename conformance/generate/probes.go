package main

import (
	"slices"
	"strings"
)

// A probe changes one thing about a pod, so that it lies on either side of a boundary that the policy draws.
type probe struct {
	name  string
	apply func(d dice, p *policy, pod object)
}

// probes has at least one for every control of a PodSecurityPolicy.
var probes = []probe{
	{"privileged", onContainer(func(d dice, _ *policy, _, sc object) {
		set(sc, "privileged", pick[any](d, true, false, nil))
		if sc["privileged"] == true && sc["allowPrivilegeEscalation"] == false {
			delete(sc, "allowPrivilegeEscalation")
		}
	})},
	{"hostNamespaces", func(d dice, _ *policy, pod object) {
		set(at(pod, "spec"), pick(d, "hostPID", "hostIPC", "hostNetwork"), pick[any](d, true, true, false))
	}},
	{"hostNetworkPorts", func(d dice, p *policy, pod object) {
		// The API server makes the host port of each container port.
		at(pod, "spec")["hostNetwork"] = true
		port := pick(d, around(p.spec.HostPorts, 80)...)
		container := first(pod, pick(d, "containers", "initContainers"))
		container["ports"] = []any{object{"containerPort": max(port, 1)}}
	}},
	{"hostPorts", func(d dice, p *policy, pod object) {
		port := pick(d, around(p.spec.HostPorts, 80, 8080)...)
		container := first(pod, pick(d, "containers", "containers", "initContainers"))
		container["ports"] = []any{object{"containerPort": 9376, "hostPort": port}}
		if at(pod, "spec")["hostNetwork"] == true {
			container["ports"] = []any{object{"containerPort": max(port, 1), "hostPort": max(port, 1)}}
		}
	}},
	{"volumes", func(d dice, _ *policy, pod object) {
		addVolume(pod, newVolume("data-", pick(d, volumeTypes()...)), pick[any](d, nil, true, false))
	}},
	{"volumesListed", func(d dice, p *policy, pod object) {
		kinds := p.spec.Volumes
		if len(kinds) == 0 || kinds[0] == "*" {
			kinds = []string{"csi", "flexVolume", "hostPath", "secret"}
		}
		addVolume(pod, newVolume("data-", pick(d, kinds...)), pick[any](d, nil, true, false))
	}},
	{"tokenVolume", func(d dice, _ *policy, pod object) { addVolume(pod, nearlyToken(d), true) }},
	{"hostPaths", func(d dice, p *policy, pod object) {
		prefix := pick(d, prefixes...)
		if len(p.spec.AllowedHostPaths) > 0 {
			prefix = pick(d, p.spec.AllowedHostPaths...).PathPrefix
		}
		trimmed := strings.TrimSuffix(prefix, "/")
		path := pick(d, prefix, trimmed+"/", trimmed+"/sub", trimmed+"x", trimmed+"//sub", "/other")
		volume := object{"name": "host-", "hostPath": object{"path": path}}
		addVolume(pod, volume, pick[any](d, nil, true, false, false))
		if d.chance(0.3) {
			// A second mount, in a container of another list, with its own idea of reading.
			mount := object{"name": volume["name"], "mountPath": "/host"}
			set(mount, "readOnly", pick[any](d, true, nil))
			container := first(pod, "initContainers")
			mounts, _ := container["volumeMounts"].([]any)
			container["volumeMounts"] = append(mounts, mount)
		}
	}},
	{"flexVolumes", func(d dice, _ *policy, pod object) {
		addVolume(pod, object{"name": "flex-", "flexVolume": object{"driver": pick(d, drivers...)}}, nil)
	}},
	{"csiDrivers", func(d dice, _ *policy, pod object) {
		addVolume(pod, object{"name": "csi-", "csi": object{"driver": pick(d, csiDrivers...)}}, nil)
	}},
	{"runAsUser", func(d dice, p *policy, pod object) {
		candidates := around(p.spec.RunAsUser.Ranges, 0, 1, 1000)
		_, sc := anyContainer(d, pod)
		for _, securityContext := range some(d, 0.6, sc, at(at(pod, "spec"), "securityContext")) {
			if d.chance(0.2) {
				delete(securityContext, "runAsUser")
			} else {
				securityContext["runAsUser"] = pick(d, candidates...)
			}
		}
	}},
	{"runAsNonRoot", func(d dice, _ *policy, pod object) {
		_, sc := anyContainer(d, pod)
		for _, securityContext := range some(d, 0.6, sc, at(at(pod, "spec"), "securityContext")) {
			set(securityContext, "runAsNonRoot", pick[any](d, true, false, nil))
			set(securityContext, "runAsUser", pick[any](d, 0, 1000, nil, nil))
		}
	}},
	{"runAsGroup", func(d dice, p *policy, pod object) {
		var ranges []idRange
		if p.spec.RunAsGroup != nil {
			ranges = p.spec.RunAsGroup.Ranges
		}
		_, sc := anyContainer(d, pod)
		for _, securityContext := range some(d, 0.6, sc, at(at(pod, "spec"), "securityContext")) {
			if d.chance(0.2) {
				delete(securityContext, "runAsGroup")
			} else {
				securityContext["runAsGroup"] = pick(d, around(ranges, 0, 1000)...)
			}
		}
	}},
	{"supplementalGroups", onPod(func(d dice, p *policy, psc object) {
		groups := []any{}
		for range d.IntN(3) {
			groups = append(groups, pick(d, around(p.spec.SupplementalGroups.Ranges, 0, 1000)...))
		}
		psc["supplementalGroups"] = groups
	})},
	{"fsGroup", onPod(func(d dice, p *policy, psc object) {
		if d.chance(0.2) {
			delete(psc, "fsGroup")
		} else {
			psc["fsGroup"] = pick(d, around(p.spec.FSGroup.Ranges, 0, 1000)...)
		}
	})},
	{"readOnlyRootFilesystem", onContainer(func(d dice, _ *policy, _, sc object) {
		set(sc, "readOnlyRootFilesystem", pick[any](d, true, false, nil))
	})},
	{"allowPrivilegeEscalation", onContainer(func(d dice, _ *policy, _, sc object) {
		set(sc, "allowPrivilegeEscalation", pick[any](d, true, false, nil))
	})},
	{"capabilities", onContainer(changeCapabilities)},
	{"seLinux", func(d dice, p *policy, pod object) {
		_, sc := anyContainer(d, pod)
		for _, securityContext := range some(d, 0.6, sc, at(at(pod, "spec"), "securityContext")) {
			changeSELinux(d, p, securityContext)
		}
	}},
	{"procMount", onContainer(func(d dice, _ *policy, _, sc object) {
		set(sc, "procMount", pick[any](d, "Default", "Unmasked", nil))
	})},
	{"appArmor", func(d dice, _ *policy, pod object) {
		container, _ := anyContainer(d, pod)
		key := containerProfile + container["name"].(string)
		annotations := at(at(pod, "metadata"), "annotations")
		set(annotations, key, pick[any](d, nil, "", "localhost/other", "localhost/strict", "runtime/default", "unconfined"))
	}},
	{"seccomp", changeSeccomp},
	{"sysctls", onPod(func(d dice, _ *policy, psc object) {
		sysctls := []any{}
		for _, name := range some(d, 0.3, sysctlNames...) {
			sysctls = append(sysctls, object{"name": name, "value": "1"})
		}
		psc["sysctls"] = sysctls
	})},
	{"runtimeClass", func(d dice, _ *policy, pod object) {
		set(at(pod, "spec"), "runtimeClassName", pick[any](d, "gvisor", "kata", "runc", nil))
	}},
	{"containers", func(d dice, _ *policy, pod object) {
		// Another container, without anything that a policy may ask for.
		list := pick(d, "containers", "initContainers")
		first(pod, list)
		spec := at(pod, "spec")
		spec[list] = append(spec[list].([]any), object{"name": "more-" + strings.ToLower(list[:4]), "image": "registry.example.com/more:1"})
	}},
}

// onContainer makes a probe of a change to the security context of some container.
func onContainer(change func(d dice, p *policy, container, sc object)) func(dice, *policy, object) {
	return func(d dice, p *policy, pod object) {
		container, sc := anyContainer(d, pod)
		change(d, p, container, sc)
		if len(sc) == 0 && d.chance(0.5) {
			delete(container, "securityContext")
		}
	}
}

// onPod makes a probe of a change to the pod's security context.
func onPod(change func(d dice, p *policy, psc object)) func(dice, *policy, object) {
	return func(d dice, p *policy, pod object) { change(d, p, at(at(pod, "spec"), "securityContext")) }
}

// anyContainer returns some container and its security context, made if there is none.
func anyContainer(d dice, pod object) (container, sc object) {
	container = first(pod, pick(d, append(lists(pod), "containers")...))
	return container, at(container, "securityContext")
}

func changeCapabilities(d dice, p *policy, _, sc object) {
	capabilities := at(sc, "capabilities")
	drop, _ := capabilities["drop"].([]any)
	add, _ := capabilities["add"].([]any)
	switch d.IntN(8) {
	case 0:
		delete(sc, "capabilities")
		return
	case 1:
		drop = []any{"ALL"}
	case 2:
		if len(drop) > 0 {
			drop = drop[1:]
		}
	case 3:
		drop = append(slices.Clone(drop), pick(d, capabilityNames...))
	case 4:
		add = append(slices.Clone(add), pick(d, append(capabilityNames, "chown", "CAP_CHOWN")...))
	case 5:
		if allowed := p.spec.AllowedCapabilities; len(allowed) > 0 && allowed[0] != "*" {
			add = append(slices.Clone(add), pick(d, allowed...))
		}
	case 6:
		// Order and repetition are the user's.
		slices.Reverse(drop)
		drop = append(slices.Clone(drop), drop...)
	case 7:
		// What is dropped is not added by default.
		if len(add) > 0 {
			drop, add = append(slices.Clone(drop), add[0]), add[1:]
		}
	}
	for key, list := range map[string][]any{"drop": drop, "add": add} {
		delete(capabilities, key)
		if len(list) > 0 {
			capabilities[key] = list
		}
	}
}

func changeSELinux(d dice, p *policy, securityContext object) {
	options := seLinuxOptions(p.spec.SELinux.Options)
	level, _ := options["level"].(string)
	switch d.IntN(6) {
	case 0:
		delete(securityContext, "seLinuxOptions")
		return
	case 1:
		// The same categories in another order are the same level.
		if sensitivity, categories, found := strings.Cut(level, ":"); found {
			parts := strings.Split(categories, ",")
			slices.Reverse(parts)
			options["level"] = sensitivity + ":" + strings.Join(parts, ",")
		}
	case 2:
		options["level"] = pick(d, "s0", "s0:c0", "s0:c0,c6", "s1:c0,c6", "s0:c0.c6")
	case 3:
		options[pick(d, "user", "role", "type")] = pick(d, "system_u", "system_r", "container_t", "other_t")
	case 4:
		delete(options, pick(d, "user", "role", "type", "level"))
	}
	securityContext["seLinuxOptions"] = options
}

func changeSeccomp(d dice, _ *policy, pod object) {
	annotations := at(at(pod, "metadata"), "annotations")
	psc := at(at(pod, "spec"), "securityContext")
	profile := pick(d, seccomp...)
	switch d.IntN(5) {
	case 0:
		delete(annotations, podSeccomp)
		delete(psc, "seccompProfile")
	case 1:
		delete(annotations, podSeccomp)
		psc["seccompProfile"] = seccompField(profile)
	case 2:
		delete(psc, "seccompProfile")
		annotations[podSeccomp] = profile
	default:
		container, sc := anyContainer(d, pod)
		setSeccomp(d, pod, sc, containerSeccomp+container["name"].(string), profile)
	}
}

func split(list string) []string { return strings.Split(list, ",") }
