package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"conformance/lines"
	"conformance/manifest"

	"sigs.k8s.io/yaml"
)

// A row is a question and the answer that somebody wrote down.
type row struct {
	Pod            string   `json:"pod"`
	OldPod         string   `json:"old_pod"`
	Namespace      string   `json:"namespace"`
	ServiceAccount string   `json:"service_account"`
	User           string   `json:"user"`
	Groups         []string `json:"groups"`
	Authenticated  *bool    `json:"authenticated"`
	Operation      string   `json:"operation"`
	Subresource    string   `json:"subresource"`
	AsItStands     *bool    `json:"as_it_stands"`
	Admitted       *bool    `json:"admitted"`
	By             string   `json:"by"`
	Because        []string `json:"because"`
	Note           string   `json:"note"`

	folder, id string
}

// readRows reads verdicts.yaml; a misspelt key is an error.
func readRows(folder string) ([]row, error) {
	file := filepath.Join(folder, "verdicts.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows []row
	if err := yaml.UnmarshalStrict(text, &rows); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: no verdicts", file)
	}
	for i := range rows {
		rows[i].folder = folder
		rows[i].id = fmt.Sprintf("%s/%d/%s", filepath.Base(folder), i+1, rows[i].Pod)
		if rows[i].Pod == "" || rows[i].Admitted == nil {
			return nil, fmt.Errorf("%s: row %d lacks pod or admitted", file, i+1)
		}
		if *rows[i].Admitted && len(rows[i].Because) > 0 || !*rows[i].Admitted && rows[i].By != "" {
			return nil, fmt.Errorf("%s: row %d: `by` is for admitted pods, `because` for forbidden ones", file, i+1)
		}
	}
	return rows, nil
}

func (r row) asItStands() bool { return r.AsItStands == nil || *r.AsItStands }

// request is the question as a client would send it.
func (r row) request() (map[string]any, error) {
	pod, err := r.readPod(r.Pod)
	if err != nil {
		return nil, err
	}
	var old any
	operation := r.Operation
	if operation == "" {
		operation = "CREATE"
	}
	if r.OldPod != "" {
		if old, err = r.readPod(r.OldPod); err != nil {
			return nil, err
		}
	}
	namespace, _ := metadata(pod)["namespace"].(string)
	return map[string]any{
		"id": r.id, "operation": operation, "namespace": namespace, "subresource": r.Subresource,
		"user": r.requester(), "object": pod, "oldObject": old,
	}, nil
}

// requester is who sends the request: the controller of most pods, unless the row names somebody.
func (r row) requester() lines.User {
	user := lines.User{Username: r.User, Groups: append([]string{}, r.Groups...)}
	if user.Username == "" {
		user.Username = "system:serviceaccount:kube-system:replicaset-controller"
	}
	if parts := strings.Split(user.Username, ":"); len(parts) == 4 && strings.HasPrefix(user.Username, "system:serviceaccount:") && len(r.Groups) == 0 {
		user.Groups = []string{"system:serviceaccounts", "system:serviceaccounts:" + parts[2]}
	}
	if r.Authenticated == nil || *r.Authenticated {
		user.Groups = append(user.Groups, "system:authenticated")
	}
	return user
}

// readPod reads a file of pods/ and applies the row's namespace and service account.
func (r row) readPod(name string) (map[string]any, error) {
	objects, err := manifest.Load([]string{filepath.Join(r.folder, "pods", name)})
	if err != nil {
		return nil, err
	}
	if len(objects) != 1 || objects[0].Kind() != "Pod" || objects[0].APIVersion() != "v1" {
		return nil, fmt.Errorf("%s is not one v1 Pod", name)
	}
	pod := objects[0].Content
	if r.Namespace != "" {
		metadata(pod)["namespace"] = r.Namespace
	}
	if namespace, _ := metadata(pod)["namespace"].(string); namespace == "" {
		metadata(pod)["namespace"] = "default"
	}
	if r.ServiceAccount != "" {
		spec, ok := pod["spec"].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s has no spec", name)
		}
		spec["serviceAccountName"] = r.ServiceAccount
	}
	return pod, nil
}

func metadata(pod map[string]any) map[string]any {
	found, ok := pod["metadata"].(map[string]any)
	if !ok {
		found = map[string]any{}
		pod["metadata"] = found
	}
	return found
}

// migrateArguments returns the arguments that case.yaml gives, without where to write.
func migrateArguments(folder string) ([]string, error) {
	file := filepath.Join(folder, "case.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	described := struct {
		Arguments []string `json:"arguments"`
	}{}
	if err := yaml.Unmarshal(text, &described); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var arguments []string
	for i := 0; i < len(described.Arguments); i++ {
		argument := described.Arguments[i]
		switch {
		case argument == "--out-dir":
			i++
		case strings.HasPrefix(argument, "--out-dir="):
		default:
			arguments = append(arguments, argument)
		}
	}
	if len(arguments) == 0 {
		return nil, fmt.Errorf("%s: no arguments", file)
	}
	return arguments, nil
}
