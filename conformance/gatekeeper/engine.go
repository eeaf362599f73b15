package main

import (
	"context"
	"fmt"

	"conformance/manifest"

	frameworks "github.com/open-policy-agent/frameworks/constraint/pkg/apis"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/core/templates"
	"github.com/open-policy-agent/gatekeeper/v3/apis"
	"github.com/open-policy-agent/gatekeeper/v3/apis/mutations/unversioned"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/mutation"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/mutation/mutators"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/mutation/types"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/target"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/util"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
)

var (
	scheme = runtime.NewScheme()
	codecs = serializer.NewCodecFactory(scheme)
)

func init() {
	utilruntime.Must(frameworks.AddToScheme(scheme))
	utilruntime.Must(apis.AddToScheme(scheme))
}

// An engine is Gatekeeper with the flags of its default installation, and what was applied to it.
type engine struct {
	schemas    schemas
	client     *client.Client
	mutation   *mutation.System
	namespaces map[string]*corev1.Namespace
	loaded     loaded
}

// loaded counts what was applied.
type loaded struct{ templates, constraints, mutators int }

func (l loaded) String() string {
	return fmt.Sprintf("%d templates, %d constraints, %d mutators", l.templates, l.constraints, l.mutators)
}

func newEngine(crds string) (*engine, error) {
	schemas, err := loadSchemas(crds)
	if err != nil {
		return nil, err
	}
	driver, err := rego.New(rego.Tracing(false), rego.DisableBuiltins("http.send"), rego.Externs("inventory"))
	if err != nil {
		return nil, err
	}
	constraints, err := client.NewClient(
		client.Targets(&target.K8sValidationTarget{}),
		client.Driver(driver),
		client.EnforcementPoints(util.AuditEnforcementPoint, util.WebhookEnforcementPoint),
	)
	if err != nil {
		return nil, err
	}
	return &engine{
		schemas:    schemas,
		client:     constraints,
		mutation:   mutation.NewSystem(mutation.SystemOpts{}),
		namespaces: map[string]*corev1.Namespace{},
	}, nil
}

// load applies the manifests, templates first, and takes note of the cluster's namespaces.
// It returns what a user would be told of the manifests that cannot be applied.
func (e *engine) load(manifests, cluster []string) ([]string, error) {
	objects, err := manifest.Load(manifests)
	if err != nil {
		return nil, err
	}
	var problems []string
	apply := func(group string) {
		for _, object := range objects {
			if object.Group() != group {
				continue
			}
			if err := e.apply(object); err != nil {
				problems = append(problems, fmt.Sprintf("%s: %v", object, err))
			}
		}
	}
	apply("templates.gatekeeper.sh")
	apply("constraints.gatekeeper.sh")
	apply("mutations.gatekeeper.sh")
	for _, group := range []string{"config.gatekeeper.sh", "syncset.gatekeeper.sh", "expansion.gatekeeper.sh", "externaldata.gatekeeper.sh"} {
		apply(group)
	}

	inCluster, err := manifest.Load(cluster)
	if err != nil {
		return nil, err
	}
	for _, object := range inCluster {
		if object.Kind() != "Namespace" || object.Group() != "" {
			continue
		}
		namespace := &corev1.Namespace{}
		content, err := asUnstructured(object)
		if err != nil {
			return nil, err
		}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content.Object, namespace); err != nil {
			return nil, fmt.Errorf("%s: %w", object, err)
		}
		e.namespaces[namespace.Name] = withName(namespace)
	}
	return problems, nil
}

// namespace returns a namespace of the cluster; one that its files lack has no labels of its own.
func (e *engine) namespace(name string) *corev1.Namespace {
	if namespace, known := e.namespaces[name]; known {
		return namespace
	}
	return withName(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// withName adds what the API server adds to every namespace.
func withName(namespace *corev1.Namespace) *corev1.Namespace {
	namespace.APIVersion, namespace.Kind = "v1", "Namespace"
	if namespace.Labels == nil {
		namespace.Labels = map[string]string{}
	}
	namespace.Labels[corev1.LabelMetadataName] = namespace.Name
	return namespace
}

// apply does what happens to one object that a user applies: the API server's part, the part of
// Gatekeeper's validating webhook (pkg/webhook/policy.go), and that of its controllers.
func (e *engine) apply(object manifest.Object) error {
	content, err := asUnstructured(object)
	if err != nil {
		return err
	}
	if len(content.GetName()) > 63 {
		return fmt.Errorf("the name is longer than 63 characters")
	}
	switch object.Group() {
	case "templates.gatekeeper.sh":
		return e.applyTemplate(content)
	case "constraints.gatekeeper.sh":
		return e.applyConstraint(content)
	case "mutations.gatekeeper.sh":
		return e.applyMutator(content)
	case "expansion.gatekeeper.sh":
		// What it says of workloads is not asked; to pods it does nothing.
		return e.schemas.check(content)
	}
	return fmt.Errorf("nothing here knows what this would do")
}

func (e *engine) applyTemplate(content *unstructured.Unstructured) error {
	template := &templates.ConstraintTemplate{}
	if err := e.decode(content, template); err != nil {
		return err
	}
	if _, err := e.client.CreateCRD(context.Background(), template); err != nil {
		return err
	}
	if _, err := e.client.AddTemplate(context.Background(), template); err != nil {
		return err
	}
	e.loaded.templates++
	return nil
}

func (e *engine) applyConstraint(content *unstructured.Unstructured) error {
	// The CRD of a constraint is made from its template; the client checks against it.
	if err := e.client.ValidateConstraint(content); err != nil {
		return err
	}
	action, found, err := unstructured.NestedString(content.Object, "spec", "enforcementAction")
	if err != nil {
		return err
	}
	if found {
		if err := util.ValidateEnforcementAction(util.EnforcementAction(action), content.Object); err != nil {
			return err
		}
	}
	if _, err := e.client.AddConstraint(context.Background(), content); err != nil {
		return err
	}
	e.loaded.constraints++
	return nil
}

func (e *engine) applyMutator(content *unstructured.Unstructured) error {
	var mutator types.Mutator
	var err error
	switch content.GetKind() {
	case "Assign":
		mutator, err = mutatorOf(e, content, &unversioned.Assign{}, mutators.MutatorForAssign)
	case "AssignMetadata":
		mutator, err = mutatorOf(e, content, &unversioned.AssignMetadata{}, mutators.MutatorForAssignMetadata)
	case "ModifySet":
		mutator, err = mutatorOf(e, content, &unversioned.ModifySet{}, mutators.MutatorForModifySet)
	case "AssignImage":
		mutator, err = mutatorOf(e, content, &unversioned.AssignImage{}, mutators.MutatorForAssignImage)
	default:
		err = fmt.Errorf("not a mutator")
	}
	if err != nil {
		return err
	}
	if err := e.mutation.Upsert(mutator); err != nil {
		return err
	}
	e.loaded.mutators++
	return nil
}

func mutatorOf[T runtime.Object, M types.Mutator](e *engine, content *unstructured.Unstructured, into T, make func(T) (M, error)) (types.Mutator, error) {
	if err := e.decode(content, into); err != nil {
		return nil, err
	}
	return make(into)
}

// decode checks an object against its CRD and makes it what Gatekeeper works with.
func (e *engine) decode(content *unstructured.Unstructured, into runtime.Object) error {
	if err := e.schemas.check(content); err != nil {
		return err
	}
	raw, err := content.MarshalJSON()
	if err != nil {
		return err
	}
	versioned, _, err := codecs.UniversalDeserializer().Decode(raw, nil, nil)
	if err != nil {
		return err
	}
	return scheme.Convert(versioned, into, nil)
}

func asUnstructured(object manifest.Object) (*unstructured.Unstructured, error) {
	raw, err := object.JSON()
	if err != nil {
		return nil, err
	}
	content := &unstructured.Unstructured{}
	return content, content.UnmarshalJSON(raw)
}
