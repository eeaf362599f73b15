package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"

	"conformance/lines"

	"github.com/go-logr/logr"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/reviews"
	mutationtypes "github.com/open-policy-agent/gatekeeper/v3/pkg/mutation/types"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/target"
	"github.com/open-policy-agent/gatekeeper/v3/pkg/util"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// subresources of pods that the validating webhook of the Helm chart is called for
// (charts/gatekeeper/values.yaml, validatingWebhookSubResources). The mutating one is called for none.
var subresources = []string{"attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "proxy", "resize"}

// mutateLine answers with the request after mutation.
func (e *engine) mutateLine(line []byte) (any, error) {
	request, err := lines.Parse(line)
	if err != nil {
		return nil, err
	}
	if request.Error != "" || request.Subresource != "" {
		return lines.With(line, map[string]any{"mutated": false})
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(request.Object); err != nil {
		return nil, err
	}
	mutated, err := e.mutation.Mutate(context.Background(), &mutationtypes.Mutable{
		Object:    object,
		Namespace: e.namespace(request.Namespace),
		Username:  request.User.Username,
		Source:    mutationtypes.SourceTypeOriginal,
		Operation: admissionv1.Operation(request.Operation),
	})
	if err != nil {
		return lines.With(line, map[string]any{"mutated": false, "error": "mutation: " + err.Error()})
	}
	return lines.With(line, map[string]any{"mutated": mutated, "object": object.Object})
}

// validateLine answers with the verdict of the constraints.
func (e *engine) validateLine(line []byte) (any, error) { return e.validate(line) }

// validate puts a request to the constraints as by reviewRequest in
// pkg/webhook/policy.go.
func (e *engine) validate(line []byte) (*lines.GatekeeperAnswer, error) {
	request, err := lines.Parse(line)
	if err != nil {
		return nil, err
	}
	answer := &lines.GatekeeperAnswer{ID: request.ID, Violations: []lines.Violation{}, APIErrors: request.APIErrors}
	if request.Error != "" {
		answer.Error = request.Error
		return answer, nil
	}
	if request.Subresource != "" && !slices.Contains(subresources, request.Subresource) {
		answer.Allowed = true
		answer.Skipped = fmt.Sprintf("the webhook is not called for pods/%s", request.Subresource)
		return answer, nil
	}
	review, err := e.augmentedReview(request)
	if err != nil {
		return nil, err
	}
	responses, err := e.client.Review(context.Background(), review,
		reviews.EnforcementPoint(util.WebhookEnforcementPoint),
		util.NamespaceReviewOpt(review.Namespace, logr.Discard()))
	if err != nil {
		answer.Error = err.Error()
		return answer, nil
	}
	answer.Allowed = true
	for _, result := range responses.Results() {
		actions := result.ScopedEnforcementActions
		if result.EnforcementAction != string(util.Scoped) {
			actions = []string{result.EnforcementAction}
		}
		for _, action := range actions {
			if action == string(util.Deny) {
				answer.Allowed = false
			}
			constraint := result.Constraint.GetKind() + "/" + result.Constraint.GetName()
			answer.Violations = append(answer.Violations, lines.Violation{Constraint: constraint, Action: action, Message: result.Msg})
		}
	}
	sort.Slice(answer.Violations, func(i, j int) bool {
		a, b := answer.Violations[i], answer.Violations[j]
		return a.Constraint+"\x00"+a.Message < b.Constraint+"\x00"+b.Message
	})
	return answer, nil
}

// augmentedReview is the AdmissionRequest that the API server would send.
func (e *engine) augmentedReview(request *lines.Request) (*target.AugmentedReview, error) {
	metadata := struct {
		Metadata struct {
			Name string `json:"name"`
		} `json:"metadata"`
	}{}
	if err := json.Unmarshal(request.Object, &metadata); err != nil {
		return nil, err
	}
	extra := map[string]authenticationv1.ExtraValue{}
	for key, values := range request.User.Extra {
		extra[key] = values
	}
	pods := metav1.GroupVersionResource{Version: "v1", Resource: "pods"}
	pod := metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}
	options := `{"apiVersion":"meta.k8s.io/v1","kind":"CreateOptions"}`
	if request.Operation == "UPDATE" {
		options = `{"apiVersion":"meta.k8s.io/v1","kind":"UpdateOptions"}`
	}
	return &target.AugmentedReview{
		AdmissionRequest: &admissionv1.AdmissionRequest{
			UID:                types.UID(request.ID),
			Kind:               pod,
			Resource:           pods,
			SubResource:        request.Subresource,
			RequestKind:        &pod,
			RequestResource:    &pods,
			RequestSubResource: request.Subresource,
			Name:               metadata.Metadata.Name,
			Namespace:          request.Namespace,
			Operation:          admissionv1.Operation(request.Operation),
			UserInfo: authenticationv1.UserInfo{
				Username: request.User.Username,
				UID:      request.User.UID,
				Groups:   request.User.Groups,
				Extra:    extra,
			},
			Object:    runtime.RawExtension{Raw: request.Object},
			OldObject: runtime.RawExtension{Raw: request.OldObject},
			DryRun:    new(bool),
			Options:   runtime.RawExtension{Raw: []byte(options)},
		},
		Namespace:   e.namespace(request.Namespace),
		Source:      mutationtypes.SourceTypeOriginal,
		IsAdmission: true,
	}, nil
}
