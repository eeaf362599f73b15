package main

import "fmt"

var (
	namespaces   = []string{"default", "kube-system", "shop", "shop-test", "monitoring"}
	accounts     = []string{"default", "agent", "web"}
	userNames    = []string{"alice", "bob@example.com", "system:serviceaccount:shop:web"}
	groupNames   = []string{"developers", "system:authenticated", "system:serviceaccounts", "system:serviceaccounts:monitoring", "system:serviceaccounts:shop", "system:nodes"}
	aggregations = []string{"psp-aggregate-a", "psp-aggregate-b"}
)

// onlyUse begins the name of the group that may use one policy, whose name follows.
const onlyUse = "psp-only:"

// A cluster is what a seed stands for.
type cluster struct {
	seed     uint64
	policies []*policy
	rbac     []object
}

func newCluster(seed uint64) *cluster {
	d := newDice(seed, 0)
	c := &cluster{seed: seed}
	for _, name := range some(d, 0.45, policyNames...) {
		c.policies = append(c.policies, newPolicy(d, name))
	}
	if len(c.policies) == 0 {
		c.policies = append(c.policies, newPolicy(d, "restricted"))
	}
	if seed%4 == 0 {
		// Where nobody may use another policy, mutators write the defaults of this one.
		c.policies = c.policies[:1]
	}
	c.addRBAC(d)
	return c
}

func (c *cluster) objects() []object {
	var objects []object
	for i, name := range namespaces {
		metadata := object{"name": name}
		if i%2 == 0 {
			metadata["labels"] = object{"team": name}
		}
		objects = append(objects, object{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
	}
	objects = append(objects, object{
		"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": false,
		"metadata": object{"name": "agent", "namespace": "monitoring"},
	})
	for _, policy := range c.policies {
		objects = append(objects, policy.object())
	}
	return append(objects, c.rbac...)
}

// addRBAC makes roles of every form, and bindings to them and to roles that do not exist.
func (c *cluster) addRBAC(d dice) {
	var clusterRoles []string
	for i := range 2 + d.IntN(4) {
		name := fmt.Sprintf("psp-%d", i)
		role := c.role(d, "ClusterRole", object{"name": name})
		if label := pick(d, append(aggregations, "")...); label != "" {
			role["metadata"].(object)["labels"] = object{label: "true"}
		}
		clusterRoles = append(clusterRoles, name)
	}
	for _, name := range some(d, 0.5, aggregations...) {
		c.rbac = append(c.rbac, object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": object{"name": name},
			"aggregationRule": object{"clusterRoleSelectors": []any{object{"matchLabels": object{name: "true"}}}},
			"rules":           []any{},
		})
		clusterRoles = append(clusterRoles, name)
	}
	clusterRoles = append(clusterRoles, "missing", "view")
	if d.chance(0.3) {
		clusterRoles = append(clusterRoles, "cluster-admin")
	}
	roles := map[string][]string{}
	for _, namespace := range some(d, 0.5, namespaces...) {
		name := "psp-" + namespace
		c.role(d, "Role", object{"name": name, "namespace": namespace})
		roles[namespace] = []string{name, "missing"}
	}

	for i := range 2 + d.IntN(3) {
		c.binding(d, "ClusterRoleBinding", object{"name": fmt.Sprintf("everywhere-%d", i)}, "ClusterRole", pick(d, clusterRoles...))
	}
	for i := range 3 + d.IntN(6) {
		namespace := pick(d, namespaces...)
		metadata := object{"name": fmt.Sprintf("here-%d", i), "namespace": namespace}
		if len(roles[namespace]) > 0 && d.chance(0.5) {
			c.binding(d, "RoleBinding", metadata, "Role", pick(d, roles[namespace]...))
		} else {
			c.binding(d, "RoleBinding", metadata, "ClusterRole", pick(d, clusterRoles...))
		}
	}
	// One group a policy: whoever is in it may use that one and, unless the pod's account may, no other.
	for _, policy := range c.policies {
		name := onlyUse + policy.name
		c.rbac = append(c.rbac, object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": object{"name": name},
			"rules": []any{object{"apiGroups": []any{"policy"}, "resources": []any{"podsecuritypolicies"}, "verbs": []any{"use"}, "resourceNames": []any{policy.name}}},
		})
		c.rbac = append(c.rbac, object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": name},
			"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
			"subjects": []any{group(name)},
		})
	}
	// One grant reaches most of the requests: clusters where nobody may do anything teach little.
	if d.chance(0.8) {
		name := "psp-for-all"
		c.rbac = append(c.rbac, object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": object{"name": name},
			"rules": []any{object{"apiGroups": []any{"policy"}, "resources": []any{"podsecuritypolicies"}, "verbs": []any{"use"}, "resourceNames": c.someNames(d, 0.6)}},
		})
		c.rbac = append(c.rbac, object{
			"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": name},
			"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
			"subjects": []any{group(pick(d, "system:authenticated", "system:serviceaccounts"))},
		})
	}
}

func (c *cluster) role(d dice, kind string, metadata object) object {
	rules := []any{}
	for range 1 + d.IntN(2) {
		rules = append(rules, c.rule(d))
	}
	version := "v1"
	if d.chance(0.1) {
		version = "v1beta1"
	}
	role := object{"apiVersion": "rbac.authorization.k8s.io/" + version, "kind": kind, "metadata": metadata, "rules": rules}
	c.rbac = append(c.rbac, role)
	return role
}

// rule makes a rule that grants the use of policies in one of the ways there are, or just not.
func (c *cluster) rule(d dice) object {
	rule := object{
		"apiGroups": pick(d, []any{"policy"}, []any{"policy"}, []any{"extensions"}, []any{"extensions", "policy"}, []any{"*"}),
		"resources": pick(d, []any{"podsecuritypolicies"}, []any{"podsecuritypolicies"}, []any{"podsecuritypolicies"}, []any{"*"}),
		"verbs":     pick(d, []any{"use"}, []any{"use"}, []any{"get", "use"}, []any{"*"}),
	}
	if d.chance(0.8) {
		rule["resourceNames"] = c.someNames(d, 0.4)
	}
	switch d.IntN(12) {
	case 0:
		rule["apiGroups"] = pick(d, []any{""}, []any{"apps"}, []any{"Policy"})
	case 1:
		rule["resources"] = pick(d, []any{"podsecuritypolicy"}, []any{"podsecuritypolicies/use"}, []any{"*/use"}, []any{"pods"})
	case 2:
		rule["verbs"] = pick(d, []any{"get", "list"}, []any{"Use"})
	}
	return rule
}

// someNames returns names of policies, and now and then one that no policy has.
func (c *cluster) someNames(d dice, share float64) []any {
	var names []any
	for _, policy := range c.policies {
		if d.chance(share) {
			names = append(names, policy.name)
		}
	}
	if len(names) == 0 {
		names = append(names, pick(d, c.policies...).name)
	}
	if d.chance(0.1) {
		names = append(names, pick(d, "gone", "*"))
	}
	return names
}

func (c *cluster) binding(d dice, kind string, metadata object, roleKind, role string) {
	subjects := []any{}
	for range d.IntN(4) {
		subjects = append(subjects, subject(d))
	}
	c.rbac = append(c.rbac, object{
		"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "subjects": subjects,
		"roleRef": object{"apiGroup": "rbac.authorization.k8s.io", "kind": roleKind, "name": role},
	})
}

func subject(d dice) object {
	switch d.IntN(5) {
	case 0:
		return object{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": pick(d, append(userNames, "*")...)}
	case 1, 2:
		return group(pick(d, append(groupNames, "*")...))
	}
	return object{"kind": "ServiceAccount", "name": pick(d, accounts...), "namespace": pick(d, namespaces...)}
}

func group(name string) object {
	return object{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name}
}
