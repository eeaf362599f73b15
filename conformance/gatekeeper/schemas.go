package main

import (
	"encoding/json"
	"fmt"

	"conformance/manifest"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// schemas are the served versions of the CRDs that an API server holds custom resources against.
type schemas map[schema.GroupVersionKind]crd

type crd struct {
	structural *structural.Structural
	validator  validation.SchemaValidator
}

// loadSchemas reads the CRDs in a folder, none if it has no name.
func loadSchemas(folder string) (schemas, error) {
	if folder == "" {
		return nil, nil
	}
	objects, err := manifest.Load([]string{folder})
	if err != nil {
		return nil, err
	}
	found := schemas{}
	for _, object := range objects {
		raw, err := object.JSON()
		if err != nil {
			return nil, err
		}
		definition := apiextensionsv1.CustomResourceDefinition{}
		if err := json.Unmarshal(raw, &definition); err != nil {
			return nil, fmt.Errorf("%s: %w", object, err)
		}
		for _, version := range definition.Spec.Versions {
			if !version.Served || version.Schema == nil {
				continue
			}
			internal := apiextensions.JSONSchemaProps{}
			if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema, &internal, nil); err != nil {
				return nil, fmt.Errorf("%s: %w", object, err)
			}
			shape, err := structural.NewStructural(&internal)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", object, err)
			}
			validator, _, err := validation.NewSchemaValidator(&internal)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", object, err)
			}
			found[schema.GroupVersionKind{Group: definition.Spec.Group, Version: version.Name, Kind: definition.Spec.Names.Kind}] = crd{shape, validator}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s: no CRDs", folder)
	}
	return found, nil
}

// check does what an API server does with a custom resource before any webhook is asked: it fills in the
// defaults and refuses what the schema does not allow. Unknown fields are refused, as by
// `kubectl apply --validate=strict`.
func (s schemas) check(object *unstructured.Unstructured) error {
	if s == nil {
		return nil
	}
	crd, known := s[object.GroupVersionKind()]
	if !known {
		return fmt.Errorf("no CRD serves %s", object.GroupVersionKind())
	}
	unknown := pruning.PruneWithOptions(object.DeepCopy().Object, crd.structural, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	if len(unknown) > 0 {
		return fmt.Errorf("unknown fields %v", unknown)
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(object.Object, crd.structural)
	defaulting.Default(object.Object, crd.structural)
	return validation.ValidateCustomResource(nil, object.Object, crd.validator).ToAggregate()
}
