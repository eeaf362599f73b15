package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func output(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(args, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheSameSeedGivesTheSameBytes(t *testing.T) {
	for _, args := range [][]string{{"cluster", "--seed", "7"}, {"requests", "--seed", "7", "--count", "300"}} {
		if output(t, args...) != output(t, args...) {
			t.Errorf("%v differs from run to run", args)
		}
	}
}

func TestSeedsDiffer(t *testing.T) {
	if output(t, "cluster", "--seed", "1") == output(t, "cluster", "--seed", "2") {
		t.Error("two seeds give the same cluster")
	}
}

func TestFewerRequestsAreTheFirstOfMany(t *testing.T) {
	many, few := output(t, "requests", "--seed", "3", "--count", "50"), output(t, "requests", "--seed", "3", "--count", "20")
	if !strings.HasPrefix(many, few) {
		t.Error("a request depends on how many there are")
	}
}

func TestEveryFieldOfAPolicyIsUsed(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(40) {
		for _, policy := range newCluster(seed).policies {
			raw, err := json.Marshal(policy.spec)
			if err != nil {
				t.Fatal(err)
			}
			fields := map[string]any{}
			if err := json.Unmarshal(raw, &fields); err != nil {
				t.Fatal(err)
			}
			for field := range fields {
				seen[field] = true
			}
			for annotation := range policy.annotations {
				seen[annotation] = true
			}
		}
	}
	// The 24 fields of policy/v1beta1, Kubernetes 1.24, and the annotations of seccomp and AppArmor.
	if len(seen) != 24+4 {
		t.Errorf("%d fields and annotations: %v", len(seen), seen)
	}
}

func TestEveryProbeAndOperationIsAsked(t *testing.T) {
	var ids strings.Builder
	for seed := range uint64(5) {
		for _, request := range newCluster(seed).requests(400) {
			ids.WriteString(request.ID + "\n")
		}
	}
	for _, probe := range probes {
		if !strings.Contains(ids.String(), probe.name) {
			t.Errorf("nobody asks about %s", probe.name)
		}
	}
	for _, operation := range []string{"create", "update-nothing", "update-finalizers", "update-owners", "update-labels", "update-labels-after-debugging", "update-image", "update-status", "update-ephemeralcontainers"} {
		if !strings.Contains(ids.String(), "/"+operation+"/") {
			t.Errorf("no request is %s", operation)
		}
	}
}
