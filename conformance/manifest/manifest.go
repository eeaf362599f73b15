// Package manifest reads Kubernetes objects from files of YAML or JSON.
package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"
)

// An Object is one Kubernetes object and the place it was read from.
type Object struct {
	// Place is FILE:LINE of the document that holds the object.
	Place string
	// Content is the object as JSON has it, with json.Number for numbers.
	Content map[string]any
}

// APIVersion returns the object's apiVersion, empty if there is none.
func (o Object) APIVersion() string { return text(o.Content, "apiVersion") }

// Group returns the part of the apiVersion before the slash, empty for the core group.
func (o Object) Group() string {
	group, _, found := strings.Cut(o.APIVersion(), "/")
	if !found {
		return ""
	}
	return group
}

// Kind returns the object's kind, empty if there is none.
func (o Object) Kind() string { return text(o.Content, "kind") }

// Name returns metadata.name, empty if there is none.
func (o Object) Name() string {
	metadata, _ := o.Content["metadata"].(map[string]any)
	return text(metadata, "name")
}

// JSON returns the object as it would be sent to an API server.
func (o Object) JSON() ([]byte, error) { return json.Marshal(o.Content) }

// String names the object and its place, for messages.
func (o Object) String() string {
	return fmt.Sprintf("%s: %s/%s", o.Place, o.Kind(), o.Name())
}

// Load reads all objects of the given files and of all .yaml, .yml and .json files below the given folders.
// Lists are taken apart; what has neither apiVersion nor kind, such as an empty document, is left out.
func Load(paths []string) ([]Object, error) {
	var objects []Object
	for _, path := range paths {
		files, err := filesOf(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			found, err := Parse(file, content)
			if err != nil {
				return nil, err
			}
			objects = append(objects, found...)
		}
	}
	return objects, nil
}

// Parse reads all objects of one file; name is for the places of the objects.
func Parse(name string, content []byte) ([]Object, error) {
	var objects []Object
	for _, document := range documents(content) {
		place := fmt.Sprintf("%s:%d", name, document.line)
		asJSON, err := yaml.YAMLToJSON(document.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
		// Ids may be larger than what a float64 holds exactly.
		decoder := json.NewDecoder(bytes.NewReader(asJSON))
		decoder.UseNumber()
		var value map[string]any
		if err := decoder.Decode(&value); err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
		objects = flatten(objects, Object{place, value})
	}
	return objects, nil
}

// flatten appends an object, or the items of a List or a typed list such as PodSecurityPolicyList.
func flatten(objects []Object, object Object) []Object {
	items, isList := object.Content["items"].([]any)
	if !isList || !strings.HasSuffix(object.Kind(), "List") {
		if object.Kind() == "" && object.APIVersion() == "" {
			return objects
		}
		return append(objects, object)
	}
	for _, item := range items {
		content, ok := item.(map[string]any)
		if !ok {
			continue
		}
		// The items of a typed list need not repeat what the list says of all of them.
		if kind := strings.TrimSuffix(object.Kind(), "List"); kind != "" && text(content, "kind") == "" {
			content["kind"], content["apiVersion"] = kind, object.APIVersion()
		}
		objects = flatten(objects, Object{object.Place, content})
	}
	return objects
}

type document struct {
	line int
	text []byte
}

// documents splits YAML at its `---` lines; JSON is one document.
func documents(content []byte) []document {
	found := []document{{line: 1}}
	for number, line := range bytes.SplitAfter(content, []byte("\n")) {
		if marker, comment, _ := bytes.Cut(line, []byte(" ")); string(bytes.TrimSpace(marker)) == "---" {
			if rest := bytes.TrimSpace(comment); len(rest) == 0 || rest[0] == '#' {
				found = append(found, document{line: number + 2})
				continue
			}
		}
		last := &found[len(found)-1]
		last.text = append(last.text, line...)
	}
	return found
}

func filesOf(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch filepath.Ext(file) {
		case ".yaml", ".yml", ".json":
			if !entry.IsDir() {
				files = append(files, file)
			}
		}
		return nil
	})
	sort.Strings(files)
	return files, err
}

func text(object map[string]any, key string) string {
	value, _ := object[key].(string)
	return value
}
