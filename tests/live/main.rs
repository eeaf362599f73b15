//! Live clusters: what is asked of kubectl, what is made of its answers, and what a snapshot keeps.
//!
//! A script stands in for kubectl: it answers each `get` with what stands in a file, or fails with the words of another.
#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests read files and may panic"
)]

mod diff;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Answers with `RESOURCE.json`, fails with `RESOURCE.err`, and else has nothing of the kind.
const KUBECTL: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >> "$here/log"
if [ "$1" = version ]; then
	what=version
else
	what=$2
fi
if [ -e "$here/$what.err" ]; then
	cat "$here/$what.err" >&2
	exit 1
fi
echo 'Warning: policy/v1beta1 PodSecurityPolicy is deprecated in v1.21+, unavailable in v1.25+' >&2
if [ -e "$here/$what.json" ]; then
	cat "$here/$what.json"
else
	echo '{"apiVersion": "v1", "items": [], "kind": "List", "metadata": {"resourceVersion": ""}}'
fi
"#;

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

fn psp2gatekeeper(arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
        .args(arguments)
        .output()
        .expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    Run {
        code: output.status.code().expect("it is not killed"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// A cluster, as a folder with its kubectl.
struct Cluster {
    folder: TempDir,
}

impl Cluster {
    /// A cluster whose only policy everybody may use, with one workload.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let kubectl = folder.path().join("kubectl");
        fs::write(&kubectl, KUBECTL).expect("it can be written");
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let res = Self { folder };
        res.answers("version", &json!({ "clientVersion": { "gitVersion": "v1.30.0" }, "serverVersion": { "gitVersion": "v1.24.17", "major": "1", "minor": "24" } }));
        for (resource, object) in objects() {
            let list =
                json!({ "apiVersion": "v1", "items": [object], "kind": "List", "metadata": {} });
            res.answers(resource, &list);
        }
        res
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn kubectl(&self) -> String {
        text(&self.path("kubectl")).to_owned()
    }

    fn answers(&self, resource: &str, answer: &Value) {
        let path = self.path(&format!("{resource}.json"));
        fs::write(path, answer.to_string()).expect("it can be written");
    }

    fn fails(&self, resource: &str, words: &str) {
        fs::write(self.path(&format!("{resource}.err")), words).expect("it can be written");
    }

    /// What kubectl was asked, one line each time.
    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Runs a command on the cluster, that of the current context.
    fn run(&self, command: &str, more: &[&str]) -> Run {
        let kubectl = self.kubectl();
        let arguments = [&[command, "--live", "--kubectl", &kubectl], more].concat();
        psp2gatekeeper(&arguments)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("it is UTF-8")
}

/// The objects of the cluster as an API server returns them, by resource.
fn objects() -> Vec<(&'static str, Value)> {
    let any = json!({ "rule": "RunAsAny" });
    let managed = json!([{ "manager": "kubectl", "operation": "Update" }]);
    let applied =
        json!({ "kubectl.kubernetes.io/last-applied-configuration": "{\"password\":\"hunter2\"}" });
    vec![
        (
            "podsecuritypolicies.policy",
            json!({
                "apiVersion": "policy/v1beta1",
                "kind": "PodSecurityPolicy",
                "metadata": { "name": "open", "managedFields": managed, "annotations": applied },
                "spec": { "runAsUser": any, "seLinux": any, "supplementalGroups": any, "fsGroup": any, "volumes": ["*"] },
            }),
        ),
        (
            "clusterroles.rbac.authorization.k8s.io",
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": { "name": "psp" },
                "rules": [{ "apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "verbs": ["use"] }],
            }),
        ),
        (
            "clusterrolebindings.rbac.authorization.k8s.io",
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": "psp" },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "psp" },
                "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:authenticated" }],
            }),
        ),
        (
            "deployments.apps",
            json!({
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": { "namespace": "shop", "name": "web", "annotations": applied },
                "spec": { "template": { "spec": { "containers": [
                    { "name": "web", "image": "web:1", "env": [{ "name": "PASSWORD", "value": "hunter2" }] },
                ] } } },
                "status": { "replicas": 3 },
            }),
        ),
    ]
}

/// The same objects as a file.
fn as_file(cluster: &Cluster) -> PathBuf {
    let path = cluster.path("cluster.json");
    let items: Vec<Value> = objects().into_iter().map(|it| it.1).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    fs::write(&path, list.to_string()).expect("it can be written");
    path
}

#[test]
fn a_live_cluster_is_the_same_as_its_objects_in_files() {
    let cluster = Cluster::new();
    let file = as_file(&cluster);
    let live = cluster.run("migrate", &[]);
    assert_eq!(live.code, 0, "{}", live.stderr);
    let files = psp2gatekeeper(&["migrate", "-f", text(&file)]);
    assert_eq!(live.stdout, files.stdout);
    // One workload, which only the live cluster itself can have told of.
    let diff = cluster.run("diff", &["--summary"]);
    assert_eq!(diff.code, 1, "{}", diff.stderr);
    assert_eq!(
        diff.stdout.lines().last(),
        Some(
            "diff: 0 objects changed, 2 added, 0 removed; 1 workload: 1 same, 0 now forbidden, 0 newly admitted, 0 stored differently"
        )
    );
}

#[test]
fn kubectl_is_asked_once_for_each_kind_and_only_to_read() {
    let cluster = Cluster::new();
    let kubectl = cluster.kubectl();
    let run = psp2gatekeeper(&[
        "migrate",
        "--context",
        "prod",
        "--kubeconfig",
        "/etc/config",
        "--kubectl",
        &kubectl,
    ]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let resources = [
        "podsecuritypolicies.policy",
        "clusterroles.rbac.authorization.k8s.io",
        "clusterrolebindings.rbac.authorization.k8s.io",
        "roles.rbac.authorization.k8s.io",
        "rolebindings.rbac.authorization.k8s.io",
        "namespaces",
        "serviceaccounts",
        "daemonsets.apps",
        "deployments.apps",
        "replicasets.apps",
        "statefulsets.apps",
        "cronjobs.batch",
        "jobs.batch",
        "replicationcontrollers",
        "podtemplates",
        "pods",
    ];
    let expected = resources.map(|it| {
        format!("get {it} -A -o json --chunk-size=500 --context prod --kubeconfig /etc/config\n")
    });
    let expected = expected.concat();
    assert_eq!(cluster.log(), expected);

    let target = cluster.path("snapshot");
    let run = cluster.run("snapshot", &["--out-dir", text(&target)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let log = cluster.log();
    let verbs = log.lines().filter_map(|it| it.split(' ').next());
    assert!(
        verbs.clone().all(|it| ["get", "version"].contains(&it)),
        "{log}"
    );
    assert!(verbs.clone().any(|it| it == "version"), "{log}");
}

#[test]
fn a_cluster_without_policies_of_its_kind_needs_an_earlier_snapshot() {
    for words in [
        "error: the server doesn't have a resource type \"podsecuritypolicies\"\n",
        "Error from server (NotFound): Unable to list \"policy/v1beta1, Resource=podsecuritypolicies\": the server could not find the requested resource\n",
    ] {
        let cluster = Cluster::new();
        cluster.fails("podsecuritypolicies.policy", words);
        for command in ["migrate", "resolve", "diff", "verify"] {
            let run = cluster.run(command, &[]);
            assert_eq!(run.code, 2, "{}", run.stderr);
            assert_eq!(run.stdout, "");
            for word in ["1.25", "snapshot", "-f"] {
                assert!(run.stderr.contains(word), "{}", run.stderr);
            }
        }
    }
}

#[test]
fn the_rules_that_are_missing_are_named_all_at_once() {
    let cluster = Cluster::new();
    let forbidden = |resource: &str, name: &str, group: &str| {
        let words = format!(
            "Error from server (Forbidden): {resource} is forbidden: User \"alice\" cannot list resource \"{name}\" in API group \"{group}\" at the cluster scope\n"
        );
        cluster.fails(resource, &words);
    };
    forbidden(
        "podsecuritypolicies.policy",
        "podsecuritypolicies",
        "policy",
    );
    forbidden(
        "roles.rbac.authorization.k8s.io",
        "roles",
        "rbac.authorization.k8s.io",
    );
    forbidden(
        "rolebindings.rbac.authorization.k8s.io",
        "rolebindings",
        "rbac.authorization.k8s.io",
    );
    forbidden("pods", "pods", "");
    let run = cluster.run("migrate", &[]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("User \"alice\" cannot list"));
    let rules = r#"
  - apiGroups: [""]
    resources: ["pods"]
    verbs: ["list"]
  - apiGroups: ["policy"]
    resources: ["podsecuritypolicies"]
    verbs: ["list"]
  - apiGroups: ["rbac.authorization.k8s.io"]
    resources: ["roles", "rolebindings"]
    verbs: ["list"]
"#;
    assert!(run.stderr.ends_with(rules), "{}", run.stderr);
}

#[test]
fn what_kubectl_complains_about_is_passed_on() {
    let cluster = Cluster::new();
    let words = "The connection to the server localhost:8080 was refused - did you specify the right host or port?";
    let log = "E1124 07:29:02.031400    8870 memcache.go:265] \"Unhandled Error\" err=\"couldn't get current server API group list\"\n";
    cluster.fails("namespaces", &format!("{log}{log}{words}\n"));
    let run = cluster.run("migrate", &[]);
    assert_eq!(run.code, 2);
    assert_eq!(
        run.stderr,
        format!("error: could not read `namespaces`: {words}\n")
    );

    // Its own word for what it is stands there already.
    let cluster = Cluster::new();
    cluster.fails("version", "error: context \"nope\" does not exist\n");
    let target = cluster.path("snapshot");
    let run = cluster.run("snapshot", &["--out-dir", text(&target)]);
    assert_eq!(
        run.stderr,
        "error: could not read the version: context \"nope\" does not exist\n"
    );

    let run = psp2gatekeeper(&["migrate", "--live", "--kubectl", "/no/such/kubectl"]);
    assert_eq!(run.code, 2);
    for word in ["could not run `/no/such/kubectl`", "--kubectl"] {
        assert!(run.stderr.contains(word), "{}", run.stderr);
    }
}

#[test]
fn an_answer_that_ends_too_soon_is_no_answer() {
    let cluster = Cluster::new();
    fs::write(cluster.path("pods.json"), r#"{"items": [{"kind": "Pod""#).expect("it is ours");
    let run = cluster.run("migrate", &[]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(
        run.stderr.contains("could not read `pods`"),
        "{}",
        run.stderr
    );
}

#[test]
fn input_is_either_live_or_files() {
    for arguments in [
        &["migrate", "--live", "-f", "x.yaml"][..],
        &["migrate", "--context", "prod", "-f", "x.yaml"],
        &["migrate", "--kubeconfig", "config", "-f", "x.yaml"],
        &["migrate", "--kubectl", "kubectl", "-f", "x.yaml"],
        &["migrate", "--kubectl", "kubectl"],
        &["migrate", "--live", "-R"],
        &["migrate"],
    ] {
        let run = psp2gatekeeper(arguments);
        assert_eq!(run.code, 2, "{arguments:?}");
        assert!(run.stderr.contains("Usage:"), "{}", run.stderr);
    }
}

#[test]
fn a_snapshot_keeps_what_the_other_commands_need_and_no_secrets() {
    let cluster = Cluster::new();
    let lease = |time: &str| json!({ "kind": "Lease", "spec": { "renewTime": time } });
    let leases = [
        lease("2024-05-01T10:00:07.000000Z"),
        lease("2024-05-01T10:00:09.500000Z"),
        lease("2024-05-01T10:00:01.000000Z"),
        json!({ "kind": "Lease", "spec": {} }),
    ];
    cluster.answers(
        "leases.coordination.k8s.io",
        &json!({ "items": leases, "kind": "List" }),
    );
    let target = cluster.path("snapshot");
    let run = cluster.run("snapshot", &["--out-dir", text(&target)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stdout, "");

    let told: Value = serde_json::from_str(&read(&target, "snapshot.json")).expect("it is JSON");
    assert_eq!(told["apiVersion"], "psp2gatekeeper/v1");
    assert_eq!(told["kind"], "Snapshot");
    assert_eq!(told["serverVersion"]["gitVersion"], "v1.24.17");
    assert_eq!(told["newestLeaseRenewal"], "2024-05-01T10:00:09.500000Z");
    assert_eq!(told["envRedacted"], true);
    let files = told["files"].as_array().expect("it is a list");
    assert_eq!(files.len(), 16);
    assert!(files.contains(&json!({ "file": "deployments.json", "objects": 1 })));
    assert!(files.contains(&json!({ "file": "pods.json", "objects": 0 })));

    for entry in fs::read_dir(&target).expect("it is there") {
        let text = fs::read_to_string(entry.expect("it is there").path()).expect("it is a text");
        for word in ["hunter2", "managedFields", "last-applied", "\"status\""] {
            assert!(!text.contains(word), "{text}");
        }
    }
    let deployments: Value =
        serde_json::from_str(&read(&target, "deployments.json")).expect("it is JSON");
    let variable = "/items/0/spec/template/spec/containers/0/env/0";
    assert_eq!(
        deployments.pointer(variable),
        Some(&json!({ "name": "PASSWORD", "value": "REDACTED" }))
    );

    let live = cluster.run("migrate", &[]);
    let kept = psp2gatekeeper(&["migrate", "-f", text(&target)]);
    assert_eq!(kept.code, 0, "{}", kept.stderr);
    assert_eq!(live.stdout, kept.stdout);
    let out = cluster.path("out");
    let live = cluster.run("diff", &["--out-dir", text(&out)]);
    let kept = psp2gatekeeper(&["diff", "-f", text(&target), "--out-dir", text(&out)]);
    assert_eq!(live.stdout, kept.stdout);
    assert!(kept.stdout.contains("2 added"), "{}", kept.stdout);
}

#[test]
fn the_environment_is_kept_when_asked_for() {
    let cluster = Cluster::new();
    let target = cluster.path("snapshot");
    let run = cluster.run("snapshot", &["--keep-env", "--out-dir", text(&target)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stderr.contains("does not tell the time"),
        "{}",
        run.stderr
    );
    let told: Value = serde_json::from_str(&read(&target, "snapshot.json")).expect("it is JSON");
    assert_eq!(told["envRedacted"], false);
    assert_eq!(told.get("newestLeaseRenewal"), None);
    let text = read(&target, "deployments.json");
    assert_eq!(text.matches("hunter2").count(), 1, "{text}");
}

#[test]
fn a_snapshot_is_written_whole_or_not_at_all() {
    let cluster = Cluster::new();
    let target = cluster.path("snapshot");
    let arguments = ["--out-dir", text(&target)];
    cluster.fails("pods", "Unable to connect to the server: EOF\n");
    assert_eq!(cluster.run("snapshot", &arguments).code, 2);
    assert!(!target.exists());

    fs::remove_file(cluster.path("pods.err")).expect("it is there");
    assert_eq!(cluster.run("snapshot", &arguments).code, 0);
    // A second one replaces the first.
    let empty = json!({ "apiVersion": "v1", "kind": "List", "items": [] });
    cluster.answers("deployments.apps", &empty);
    assert_eq!(cluster.run("snapshot", &arguments).code, 0);
    assert!(!read(&target, "deployments.json").contains("web"));

    fs::write(target.join("mine.yaml"), "kind: Mine\n").expect("it can be written");
    let before = read(&target, "snapshot.json");
    cluster.answers(
        "version",
        &json!({ "serverVersion": { "gitVersion": "v1.23.0" } }),
    );
    let run = cluster.run("snapshot", &arguments);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("mine.yaml"), "{}", run.stderr);
    assert_eq!(read(&target, "snapshot.json"), before);
    assert_eq!(
        cluster
            .run("snapshot", &[&arguments[..], &["--force"]].concat())
            .code,
        0
    );
    assert_eq!(read(&target, "mine.yaml"), "kind: Mine\n");
}

#[test]
fn an_output_directory_is_no_place_for_a_snapshot() {
    let cluster = Cluster::new();
    let target = cluster.path("gatekeeper");
    let arguments = ["--out-dir", text(&target)];
    assert_eq!(cluster.run("migrate", &arguments).code, 0);
    let run = cluster.run("snapshot", &arguments);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("REPORT.md"), "{}", run.stderr);
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).expect("it is there")
}

#[test]
fn a_cluster_is_not_read_where_nothing_can_be_written() {
    let cluster = Cluster::new();
    let file = cluster.path("file");
    fs::write(&file, "ours").expect("it can be written");
    let run = cluster.run("snapshot", &["--out-dir", text(&file)]);
    assert_eq!(run.code, 2);
    assert_eq!(cluster.log(), "");
}
