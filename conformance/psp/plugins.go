package main

import (
	"fmt"

	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/kubernetes"
	"k8s.io/kubernetes/plugin/pkg/admission/security/podsecuritypolicy"
	"k8s.io/kubernetes/plugin/pkg/admission/serviceaccount"
	"k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
)

// plugins are the admission plugins that decide, started on a cluster.
type plugins struct {
	cluster           cluster
	podSecurityPolicy plugin
	serviceAccount    plugin
}

// A plugin takes part in both phases of admission.
type plugin interface {
	admission.MutationInterface
	admission.ValidationInterface
}

func newPlugins(c cluster) (*plugins, error) {
	registry := admission.NewPlugins()
	podsecuritypolicy.Register(registry)
	serviceaccount.Register(registry)
	objects := c.Rbac().V1()
	authorizer := rbac.New(
		&rbac.RoleGetter{Lister: objects.Roles().Lister()},
		&rbac.RoleBindingLister{Lister: objects.RoleBindings().Lister()},
		&rbac.ClusterRoleGetter{Lister: objects.ClusterRoles().Lister()},
		&rbac.ClusterRoleBindingLister{Lister: objects.ClusterRoleBindings().Lister()},
	)
	// No plugin gets to use the client: whatever it looks for is in the informers.
	initialize := initializer.New(&kubernetes.Clientset{}, c, authorizer, utilfeature.DefaultFeatureGate)
	start := func(name string) (plugin, error) {
		started, err := registry.InitPlugin(name, nil, initialize)
		if err != nil {
			return nil, err
		}
		both, ok := started.(plugin)
		if !ok {
			return nil, fmt.Errorf("admission plugin %s lacks a phase", name)
		}
		return both, nil
	}
	podSecurityPolicy, err := start(podsecuritypolicy.PluginName)
	if err != nil {
		return nil, err
	}
	serviceAccount, err := start(serviceaccount.PluginName)
	if err != nil {
		return nil, err
	}
	return &plugins{c, podSecurityPolicy, serviceAccount}, nil
}
