package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conformance/lines"
)

const template = `
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nohostpid}
spec:
  crd: {spec: {names: {kind: NoHostPID}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nohostpid
      violation[{"msg": "host PID"}] { input.review.object.spec.hostPID }
`

const constraint = `
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoHostPID
metadata: {name: all}
spec:
  enforcementAction: deny
  match: {kinds: [{apiGroups: [""], kinds: [Pod]}]}
`

const mutator = `
---
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: no-host-pid}
spec:
  applyTo: [{groups: [""], versions: [v1], kinds: [Pod]}]
  match: {namespaces: [shop]}
  location: spec.hostPID
  parameters: {assign: {value: false}}
`

func loadedWith(t *testing.T, manifests string) (*engine, []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	engine, err := newEngine("")
	if err != nil {
		t.Fatal(err)
	}
	problems, err := engine.load([]string{file}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return engine, problems
}

func TestLintFindsWhatCannotBeApplied(t *testing.T) {
	for name, row := range map[string]struct{ manifests, problem string }{
		"nothing wrong":       {template + constraint + mutator, ""},
		"Rego that is none":   {strings.Replace(template, "{ input", "{ nonsense(", 1), "nohostpid"},
		"no template":         {constraint, "NoHostPID/all"},
		"an unknown field":    {template + strings.Replace(constraint, "match:", "macht:", 1), "unknown fields"},
		"an unknown action":   {template + strings.Replace(constraint, "deny", "forbid", 1), "forbid"},
		"a mutator's path":    {strings.Replace(mutator, "spec.hostPID", "spec..hostPID", 1), "no-host-pid"},
		"a kind without uses": {"apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: config}\n", "Config/config"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := loadedWith(t, row.manifests)
			if row.problem == "" && len(problems) > 0 || row.problem != "" && !strings.Contains(strings.Join(problems, "\n"), row.problem) {
				t.Errorf("%q", problems)
			}
		})
	}
}

func TestOnlyDenyDenies(t *testing.T) {
	const line = `{"id":"a","namespace":"default","object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web"},"spec":{"hostPID":true}}}`
	for action, allowed := range map[string]bool{"deny": false, "warn": true, "dryrun": true} {
		engine, _ := loadedWith(t, template+strings.Replace(constraint, "deny", action, 1))
		answered, err := engine.validateLine([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if verdict := answered.(*lines.GatekeeperAnswer); verdict.Allowed != allowed || len(verdict.Violations) != 1 || verdict.Violations[0] != (lines.Violation{Constraint: "NoHostPID/all", Action: action, Message: "host PID"}) {
			t.Errorf("%s: %+v", action, verdict)
		}
	}
}

func TestMutatorsMatchTheNamespace(t *testing.T) {
	for namespace, mutated := range map[string]bool{"shop": true, "default": false} {
		engine, _ := loadedWith(t, mutator)
		line := `{"id":"a","namespace":"` + namespace + `","object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"` + namespace + `"},"spec":{"hostPID":true}}}`
		answered, err := engine.mutateLine([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if it := answered.(map[string]json.RawMessage); string(it["mutated"]) == "true" != mutated || strings.Contains(string(it["object"]), `"hostPID":false`) != mutated {
			t.Errorf("%s: %s", namespace, it)
		}
	}
}
