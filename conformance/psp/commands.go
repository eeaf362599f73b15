package main

import (
	"context"
	"strings"

	"conformance/lines"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/plugin/pkg/admission/serviceaccount"
)

// prepareLine answers with the request as the PodSecurityPolicy plugin gets it.
func (p *plugins) prepareLine(line []byte) (any, error) {
	it, refusal, err := parse(line)
	if err != nil {
		return nil, err
	}
	if refusal == nil && it.oldPod == nil && it.Subresource == "" {
		refusal = p.addServiceAccount(it)
	}
	if refusal != nil {
		return refused{it.ID, refusal.Error()}, nil
	}
	object, err := encode(it.pod)
	if err != nil {
		return nil, err
	}
	values := map[string]any{"operation": it.Operation, "namespace": it.Namespace, "object": object, "oldObject": nil}
	if it.oldPod != nil {
		if values["oldObject"], err = encode(it.oldPod); err != nil {
			return nil, err
		}
	}
	return lines.With(line, values)
}

// refused is the answer to a request that never reaches the plugin.
type refused struct {
	ID    string `json:"id"`
	Error string `json:"error"`
}

// addServiceAccount runs the ServiceAccount plugin on the pod. An account that the cluster lacks is taken to exist.
func (p *plugins) addServiceAccount(it *question) error {
	name := it.pod.Spec.ServiceAccountName
	if name == "" {
		name = serviceaccount.DefaultServiceAccountName
	}
	store := p.cluster.Core().V1().ServiceAccounts().Informer().GetStore()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: it.Namespace, Name: name}}
	if _, exists, _ := store.Get(account); !exists {
		if err := store.Add(account); err != nil {
			return err
		}
	}
	before := len(it.pod.Spec.Volumes)
	if err := p.serviceAccount.Admit(context.Background(), it.attributes(it.pod), nil); err != nil {
		return err
	}
	for i := before; i < len(it.pod.Spec.Volumes); i++ {
		volume := &it.pod.Spec.Volumes[i]
		renameVolume(it.pod, volume.Name, serviceaccount.ServiceAccountVolumeName+"-"+suffix(it.ID))
	}
	return nil
}

// renameVolume gives the token volume, which is named by chance, another name.
func renameVolume(pod *core.Pod, from, to string) {
	for i := range pod.Spec.Volumes {
		if pod.Spec.Volumes[i].Name == from {
			pod.Spec.Volumes[i].Name = to
		}
	}
	for _, containers := range [][]core.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range containers {
			for j := range containers[i].VolumeMounts {
				if mount := &containers[i].VolumeMounts[j]; mount.Name == from {
					mount.Name = to
				}
			}
		}
	}
}

// strategyLine answers with the request as validating admission gets it.
func strategyLine(line []byte) (any, error) {
	it, refusal, err := parse(line)
	if err != nil {
		return nil, err
	}
	if refusal != nil {
		return refused{it.ID, refusal.Error()}, nil
	}
	complaints := it.finish(it.pod)
	object, err := encode(it.pod)
	if err != nil {
		return nil, err
	}
	return lines.With(line, map[string]any{"object": object, "api_errors": complaints})
}

// reviewSent answers to a request as the client sent it, so that nothing is lost on the way between two commands:
// an empty list of supplemental groups counts for the plugin, and is left out when a pod is written.
func (p *plugins) reviewSent(line []byte) (any, error) {
	it, refusal, err := parse(line)
	if err != nil {
		return nil, err
	}
	if refusal == nil && it.oldPod == nil && it.Subresource == "" {
		refusal = p.addServiceAccount(it)
	}
	return p.review(it, refusal)
}

// reviewLine answers with the verdicts of the PodSecurityPolicy plugin.
func (p *plugins) reviewLine(line []byte) (any, error) {
	it, refusal, err := parse(line)
	if err != nil {
		return nil, err
	}
	return p.review(it, refusal)
}

func (p *plugins) review(it *question, refusal error) (any, error) {
	if refusal != nil {
		return refused{it.ID, refusal.Error()}, nil
	}
	res := lines.PSPAnswer{ID: it.ID}

	sent := it.pod.DeepCopy()
	if it.oldPod == nil {
		// The policy of another cluster's verdict is a hint that only changes which one is named.
		// In an UPDATE it may be all that changes, so there it stays.
		delete(sent.Annotations, "kubernetes.io/psp")
	}
	it.finish(sent)
	res.ValidateOnly = ask(p.podSecurityPolicy.Validate, it.attributes(sent))

	res.Admit = ask(p.podSecurityPolicy.Admit, it.attributes(it.pod))
	res.APIErrors = it.finish(it.pod)
	res.Validate = ask(p.podSecurityPolicy.Validate, it.attributes(it.pod))
	res.Allowed = res.Admit.Allowed && len(res.APIErrors) == 0 && res.Validate.Allowed
	var err error
	res.Pod, err = encode(it.pod)
	return res, err
}

func ask(plugin func(context.Context, admission.Attributes, admission.ObjectInterfaces) error, about admission.Attributes) lines.Phase {
	notes := &audited{Attributes: about}
	if err := plugin(context.Background(), notes, nil); err != nil {
		return lines.Phase{Message: err.Error()}
	}
	return lines.Phase{Allowed: true, Policy: notes.policy}
}

// audited catches the audit annotation that names the policy.
type audited struct {
	admission.Attributes
	policy string
}

func (a *audited) AddAnnotation(key, value string) error {
	if strings.HasPrefix(key, "podsecuritypolicy.policy.k8s.io/") {
		a.policy = value
	}
	return nil
}
