package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	pspAdmits   = `{"id":"1/a/hostPorts","validate_only":{"allowed":true,"policy":"p","message":""}}`
	pspForbids  = `{"id":"1/a/hostPorts","validate_only":{"allowed":false,"policy":"","message":"no"}}`
	gateAdmits  = `{"id":"1/a/hostPorts","allowed":true,"violations":[]}`
	gateForbids = `{"id":"1/a/hostPorts","allowed":false,"violations":[{"constraint":"K/n","action":"deny","message":"not so"}]}`
)

func compared(t *testing.T, psp, gatekeeper, declared string, more ...string) (bool, string) {
	t.Helper()
	folder := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := append([]string{"--psp", file("psp", psp), "--gatekeeper", file("gatekeeper", gatekeeper), "--declared", file("declared", declared)}, more...)
	var out bytes.Buffer
	ok, err := run(args, &out)
	if err != nil {
		return false, "error: " + err.Error()
	}
	return ok, out.String()
}

func TestVerdicts(t *testing.T) {
	for name, row := range map[string]struct {
		psp, gatekeeper, declared string
		more                      []string
		ok                        bool
		says                      string
	}{
		"both admit":                     {pspAdmits, gateAdmits, "", nil, true, "reviewed 1 admitted 1 forbidden 0"},
		"both forbid":                    {pspForbids, gateForbids, "", nil, true, "reviewed 1 admitted 0 forbidden 1"},
		"looser":                         {pspForbids, gateAdmits, "", nil, false, "LOOSER hostPorts: 1"},
		"stricter":                       {pspAdmits, gateForbids, "", nil, false, "Gatekeeper: forbidden not so"},
		"a declared difference":          {pspForbids, gateAdmits, "LOOSER 1/*/hostPorts # why", nil, true, "declared 1 LOOSER 0"},
		"declared the other way":         {pspForbids, gateAdmits, "STRICTER *", nil, false, "no such difference"},
		"declared without a difference":  {pspAdmits, gateAdmits, "LOOSER *", nil, false, "no such difference"},
		"one-sided":                      {pspAdmits, gateAdmits, "", []string{"--min-share", "15"}, false, "proves little"},
		"nothing asked":                  {"", "", "", []string{"--min-share", "15"}, false, "proves little"},
		"no answer of Gatekeeper":        {pspAdmits, "", "", nil, false, "error: "},
		"no answer of the plugin":        {"", gateAdmits, "", nil, false, "error: "},
		"answered twice":                 {pspAdmits, gateAdmits + "\n" + gateAdmits, "", nil, false, "error: "},
		"refused by the API server":      {pspForbids, `{"id":"1/a/hostPorts","allowed":true,"api_errors":["spec: no"]}`, "", nil, true, "undecided 1"},
		"does not decode":                {`{"id":"1/a/hostPorts","error":"no pod"}`, `{"id":"1/a/hostPorts","allowed":false,"error":"no pod"}`, "", nil, true, "undecided 1"},
		"an error of Gatekeeper forbids": {pspAdmits, `{"id":"1/a/hostPorts","allowed":false,"error":"broke"}`, "", nil, false, "STRICTER"},
	} {
		t.Run(name, func(t *testing.T) {
			ok, out := compared(t, row.psp, row.gatekeeper, row.declared, row.more...)
			if ok != row.ok || !strings.Contains(out, row.says) {
				t.Errorf("ok is %v; output:\n%s", ok, out)
			}
		})
	}
}
