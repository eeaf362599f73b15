package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRequests(t *testing.T) {
	const written = `container.apparmor.security.beta.kubernetes.io/a":"` + standIn
	for name, row := range map[string]struct {
		pod     string
		written bool
	}{
		"a container":                   {`{"spec":{"containers":[{"name":"a"}]}}`, true},
		"an init container":             {`{"spec":{"initContainers":[{"name":"a"}]}}`, true},
		"an ephemeral container":        {`{"spec":{"ephemeralContainers":[{"name":"a"}]}}`, true},
		"no annotations":                {`{"metadata":{"annotations":null},"spec":{"containers":[{"name":"a"}]}}`, true},
		"an empty profile":              {`{"metadata":{"annotations":{"container.apparmor.security.beta.kubernetes.io/a":""}},"spec":{"containers":[{"name":"a"}]}}`, true},
		"a profile":                     {`{"metadata":{"annotations":{"container.apparmor.security.beta.kubernetes.io/a":"unconfined"}},"spec":{"containers":[{"name":"a"}]}}`, false},
		"a profile of another":          {`{"metadata":{"annotations":{"container.apparmor.security.beta.kubernetes.io/b":"unconfined"}},"spec":{"containers":[{"name":"a"}]}}`, true},
		"privileged":                    {`{"spec":{"containers":[{"name":"a","securityContext":{"privileged":true}}]}}`, false},
		"not privileged, and says so":   {`{"spec":{"containers":[{"name":"a","securityContext":{"privileged":false}}]}}`, true},
		"beside one that is privileged": {`{"spec":{"containers":[{"name":"b","securityContext":{"privileged":true}},{"name":"a"}]}}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, line := range []string{`{"id":"1","object":` + row.pod + `}`, `{"id":"1","operation":"UPDATE","object":{"spec":{}},"oldObject":` + row.pod + `}`} {
				var out bytes.Buffer
				if err := run([]string{"requests"}, strings.NewReader(line), &out); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(out.String(), written) != row.written {
					t.Errorf("%s", out.String())
				}
			}
		})
	}
	var out bytes.Buffer
	if err := run([]string{"requests"}, strings.NewReader(`{"id":"1","error":"no pod"}`), &out); err != nil || out.String() != `{"id":"1","error":"no pod"}`+"\n" {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestCluster(t *testing.T) {
	const (
		allowed   = "apparmor.security.beta.kubernetes.io/allowedProfileNames: "
		byDefault = "apparmor.security.beta.kubernetes.io/defaultProfileName: "
	)
	for name, row := range map[string]struct {
		kind        string
		annotations []string
		allows      bool
	}{
		"the default, and on the list":        {"PodSecurityPolicy", []string{byDefault + "runtime/default", allowed + "localhost/a,runtime/default"}, true},
		"the default, and not on the list":    {"PodSecurityPolicy", []string{byDefault + "runtime/default", allowed + "localhost/a"}, false},
		"part of a name on the list":          {"PodSecurityPolicy", []string{byDefault + "runtime/default", allowed + "runtime/default/a"}, false},
		"a space before it, as in the plugin": {"PodSecurityPolicy", []string{byDefault + "runtime/default", allowed + "localhost/a, runtime/default"}, false},
		"the default, and no list":            {"PodSecurityPolicy", []string{byDefault + "runtime/default"}, false},
		"another default":                     {"PodSecurityPolicy", []string{byDefault + "localhost/a", allowed + "localhost/a,runtime/default"}, false},
		"no default":                          {"PodSecurityPolicy", []string{allowed + "runtime/default"}, false},
		"no policy":                           {"ConfigMap", []string{byDefault + "runtime/default", allowed + "runtime/default"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "cluster.yaml")
			text := "apiVersion: policy/v1beta1\nkind: " + row.kind + "\nmetadata:\n  name: p\n  annotations:\n    " + strings.Join(row.annotations, "\n    ") + "\nspec: {fsGroup: {ranges: [{max: 9223372036854775807}]}}\n"
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := run([]string{"cluster", "--cluster", path}, nil, &out); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), ","+standIn+`"`) != row.allows || !strings.Contains(out.String(), "9223372036854775807") {
				t.Errorf("%s", out.String())
			}
		})
	}
}
