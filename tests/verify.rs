//! `verify`: outputs that were tampered with are found out, and those that were not pass.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "tests read files and may panic"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// One policy, which developers may use in one namespace.
const CLUSTER: &str = "\
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata:
  name: web
  annotations:
    seccomp.security.alpha.kubernetes.io/allowedProfileNames: runtime/default
spec:
  hostPorts: [{min: 8000, max: 8010}]
  volumes: [configMap, emptyDir]
  allowedCapabilities: [CHOWN]
  requiredDropCapabilities: [NET_RAW]
  readOnlyRootFilesystem: true
  runAsUser: {rule: MustRunAs, ranges: [{min: 1000, max: 1999}]}
  seLinux: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: web}
rules: [{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [web], verbs: [use]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {namespace: shop, name: web}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: web}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: developers}]
";

const CONSTRAINT: &str = "out/3-constraints/podsecuritypolicyadmission-pod-security-policies.yaml";

/// A directory with the cluster and, in `out`, what was written for it.
struct Migration(TempDir);

impl Migration {
    fn new() -> Self {
        let res = Self(tempfile::tempdir().expect("there is a place for it"));
        fs::write(res.path("cluster.yaml"), CLUSTER).expect("it is writable");
        let run = res.run(&[
            "migrate",
            "--out-dir",
            "out",
            "--no-mutators",
            "--enforcement-action",
            "deny",
        ]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        res
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
            .args(arguments)
            .args(["-f", "cluster.yaml"])
            .current_dir(self.0.path())
            .output()
            .expect("the program starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
        Run {
            code: output.status.code().expect("it was not killed"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs `verify` on what was written.
    fn verify(&self, arguments: &[&str]) -> Run {
        let common = ["verify", "--manifests", "out", "--no-mutators"];
        self.run(&[&common, arguments].concat())
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path(file);
        let text = fs::read_to_string(&path).expect("it was written");
        assert!(text.contains(from), "{from} in {text}");
        fs::write(path, text.replacen(from, to, 1)).expect("it is writable");
    }
}

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// An output in which `from` was replaced must be found out, by a counter-example that speaks of `shown`.
#[track_caller]
fn check_corruption(from: &str, to: &str, direction: &str, shown: &str) {
    let migration = Migration::new();
    migration.edit(CONSTRAINT, from, to);
    let run = migration.verify(&[]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    let story = run
        .stdout
        .split("\n\n")
        .find(|it| it.contains(&format!(": {direction}: ")) && it.contains(shown));
    assert!(story.is_some(), "no {shown} in {}", run.stdout);
}

#[test]
fn an_output_as_it_was_written_passes() {
    let run = Migration::new().verify(&[]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("\nunexplained          0\n"),
        "{}",
        run.stdout
    );
    let by = "by run-as-user/default-not-set (stricter) of web, spec.runAsUser";
    assert!(run.stdout.contains(by), "{}", run.stdout);
}

/// One policy, which everybody may use and which fills in an AppArmor profile.
const CONFINED: &str = "\
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata:
  name: confined
  annotations:
    apparmor.security.beta.kubernetes.io/allowedProfileNames: runtime/default,localhost/web
    apparmor.security.beta.kubernetes.io/defaultProfileName: runtime/default
spec:
  volumes: ['*']
  runAsUser: {rule: RunAsAny}
  seLinux: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: confined}
rules: [{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [confined], verbs: [use]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: confined}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: confined}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: \"system:authenticated\"}]
";

#[test]
fn an_apparmor_profile_is_known_in_both_places_where_kubernetes_has_two() {
    let migration = Migration::new();
    fs::write(migration.path("cluster.yaml"), CONFINED).expect("it is writable");
    let not_set = "by apparmor/default-not-set (stricter) of confined";
    for (release, mutators, is_lost) in [
        ("1.29", true, true),
        ("1.30", true, false),
        ("1.34", true, false),
        ("1.34", false, true),
    ] {
        let mut arguments = vec![
            "verify",
            "--strict-apparmor",
            "--kubernetes-version",
            release,
        ];
        if !mutators {
            arguments.push("--no-mutators");
        }
        let run = migration.run(&arguments);
        let expected = i32::from(mutators && release != "1.29");
        assert_eq!(
            run.code, expected,
            "{release}: {}{}",
            run.stdout, run.stderr
        );
        are_empty_annotations(&run.stdout);
        let found = run.stdout.contains(not_set);
        assert_eq!(found, is_lost, "{release}: {}", run.stdout);
        // Unless the profile is demanded, a container without one has it.
        arguments.retain(|it| *it != "--strict-apparmor");
        let run = migration.run(&arguments);
        assert!(!run.stdout.contains(not_set), "{}", run.stdout);
        assert!(!run.stdout.contains(": differs"), "{}", run.stdout);
        are_empty_annotations(&run.stdout);
    }
}

/// Undeclared is one thing only, which is wrong: PSP sets the profile where an annotation is empty, and the mutator writes the field
/// alone, which an API server refuses beside such an annotation.
#[track_caller]
fn are_empty_annotations(text: &str) {
    let findings = text.lines().filter(|it| it.starts_with("finding "));
    let refused =
        "appArmorProfile.type: Forbidden: apparmor type in annotation and field must match";
    let told = text
        .lines()
        .filter(|it| it.contains("API server: spec.") && it.ends_with(refused));
    assert_eq!(told.count(), findings.count(), "{text}");
}

#[test]
fn a_widened_range_is_found() {
    check_corruption(
        "\"max\": 1999",
        "\"max\": 2001",
        "looser",
        "runAsUser: 2000",
    );
}

#[test]
fn a_narrowed_range_is_found() {
    check_corruption(
        "\"min\": 1000",
        "\"min\": 1001",
        "stricter",
        "runAsUser: 1000",
    );
}

#[test]
fn a_capability_too_many_is_found() {
    check_corruption(
        "[\"CHOWN\"]",
        "[\"CHOWN\", \"SYS_ADMIN\"]",
        "looser",
        "- SYS_ADMIN",
    );
}

#[test]
fn a_grant_to_a_group_that_nobody_named_is_found() {
    let group = "\"developers\": [\"web\"]\n          \"interns\": [\"web\"]";
    check_corruption("\"developers\": [\"web\"]", group, "looser", "in interns");
}

#[test]
fn a_grant_in_every_namespace_is_found() {
    check_corruption(
        "      \"shop\":",
        "      \"default\":",
        "looser",
        "in developers",
    );
}

#[test]
fn a_constraint_that_spares_other_namespaces_is_found() {
    let match_ = "    namespaces: [shop]\n    kinds:";
    check_corruption(
        "    kinds:",
        match_,
        "looser",
        "PodSecurityPolicy: unable to admit pod",
    );
}

#[test]
fn an_excluded_namespace_is_found() {
    let match_ = "    excludedNamespaces: [playground]\n    kinds:";
    check_corruption("    kinds:", match_, "looser", "in namespace `playground`");
}

#[test]
fn a_weakened_enforcement_action_is_found() {
    check_corruption("\"deny\"", "\"dryrun\"", "looser", "Gatekeeper  admits it");
}

#[test]
fn a_volume_type_too_many_is_found() {
    check_corruption(
        "[\"configMap\",",
        "[\"configMap\", \"nfs\",",
        "looser",
        "nfs:",
    );
}

#[test]
fn a_required_drop_too_few_is_found() {
    // PSP drops it, and so admits the pod; Gatekeeper admits it as it is.
    let (from, to) = ("Capabilities: [\"NET_RAW\"]", "Capabilities: []");
    check_corruption(
        from,
        to,
        "differs",
        "capabilities.drop: PSP [\"NET_RAW\"], Gatekeeper null",
    );
}

#[test]
fn a_flipped_field_is_found() {
    check_corruption("hostPID: false", "hostPID: true", "looser", "hostPID: true");
}

#[test]
fn a_range_of_host_ports_too_many_is_found() {
    let ranges = "\"min\": 8000}, {\"max\": 9999, \"min\": 9990}";
    check_corruption("\"min\": 8000}", ranges, "looser", "hostPort: 999");
}

#[test]
fn a_seccomp_profile_too_many_is_found() {
    let profiles = "[\"localhost/hand-made\", \"docker/default\",";
    check_corruption(
        "[\"docker/default\",",
        profiles,
        "looser",
        "localhost/hand-made",
    );
}

#[test]
fn a_deleted_constraint_is_found() {
    let migration = Migration::new();
    fs::remove_file(migration.path(CONSTRAINT)).expect("it was written");
    let run = migration.verify(&[]);
    assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains(": looser: "), "{}", run.stdout);
}

#[test]
fn as_if_deny_makes_a_rehearsal_judge() {
    let migration = Migration::new();
    migration.edit(CONSTRAINT, "\"deny\"", "\"dryrun\"");
    let run = migration.verify(&["--enforcement-action", "deny"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("as if every constraint denied"),
        "{}",
        run.stdout
    );
}

#[test]
fn what_cannot_be_evaluated_is_no_pass() {
    let migration = Migration::new();
    let config = "apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: config}\nspec: {}\n";
    fs::write(migration.path("out/config.yaml"), config).expect("it is writable");
    let run = migration.verify(&[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("cannot be evaluated"), "{}", run.stderr);

    let run = migration.verify(&["--skip", "config.yaml"]);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stdout.contains("`config.yaml` was left out"),
        "{}",
        run.stdout
    );
    let run = migration.verify(&["--skip", "confg.yaml"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
}

/// A pod of a ReplicaSet, as a cluster has it.
fn live_pod(number: usize, psp: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "shop",
            "name": format!("web-5d-{number:05}"),
            "generateName": "web-5d-",
            "uid": format!("uid-{number}"),
            "annotations": { "kubernetes.io/psp": psp },
            "ownerReferences": [
                { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d", "uid": "u", "controller": true },
            ],
        },
        "spec": {
            "nodeName": format!("node-{number}"),
            "serviceAccountName": "web",
            "containers": [{ "name": "web", "image": "registry.example.com/web:1" }],
        },
        "status": { "podIP": format!("192.0.2.{number}") },
    })
}

#[test]
fn equal_pods_are_asked_about_once_and_told_from_what_they_recorded() {
    let migration = Migration::new();
    let asked = |pods: &[Value]| {
        let mut lines = String::new();
        for pod in pods {
            writeln!(lines, "{pod}").expect("a string takes it");
        }
        fs::write(migration.path("pods.jsonl"), lines).expect("it is writable");
        let run = migration.verify(&["--pods", "pods.jsonl", "-o", "json"]);
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        serde_json::from_str::<Value>(&run.stdout).expect("it is JSON")
    };
    let one = asked(&[live_pod(0, "web")]);
    let many: Vec<Value> = (0..50).map(|it| live_pod(it, "web")).collect();
    let many = asked(&many);
    assert_eq!(one["asked"], many["asked"]);
    assert_eq!(many["kind"], "Verification");
    // Nobody in the input may use it for such pods any more.
    let recorded = &many["recorded"]["differences"][0];
    assert_eq!(recorded["recorded"], "web");
    assert_eq!(recorded["chosen"], Value::Null);
    assert_eq!(recorded["pods"], 50);
}

#[test]
fn a_seed_makes_the_same_requests() {
    let migration = Migration::new();
    let run = |seed: &str| {
        migration
            .verify(&["--requests", "60", "--seed", seed])
            .stdout
    };
    assert_eq!(run("1"), run("1"));
    assert_ne!(run("1"), run("2"));
}

#[test]
fn findings_are_saved_as_reviews_and_as_a_suite() {
    let migration = Migration::new();
    migration.edit(CONSTRAINT, "hostPID: false", "hostPID: true");
    let run = migration.verify(&["--save", "findings"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let review = read(&migration.path("findings/finding-1.yaml"));
    assert!(review.contains("kind: AdmissionReview"), "{review}");
    assert!(review.contains("hostPID: true"), "{review}");
    let suite = read(&migration.path("findings/suite.yaml"));
    assert!(suite.contains("violations: yes"), "{suite}");
    assert!(migration.path("findings/template-1.yaml").exists());
    assert!(migration.path("findings/constraint-1.yaml").exists());

    let again = migration.verify(&["--save", "findings"]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("is not empty"), "{}", again.stderr);
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
