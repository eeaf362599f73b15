//! What `diff` says of manifests and of workloads.
//!
//! What becomes of each workload is written by hand, from what the admission plugin does.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read files and may panic"
)]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use psp2gatekeeper::diff::{Kind, diff};
use psp2gatekeeper::manifest::{Folder, Manifest};
use serde_json::Value;
use tempfile::TempDir;

/// Everybody may use `restricted`, which drops `NET_RAW` and takes any user but root, without filling that in.
const CLUSTER: &str = "\
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: restricted}
spec:
  requiredDropCapabilities: [NET_RAW]
  volumes: ['*']
  runAsUser: {rule: RunAsAny}
  seLinux: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: psp:restricted}
rules:
  - {apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [restricted], verbs: [use]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: psp:restricted}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: psp:restricted}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:authenticated}]
";

/// A namespace that Gatekeeper leaves alone.
const IGNORED: &str = "\
---
apiVersion: v1
kind: Namespace
metadata: {name: tools, labels: {admission.gatekeeper.sh/ignore: 'true'}}
";

/// A Deployment; the second part is the security context of its container.
fn deployment(name: &str, namespace: &str, security_context: &str) -> String {
    format!(
        "---
apiVersion: apps/v1
kind: Deployment
metadata: {{namespace: {namespace}, name: {name}}}
spec:
  template:
    spec:
      serviceAccountName: {name}
      containers: [{{name: c, image: c, securityContext: {security_context}}}]
"
    )
}

/// As the policy would have it.
const DROPS: &str = "{capabilities: {drop: [NET_RAW]}}";
/// The policy fills in what it drops.
const SILENT: &str = "{}";
/// The policy forbids it.
const PRIVILEGED: &str = "{privileged: true, capabilities: {drop: [NET_RAW]}}";

/// A place with a file of input and, once migrated, an output.
struct Place {
    folder: TempDir,
}

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new(workloads: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let res = Self { folder };
        let input = format!("{CLUSTER}{}", workloads.concat());
        fs::write(res.path("input.yaml"), input).expect("it can be written");
        res
    }

    /// One whose only workload stays what it is, with its output.
    fn migrated() -> Self {
        let res = Self::new(&[deployment("web", "shop", DROPS)]);
        let run = res.run("migrate", &["--out-dir", &res.text("out")]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        res
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn run(&self, command: &str, more: &[&str]) -> Run {
        self.run_with("", command, more)
    }

    /// Runs a command with a program that shows differences.
    fn run_with(&self, external: &str, command: &str, more: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
            .args([command, "-f", &self.text("input.yaml")])
            .args(more)
            .env("KUBECTL_EXTERNAL_DIFF", external)
            .output()
            .expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
        Run {
            code: output.status.code().expect("it is not killed"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    fn diff(&self, more: &[&str]) -> Run {
        self.run("diff", &[&["--out-dir", &self.text("out")], more].concat())
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.path("out").join(file);
        let text = fs::read_to_string(&path).expect("it is there");
        assert!(text.contains(from), "{text}");
        fs::write(path, text.replace(from, to)).expect("it can be written");
    }
}

impl Run {
    #[track_caller]
    fn footer(&self, code: i32, expected: &str) {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout.lines().last(), Some(expected));
    }
}

const CONSTRAINT: &str = "3-constraints/podsecuritypolicyadmission-pod-security-policies.yaml";
const ONE_SAME: &str =
    "1 workload: 1 same, 0 now forbidden, 0 newly admitted, 0 stored differently";

#[test]
fn what_was_just_written_does_not_differ() {
    let run = Place::migrated().diff(&[]);
    run.footer(
        0,
        &format!("diff: 0 objects changed, 0 added, 0 removed; {ONE_SAME}"),
    );
    assert!(!run.stdout.contains("---"), "{}", run.stdout);
}

#[test]
fn an_edited_object_is_shown_line_by_line() {
    let place = Place::migrated();
    place.edit(CONSTRAINT, "\"dryrun\"", "\"deny\"");
    let run = place.diff(&[]);
    run.footer(
        1,
        &format!("diff: 1 object changed, 0 added, 0 removed; {ONE_SAME}"),
    );
    let file =
        "constraints.gatekeeper.sh.v1beta1.PodSecurityPolicyAdmission..pod-security-policies";
    for line in [
        &format!("--- WRITTEN/{file}"),
        &format!("+++ NOW/{file}"),
        "-  enforcementAction: deny",
        "+  enforcementAction: dryrun",
    ] {
        assert!(run.stdout.lines().any(|it| it == line), "{}", run.stdout);
    }
    assert!(!run.stdout.contains('\x1b'), "{}", run.stdout);
    assert_eq!(place.diff(&["--exit-zero"]).code, 0);
    // With the option that it was edited to there is no difference.
    assert_eq!(place.diff(&["--enforcement-action", "deny"]).code, 0);
    let colored = place.diff(&["--color", "always"]).stdout;
    assert!(
        colored.contains("\x1b[31m-  enforcementAction: \x1b[7mdeny"),
        "{colored}"
    );
    let summary = place.diff(&["--summary"]).stdout;
    let first = "changed  PodSecurityPolicyAdmission pod-security-policies";
    assert_eq!(summary.lines().next(), Some(first));
    assert!(!summary.contains("enforcementAction"), "{summary}");
}

#[test]
fn objects_are_added_and_removed() {
    let place = Place::migrated();
    fs::remove_file(place.path("out").join(CONSTRAINT)).expect("it is there");
    let ours = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: old, labels: {app.kubernetes.io/managed-by: psp2gatekeeper}}\n";
    // What others wrote stays where it is.
    let theirs = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs}\n";
    fs::write(place.path("out/more.yaml"), format!("{ours}{theirs}")).expect("it can be written");
    let run = place.diff(&["--summary"]);
    run.footer(
        1,
        &format!("diff: 0 objects changed, 1 added, 1 removed; {ONE_SAME}"),
    );
    let lines: Vec<&str> = run.stdout.lines().take(2).collect();
    assert_eq!(
        lines,
        [
            "removed  ConfigMap old",
            "added    PodSecurityPolicyAdmission pod-security-policies",
        ]
    );
}

#[test]
fn a_directory_that_is_not_there_has_no_object() {
    let place = Place::new(&[]);
    let run = place.diff(&["--summary"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("does not exist"), "{}", run.stderr);
    assert!(
        run.stdout
            .contains("added    ConstraintTemplate podsecuritypolicyadmission\n")
    );
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let place = Place::migrated();
    let file = place.path("out/broken.yaml");
    fs::write(&file, "kind: A\nb: [\n").expect("it can be written");
    let run = place.diff(&[]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("broken.yaml: line "), "{}", run.stderr);
    assert_eq!(run.stdout, "");

    fs::copy(place.path("out").join(CONSTRAINT), &file).expect("it can be copied");
    let run = place.diff(&[]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("is there twice"), "{}", run.stderr);
}

#[test]
fn another_program_shows_the_texts_when_asked_to() {
    let place = Place::migrated();
    place.edit(CONSTRAINT, "\"dryrun\"", "\"deny\"");
    let arguments = ["--out-dir", &place.text("out")];
    // Arguments with other characters are not passed on, as by kubectl.
    let run = place.run_with("diff -U0 -N $(id)", "diff", &arguments);
    run.footer(
        1,
        &format!("diff: 1 object changed, 0 added, 0 removed; {ONE_SAME}"),
    );
    let changed: Vec<&str> = run
        .stdout
        .lines()
        .filter(|it| it.starts_with(['-', '+']) && !it.starts_with("---") && !it.starts_with("+++"))
        .collect();
    assert_eq!(
        changed,
        ["-  enforcementAction: deny", "+  enforcementAction: dryrun"]
    );
    assert!(run.stdout.contains("/WRITTEN-"), "{}", run.stdout);
    assert!(run.stdout.contains("/NOW-"), "{}", run.stdout);

    for (program, words) in [
        ("/no/such/program", "could not run `/no/such/program`"),
        ("diff --no-such-option", "`diff` failed"),
    ] {
        let run = place.run_with(program, "diff", &arguments);
        assert_eq!(run.code, 2);
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
}

#[test]
fn each_workload_is_told_what_becomes_of_it() {
    let place = Place::new(&[
        deployment("same", "shop", DROPS),
        deployment("forbidden-by-both", "shop", PRIVILEGED),
        deployment("silent", "shop", SILENT),
        deployment("ignored", "tools", PRIVILEGED),
        IGNORED.to_owned(),
    ]);
    let run = place.run("diff", &["--no-mutators"]);
    run.footer(
        1,
        "diff: objects not compared; 4 workloads: 2 same (1 forbidden before as now), 1 now forbidden, 1 newly admitted, 0 stored differently",
    );
    let text = &run.stdout;
    let (newly_admitted, now_forbidden) = text
        .split_once("\nNow forbidden: ")
        .unwrap_or_else(|| panic!("{text}"));
    // What is let in comes first, and loud.
    assert!(newly_admitted.contains("NEWLY ADMITTED"), "{text}");
    for words in [
        "Deployment tools/ignored, service account ignored, created by system:serviceaccount:kube-system:replicaset-controller\n",
        "restricted: spec.containers[0].securityContext.privileged: Invalid value: true: Privileged containers are not allowed\n",
        "explained by gatekeeper/namespace-ignored of *: ",
    ] {
        assert!(newly_admitted.contains(words), "{text}");
    }
    for words in [
        "Deployment shop/silent, service account silent",
        "PSP admits it by PodSecurityPolicy restricted, once it has filled in\n      spec.containers[0].securityContext.capabilities.drop = [\"NET_RAW\"]\n    Gatekeeper forbids it\n",
        "explained by capabilities/default-not-set of restricted: `spec.requiredDropCapabilities`",
    ] {
        assert!(now_forbidden.contains(words), "{text}");
    }
    for row in [
        ["shop", "forbidden-by-both", "1", "0", "0", "0", "0"],
        ["shop", "same", "1", "0", "0", "0", "0"],
        ["shop", "silent", "0", "1", "0", "0", "0"],
        ["tools", "ignored", "0", "0", "1", "0", "0"],
    ] {
        let found = text.lines().any(|it| it.split_whitespace().eq(row));
        assert!(found, "{row:?} in {text}");
    }
}

#[test]
fn a_namespace_that_gatekeeper_leaves_alone_explains_what_is_not_filled_in() {
    let place = Place::new(&[deployment("silent", "tools", SILENT), IGNORED.to_owned()]);
    let run = place.run("diff", &[]);
    run.footer(
        1,
        "diff: objects not compared; 1 workload: 0 same, 0 now forbidden, 0 newly admitted, 1 stored differently",
    );
    let words = "explained by gatekeeper/namespace-ignored-default of *: ";
    assert!(run.stdout.contains(words), "{}", run.stdout);
}

#[test]
fn a_default_that_lands_elsewhere_is_told() {
    let place = Place::new(&[deployment("web", "shop", "{}")]);
    // The plugin writes the user on the container, and the mutator on the pod.
    let input = fs::read_to_string(place.path("input.yaml")).expect("it is there");
    let input = input
        .replace("requiredDropCapabilities: [NET_RAW]", "privileged: false")
        .replace(
            "runAsUser: {rule: RunAsAny}",
            "runAsUser: {rule: MustRunAs, ranges: [{min: 1000, max: 2000}]}",
        );
    fs::write(place.path("input.yaml"), input).expect("it can be written");
    let run = place.run("diff", &[]);
    run.footer(
        1,
        "diff: objects not compared; 1 workload: 0 same, 0 now forbidden, 0 newly admitted, 1 stored differently",
    );
    for words in [
        "stored: spec.containers[0].securityContext.runAsUser: PSP 1000, Gatekeeper absent",
        "stored: spec.securityContext.runAsUser: PSP absent, Gatekeeper 1000",
        "explained by run-as-user/default-on-pod of restricted",
    ] {
        assert!(run.stdout.contains(words), "{}", run.stdout);
    }
}

#[test]
fn a_container_without_an_app_armor_profile_is_stored_as_with_the_one_that_it_has() {
    let key = "apparmor.security.beta.kubernetes.io";
    let place = Place::new(&[
        deployment("web", "shop", "{}"),
        deployment("agent", "shop", "{privileged: true}"),
    ]);
    let input = fs::read_to_string(place.path("input.yaml")).expect("it is there");
    let profiles = format!(
        "name: restricted, annotations: {{{key}/allowedProfileNames: runtime/default, \
         {key}/defaultProfileName: runtime/default}}"
    );
    let input = input
        .replacen("name: restricted", &profiles, 1)
        .replace("requiredDropCapabilities: [NET_RAW]", "privileged: true");
    fs::write(place.path("input.yaml"), input).expect("it can be written");
    for (arguments, summary) in [
        // Only a privileged container may be unconfined without a profile.
        (
            "1.24",
            "1 same, 1 now forbidden, 0 newly admitted, 0 stored differently",
        ),
        (
            "1.24 --strict-apparmor",
            "0 same, 2 now forbidden, 0 newly admitted, 0 stored differently",
        ),
        // From here on the mutator writes the field.
        (
            "1.30",
            "2 same, 0 now forbidden, 0 newly admitted, 0 stored differently",
        ),
        (
            "1.30 --strict-apparmor",
            "2 same, 0 now forbidden, 0 newly admitted, 0 stored differently",
        ),
        (
            "1.30 --no-mutators",
            "1 same, 1 now forbidden, 0 newly admitted, 0 stored differently",
        ),
    ] {
        let arguments = arguments.split(' ');
        let arguments: Vec<&str> = ["--kubernetes-version"]
            .into_iter()
            .chain(arguments)
            .collect();
        let run = place.run("diff", &arguments);
        assert!(
            run.stdout.contains(summary),
            "{arguments:?}: {}{}",
            run.stdout,
            run.stderr
        );
    }
}

#[test]
fn what_belongs_to_a_workload_is_not_asked_for_again() {
    let owned = |kind: &str, name: &str, owner: &str, owner_name: &str, spec: &str| {
        format!(
            "---\napiVersion: apps/v1\nkind: {kind}\nmetadata: {{namespace: shop, name: {name}, ownerReferences: [{{kind: {owner}, name: {owner_name}, controller: true}}]}}\nspec: {spec}\n"
        )
    };
    let pod = format!("{{containers: [{{name: c, image: c, securityContext: {SILENT}}}]}}");
    let pods = |text: String| text.replace("apiVersion: apps/v1", "apiVersion: v1");
    let place = Place::new(&[
        deployment("web", "shop", DROPS),
        owned(
            "ReplicaSet",
            "web-1",
            "Deployment",
            "web",
            &format!("{{template: {{spec: {pod}}}}}"),
        ),
        pods(owned("Pod", "web-1-a", "ReplicaSet", "web-1", &pod)),
        // Its owner is not in the input.
        pods(owned("Pod", "other-1-a", "ReplicaSet", "other-1", &pod)),
    ]);
    place.run("diff", &["--no-mutators"]).footer(
        1,
        "diff: objects not compared; 2 workloads: 1 same, 1 now forbidden, 0 newly admitted, 0 stored differently",
    );
}

#[test]
fn a_bare_pod_is_created_by_the_same_here_and_in_a_review() {
    let pod = |name: &str, owner: &str| {
        format!(
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{namespace: shop, name: {name}{owner}}}\nspec: {{nodeName: n1, containers: [{{name: c, image: c}}]}}\n"
        )
    };
    let owners = |list: &str| format!(", ownerReferences: [{list}]");
    let second = "{kind: Group, name: g}, {kind: StatefulSet, name: db, controller: true}";
    for (pod, creator) in [
        (pod("bare", ""), "kube-system:replicaset-controller"),
        (
            pod("db-0", &owners(second)),
            "kube-system:statefulset-controller",
        ),
        (
            pod("etcd", &owners("{kind: Node, name: n1}")),
            "system:node:n1",
        ),
    ] {
        let place = Place::new(std::slice::from_ref(&pod));
        fs::write(place.path("pod.yaml"), &pod).expect("it can be written");
        let json = place.run("diff", &["-o", "json"]).stdout;
        let json: Value = serde_json::from_str(&json).expect("it is JSON");
        let user = &json["workloads"][0]["userInfo"]["username"];
        let user = user.as_str().expect("somebody creates it");
        assert!(user.ends_with(creator), "{user}");
        let review = place.run("review", &["--requests", &place.text("pod.yaml")]);
        let words = format!("  {user} would create it, ");
        assert!(review.stdout.contains(&words), "{}", review.stdout);
    }
}

#[test]
fn a_report_with_a_page_counts_workloads_as_the_preview_does() {
    let place = Place::new(&[
        deployment("web", "shop", DROPS),
        deployment("silent", "shop", SILENT),
        deployment("root", "shop", PRIVILEGED),
    ]);
    let options = ["--no-mutators", "--out-dir", &place.text("out")];
    let page = ["--report-html", &place.text("page.html")];
    let options_with_page = [&options[..], &page].concat();
    // To ask about workloads takes longer than all the rest.
    let run = place.run("migrate", &options);
    assert!(!run.stderr.contains("workload"), "{}", run.stderr);
    let run = place.run("migrate", &options_with_page);
    let expected = "3 workloads: 2 same (1 forbidden before as now), 1 now forbidden, 0 newly admitted, 0 stored differently";
    assert!(run.stderr.contains(expected), "{}", run.stderr);
    place
        .run("diff", &["--no-mutators"])
        .footer(1, &format!("diff: objects not compared; {expected}"));
    let listed = place.run("diff", &["--no-mutators"]).stdout;
    let line = "\n  Deployment shop/root, service account root: restricted: ";
    assert!(listed.contains(line), "{listed}");
    assert_eq!(listed.matches("\nForbidden before as now: ").count(), 1);
    let report = fs::read_to_string(place.path("out/REPORT.md")).expect("it is there");
    assert!(report.contains(&format!("\n**{expected}.**\n")), "{report}");
    let report = fs::read_to_string(place.path("out/report.json")).expect("it is there");
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    assert_eq!(report["workloads"]["forbidden"], 1);
    assert_eq!(report["workloads"]["nowForbidden"], 1);
    // Where there is none, nothing is counted.
    let run = Place::new(&[]).run("migrate", &options_with_page);
    assert!(!run.stderr.contains("workload"), "{}", run.stderr);
}

#[test]
fn json_says_the_same() {
    let place = Place::migrated();
    place.edit(CONSTRAINT, "\"dryrun\"", "\"deny\"");
    let input = fs::read_to_string(place.path("input.yaml")).expect("it is there");
    let input = format!("{input}{}", deployment("silent", "shop", SILENT));
    fs::write(place.path("input.yaml"), input).expect("it can be written");
    let run = place.diff(&["-o", "json", "--no-mutators"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    let json: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    let at = |path: &str| json.pointer(path).cloned().unwrap_or_default();
    assert_eq!(at("/apiVersion"), "psp2gatekeeper/v1");
    assert_eq!(at("/kind"), "Diff");
    assert_eq!(at("/differs"), true);
    assert_eq!(at("/summary/objects/changed"), 1);
    assert_eq!(at("/summary/workloads/nowForbidden"), 1);
    let object = json["objects"]
        .as_array()
        .and_then(|it| it.iter().find(|it| it["change"] == "changed"))
        .expect("one is changed");
    assert_eq!(object["name"], "pod-security-policies");
    let text = object["diff"].as_str().expect("it is a text");
    assert!(text.contains("\n-  enforcementAction: deny\n"), "{text}");
    let workload = json["workloads"]
        .as_array()
        .and_then(|it| it.iter().find(|it| it["name"] == "silent"))
        .expect("it is told of");
    assert_eq!(workload["fate"], "nowForbidden");
    assert_eq!(workload["psp"]["allowed"], true);
    assert_eq!(workload["psp"]["policy"], "restricted");
    assert_eq!(workload["gatekeeper"]["allowed"], false);
    assert_eq!(
        workload["losses"][0]["name"],
        "capabilities/default-not-set"
    );
}

fn manifest(text: &str) -> Manifest {
    Manifest {
        folder: Folder::Templates,
        kind: "file".to_owned(),
        name: "a.yaml".to_owned(),
        text: text.to_owned(),
    }
}

#[track_caller]
fn same(old: &str, new: &str) {
    let changes = diff(&[manifest(old)], &[manifest(new)]).expect("they are YAML");
    assert_eq!(changes, []);
}

#[test]
fn order_and_what_a_server_writes_do_not_matter() {
    let new = "apiVersion: v1\nkind: A\nmetadata: {name: a}\nspec: {b: 1, c: [x, z]}\n";
    same(
        "spec: {c: [x, z], b: 1}\nkind: A\nmetadata: {name: a}\napiVersion: v1\n",
        new,
    );
    same(
        r#"{"kind": "List", "apiVersion": "v1", "items": [{
            "apiVersion": "v1", "kind": "A", "spec": {"b": 1, "c": ["x", "z"]}, "status": {"d": 1},
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "generation": 2, "selfLink": "/a",
                "creationTimestamp": "2024-05-01T10:00:00Z", "managedFields": [{}],
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"}}
        }]}"#,
        new,
    );
    same(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n",
        "",
    );
}

#[test]
fn the_order_of_lists_and_other_annotations_matter() {
    let old = "apiVersion: v1\nkind: A\nmetadata: {name: a}\nspec: {c: [x, z]}\n";
    for new in [
        "apiVersion: v1\nkind: A\nmetadata: {name: a}\nspec: {c: [z, x]}\n",
        "apiVersion: v1\nkind: A\nmetadata: {name: a, annotations: {d: e}}\nspec: {c: [x, z]}\n",
    ] {
        let changes = diff(&[manifest(old)], &[manifest(new)]).expect("they are YAML");
        let kinds: Vec<_> = changes.iter().map(|it| &it.kind).collect();
        assert!(
            matches!(kinds.as_slice(), [Kind::Changed { .. }]),
            "{kinds:?}"
        );
    }
}

#[test]
fn names_of_files_stay_in_their_directory() {
    let text = "apiVersion: v1\nkind: A\nmetadata: {name: ../../a}\n";
    let changes = diff(&[], &[manifest(text)]).expect("it is YAML");
    let names: Vec<_> = changes
        .iter()
        .map(psp2gatekeeper::diff::Change::file_name)
        .collect();
    assert_eq!(names, ["v1.A...._.._a"]);
}

/// A policy whose AppArmor profile no mutator can write, and that drops a capability; the Deployment and the pod lack both.
fn without_a_profile() -> Place {
    let place = Place::new(&[]);
    let profile = "localhost/shop";
    let annotations = format!(
        "metadata: {{name: restricted, annotations: {{apparmor.security.beta.kubernetes.io/allowedProfileNames: {profile}, apparmor.security.beta.kubernetes.io/defaultProfileName: {profile}}}}}\nspec:"
    );
    let cluster = CLUSTER.replacen("metadata: {name: restricted}\nspec:", &annotations, 1);
    assert!(cluster.contains(profile));
    let workload = deployment("silent", "shop", SILENT);
    fs::write(place.path("input.yaml"), format!("{cluster}{workload}")).expect("it can be written");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {namespace: shop, name: p}\nspec: {containers: [{name: c, image: c}]}\n";
    fs::write(place.path("pod.yaml"), pod).expect("it can be written");
    place
}

const CAUSE: &str = "no mutator can write an annotation whose key contains the name of a container";

#[test]
fn a_denied_workload_ends_with_the_cause_and_what_helps_each_once() {
    let place = without_a_profile();
    let run = place.run("diff", &[]);
    let entry = run
        .stdout
        .split("\n\n")
        .find(|it| it.contains("Deployment shop/silent"));
    let entry = entry.unwrap_or_else(|| panic!("{}", run.stdout));
    let last: Vec<&str> = entry.lines().rev().take(3).collect();
    assert!(
        last[0].starts_with("    help: run `psp2gatekeeper bake`"),
        "{entry}"
    );
    assert_eq!(last[1], format!("    cause: {CAUSE}"), "{entry}");
    assert!(last[2].starts_with("    explained by "), "{entry}");
    let explained = "    explained by apparmor/default-not-set of restricted: ";
    assert!(entry.contains(explained), "{entry}");
    for words in ["cause: ", "help: "] {
        assert_eq!(entry.matches(words).count(), 1, "{entry}");
    }

    let run = place.run("diff", &["-o", "json"]);
    let json: Value = serde_json::from_str(&run.stdout).expect("JSON");
    let cause = &json["workloads"][0]["losses"][0]["causes"][0];
    assert_eq!(cause["what"], CAUSE, "{json}");
    assert!(
        cause["help"].as_str().is_some_and(|it| it.contains("bake")),
        "{json}"
    );

    let run = place.run("diff", &["-o", "junit"]);
    assert!(
        run.stdout.contains("help: run `psp2gatekeeper bake`"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_review_names_the_cause_too() {
    let place = without_a_profile();
    let pod = ["--requests", &place.text("pod.yaml")];
    let run = place.run("review", &pod);
    let expected = format!("\n  cause: {CAUSE}\n  help: run `psp2gatekeeper bake`");
    assert!(run.stdout.contains(&expected), "{}", run.stdout);
    let run = place.run("review", &[&pod[..], &["-o", "json"]].concat());
    let json: Value = serde_json::from_str(&run.stdout).expect("JSON");
    assert_eq!(json["losses"][0]["causes"][0]["what"], CAUSE, "{json}");
}
