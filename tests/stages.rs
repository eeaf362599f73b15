//! Enforcement namespace by namespace: each has exactly one constraint, and moves by a line.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read files and may panic"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use psp2gatekeeper::admission::{AdmissionRequest, Operation, UserInfo};
use psp2gatekeeper::api::core::Pod;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::manifest::{Folder, Manifest};
use serde_json::json;
use tempfile::TempDir;

/// A policy for everybody that allows next to nothing, and namespaces.
const CLUSTER: &str = "\
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: plain}
spec: {runAsUser: {rule: RunAsAny}, seLinux: {rule: RunAsAny}, supplementalGroups: {rule: RunAsAny}, fsGroup: {rule: RunAsAny}}
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
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:serviceaccounts}]
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: tools}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: team-a}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: team-b}}
";

/// What a run wrote.
struct Run {
    code: Option<i32>,
    stderr: String,
    directory: TempDir,
}

impl Run {
    fn migrate(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("cluster.yaml"), CLUSTER).expect("it is written");
        let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
            .args(["migrate", "-f", "cluster.yaml", "--out-dir", "out"])
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .expect("it runs");
        Self {
            code: output.status.code(),
            stderr: String::from_utf8(output.stderr).expect("text"),
            directory,
        }
    }

    /// The constraints by file.
    fn constraints(&self) -> BTreeMap<String, String> {
        texts(&self.directory.path().join("out/3-constraints"))
    }

    fn gatekeeper(&self) -> GatekeeperAdmission {
        let manifests: Vec<Manifest> = ["1-templates", "3-constraints"]
            .iter()
            .flat_map(|it| texts(&self.directory.path().join("out").join(it)))
            .filter(|(name, _)| name != "kustomization.yaml")
            .map(|(name, text)| Manifest {
                folder: Folder::Constraints,
                kind: "file".to_owned(),
                name,
                text,
            })
            .collect();
        GatekeeperAdmission::from_manifests(&manifests, &BTreeMap::new()).expect("it loads")
    }

    fn verify(&self, arguments: &[&str]) -> Option<i32> {
        let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
            .args(["verify", "-f", "cluster.yaml", "--manifests", "out"])
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .expect("it runs");
        output.status.code()
    }
}

fn texts(directory: &Path) -> BTreeMap<String, String> {
    fs::read_dir(directory)
        .expect("it is there")
        .map(|it| {
            let it = it.expect("it can be read");
            let name = it.file_name().to_string_lossy().into_owned();
            (name, fs::read_to_string(it.path()).expect("text"))
        })
        .collect()
}

/// A pod that no policy admits.
fn privileged(namespace: &str) -> AdmissionRequest {
    let pod = json!({
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "serviceAccountName": "default",
            "containers": [{"name": "web", "image": "web", "securityContext": {"privileged": true}}],
        },
    });
    AdmissionRequest {
        uid: String::new(),
        namespace: namespace.to_owned(),
        operation: Operation::Create,
        subresource: String::new(),
        user_info: UserInfo::default(),
        pod: Pod(pod.as_object().expect("an object").clone()),
        old_pod: None,
    }
}

/// Checks by which constraint a namespace is enforced, and how; there must be exactly one.
#[track_caller]
fn check(gatekeeper: &GatekeeperAdmission, namespace: &str, expected: &str) {
    let violations = gatekeeper
        .validate(&privileged(namespace))
        .expect("it can be judged");
    let actual: Vec<String> = violations
        .iter()
        .map(|it| {
            let name = it.constraint.rsplit('/').next().unwrap_or_default();
            format!("{name}: {}", it.enforcement_action)
        })
        .collect();
    assert_eq!(actual, [expected], "{namespace}");
}

#[test]
fn each_namespace_has_exactly_one_constraint() {
    let rest = "pod-security-policies: dryrun";
    let deny = "pod-security-policies-deny: deny";
    let warn = "pod-security-policies-warn: warn";
    let run = Run::migrate(&[
        "--deny",
        "shop,team-*",
        "--warn",
        "tools",
        "--warn",
        "old-*",
    ]);
    let gatekeeper = run.gatekeeper();
    for (namespace, expected) in [
        ("shop", deny),
        ("team-a", deny),
        ("team-", deny),
        ("team", rest),
        ("shop-2", rest),
        ("tools", warn),
        ("old-tools", warn),
        ("kube-system", rest),
        ("default", rest),
        ("x", rest),
    ] {
        check(&gatekeeper, namespace, expected);
    }
    let run = Run::migrate(&["--deny", "*"]);
    check(&run.gatekeeper(), "anywhere", deny);
    let run = Run::migrate(&["--warn", "shop", "--enforcement-action", "deny"]);
    check(&run.gatekeeper(), "shop", warn);
    check(&run.gatekeeper(), "tools", "pod-security-policies: deny");
    let run = Run::migrate(&[]);
    check(&run.gatekeeper(), "shop", rest);
}

/// Checks which lines of which files come and go: `+` and `-`, the file and the line.
#[track_caller]
fn check_lines(before: &[&str], after: &[&str], expected: &[&str]) {
    let before = Run::migrate(before).constraints();
    let after = Run::migrate(after).constraints();
    assert!(before.keys().eq(after.keys()), "the same files");
    let mut actual = Vec::new();
    for (name, old) in &before {
        let short = name
            .trim_start_matches("podsecuritypolicyadmission-")
            .trim_end_matches(".yaml");
        let new = after.get(name).expect("the same files");
        let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
        let lost = old.iter().filter(|it| !new.contains(it));
        actual.extend(lost.map(|it| format!("-{short}:{it}")));
        let gained = new.iter().filter(|it| !old.contains(it));
        actual.extend(gained.map(|it| format!("+{short}:{it}")));
        let balance = new.len().abs_diff(old.len());
        assert!(balance <= 1, "{name}: {balance} lines more or less");
    }
    assert_eq!(actual, expected);
}

#[test]
fn a_namespace_moves_by_a_line_in_a_list() {
    check_lines(
        &["--deny", "shop", "--warn", "tools,team-a"],
        &["--deny", "shop,team-a", "--warn", "tools"],
        &[
            "+pod-security-policies-deny:      - \"team-a\"",
            "-pod-security-policies-warn:      - \"team-a\"",
        ],
    );
    check_lines(
        &["--deny", "shop"],
        &["--deny", "shop,team-a"],
        &[
            "+pod-security-policies-deny:      - \"team-a\"",
            "+pod-security-policies:      - \"team-a\"",
        ],
    );
}

#[test]
fn a_directory_is_judged_as_it_enforces_or_as_if_it_denied() {
    let run = Run::migrate(&["--deny", "shop,team-*,tools"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert_eq!(run.verify(&["--enforcement-action", "deny"]), Some(0));
    assert_eq!(run.verify(&[]), Some(1), "the rest does not deny");
    let run = Run::migrate(&["--deny", "shop", "--enforcement-action", "deny"]);
    assert_eq!(run.verify(&[]), Some(0), "all deny");
    let run = Run::migrate(&["--warn", "shop", "--enforcement-action", "deny"]);
    assert_eq!(run.verify(&[]), Some(1), "one only warns");
}

#[test]
fn what_cannot_be_meant_is_told() {
    let run = Run::migrate(&["--deny", "shop", "--warn", "sh*"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr
            .contains("both `shop`, to be denied, and `sh*`, to be warned"),
        "{}",
        run.stderr
    );
    let run = Run::migrate(&["--deny", "Shop"]);
    assert_eq!(run.code, Some(2));
    assert!(
        run.stderr.contains("expected the name of a namespace"),
        "{}",
        run.stderr
    );
    let run = Run::migrate(&["--deny", "shops", "--strict"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains(
            "warning[namespace-not-found]: nothing in the input is in a namespace `shops`"
        ),
        "{}",
        run.stderr
    );
}
