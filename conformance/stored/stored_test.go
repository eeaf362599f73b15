package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	sent      = `{"id":"1","operation":"CREATE","namespace":"n","user":{"username":"u"},"object":{"spec":{"containers":[{"name":"a"}]}},"oldObject":null}`
	isAllowed = `{"id":"1","allowed":true,"violations":[],"object":{"spec":{"hostPID":false,"containers":[{"name":"a"}]}}}`
	plain     = `"object":{"spec":{"hostPID":false,"containers":[{"name":"a"}]}}`
)

func TestQuestions(t *testing.T) {
	for name, row := range map[string]struct {
		request, answer string
		lines           int
		says            string
	}{
		"as it is stored":           {sent, isAllowed, 2, `{"id":"1",`},
		"the pod of the answer":     {sent, isAllowed, 2, plain},
		"with the default":          {sent, isAllowed, 2, `"id":"1 with runtime/default"`},
		"written as an annotation":  {sent, isAllowed, 2, `beta.kubernetes.io/a":"runtime/default"`},
		"by whom and where":         {sent, isAllowed, 2, `"namespace":"n","subresource":"","user":{"username":"u"`},
		"privileged":                {sent, strings.Replace(isAllowed, `"name":"a"`, `"name":"a","securityContext":{"privileged":true}`, 1), 1, ``},
		"profiles of its own":       {sent, strings.Replace(isAllowed, `{"spec"`, `{"metadata":{"annotations":{"container.apparmor.security.beta.kubernetes.io/a":"localhost/b"}},"spec"`, 1), 1, ``},
		"denied":                    {sent, strings.Replace(isAllowed, "true", "false", 1), 0, ""},
		"refused by the API server": {sent, strings.Replace(isAllowed, `"violations"`, `"api_errors":["spec: no"],"violations"`, 1), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if _, err := run([]string{"questions", "--requests", file(t, row.request), "--gatekeeper", file(t, row.answer)}, &out); err != nil {
				t.Fatal(err)
			}
			if strings.Count(out.String(), "\n") != row.lines || !strings.Contains(out.String(), row.says) {
				t.Errorf("%s", out.String())
			}
		})
	}
	if _, err := run([]string{"questions", "--requests", file(t, sent), "--gatekeeper", file(t, "")}, &bytes.Buffer{}); err == nil {
		t.Error("a request without an answer is no error")
	}
}

func TestTheOldPodOfAnUpdateGetsTheDefaultToo(t *testing.T) {
	update := strings.Replace(strings.Replace(sent, "CREATE", "UPDATE", 1), `"oldObject":null`, `"oldObject":{"spec":{"containers":[{"name":"a"}]}}`, 1)
	var out bytes.Buffer
	if _, err := run([]string{"questions", "--requests", file(t, update), "--gatekeeper", file(t, isAllowed)}, &out); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), `beta.kubernetes.io/a":"runtime/default"`) != 2 {
		t.Errorf("%s", out.String())
	}
}

func TestCheck(t *testing.T) {
	const (
		accepts   = `{"id":"1","validate_only":{"allowed":true,"policy":"p"}}`
		refuses   = `{"id":"1","validate_only":{"allowed":false,"message":"no privileged pods"}}`
		byDefault = `{"id":"1 with runtime/default","validate_only":{"allowed":true,"policy":"p"}}`
		neither   = `{"id":"1 with runtime/default","validate_only":{"allowed":false,"message":"no such profile"}}`
		unasked   = `{"id":"1","validate_only":{"allowed":true}}`
		undecoded = `{"id":"1","error":"no pod"}`
	)
	mutated := strings.Replace(isAllowed, `"violations"`, `"mutated":true,"violations"`, 1)
	for name, row := range map[string]struct {
		gatekeeper, psp string
		more            []string
		ok              bool
		says            string
	}{
		"accepted as it stands":            {isAllowed, accepts, nil, true, "accepts 1 as they stand, 0 with runtime/default, NONE ACCEPTS 0"},
		"accepted with the default":        {isAllowed, refuses + "\n" + byDefault, nil, true, "accepts 0 as they stand, 1 with runtime/default, NONE ACCEPTS 0"},
		"accepted without the default":     {isAllowed, accepts + "\n" + neither, nil, true, "accepts 1 as they stand"},
		"accepted by none":                 {isAllowed, refuses, nil, false, "NONE ACCEPTS 1\n  1\n    no privileged pods"},
		"accepted by none either way":      {isAllowed, refuses + "\n" + neither, nil, false, "no such profile"},
		"does not decode":                  {isAllowed, undecoded, nil, false, "NONE ACCEPTS 1\n  1\n    no pod"},
		"denied, so nobody asks":           {strings.Replace(isAllowed, "true", "false", 1), "", nil, true, "requests 1 stored 0"},
		"stored, and nobody asked":         {isAllowed, "", nil, false, "error: "},
		"never reaches admission":          {`{"id":"1","allowed":false,"error":"no pod"}`, "", nil, true, "requests 0"},
		"enough accepted by a policy":      {isAllowed, accepts, []string{"--min-share", "15"}, true, "stored 1"},
		"no policy was consulted":          {isAllowed, unasked, []string{"--min-share", "15"}, false, "proves little"},
		"too few are stored":               {isAllowed + "\n" + strings.Repeat(`{"id":"2","allowed":false}`+"\n", 9), accepts, []string{"--min-share", "15"}, false, "proves little"},
		"nothing asked":                    {"", "", []string{"--min-share", "15"}, false, "proves little"},
		"mutators changed it":              {mutated, accepts, []string{"--min-mutated", "1"}, true, "mutated 1"},
		"mutators changed none":            {isAllowed, accepts, []string{"--min-mutated", "1"}, false, "proves little"},
		"nothing that mutators may change": {"", "", []string{"--min-mutated", "1"}, false, "proves little"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			ok, err := run(append([]string{"check", "--gatekeeper", file(t, row.gatekeeper), "--psp", file(t, row.psp)}, row.more...), &out)
			if err != nil {
				ok = false
				out.WriteString("error: " + err.Error())
			}
			if ok != row.ok || !strings.Contains(out.String(), row.says) {
				t.Errorf("ok is %v; output:\n%s", ok, out.String())
			}
		})
	}
}
