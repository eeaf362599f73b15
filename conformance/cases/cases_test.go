package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"conformance/lines"
)

const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: app, image: app}]}\n"

// golden writes a case with the given files, verdicts.yaml among them.
func golden(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "a_case")
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestAnswersAreHeldAgainstWhatIsWritten(t *testing.T) {
	const (
		pspAdmits   = `{"id":"a_case/1/pod.yaml","allowed":false,"validate_only":{"allowed":true,"policy":"web"}}`
		pspForbids  = `{"id":"a_case/1/pod.yaml","allowed":true,"validate_only":{"allowed":false,"message":"spec.hostPID: no"}}`
		gateAdmits  = `{"id":"a_case/1/pod.yaml","allowed":true,"violations":[]}`
		gateForbids = `{"id":"a_case/1/pod.yaml","allowed":true,"violations":[{"action":"dryrun","message":"host PID is not allowed"}]}`
	)
	for name, row := range map[string]struct {
		verdict, psp, gatekeeper string
		ok                       bool
		says                     string
	}{
		"both admit":                       {"admitted: true", pspAdmits, gateAdmits, true, ""},
		"by the written policy":            {"{admitted: true, by: web}", pspAdmits, gateAdmits, true, ""},
		"by another policy":                {"{admitted: true, by: other}", pspAdmits, gateAdmits, false, `admitted by "web"`},
		"both forbid, whatever the action": {"admitted: false", pspForbids, gateForbids, true, ""},
		"for a reason of the plugin":       {"{admitted: false, because: [spec.hostPID]}", pspForbids, gateForbids, true, ""},
		"for a reason of the constraint":   {"{admitted: false, because: [host PID]}", pspForbids, gateForbids, true, ""},
		"for another reason":               {"{admitted: false, because: [hostIPC]}", pspForbids, gateForbids, false, "no message holds"},
		"PSP admits":                       {"admitted: false", pspAdmits, gateForbids, false, "PodSecurityPolicy admits it"},
		"Gatekeeper admits":                {"admitted: false", pspForbids, gateAdmits, false, "Gatekeeper admits it"},
		"Gatekeeper forbids":               {"admitted: true", pspAdmits, gateForbids, false, "Gatekeeper forbids it"},
		"PSP forbids":                      {"admitted: true", pspForbids, gateAdmits, false, "PodSecurityPolicy forbids it"},
		"PSP is not asked":                 {"admitted: true", "", gateAdmits, false, "not asked"},
		"Gatekeeper is not asked":          {"admitted: true", pspAdmits, "", false, "not asked"},
		"the whole admission":              {"{admitted: true, as_it_stands: false}", pspForbids, gateAdmits, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			verdict := strings.Trim(row.verdict, "{}")
			folder := golden(t, map[string]string{
				"verdicts.yaml": "- {pod: pod.yaml, " + verdict + "}\n", "psp": row.psp, "gatekeeper": row.gatekeeper,
			})
			var out bytes.Buffer
			ok, err := run([]string{"check", folder, "--psp", folder + "/psp", "--gatekeeper", folder + "/gatekeeper"}, &out)
			if err != nil {
				t.Fatal(err)
			}
			if ok != row.ok || !strings.Contains(out.String(), row.says) {
				t.Errorf("ok is %v; output:\n%s", ok, out.String())
			}
		})
	}
}

func TestARowBecomesARequest(t *testing.T) {
	folder := golden(t, map[string]string{
		"pods/pod.yaml": pod,
		"verdicts.yaml": `
- {pod: pod.yaml, admitted: true}
- {pod: pod.yaml, admitted: true, namespace: shop, service_account: web, user: alice, groups: [developers]}
- {pod: pod.yaml, admitted: true, user: nobody, authenticated: false, operation: UPDATE, old_pod: pod.yaml}
- {pod: pod.yaml, admitted: true, as_it_stands: false}
`})
	var out bytes.Buffer
	if ok, err := run([]string{"requests", folder}, &out); !ok || err != nil {
		t.Fatal(err)
	}
	var found []lines.Request
	for line := range strings.Lines(out.String()) {
		request := lines.Request{}
		if err := json.Unmarshal([]byte(line), &request); err != nil {
			t.Fatal(err)
		}
		found = append(found, request)
	}
	if len(found) != 3 {
		t.Fatalf("%d requests as the pod stands", len(found))
	}
	if it := found[0]; it.Namespace != "default" || it.Operation != "CREATE" || it.User.Username != "system:serviceaccount:kube-system:replicaset-controller" ||
		!slices.Equal(it.User.Groups, []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"}) {
		t.Errorf("defaults: %+v", it)
	}
	if it := found[1]; it.Namespace != "shop" || !strings.Contains(string(it.Object), `"serviceAccountName":"web"`) || !slices.Equal(it.User.Groups, []string{"developers", "system:authenticated"}) {
		t.Errorf("everything given: %+v", it)
	}
	if it := found[2]; it.Operation != "UPDATE" || len(it.OldObject) < 10 || len(it.User.Groups) != 0 {
		t.Errorf("an update of nobody's: %+v", it)
	}
}

func TestWhatIsNoRowIsAnError(t *testing.T) {
	for _, verdicts := range []string{"[]", "- {pod: pod.yaml}", "- {admitted: true}", "- {pod: pod.yaml, admitted: true, servic_account: web}", "- {pod: pod.yaml, admitted: false, by: web}"} {
		if _, err := readRows(golden(t, map[string]string{"verdicts.yaml": verdicts})); err == nil {
			t.Errorf("%s is taken", verdicts)
		}
	}
}

func TestArgumentsLeaveOutWhereToWrite(t *testing.T) {
	folder := golden(t, map[string]string{"case.yaml": "arguments: [migrate, -f, input, --out-dir, output, --strict]"})
	arguments, err := migrateArguments(folder)
	if err != nil || !slices.Equal(arguments, []string{"migrate", "-f", "input", "--strict"}) {
		t.Errorf("%v %v", arguments, err)
	}
}
