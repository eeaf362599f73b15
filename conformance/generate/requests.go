package main

import (
	"fmt"
	"strings"

	"conformance/lines"
)

// A request is a line of output. The id says what it is about; its last part is what failures group by.
type request struct {
	ID          string     `json:"id"`
	Operation   string     `json:"operation"`
	Namespace   string     `json:"namespace"`
	Subresource string     `json:"subresource"`
	User        lines.User `json:"user"`
	Object      object     `json:"object"`
	OldObject   object     `json:"oldObject"`
}

// requests returns questions about the cluster: a pod that one of its policies accepts, or nearly does,
// of some account in some namespace, sent by somebody.
func (c *cluster) requests(count int) []request {
	d := newDice(c.seed, 1)
	var result []request
	for i := range count {
		policy := pick(d, c.policies...)
		namespace := pick(d, append(namespaces, "unheard-of")...)
		pod := complyingPod(d, policy, namespace)
		asked := []string{}
		for range pick(d, 0, 1, 1, 1, 1, 2, 3) {
			probe := pick(d, probes...)
			probe.apply(d, policy, pod)
			asked = append(asked, probe.name)
		}
		if d.chance(0.35) {
			leaveOpen(d, pod)
			asked = append(asked, "open")
		}
		if d.chance(0.05) {
			pod = barePod(namespace)
			asked = []string{"bare"}
		}
		account := setAccount(d, pod)
		user := requester(d, namespace, account)
		if d.chance(0.4) {
			// Nothing but the policy that the pod is about stands in the way then.
			user = lines.User{Username: "tester", Groups: []string{onlyUse + policy.name}}
		}
		it := request{Operation: "CREATE", Namespace: namespace, User: user, Object: pod}
		operation := "create"
		if d.chance(0.35) {
			operation = it.makeUpdate(d, policy)
		}
		it.ID = fmt.Sprintf("%d/%d/ns=%s/sa=%s/as=%s/%s/%s/%s", c.seed, i, namespace, account,
			strings.ReplaceAll(user.Username, "/", "_"), policy.name, operation, strings.Join(append(asked, ""), "+"))
		it.ID = strings.TrimSuffix(it.ID, "+")
		result = append(result, it)
	}
	return result
}

// setAccount gives the pod a service account; the empty one is that of a mirror pod.
func setAccount(d dice, pod object) string {
	spec := at(pod, "spec")
	account := pick(d, "", "default", "agent", "web", "web", "unheard-of")
	if account == "" && d.chance(0.3) {
		at(at(pod, "metadata"), "annotations")["kubernetes.io/config.mirror"] = "0123456789abcdef"
		spec["nodeName"] = "node-1"
		return ""
	}
	set(spec, "serviceAccountName", orNil(account))
	if d.chance(0.4) {
		spec["automountServiceAccountToken"] = false
	}
	if account == "" {
		return "default"
	}
	return account
}

// requester returns who sends a request: controllers mostly, then everybody whom a binding may name.
func requester(d dice, namespace, account string) lines.User {
	switch d.IntN(9) {
	case 0:
		return lines.User{Username: "alice", Groups: some(d, 0.7, "developers", "system:authenticated")}
	case 1:
		return lines.User{Username: "bob@example.com", Groups: []string{"system:authenticated"}}
	case 2:
		return lines.User{Username: "admin", Groups: []string{"system:masters", "system:authenticated"}}
	case 3:
		return lines.User{Username: "system:node:node-1", Groups: []string{"system:nodes", "system:authenticated"}}
	case 4:
		return accountUser(namespace, account)
	case 5:
		return accountUser(pick(d, namespaces...), pick(d, accounts...))
	case 6:
		return lines.User{Username: pick(d, "nobody", "developers", "*"), Groups: pick(d, nil, []string{"*"}, []string{"system:unauthenticated"})}
	}
	return accountUser("kube-system", pick(d, "replicaset-controller", "job-controller", "daemon-set-controller"))
}

func accountUser(namespace, name string) lines.User {
	return lines.User{
		Username: "system:serviceaccount:" + namespace + ":" + name,
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"},
	}
}

// makeUpdate turns a CREATE into an UPDATE of a pod that was stored some time ago, when perhaps other
// policies were there. It returns what changes.
func (r *request) makeUpdate(d dice, p *policy) string {
	r.Operation = "UPDATE"
	r.Object = stored(d, r.Object)
	r.OldObject = clone(r.Object)
	metadata := at(r.Object, "metadata")
	annotations := at(metadata, "annotations")
	// In the old object too, because `at` made one in the new.
	at(at(r.OldObject, "metadata"), "annotations")
	switch d.IntN(13) {
	case 0:
		return "update-nothing"
	case 1:
		metadata["finalizers"] = []any{"example.com/keep"}
		return "update-finalizers"
	case 2:
		metadata["ownerReferences"] = []any{object{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "7"}}
		return "update-owners"
	case 3:
		metadata["finalizers"] = []any{"example.com/keep"}
		at(metadata, "labels")["touched"] = "yes"
		return "update-finalizers-and-labels"
	case 4:
		r.Object["status"] = object{"phase": "Running"}
		return "update-status-field"
	case 5:
		annotations["kubernetes.io/psp"] = pick(d, policyNames...)
		return "update-psp-annotation"
	case 6:
		r.Subresource = pick(d, "status", "ephemeralcontainers")
		if r.Subresource == "status" {
			r.Object["status"] = object{"phase": "Running"}
		} else {
			first(r.Object, "ephemeralContainers")
		}
		return "update-" + r.Subresource
	case 7:
		delete(annotations, podSeccomp)
		return "update-seccomp-annotation"
	case 8:
		first(r.Object, "containers")["image"] = "registry.example.com/app:2"
		return "update-image"
	case 9, 10:
		// Somebody debugged the pod before.
		container := first(r.Object, "ephemeralContainers")
		if d.chance(0.7) {
			complyingContainer(d, p, r.Object, container)
		}
		if d.chance(0.4) {
			sc := at(container, "securityContext")
			set(sc, "privileged", pick[any](d, true, nil))
			set(sc, "runAsUser", pick[any](d, 0, 1000, nil))
			set(sc, "readOnlyRootFilesystem", pick[any](d, nil, false, true))
		}
		r.OldObject = clone(r.Object)
		at(metadata, "labels")["touched"] = "yes"
		return "update-labels-after-debugging"
	}
	at(metadata, "labels")["touched"] = "yes"
	return "update-labels"
}

// stored returns a pod as it may be found in the cluster: with an identity, an account with a token, and
// annotation and field of seccomp in step, as the API server leaves them.
func stored(d dice, pod object) object {
	pod = clone(pod)
	metadata := at(pod, "metadata")
	metadata["uid"], metadata["resourceVersion"] = "0b0b0b0b-0000-4000-8000-000000000000", "1"
	annotations := at(metadata, "annotations")
	spec := at(pod, "spec")
	if _, mirror := annotations["kubernetes.io/config.mirror"]; !mirror {
		if spec["serviceAccountName"] == nil {
			spec["serviceAccountName"] = "default"
		}
		if spec["automountServiceAccountToken"] == nil && d.chance(0.8) {
			addVolume(pod, object{"name": "kube-api-access-", "projected": object{"sources": tokenSources()}}, true)
		}
	}
	syncSeccomp(annotations, podSeccomp, at(spec, "securityContext"))
	for _, list := range lists(pod) {
		for _, container := range spec[list].([]any) {
			container := container.(object)
			key := containerSeccomp + container["name"].(string)
			if _, has := annotations[key]; has || container["securityContext"] != nil {
				syncSeccomp(annotations, key, at(container, "securityContext"))
			}
		}
	}
	if d.chance(0.5) {
		annotations["kubernetes.io/psp"] = pick(d, policyNames...)
	}
	return pod
}

func syncSeccomp(annotations object, key string, securityContext object) {
	profile, annotated := annotations[key].(string)
	field, set := securityContext["seccompProfile"].(object)
	switch {
	case annotated && !set:
		securityContext["seccompProfile"] = seccompField(profile)
	case set && !annotated:
		annotations[key] = map[any]string{"Unconfined": "unconfined", "RuntimeDefault": "runtime/default"}[field["type"]]
		if field["type"] == "Localhost" {
			annotations[key] = "localhost/" + field["localhostProfile"].(string)
		}
	}
}
