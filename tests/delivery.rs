//! How the output comes into a cluster, and PodSecurityPolicy out of it.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests read files and may panic"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use psp2gatekeeper::admission::{AdmissionRequest, Operation, UserInfo};
use psp2gatekeeper::api::core::Pod;
use psp2gatekeeper::input::{LoadOptions, Source, load};
use psp2gatekeeper::psp::PspAdmission;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A cluster with mutators.
const CLUSTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/cluster");

fn run(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("it runs")
}

/// Runs `migrate` into `clusters/out` of a new directory.
fn migrate(arguments: &[&str]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let (code, stderr) = again(&directory, arguments);
    assert_eq!(code, Some(0), "{stderr}");
    directory
}

/// Runs `migrate` into `clusters/out` of the directory; returns its exit code and what it says.
fn again(directory: &TempDir, arguments: &[&str]) -> (Option<i32>, String) {
    let all = [
        "migrate",
        "-f",
        CLUSTER,
        "--allow-looser",
        "--out-dir",
        "clusters/out",
    ];
    let output = run(directory.path(), &[&all[..], arguments].concat());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr)
}

/// The documents of a file of the output.
fn documents(directory: &TempDir, path: &str) -> Vec<Value> {
    let path = directory.path().join("clusters/out").join(path);
    let text = fs::read_to_string(&path).expect("the file is there");
    serde_yaml::Deserializer::from_str(&text)
        .map(|it| Value::deserialize(it).expect("it is YAML"))
        .collect()
}

fn is_there(directory: &TempDir, path: &str) -> bool {
    directory.path().join("clusters/out").join(path).exists()
}

const FOLDERS: [&str; 4] = ["1-templates", "2-mutators", "3-constraints", "4-expansion"];

#[test]
fn with_kubectl_no_kustomization_has_all_folders() {
    let out = migrate(&["--expand", "warn"]);
    assert!(!is_there(&out, "kustomization.yaml"));
    assert!(!is_there(&out, "flux.yaml"));
    for folder in FOLDERS {
        let kustomization = &documents(&out, &format!("{folder}/kustomization.yaml"))[0];
        assert_eq!(kustomization["commonAnnotations"], Value::Null);
        for file in kustomization["resources"].as_array().expect("a list") {
            let file = file.as_str().expect("a name");
            assert!(
                is_there(&out, &format!("{folder}/{file}")),
                "{folder}/{file}"
            );
        }
    }
}

#[test]
fn argo_cd_goes_from_wave_to_wave() {
    let out = migrate(&["--layout", "argocd", "--expand", "warn"]);
    assert_eq!(
        documents(&out, "kustomization.yaml")[0]["resources"],
        json!(FOLDERS)
    );
    for (wave, folder) in FOLDERS.iter().enumerate() {
        let kustomization = &documents(&out, &format!("{folder}/kustomization.yaml"))[0];
        let annotations = &kustomization["commonAnnotations"];
        assert_eq!(
            annotations["argocd.argoproj.io/sync-wave"],
            wave.to_string()
        );
        let options = annotations["argocd.argoproj.io/sync-options"]
            .as_str()
            .unwrap_or_default();
        let skips = options.contains("SkipDryRunOnMissingResource=true");
        assert_eq!(skips, *folder == "3-constraints", "{folder}");
    }
}

/// Checks the Kustomizations of Flux: name, path, what they depend on, and whether they wait for the kind of the constraints.
#[track_caller]
fn check_flux(out: &TempDir, expected: &[(&str, &str, Value, bool)]) {
    assert_eq!(
        documents(out, "kustomization.yaml")[0]["resources"],
        json!(["flux.yaml"])
    );
    let parts: Vec<Value> = documents(out, "flux.yaml")
        .into_iter()
        .filter(|it| !it.is_null())
        .collect();
    assert_eq!(parts.len(), expected.len());
    for (part, (name, path, depends_on, waits)) in parts.iter().zip(expected) {
        assert_eq!(part["metadata"]["name"], *name);
        assert_eq!(part["spec"]["path"], *path);
        assert_eq!(part["spec"]["dependsOn"], *depends_on);
        let crd = "podsecuritypolicyadmission.constraints.gatekeeper.sh";
        assert_eq!(part["spec"]["healthChecks"][0]["name"] == crd, *waits);
    }
}

#[test]
fn flux_waits_from_folder_to_folder() {
    let out = migrate(&["--layout", "flux"]);
    check_flux(
        &out,
        &[
            (
                "psp2gatekeeper-templates",
                "./clusters/out/1-templates",
                Value::Null,
                true,
            ),
            (
                "psp2gatekeeper-mutators",
                "./clusters/out/2-mutators",
                json!([{"name": "psp2gatekeeper-templates"}]),
                false,
            ),
            (
                "psp2gatekeeper-constraints",
                "./clusters/out/3-constraints",
                json!([{"name": "psp2gatekeeper-mutators"}]),
                false,
            ),
        ],
    );
    let out = migrate(&[
        "--layout",
        "flux",
        "--no-mutators",
        "--repository-path",
        "./a",
    ]);
    check_flux(
        &out,
        &[
            (
                "psp2gatekeeper-templates",
                "./a/1-templates",
                Value::Null,
                true,
            ),
            (
                "psp2gatekeeper-constraints",
                "./a/3-constraints",
                json!([{"name": "psp2gatekeeper-templates"}]),
                false,
            ),
        ],
    );
    let directory = tempfile::tempdir().expect("a directory");
    let arguments = [
        "migrate",
        "-f",
        CLUSTER,
        "--layout",
        "flux",
        "--out-dir",
        "../out",
    ];
    let output = run(directory.path(), &arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--repository-path"));
}

/// What is beside the manifests is for tools, and neither judged nor compared.
#[test]
fn other_commands_read_every_layout() {
    for layout in ["plain", "argocd", "flux"] {
        let out = migrate(&[
            "--layout",
            layout,
            "--expand",
            "warn",
            "--enforcement-action",
            "deny",
        ]);
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nspec: {containers: [{name: c, image: i}]}\n";
        fs::write(out.path().join("pod.yaml"), pod).expect("it is written");
        let review = [
            "review",
            "-f",
            CLUSTER,
            "--manifests",
            "clusters/out",
            "--requests",
            "pod.yaml",
        ];
        let output = run(out.path(), &review);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(2), "{stderr}");
        let diff = [
            "diff",
            "-f",
            CLUSTER,
            "--out-dir",
            "clusters/out",
            "--expand",
            "warn",
            "--enforcement-action",
            "deny",
            "--exit-zero",
        ];
        let output = run(out.path(), &diff);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            stdout.contains("diff: 0 objects changed, 0 added, 0 removed;"),
            "{stdout}"
        );
    }
}

#[test]
fn the_chart_is_told_to_refuse_what_it_cannot_ask_about() {
    let values = |arguments: &[&str]| {
        let out = migrate(arguments);
        documents(&out, "gatekeeper-values.yaml").remove(0)
    };
    let with = values(&[]);
    assert_eq!(with["validatingWebhookFailurePolicy"], "Fail");
    assert_eq!(with["mutatingWebhookFailurePolicy"], "Fail");
    assert_eq!(with["disableMutation"], false);
    let rules = |of: &Value| {
        let rules = of["validatingWebhookCustomRules"]
            .as_array()
            .expect("a list");
        rules
            .iter()
            .map(|it| it["resources"].to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(rules(&with), [r#"["pods"]"#, r#"["*"]"#]);
    let without = values(&["--no-mutators", "--expand", "warn"]);
    assert_eq!(without["disableMutation"], true);
    assert_eq!(without["mutatingWebhookFailurePolicy"], Value::Null);
    assert_eq!(without["enableGeneratorResourceExpansion"], true);
    assert!(rules(&without).iter().any(|it| it.contains("deployments")));
}

#[test]
fn mutators_reach_expanded_pods_by_a_twin_of_their_own() {
    let out = migrate(&["--expand", "warn"]);
    let mutators =
        fs::read_dir(out.path().join("clusters/out/2-mutators")).expect("there are some");
    let mut by_name = BTreeMap::new();
    for entry in mutators {
        let name = entry
            .expect("it can be read")
            .file_name()
            .to_string_lossy()
            .into_owned();
        if name != "kustomization.yaml" {
            let object = documents(&out, &format!("2-mutators/{name}")).remove(0);
            let name = object["metadata"]["name"]
                .as_str()
                .expect("a name")
                .to_owned();
            by_name.insert(name, object["spec"].clone());
        }
    }
    let twins = by_name
        .keys()
        .filter(|it| it.ends_with("-expanded"))
        .count();
    assert!(
        twins > 0 && 2 * twins == by_name.len(),
        "{twins} of {}",
        by_name.len()
    );
    for (name, spec) in &by_name {
        let Some(original) = name.strip_suffix("-expanded") else {
            continue;
        };
        let original = &by_name[original];
        assert_eq!(spec["match"]["source"], "Generated");
        assert_eq!(spec["applyTo"][0]["operations"], Value::Null);
        assert_eq!(original["applyTo"][0]["operations"], json!(["CREATE"]));
        assert_eq!(spec["parameters"], original["parameters"]);
        assert_eq!(spec["location"], original["location"]);
        assert_eq!(spec["match"]["namespaces"], original["match"]["namespaces"]);
    }
    let old = migrate(&["--expand", "warn", "--gatekeeper-version", "3.22"]);
    let mutators =
        fs::read_dir(old.path().join("clusters/out/2-mutators")).expect("there are some");
    for entry in mutators {
        let name = entry
            .expect("it can be read")
            .file_name()
            .to_string_lossy()
            .into_owned();
        assert!(
            !name.contains("expanded"),
            "{name}: it acts whatever the operation"
        );
    }
}

/// With the policy that is handed out the plugin admits what nobody else would, and changes nothing.
#[test]
fn the_plugin_steps_aside_where_the_policy_is_bound() {
    let out = migrate(&[]);
    let hand_over = out.path().join("clusters/out/hand-over.yaml");
    let hand_over = fs::read_to_string(hand_over).expect("it is there");
    let bind = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: 0-psp2gatekeeper-hand-over, namespace: shop}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: 0-psp2gatekeeper-hand-over}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:serviceaccounts:shop}]\n";
    // Another policy would fill in defaults.
    let other = "---\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: a, annotations: {seccomp.security.alpha.kubernetes.io/allowedProfileNames: '*'}}\nspec: {privileged: true, readOnlyRootFilesystem: true, volumes: ['*'], runAsUser: {rule: MustRunAsNonRoot}, seLinux: {rule: RunAsAny}, supplementalGroups: {rule: MustRunAs, ranges: [{min: 5, max: 6}]}, fsGroup: {rule: RunAsAny}}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\nrules: [{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [a], verbs: [use]}]\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {name: a}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: a}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:serviceaccounts}]\n";
    let text = format!("{hand_over}{bind}{other}");
    let source = Source {
        name: "cluster.yaml".to_owned(),
        text: text.clone(),
    };
    let options = LoadOptions {
        proc_mount_type: true,
    };
    let (inventory, diagnostics) = load(&[source], options).expect("an API server takes it");
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let psp = PspAdmission::new(&inventory);
    let plain = json!({"containers": [{"name": "c", "image": "i"}]});
    let everything = json!({
        "hostPID": true, "hostIPC": true, "hostNetwork": true, "runtimeClassName": "x",
        "securityContext": {"runAsUser": 0, "fsGroup": 0, "supplementalGroups": [0], "sysctls": [{"name": "kernel.msgmax", "value": "1"}], "seLinuxOptions": {"level": "s0"}, "seccompProfile": {"type": "Unconfined"}},
        "volumes": [{"name": "root", "hostPath": {"path": "/"}}, {"name": "f", "flexVolume": {"driver": "x/y"}}, {"name": "i", "csi": {"driver": "z"}}],
        "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 1, "hostPort": 1}],
            "securityContext": {"privileged": true, "procMount": "Unmasked", "capabilities": {"add": ["SYS_ADMIN"]}, "runAsGroup": 0}}],
    });
    // Every policy changes such a pod, for it writes the annotation, so the first by name decides.
    let seccomp = json!({
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "image": "i", "securityContext": {"readOnlyRootFilesystem": true}}],
    });
    for (spec, namespace, admitted, same) in [
        (&plain, "shop", true, true),
        (&seccomp, "shop", true, true),
        (&everything, "shop", true, true),
        (&plain, "tools", true, false),
        (&seccomp, "tools", true, false),
        (&everything, "tools", false, true),
    ] {
        let mut spec = spec.clone();
        spec["serviceAccountName"] = json!("default");
        let pod = json!({"metadata": {"name": "p", "namespace": namespace}, "spec": spec});
        let pod = Pod(pod.as_object().expect("an object").clone());
        let request = AdmissionRequest {
            uid: String::new(),
            namespace: namespace.to_owned(),
            operation: Operation::Create,
            subresource: String::new(),
            user_info: UserInfo::default(),
            pod: pod.clone(),
            old_pod: None,
        };
        let review = psp.review(&request);
        assert_eq!(review.is_allowed(), admitted, "{namespace} {review:?}");
        if admitted {
            let stored = review.pod.get(&["spec"]);
            assert_eq!(stored == pod.get(&["spec"]), same, "{namespace}");
        }
    }
    // A cluster in that state says nothing about what shall be admitted.
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("cluster.yaml"), text).expect("it is written");
    for command in ["migrate", "diff", "verify"] {
        let output = run(directory.path(), &[command, "-f", "cluster.yaml"]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("PSP stands aside"));
    }
}

/// The first two columns of the table that tells where namespaces stand.
fn standing(out: &TempDir) -> Vec<(String, String)> {
    let report = fs::read_to_string(out.path().join("clusters/out/REPORT.md"));
    let report = report.expect("it is there");
    let (_, table) = report
        .split_once("\n| Namespace | Enforcement action | Next |\n|---|---|---|\n")
        .expect("there is a table");
    let rows = table.lines().take_while(|it| it.starts_with('|'));
    let cells = rows.map(|it| {
        it.split('|')
            .map(|it| it.replace('`', "").trim().to_owned())
    });
    let first = cells.map(|mut it| (it.nth(1), it.next()));
    first
        .map(|(namespace, action)| (namespace.unwrap_or_default(), action.unwrap_or_default()))
        .collect()
}

#[test]
fn the_hand_over_leaves_no_namespace_out() {
    let rows = |expected: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = |(namespace, action): &(&str, &str)| ((*namespace).into(), (*action).into());
        expected.iter().map(owned).collect()
    };
    let out = migrate(&[]);
    // The first of them is named by a binding alone.
    let names = ["kube-system", "monitoring", "shop"].map(|it| (it, "dryrun"));
    let all = [&names[..], &[("every other", "dryrun")]].concat();
    assert_eq!(standing(&out), rows(&all));
    let out = migrate(&["--deny", "shop,team-*", "--warn", "monitoring"]);
    let expected = [
        ("kube-system", "dryrun"),
        ("monitoring", "warn"),
        ("shop", "deny"),
        ("every other team-*", "deny"),
        ("every other", "dryrun"),
    ];
    assert_eq!(standing(&out), rows(&expected));
    let out = migrate(&["--deny", "*"]);
    let last = standing(&out).pop();
    assert_eq!(last, rows(&[("every other", "deny")]).pop());
}

#[test]
fn where_there_is_no_plugin_nothing_is_handed_over() {
    let out = migrate(&["--kubernetes-version", "1.25"]);
    assert!(!is_there(&out, "hand-over.yaml"));
    let report = documents(&out, "report.json").remove(0);
    assert_eq!(report["handOver"], Value::Null);
    let out = migrate(&["--deny", "shop"]);
    assert!(is_there(&out, "hand-over.yaml"));
    let report = documents(&out, "report.json").remove(0);
    let namespaces = report["handOver"]["namespaces"].as_array().expect("a list");
    let shop = namespaces
        .iter()
        .find(|it| it["namespace"] == "shop")
        .expect("it is there");
    assert_eq!(shop["enforcementAction"], "deny");
    assert!(
        namespaces
            .iter()
            .any(|it| it["enforcementAction"] == "dryrun")
    );
}

#[test]
fn who_forgets_what_was_enforced_is_warned() {
    let out = migrate(&["--deny", "shop", "--warn", "bank"]);
    let (code, stderr) = again(&out, &["--deny", "bank"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("warning[enforcement-weakened]")
            && stderr.contains("`--deny shop` keeps it"),
        "{stderr}"
    );
    assert!(!stderr.contains("`bank`: "), "{stderr}");
    let (_, stderr) = again(&out, &["--enforcement-action", "deny"]);
    assert!(!stderr.contains("enforcement-weakened"), "{stderr}");
    let (_, stderr) = again(&out, &["--deny", "bank"]);
    assert!(
        stderr.contains("`--enforcement-action deny` keeps it"),
        "{stderr}"
    );
    let (code, stderr) = again(&out, &["--strict"]);
    assert_eq!(code, Some(1), "{stderr}");
}

#[test]
fn an_edited_page_is_not_overwritten() {
    let html = ["--report-html", "clusters/out/REPORT.html"];
    let out = migrate(&html);
    let page = out.path().join("clusters/out/REPORT.html");
    let before = fs::read_to_string(&page).expect("it is there");
    fs::write(&page, format!("{before}<!-- mine -->")).expect("it is written");
    for arguments in [&html[..], &[]] {
        let (code, stderr) = again(&out, arguments);
        assert!(
            code == Some(2) && stderr.contains("REPORT.html"),
            "{stderr}"
        );
    }
    fs::write(&page, before).expect("it is written");
    let (code, stderr) = again(&out, &[]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!page.exists(), "it is of an earlier run");
}

#[test]
fn where_no_page_can_be_nothing_is_written() {
    let out = tempfile::tempdir().expect("a directory");
    let (code, stderr) = again(&out, &["--report-html", "nowhere/page.html"]);
    assert!(
        code == Some(2) && stderr.contains("no such directory"),
        "{stderr}"
    );
    assert!(!is_there(&out, ""), "{stderr}");
}

#[test]
fn edited_files_are_not_overwritten() {
    let out = migrate(&[]);
    let template = "1-templates/constrainttemplate-podsecuritypolicyadmission.yaml";
    let path = out.path().join("clusters/out").join(template);
    let before = fs::read_to_string(&path).expect("it is there");
    let edited = format!("{before}# mine\n");
    fs::write(&path, &edited).expect("it is written");
    let (code, stderr) = again(&out, &[]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.contains(template) && stderr.contains("--force"),
        "{stderr}"
    );
    assert_eq!(fs::read_to_string(&path).expect("it is there"), edited);
    let (code, stderr) = again(&out, &["--force"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(fs::read_to_string(&path).expect("it is there"), before);
    // Who edits a file into what would be written loses nothing, and neither does who deletes one.
    let constraints =
        "clusters/out/3-constraints/podsecuritypolicyadmission-pod-security-policies.yaml";
    let constraints = out.path().join(constraints);
    let text = fs::read_to_string(&constraints).expect("it is there");
    fs::write(&constraints, text.replace("\"dryrun\"", "\"deny\"")).expect("it is written");
    fs::remove_file(&path).expect("it was there");
    let (code, stderr) = again(&out, &["--enforcement-action", "deny"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(path.exists());
}
