package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	pspForbids = `{"id":"1","allowed":false,"admit":{"allowed":false,"message":"pods \"a\" is forbidden: PodSecurityPolicy: unable to admit pod: [spec.containers[0].x: no pod.y: no]"},"api_errors":[],"validate":{"allowed":true},"pod":{"spec":{"nodeName":""}}}`
	pspAdmits  = `{"id":"1","allowed":true,"admit":{"allowed":true,"policy":"p"},"api_errors":[],"validate":{"allowed":true,"policy":"p"},"pod":{"spec":{"hostPID":true}}}`
	gkForbids  = `{"id":"1","allowed":false,"violations":[{"constraint":"K/n","action":"deny","message":"m"}],"object":{"spec":{}}}`
	gkAdmits   = `{"id":"1","allowed":true,"violations":[],"object":{"spec":{"hostPID":true}}}`
	weForbid   = `{"uid":"1","psp":{"allowed":false,"message":"pods \"b\" is forbidden: PodSecurityPolicy: unable to admit pod: [pod.y: no spec.containers[0].x: no]","pod":{"spec":{}}},"gatekeeper":{"allowed":false,"violations":[{"constraint":"K/n","enforcementAction":"deny","message":"m"}],"pod":{"spec":{}}}}`
	weAdmit    = `{"uid":"1","psp":{"allowed":true,"policy":"p","pod":{"spec":{"hostPID":true}}},"gatekeeper":{"allowed":true,"violations":[],"pod":{"spec":{"hostPID":true}}}}`
)

func TestAnswers(t *testing.T) {
	for name, row := range map[string]struct {
		psp, gatekeeper, review string
		ok                      bool
		says                    string
	}{
		"the same, forbidden":         {pspForbids, gkForbids, weForbid, true, "compared 1 admitted 0\n"},
		"the same, admitted":          {pspAdmits, gkAdmits, weAdmit, true, "compared 1 admitted 1\n"},
		"another verdict of PSP":      {pspForbids, gkAdmits, weAdmit, false, "PSP verdict differs 1 times"},
		"another verdict of theirs":   {pspAdmits, gkForbids, weAdmit, false, "Gatekeeper verdict differs 1 times"},
		"another policy":              {strings.ReplaceAll(pspAdmits, `"p"`, `"q"`), gkAdmits, weAdmit, false, "PSP policy differs"},
		"another message":             {strings.Replace(pspForbids, "x: no", "x: yes", 1), gkForbids, weForbid, false, "PSP messages differs"},
		"another violation":           {pspForbids, strings.Replace(gkForbids, `"m"`, `"n"`, 1), weForbid, false, "Gatekeeper messages differs"},
		"another action":              {pspForbids, strings.Replace(gkForbids, "deny", "warn", 1), weForbid, false, "Gatekeeper messages differs"},
		"another pod":                 {strings.Replace(pspAdmits, "true}}", "false}}", 1), gkAdmits, weAdmit, false, "PSP pod differs"},
		"another pod of Gatekeeper":   {pspAdmits, strings.Replace(gkAdmits, "hostPID", "hostIPC", 1), weAdmit, false, "Gatekeeper pod differs"},
		"a pod that a server refuses": {strings.Replace(strings.Replace(pspAdmits, "true}}", "false}}", 1), "[]", `["spec: no"]`, 1), gkAdmits, weAdmit, true, "compared 1"},
		"no answer of ours":           {pspAdmits, gkAdmits, "", false, "error: "},
		"no answer of the plugin":     {"", gkAdmits, weAdmit, false, "error: "},
		"answered twice":              {pspAdmits, gkAdmits, weAdmit + "\n" + weAdmit, false, "error: "},
		"never reaches admission":     {`{"id":"1","error":"no pod"}`, `{"id":"1","allowed":false,"error":"no pod"}`, "", false, "compared 0"},
		"nothing asked":               {"", "", "", false, "compared 0"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			file := func(name, content string) string {
				path := filepath.Join(folder, name)
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			var out bytes.Buffer
			ok, err := run([]string{"check", "--psp", file("psp", row.psp), "--gatekeeper", file("gatekeeper", row.gatekeeper), "--review", file("review", row.review)}, nil, &out)
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

func TestReviews(t *testing.T) {
	var out bytes.Buffer
	if _, err := run([]string{"reviews"}, strings.NewReader(`{"id":"0","error":"no pod"}`), &out); err != nil || out.Len() > 0 {
		t.Errorf("%v: %s", err, out.String())
	}
	request := `{"id":"1","operation":"UPDATE","namespace":"n","subresource":"status","user":{"username":"u","groups":["g"]},"object":{"a":1},"oldObject":{"b":2}}`
	if _, err := run([]string{"reviews"}, strings.NewReader(request), &out); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"uid":"1"`, `"namespace":"n"`, `"operation":"UPDATE"`, `"subResource":"status"`, `"username":"u"`, `"object":{"a":1}`, `"oldObject":{"b":2}`} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("%s is missing in %s", part, out.String())
		}
	}
}
