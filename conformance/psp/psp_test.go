package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"conformance/lines"

	"k8s.io/kubernetes/pkg/capabilities"
)

// Two policies: one that all may use who have an aggregated role, one that nobody may.
const world = `
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: open}
spec:
  volumes: ['*']
  runAsUser: {rule: MustRunAs, ranges: [{min: 5, max: 9}]}
  seLinux: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: secret}
spec: {privileged: true, volumes: ['*'], runAsUser: {rule: RunAsAny}, seLinux: {rule: RunAsAny}, fsGroup: {rule: RunAsAny}, supplementalGroups: {rule: RunAsAny}}
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: refused}
spec: {runAsUser: {rule: Whatever}, seLinux: {rule: RunAsAny}, fsGroup: {rule: RunAsAny}, supplementalGroups: {rule: RunAsAny}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: whole}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {of: whole}}]}
rules: [{apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: part, labels: {of: whole}}
rules: [{apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use], resourceNames: [open]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: whole}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: whole}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:serviceaccounts'}]
`

func started(t *testing.T) (*plugins, []string) {
	t.Helper()
	capabilities.Initialize(capabilities.Capabilities{AllowPrivileged: true})
	file := filepath.Join(t.TempDir(), "world.yaml")
	if err := os.WriteFile(file, []byte(world), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster, refused, err := loadCluster([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	plugins, err := newPlugins(cluster)
	if err != nil {
		t.Fatal(err)
	}
	return plugins, refused
}

func TestTheAPIServerRefusesWhatIsInvalid(t *testing.T) {
	if _, refused := started(t); len(refused) != 1 || !strings.Contains(refused[0], "PodSecurityPolicy/refused") {
		t.Errorf("%v", refused)
	}
}

// answered takes a CREATE by the user through prepare and review.
func answered(t *testing.T, user, groups, securityContext string) lines.PSPAnswer {
	t.Helper()
	plugins, _ := started(t)
	line := `{"id":"a","user":{"username":"` + user + `","groups":[` + groups + `]},"object":{"apiVersion":"v1","kind":"Pod",
		"metadata":{"name":"web"},"spec":{"containers":[{"name":"app","image":"app","securityContext":{` + securityContext + `}}]}}}`
	prepared, err := plugins.prepareLine([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(prepared)
	if err != nil {
		t.Fatal(err)
	}
	reviewed, err := plugins.reviewLine(raw)
	if err != nil {
		t.Fatal(err)
	}
	result, ok := reviewed.(lines.PSPAnswer)
	if !ok {
		t.Fatalf("%v", reviewed)
	}
	return result
}

func TestOneAnswerPerPhase(t *testing.T) {
	for name, row := range map[string]struct {
		user, groups, securityContext string
		whole, asItStands             bool
		policy                        string
	}{
		"the plugin fills in the user":             {"nobody", "", "", true, false, "open"},
		"the user is there":                        {"nobody", "", `"runAsUser":7`, true, true, "open"},
		"the user is out of range":                 {"nobody", "", `"runAsUser":10`, false, false, ""},
		"an aggregated role has its parts' rules":  {"nobody", "", `"runAsUser":7,"privileged":true`, false, false, ""},
		"cluster-admin is there without its files": {"root", `"system:masters"`, `"privileged":true`, true, true, "secret"},
	} {
		t.Run(name, func(t *testing.T) {
			res := answered(t, row.user, row.groups, row.securityContext)
			if res.Allowed != row.whole || res.ValidateOnly.Allowed != row.asItStands || res.Admit.Policy != row.policy {
				t.Errorf("%+v", res)
			}
		})
	}
}

func TestPrepareMountsTheToken(t *testing.T) {
	res := answered(t, "nobody", "", `"runAsUser":7`)
	if !strings.Contains(string(res.Pod), `"serviceAccountName":"default"`) || !strings.Contains(string(res.Pod), "kube-api-access-"+suffix("a")) {
		t.Errorf("%s", res.Pod)
	}
}
