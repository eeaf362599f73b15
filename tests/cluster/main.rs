//! Real clusters: the printed steps bring the output in, and pods created through kubectl are decided as `review` said.
//!
//! Needs throw-away clusters whose administrator one is, so both tests are ignored unless asked for; CONTRIBUTING.md
//! has the command. What they make there stays, but for what the clean-up deletes.
#![cfg(unix)]
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests read files, may panic, and tell what was asked"
)]

mod ask;
mod kubectl;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use ask::{ALICE, Engine, Question, ROOT, compare, is_refusal_of_gatekeeper, questions};
use kubectl::Kubectl;

const PROJECT: &str = env!("CARGO_MANIFEST_DIR");
const KIND: &str = "podsecuritypolicyadmission";

/// Runs the program; what it prints is for who looks at a failure.
fn psp2gatekeeper(kubectl: &Kubectl, arguments: &[&str]) -> String {
    let output = kubectl
        .environment(&mut Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper")))
        .args(arguments)
        .output()
        .expect("the program starts");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {}", output.status);
    String::from_utf8(output.stdout).expect("it writes UTF-8")
}

fn path(path: &Path) -> &str {
    path.to_str().expect("it is UTF-8")
}

/// The files that the cluster is made of.
fn inputs() -> Vec<PathBuf> {
    let examples = Path::new(PROJECT).join("examples/cluster");
    let names = ["policies.yaml", "rbac.yaml", "workloads.yaml"];
    let mut res: Vec<PathBuf> = names.iter().map(|it| examples.join(it)).collect();
    res.push(Path::new(PROJECT).join("tests/cluster/input.yaml"));
    res
}

/// Applies the objects of the input, namespaces first.
fn load(kubectl: &Kubectl, keep: impl Fn(&str) -> bool) {
    let mut objects: Vec<Value> = Vec::new();
    for file in inputs() {
        let text = fs::read_to_string(file).expect("the file is there");
        let documents = serde_yaml::Deserializer::from_str(&text);
        objects.extend(documents.map(|it| Value::deserialize(it).expect("it is YAML")));
    }
    objects.retain(|it| it["kind"].as_str().is_some_and(&keep));
    objects.sort_by_key(|it| it["kind"] != "Namespace");
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": objects });
    kubectl
        .stdin(&["apply", "-f", "-"], &list.to_string())
        .expect("the input is applied");
}

/// Pastes those commands of the report's next steps that apply something, with what stands beside them.
fn paste_steps(kubectl: &Kubectl, out: &Path) {
    let report = report(out);
    let steps = report["steps"].as_array().expect("there are steps");
    let commands = steps.iter().filter_map(|it| it["command"].as_str());
    let commands: Vec<&str> = commands
        .filter(|it| it.starts_with("kubectl apply"))
        .collect();
    assert!(
        commands.len() >= 3,
        "templates, mutators and constraints: {commands:?}"
    );
    for command in commands {
        kubectl.shell(out, command);
    }
    kubectl.wait_until_enforced();
}

fn report(out: &Path) -> Value {
    let text = fs::read_to_string(out.join("report.json")).expect("there is a report");
    serde_json::from_str(&text).expect("it is JSON")
}

#[test]
#[ignore = "needs a throw-away cluster with PodSecurityPolicy and Gatekeeper; CONTRIBUTING.md says how"]
fn a_cluster_goes_over_from_podsecuritypolicy() {
    let kubectl = Kubectl::of("CLUSTER_WITH_PSP");
    let folder = tempfile::tempdir().expect("there is room");
    let (snapshot, out) = (folder.path().join("snapshot"), folder.path().join("out"));
    load(&kubectl, |_| true);
    psp2gatekeeper(&kubectl, &["snapshot", "--out-dir", path(&snapshot)]);
    let migrate = "migrate --live --enforcement-action deny --allow-looser --out-dir";
    let migrate: Vec<&str> = migrate.split(' ').chain([path(&out)]).collect();
    psp2gatekeeper(&kubectl, &migrate);
    paste_steps(&kubectl, &out);

    let diff = psp2gatekeeper(
        &kubectl,
        &[
            "diff",
            "--live",
            "--enforcement-action",
            "deny",
            "--exit-zero",
            "--summary",
        ],
    );
    assert!(
        diff.contains("diff: 0 objects changed, 0 added, 0 removed"),
        "{diff}"
    );

    let questions = questions();
    compare(&kubectl, &snapshot, &out, &questions, Engine::Both);

    // PodSecurityPolicy steps aside everywhere, so what is left is Gatekeeper.
    let report = report(&out);
    let steps = report["handOver"]["steps"]
        .as_array()
        .expect("there are steps");
    let commands = steps.iter().filter_map(|it| it["command"].as_str());
    let commands: Vec<&str> = commands
        .filter(|it| it.contains("0-psp2gatekeeper-hand-over"))
        .collect();
    assert_eq!(commands.len(), 2, "one namespace, then all: {commands:?}");
    for command in commands {
        kubectl.shell(&out, &command.replace("NAMESPACE", "shop"));
    }
    kubectl.wait_until_psp_stands_aside();
    compare(&kubectl, &snapshot, &out, &questions, Engine::Gatekeeper);

    for command in report["cleanUp"]["commands"]
        .as_array()
        .expect("there are commands")
    {
        kubectl.shell(&out, command.as_str().expect("it is text"));
    }
    let left = kubectl
        .run(&["get", "podsecuritypolicies", "-o", "name"])
        .expect("they can be read");
    assert_eq!(left, "", "policies are left");
    for (kind, name) in [
        ("clusterrole", "psp:restricted"),
        ("clusterrolebinding", "psp:restricted"),
        ("clusterrole", "0-psp2gatekeeper-hand-over"),
    ] {
        kubectl
            .run(&["get", kind, name])
            .expect_err("it was deleted");
    }
    kubectl
        .run(&["get", "clusterrole", "create-pods"])
        .expect("it has nothing to do with PSP");
}

#[test]
#[ignore = "needs a throw-away cluster after PodSecurityPolicy, with Gatekeeper; CONTRIBUTING.md says how"]
fn a_cluster_after_podsecuritypolicy_decides_the_same() {
    let kubectl = Kubectl::of("CLUSTER_WITHOUT_PSP");
    let folder = tempfile::tempdir().expect("there is room");
    let out = folder.path().join("out");
    load(&kubectl, |kind| kind != "PodSecurityPolicy");
    let input = folder.path().join("input");
    fs::create_dir(&input).expect("there is room");
    for file in inputs() {
        let name = file.file_name().expect("it is a file");
        fs::copy(&file, input.join(name)).expect("it can be read");
    }
    let migrate = [
        "migrate",
        "-f",
        path(&input),
        "--enforcement-action",
        "deny",
        "--allow-looser",
        "--out-dir",
        path(&out),
    ];
    psp2gatekeeper(&kubectl, &migrate);
    paste_steps(&kubectl, &out);
    compare(
        &kubectl,
        &input,
        &out,
        &questions(),
        Engine::GatekeeperAfterPsp,
    );
    newer_pods(&kubectl);
}

/// A pod that uses what came after Kubernetes 1.24, and what becomes of it.
#[derive(Deserialize)]
struct Newer {
    name: String,
    /// What the server must know, as a JSON pointer.
    #[serde(default)]
    needs: String,
    #[serde(default)]
    namespace: Option<String>,
    admitted: bool,
    why: String,
    /// Laid over a pod that keeps to the policy.
    spec: serde_json::Map<String, Value>,
}

fn newer_pods(kubectl: &Kubectl) {
    let text = fs::read_to_string(Path::new(PROJECT).join("tests/cluster/newer.yaml"))
        .expect("it is there");
    let rows: Vec<Newer> = serde_yaml::from_str(&text).expect("it is well-formed");
    let (mut asked, mut wrong) = (0, Vec::new());
    for row in rows {
        let place = (row.namespace.as_deref().unwrap_or("shop"), "default");
        let pod = kept_to_the_policy(&row);
        // An administrator may use every policy, so what comes back is what the API server makes of the pod.
        let stored = kubectl.create(&Question::new(pod.clone(), place, ROOT));
        let stored = stored.unwrap_or_else(|it| panic!("{}: {it}", row.name));
        if stored.pointer(&row.needs).is_none() {
            eprintln!("{}: not asked, the server drops {}", row.name, row.needs);
            continue;
        }
        asked += 1;
        let answer = kubectl.create(&Question::new(pod, place, ALICE));
        let is_right = match &answer {
            Ok(_) => row.admitted,
            Err(complaint) => !row.admitted && is_refusal_of_gatekeeper(complaint),
        };
        if !is_right {
            wrong.push(format!("{}: {}: {answer:?}", row.name, row.why));
        }
    }
    eprintln!("{asked} pods asked that are newer than PodSecurityPolicy");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked >= 3, "hardly anything was asked");
}

/// A pod to which the policy `restricted` has nothing to object, but for what the row says.
fn kept_to_the_policy(row: &Newer) -> Value {
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": row.name },
        "spec": {
            "securityContext": {
                "fsGroup": 1,
                "seccompProfile": { "type": "RuntimeDefault" },
                "supplementalGroups": [1],
            },
            "containers": [{
                "name": "main",
                "image": "registry.example.com/main:1",
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": { "drop": ["ALL"] },
                    "runAsUser": 1000,
                },
            }],
        },
    });
    for (key, value) in &row.spec {
        match (&mut pod["spec"][key], value) {
            (Value::Object(below), Value::Object(above)) => below.extend(above.clone()),
            (below, above) => *below = above.clone(),
        }
    }
    pod
}
