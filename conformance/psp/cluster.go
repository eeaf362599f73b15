package main

import (
	"context"
	"fmt"
	"sort"

	"conformance/manifest"

	policyv1beta1 "k8s.io/api/policy/v1beta1"
	rbacv1 "k8s.io/api/rbac/v1"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/policy/install"
	_ "k8s.io/kubernetes/pkg/apis/rbac/install"
	"k8s.io/kubernetes/pkg/registry/core/serviceaccount"
	"k8s.io/kubernetes/pkg/registry/policy/podsecuritypolicy"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrole"
	"k8s.io/kubernetes/pkg/registry/rbac/clusterrolebinding"
	"k8s.io/kubernetes/pkg/registry/rbac/role"
	"k8s.io/kubernetes/pkg/registry/rbac/rolebinding"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy"
)

// A cluster is what the plugins see of one: informers whose stores were filled from files.
type cluster struct {
	informers.SharedInformerFactory
}

// A resource is one of the kinds that take part in a decision.
type resource struct {
	strategy rest.RESTCreateStrategy
	stored   func() runtime.Object
	store    func(cluster) cache.Store
	// skipInvalid leaves out what API validation refuses.
	// The authorizer does not care about validity, so RBAC objects stay: they may be older than the rule.
	skipInvalid bool
}

var resources = map[string]resource{
	"policy/PodSecurityPolicy": {
		podsecuritypolicy.Strategy,
		func() runtime.Object { return &policyv1beta1.PodSecurityPolicy{} },
		func(c cluster) cache.Store { return c.Policy().V1beta1().PodSecurityPolicies().Informer().GetStore() },
		true,
	},
	"rbac.authorization.k8s.io/ClusterRole": {
		clusterrole.Strategy,
		func() runtime.Object { return &rbacv1.ClusterRole{} },
		func(c cluster) cache.Store { return c.Rbac().V1().ClusterRoles().Informer().GetStore() },
		false,
	},
	"rbac.authorization.k8s.io/ClusterRoleBinding": {
		clusterrolebinding.Strategy,
		func() runtime.Object { return &rbacv1.ClusterRoleBinding{} },
		func(c cluster) cache.Store { return c.Rbac().V1().ClusterRoleBindings().Informer().GetStore() },
		false,
	},
	"rbac.authorization.k8s.io/Role": {
		role.Strategy,
		func() runtime.Object { return &rbacv1.Role{} },
		func(c cluster) cache.Store { return c.Rbac().V1().Roles().Informer().GetStore() },
		false,
	},
	"rbac.authorization.k8s.io/RoleBinding": {
		rolebinding.Strategy,
		func() runtime.Object { return &rbacv1.RoleBinding{} },
		func(c cluster) cache.Store { return c.Rbac().V1().RoleBindings().Informer().GetStore() },
		false,
	},
	"/ServiceAccount": {
		serviceaccount.Strategy,
		func() runtime.Object { return &corev1.ServiceAccount{} },
		func(c cluster) cache.Store { return c.Core().V1().ServiceAccounts().Informer().GetStore() },
		false,
	},
}

// loadCluster creates the objects of the files in an empty cluster and says what API validation refuses.
// Objects of other kinds are passed over.
// What every API server creates at start is there too, unless the files have an object of the same name.
func loadCluster(paths []string) (cluster, []string, error) {
	c := cluster{informers.NewSharedInformerFactory(nil, 0)}
	objects, err := manifest.Load(paths)
	if err != nil {
		return c, nil, err
	}
	var refused []string
	for _, object := range objects {
		group := object.Group()
		if group == "extensions" {
			// The API server moved the policies of this group to `policy` long ago.
			group = "policy"
			object.Content["apiVersion"] = "policy/v1beta1"
		}
		resource, known := resources[group+"/"+object.Kind()]
		if !known {
			continue
		}
		stored, refusal, err := create(resource, object)
		if err != nil {
			return c, nil, fmt.Errorf("%s: %w", object, err)
		}
		if refusal != nil {
			refused = append(refused, fmt.Sprintf("%s: %v", object, refusal))
			if resource.skipInvalid {
				continue
			}
		}
		store := resource.store(c)
		if _, exists, _ := store.Get(stored); exists {
			return c, nil, fmt.Errorf("%s: there already", object)
		}
		if err := store.Add(stored); err != nil {
			return c, nil, fmt.Errorf("%s: %w", object, err)
		}
	}
	if err := c.addBootstrapPolicy(); err != nil {
		return c, nil, err
	}
	return c, refused, c.aggregate()
}

// create does what the API server does for a POST, up to the store.
// The second result is the reason for a refusal; then the object is as far as it came.
func create(resource resource, object manifest.Object) (stored runtime.Object, refusal, err error) {
	raw, err := object.JSON()
	if err != nil {
		return nil, nil, err
	}
	internal, err := runtime.Decode(legacyscheme.Codecs.UniversalDecoder(), raw)
	if err != nil {
		return nil, nil, err
	}
	metadata, err := meta.Accessor(internal)
	if err != nil {
		return nil, nil, err
	}
	namespace := metav1.NamespaceNone
	if resource.strategy.NamespaceScoped() {
		if namespace = metadata.GetNamespace(); namespace == "" {
			namespace = metav1.NamespaceDefault
		}
	}
	metadata.SetNamespace(namespace)
	ctx := genericapirequest.WithNamespace(context.Background(), namespace)
	refusal = rest.BeforeCreate(resource.strategy, ctx, internal)
	stored = resource.stored()
	return stored, refusal, legacyscheme.Scheme.Convert(internal, stored, nil)
}

func (c cluster) addBootstrapPolicy() error {
	var objects []runtime.Object
	for _, it := range append(bootstrappolicy.ClusterRoles(), bootstrappolicy.ControllerRoles()...) {
		objects = append(objects, it.DeepCopy())
	}
	for _, it := range append(bootstrappolicy.ClusterRoleBindings(), bootstrappolicy.ControllerRoleBindings()...) {
		objects = append(objects, it.DeepCopy())
	}
	for _, roles := range bootstrappolicy.NamespaceRoles() {
		for _, it := range roles {
			objects = append(objects, it.DeepCopy())
		}
	}
	for _, bindings := range bootstrappolicy.NamespaceRoleBindings() {
		for _, it := range bindings {
			objects = append(objects, it.DeepCopy())
		}
	}
	for _, object := range objects {
		kinds, _, err := legacyscheme.Scheme.ObjectKinds(object)
		if err != nil {
			return err
		}
		store := resources[kinds[0].Group+"/"+kinds[0].Kind].store(c)
		if _, exists, _ := store.Get(object); exists {
			continue
		}
		if err := store.Add(object); err != nil {
			return err
		}
	}
	return nil
}

// aggregate fills in the rules of aggregated cluster roles, until nothing changes, as the controller in
// pkg/controller/clusterroleaggregation does: per selector the roles in order of their names, itself
// left out, each rule once. An empty result replaces nothing, because it is applied server-side.
func (c cluster) aggregate() error {
	lister := c.Rbac().V1().ClusterRoles().Lister()
	store := c.Rbac().V1().ClusterRoles().Informer().GetStore()
	for changed := true; changed; {
		changed = false
		for _, key := range store.ListKeys() {
			aggregated, err := lister.Get(key)
			if err != nil {
				return err
			}
			if aggregated.AggregationRule == nil {
				continue
			}
			var rules []rbacv1.PolicyRule
			for _, labels := range aggregated.AggregationRule.ClusterRoleSelectors {
				selector, err := metav1.LabelSelectorAsSelector(&labels)
				if err != nil {
					return fmt.Errorf("ClusterRole %s: %w", key, err)
				}
				selected, err := lister.List(selector)
				if err != nil {
					return err
				}
				sort.Slice(selected, func(i, j int) bool { return selected[i].Name < selected[j].Name })
				for _, it := range selected {
					if it.Name != key {
						rules = appendNew(rules, it.Rules)
					}
				}
			}
			if len(rules) == 0 || equality.Semantic.DeepEqual(rules, aggregated.Rules) {
				continue
			}
			updated := aggregated.DeepCopy()
			updated.Rules = rules
			if err := store.Update(updated); err != nil {
				return err
			}
			changed = true
		}
	}
	return nil
}

func appendNew(rules, more []rbacv1.PolicyRule) []rbacv1.PolicyRule {
next:
	for _, rule := range more {
		for _, there := range rules {
			if equality.Semantic.DeepEqual(there, rule) {
				continue next
			}
		}
		rules = append(rules, rule)
	}
	return rules
}
