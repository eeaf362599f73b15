//! That the commands which README.md and the help show can be run as they stand.
//!
//! Those that read a cluster or write into a home directory are passed over.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read files and may panic"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_psp2gatekeeper");
const CHECKOUT: &str = env!("CARGO_MANIFEST_DIR");

/// What the examples of the help call the user's cluster: little, so that it is judged fast.
const CLUSTER: &str = "\
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: plain}
spec: {volumes: ['*'], runAsUser: {rule: RunAsAny}, seLinux: {rule: RunAsAny}, supplementalGroups: {rule: RunAsAny}, fsGroup: {rule: RunAsAny}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: plain}
rules: [{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [plain], verbs: [use]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: plain}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: plain}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:authenticated}]
";

/// What needs more than files: a cluster, a home, or minutes.
const PASSED_OVER: [&str; 6] = [
    "--live",
    "psp2gatekeeper snapshot",
    "kubectl get",
    "~/",
    "fpath",
    "--requests 1000000",
];

/// A directory with the files that the commands name, as a user would have them.
fn workplace() -> TempDir {
    let res = tempfile::tempdir().expect("there is room");
    let path = |name: &str| res.path().join(name);
    let examples = Path::new(CHECKOUT).join("examples");
    fs::create_dir_all(path("examples/cluster")).expect("it is ours");
    for file in [
        "pod.yaml",
        "cluster/policies.yaml",
        "cluster/rbac.yaml",
        "cluster/workloads.yaml",
    ] {
        fs::copy(examples.join(file), path("examples").join(file)).expect("it is there");
    }
    let pod = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "shop"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}"#;
    let review = format!(
        r#"{{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {{"uid": "1", "operation": "CREATE", "namespace": "shop", "userInfo": {{"username": "alice"}}, "object": {pod}}}}}"#
    );
    let (policy, rbac) = CLUSTER.split_once("---\n").expect("there are two");
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec: {template: {spec: {containers: [{name: c, image: i}]}}}\n";
    for (file, text) in [
        ("cluster/all.yaml", CLUSTER),
        ("production/all.yaml", CLUSTER),
        ("policies.yaml", policy),
        ("rbac/all.yaml", rbac),
        ("workloads.yaml", deployment),
        ("deploy/shop/web.yaml", deployment),
        ("pod.yaml", pod),
        ("pods.json", pod),
        ("reviews.jsonl", &review),
    ] {
        fs::create_dir_all(path(file).parent().expect("it has one")).expect("it is ours");
        fs::write(path(file), text).expect("it is ours");
    }
    res
}

/// Runs them in order, as they stand; returns how many were run.
fn run_all<'a>(workplace: &TempDir, commands: impl Iterator<Item = &'a str>) -> usize {
    let directory = Path::new(PROGRAM).parent().expect("it is in one").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut res = 0;
    for command in commands {
        if PASSED_OVER.iter().any(|it| command.contains(it)) {
            continue;
        }
        let as_built = command.replace("cargo run --release --", "psp2gatekeeper");
        let output = Command::new("bash")
            .args(["-c", &as_built])
            .current_dir(workplace)
            .env("PATH", format!("{directory}:{path}"))
            .env("KUBECTL_EXTERNAL_DIFF", "")
            .output()
            .expect("there is a shell");
        let code = output.status.code();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(code, Some(0 | 1)), "`{command}`: {stderr}");
        res += 1;
    }
    res
}

#[test]
fn the_commands_of_the_readme_can_be_run() {
    let readme = fs::read_to_string(Path::new(CHECKOUT).join("README.md")).expect("it is there");
    let blocks = readme.split("```sh\n").skip(1);
    let lines = blocks.filter_map(|it| it.split("```").next());
    let lines = lines.flat_map(str::lines);
    let commands = lines.filter(|it| it.contains("psp2gatekeeper") || it.contains("cargo run"));
    assert!(run_all(&workplace(), commands) > 7);
}

#[test]
fn the_examples_of_the_help_can_be_run_and_are_not_wrapped() {
    let place = workplace();
    // What an earlier run wrote is what later ones are compared with.
    let earlier = ["psp2gatekeeper migrate -f cluster --out-dir gatekeeper"];
    run_all(&place, earlier.into_iter());
    let mut examples = 0;
    for command in [
        "migrate",
        "diff",
        "bake",
        "explain",
        "review",
        "resolve",
        "verify",
        "snapshot",
        "man",
        "completion",
    ] {
        let output = Command::new(PROGRAM)
            .args(["help", command])
            .output()
            .expect("it runs");
        let help = String::from_utf8(output.stdout).expect("it is a text");
        let (_, shown) = help.split_once("\nExamples:\n").expect("there are some");
        let shown = shown.split("\nExit codes: ").next().unwrap_or_default();
        let shown = shown.replace("\\\n", " ");
        let lines = shown.lines().filter(|it| !it.is_empty());
        let lines: Vec<&str> = lines.map(str::trim_start).collect();
        for line in &lines {
            let begins = [
                "# ",
                "psp2gatekeeper ",
                "kubectl ",
                "KUBECTL_",
                "man ",
                "source ",
            ];
            assert!(begins.iter().any(|it| line.starts_with(it)), "`{line}`");
        }
        let commands = lines.into_iter().filter(|it| !it.starts_with('#'));
        // A program that is not everywhere.
        let commands: Vec<String> = commands.map(|it| it.replace("meld", "diff")).collect();
        let commands = commands.iter().filter(|it| it.contains("psp2gatekeeper "));
        examples += run_all(&place, commands.map(String::as_str));
    }
    assert!(examples > 18, "{examples}");
}
