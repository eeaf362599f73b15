package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"conformance/lines"
)

// A half is what one side says of a request, in a form in which equal answers are equal.
type half struct {
	allowed bool
	policy  string
	// messages are in order: the plugin's parts come in the order of chance where several policies have a say.
	messages []string
	// pod is nil where an API server refuses what came of it.
	pod any
}

// check compares all answers; there must be one of each for every request.
func check(out io.Writer, pspFile, gatekeeperFile, reviewFile string, examples int) (bool, error) {
	psp, err := lines.ByID(pspFile, parsePSP)
	if err != nil {
		return false, err
	}
	gatekeeper, err := lines.ByID(gatekeeperFile, parseGatekeeper)
	if err != nil {
		return false, err
	}
	compared, admitted := 0, 0
	counts := map[string]int{}
	var kinds []string
	_, err = lines.ByID(reviewFile, func(line []byte) (string, *half, error) {
		id, ours, err := parseReview(line)
		if err != nil {
			return "", nil, err
		}
		for side, theirs := range map[string]*half{"PSP": psp[id], "Gatekeeper": gatekeeper[id]} {
			if theirs == nil {
				return "", nil, fmt.Errorf("%s: %s was not asked", id, side)
			}
		}
		compared++
		if ours.psp.allowed {
			admitted++
		}
		for _, it := range slices.Concat(differences("PSP", ours.psp, *psp[id]), differences("Gatekeeper", ours.gatekeeper, *gatekeeper[id])) {
			if counts[it.kind]++; counts[it.kind] == 1 {
				kinds = append(kinds, it.kind)
			}
			if counts[it.kind] <= examples {
				fmt.Fprintf(out, "%s: %s\n  ours:   %s\n  theirs: %s\n", id, it.kind, it.ours, it.theirs)
			}
		}
		delete(psp, id)
		return id, &half{}, nil
	})
	if err != nil {
		return false, err
	}
	for id, answer := range psp {
		// What never reaches admission was not asked for.
		if answer != nil {
			return false, fmt.Errorf("%s: %s has no answer", id, reviewFile)
		}
	}
	fmt.Fprintf(out, "compared %d admitted %d", compared, admitted)
	slices.Sort(kinds)
	for _, kind := range kinds {
		fmt.Fprintf(out, ", %s differs %d times", kind, counts[kind])
	}
	fmt.Fprintln(out)
	return len(kinds) == 0 && compared > 0, nil
}

type difference struct{ kind, ours, theirs string }

func differences(side string, ours, theirs half) []difference {
	var found []difference
	add := func(what string, ours, theirs any) {
		if !reflect.DeepEqual(ours, theirs) {
			found = append(found, difference{side + " " + what, text(ours), text(theirs)})
		}
	}
	add("verdict", ours.allowed, theirs.allowed)
	add("policy", ours.policy, theirs.policy)
	add("messages", ours.messages, theirs.messages)
	if ours.pod != nil && theirs.pod != nil {
		add("pod", ours.pod, theirs.pod)
	}
	return found
}

func text(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func parsePSP(line []byte) (string, *half, error) {
	it, err := lines.Decode[lines.PSPAnswer](line)
	if err != nil || it.Error != "" {
		return it.ID, nil, err
	}
	// Whether an API server refuses the pod by itself is no matter of the plugin.
	res := half{allowed: it.Admit.Allowed && it.Validate.Allowed}
	switch {
	case !it.Admit.Allowed:
		res.messages = parts(it.Admit.Message)
	case !it.Validate.Allowed:
		res.messages = parts(it.Validate.Message)
	default:
		res.policy = cmp.Or(it.Admit.Policy, it.Validate.Policy)
	}
	if len(it.APIErrors) == 0 {
		res.pod, err = storedJSON(it.Pod)
	}
	return it.ID, &res, err
}

func parseGatekeeper(line []byte) (string, *half, error) {
	it, err := lines.Decode[lines.GatekeeperAnswer](line)
	if err != nil {
		return "", nil, err
	}
	res := half{allowed: it.Allowed, messages: []string{}}
	for _, violation := range it.Violations {
		res.messages = append(res.messages, message(violation.Constraint, violation.Action, violation.Message))
	}
	slices.Sort(res.messages)
	if len(it.APIErrors) == 0 {
		res.pod, err = storedJSON(it.Object)
	}
	return it.ID, &res, err
}

// message is what a violation says, as one text.
func message(constraint, action, text string) string {
	return constraint + " " + action + " " + text
}

// A review is the answer of psp2gatekeeper.
type review struct{ psp, gatekeeper half }

func parseReview(line []byte) (string, *review, error) {
	it := struct {
		UID string `json:"uid"`
		PSP struct {
			Allowed bool   `json:"allowed"`
			Policy  string `json:"policy"`
			Message string `json:"message"`
			Pod     any    `json:"pod"`
		} `json:"psp"`
		Gatekeeper struct {
			Allowed    bool `json:"allowed"`
			Violations []struct {
				Constraint        string `json:"constraint"`
				EnforcementAction string `json:"enforcementAction"`
				Message           string `json:"message"`
			} `json:"violations"`
			Pod any `json:"pod"`
		} `json:"gatekeeper"`
	}{}
	if err := json.Unmarshal(line, &it); err != nil {
		return "", nil, err
	}
	res := review{
		psp:        half{allowed: it.PSP.Allowed, policy: it.PSP.Policy, pod: stored(it.PSP.Pod)},
		gatekeeper: half{allowed: it.Gatekeeper.Allowed, messages: []string{}, pod: stored(it.Gatekeeper.Pod)},
	}
	for _, violation := range it.Gatekeeper.Violations {
		res.gatekeeper.messages = append(res.gatekeeper.messages, message(violation.Constraint, violation.EnforcementAction, violation.Message))
	}
	slices.Sort(res.gatekeeper.messages)
	if !it.PSP.Allowed {
		res.psp.messages = parts(it.PSP.Message)
	}
	return it.UID, &res, nil
}

// parts takes a message of the plugin apart, without the name of the pod, which may be made up.
func parts(message string) []string {
	_, message, _ = strings.Cut(message, " is forbidden: ")
	opening, list, several := strings.Cut(message, "[")
	found := []string{opening}
	if several {
		list = strings.TrimSuffix(list, "]")
		for _, start := range []string{"pod.", "spec."} {
			list = strings.ReplaceAll(list, " "+start, "\n"+start)
		}
		found = append(found, strings.Split(list, "\n")...)
	}
	slices.Sort(found)
	return found
}

// storedJSON is stored of a pod as JSON, nil if there is none.
func storedJSON(raw json.RawMessage) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	pod, err := lines.Decode[any](raw)
	return stored(pod), err
}

// stored is a pod as far as admission decides over it: nothing absent, nothing that depends on time and chance.
func stored(pod any) any {
	object, ok := pod.(map[string]any)
	if !ok {
		return pod
	}
	delete(object, "status")
	if metadata, ok := object["metadata"].(map[string]any); ok {
		for _, key := range []string{"name", "uid", "creationTimestamp", "generation", "resourceVersion"} {
			delete(metadata, key)
		}
	}
	return present(object)
}

// present leaves out what is empty, which decoding and encoding add and drop.
func present(value any) any {
	switch it := value.(type) {
	case map[string]any:
		for key, member := range it {
			if member = present(member); member == nil {
				delete(it, key)
			} else {
				it[key] = member
			}
		}
		if len(it) == 0 {
			return nil
		}
	case []any:
		for i, member := range it {
			it[i] = present(member)
		}
		if len(it) == 0 {
			return nil
		}
	case string:
		if it == "" {
			return nil
		}
	}
	return value
}
