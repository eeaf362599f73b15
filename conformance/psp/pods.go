package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"strings"

	"conformance/lines"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	genericapirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/registry/core/pod"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A question is a request with its pods decoded.
type question struct {
	*lines.Request
	pod *core.Pod
	// oldPod is nil, unless the request is an UPDATE.
	oldPod *core.Pod
}

// parse reads a request and decodes its pods: defaults filled in, unknown fields dropped.
// The second error is one that the sender would get, before any plugin is asked.
func parse(line []byte) (*question, error, error) {
	request, err := lines.Parse(line)
	if err != nil {
		return nil, nil, err
	}
	it := &question{Request: request}
	if request.Error != "" {
		return it, fmt.Errorf("%s", request.Error), nil
	}
	if it.pod, err = decode(request.Object, request.Namespace); err != nil {
		return it, err, nil
	}
	switch request.Operation {
	case string(admission.Create):
		request.OldObject = nil
	case string(admission.Update):
		if it.oldPod, err = decode(request.OldObject, request.Namespace); err != nil {
			return it, fmt.Errorf("oldObject: %w", err), nil
		}
	default:
		return nil, nil, fmt.Errorf("operation %q is neither CREATE nor UPDATE", request.Operation)
	}
	return it, nil, nil
}

func decode(raw json.RawMessage, namespace string) (*core.Pod, error) {
	object, err := runtime.Decode(legacyscheme.Codecs.UniversalDecoder(), raw)
	if err != nil {
		return nil, err
	}
	decoded, ok := object.(*core.Pod)
	if !ok {
		return nil, fmt.Errorf("a %T instead of a pod", object)
	}
	if decoded.Namespace == "" {
		decoded.Namespace = namespace
	}
	if decoded.Namespace != namespace {
		return nil, fmt.Errorf("the namespace of the provided object does not match the namespace sent on the request")
	}
	return decoded, nil
}

func encode(it *core.Pod) (json.RawMessage, error) {
	return runtime.Encode(legacyscheme.Codecs.LegacyCodec(corev1.SchemeGroupVersion), it)
}

// attributes describes the question, about the given pod, to a plugin.
func (q *question) attributes(about *core.Pod) admission.Attributes {
	var old runtime.Object
	var options runtime.Object = &metav1.CreateOptions{}
	if q.oldPod != nil {
		old = q.oldPod
		options = &metav1.UpdateOptions{}
	}
	return admission.NewAttributesRecord(
		about, old, corev1.SchemeGroupVersion.WithKind("Pod"), q.Namespace, about.Name,
		corev1.SchemeGroupVersion.WithResource("pods"), q.Subresource, admission.Operation(q.Operation),
		options, false, &user.DefaultInfo{Name: q.User.Username, UID: q.User.UID, Groups: q.User.Groups, Extra: q.User.Extra},
	)
}

// finish takes a pod through the step between mutating and validating admission: PrepareForCreate or
// PrepareForUpdate, the generated name, API validation. It returns the complaints of the latter.
// What depends on time and chance is made to depend on the request's id, or taken out again.
func (q *question) finish(it *core.Pod) []string {
	ctx := genericapirequest.WithNamespace(context.Background(), q.Namespace)
	var err error
	// A strategy writes to the old object too.
	switch {
	case q.oldPod != nil && q.Subresource == "status":
		err = rest.BeforeUpdate(pod.StatusStrategy, ctx, it, q.oldPod.DeepCopy())
	case q.oldPod != nil && q.Subresource == "ephemeralcontainers":
		err = rest.BeforeUpdate(pod.EphemeralContainersStrategy, ctx, it, q.oldPod.DeepCopy())
	case q.oldPod != nil:
		err = rest.BeforeUpdate(pod.Strategy, ctx, it, q.oldPod.DeepCopy())
	default:
		if it.Name == "" && it.GenerateName != "" {
			it.Name = it.GenerateName + suffix(q.ID)
		}
		err = rest.BeforeCreate(pod.Strategy, ctx, it)
		it.CreationTimestamp, it.UID = metav1.Time{}, types.UID("")
	}
	return complaints(err)
}

// complaints lists the field errors of a refusal.
func complaints(err error) []string {
	found := []string{}
	if err == nil {
		return found
	}
	if status, ok := err.(*errors.StatusError); ok && status.ErrStatus.Details != nil && len(status.ErrStatus.Details.Causes) > 0 {
		for _, cause := range status.ErrStatus.Details.Causes {
			found = append(found, cause.Field+": "+cause.Message)
		}
		return found
	}
	return append(found, err.Error())
}

// suffix makes five characters from an id, of those that generated names use.
func suffix(id string) string {
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	hash := fnv.New64a()
	hash.Write([]byte(id))
	number := hash.Sum64()
	text := strings.Builder{}
	for range 5 {
		text.WriteByte(alphabet[number%uint64(len(alphabet))])
		number /= uint64(len(alphabet))
	}
	return text.String()
}
