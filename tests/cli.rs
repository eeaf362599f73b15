//! The wiring of the program: streams, exit codes, help, and what happens to the output directory.
//!
//! What it writes is the business of `golden/`.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read files and may panic"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A cluster to try things with.
const CLUSTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/cluster");

/// A policy with a field that does not exist, and who may use it.
const WITH_WARNING: &str = "\
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: web}
spec: {hostPid: true, runAsUser: {rule: RunAsAny}, seLinux: {rule: RunAsAny}, supplementalGroups: {rule: RunAsAny}, fsGroup: {rule: RunAsAny}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: web}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: alice}]
";

/// What a run came to.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

fn psp2gatekeeper(arguments: &[&str]) -> Run {
    with_stdin(arguments, "")
}

fn with_stdin(arguments: &[&str], stdin: &str) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that reads nothing may be gone already.
    let _ = child
        .stdin
        .take()
        .expect("it is piped")
        .write_all(stdin.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    Run {
        code: output.status.code().expect("it is not killed"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

impl Run {
    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.stderr);
        self
    }

    /// Asserts that it could not do what it was asked, said so with these words, and wrote nothing to stdout.
    #[track_caller]
    fn failed(&self, words: &str) {
        assert_eq!(self.code, 2, "{}", self.stderr);
        assert_eq!(self.stdout, "");
        assert!(self.stderr.contains(words), "{}", self.stderr);
    }
}

/// A directory for one test, with a file of input that has a warning.
fn workplace() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("there is room");
    let input = directory.path().join("input.yaml");
    fs::write(&input, WITH_WARNING).expect("it can be written");
    (directory, input)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("it is UTF-8")
}

/// The files below a directory.
fn files(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut res = BTreeMap::new();
    for entry in fs::read_dir(directory).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            res.extend(files(&path));
        } else {
            let text = fs::read_to_string(&path).expect("it is a text");
            res.insert(path, text);
        }
    }
    res
}

/// The commands that the help of the program lists.
fn commands() -> Vec<String> {
    let help = psp2gatekeeper(&["--help"]).succeeded().stdout;
    let list = help
        .split("Commands:\n")
        .nth(1)
        .and_then(|it| it.split("\n\n").next())
        .expect("the help lists the commands");
    // What a line goes on with is indented more.
    list.lines()
        .filter_map(|it| it.strip_prefix("  "))
        .filter(|it| !it.starts_with(' '))
        .filter_map(|it| it.split_whitespace().next())
        .filter(|it| *it != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn manifests_go_to_stdout_and_the_rest_to_stderr() {
    let run = psp2gatekeeper(&["migrate", "-f", CLUSTER]).succeeded();
    let kinds: Vec<&str> = run
        .stdout
        .lines()
        .filter_map(|it| it.strip_prefix("kind: "))
        .collect();
    let [first, mutators @ .., last] = kinds.as_slice() else {
        panic!("there are manifests: {kinds:?}");
    };
    assert_eq!(
        [*first, *last],
        [r#""ConstraintTemplate""#, r#""PodSecurityPolicyAdmission""#]
    );
    let is_mutator = |kind: &&str| [r#""Assign""#, r#""ModifySet""#].contains(kind);
    assert!(
        !mutators.is_empty() && mutators.iter().all(is_mutator),
        "{mutators:?}"
    );
    assert!(run.stdout.starts_with("---\n"));
    assert!(
        run.stderr
            .starts_with("3 PodSecurityPolicies became 3 policies"),
        "{}",
        run.stderr
    );
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let [first, second] = [(); 2].map(|()| psp2gatekeeper(&["migrate", "-f", CLUSTER]));
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(first.stderr, second.stderr);
}

#[test]
fn a_mistake_in_the_arguments_is_told_on_stderr() {
    psp2gatekeeper(&[]).failed("Usage:");
    psp2gatekeeper(&["migrate"]).failed("--filename <PATH>|--live");
    psp2gatekeeper(&["migrate", "-f", CLUSTER, "--no-such-option"]).failed("--no-such-option");
    psp2gatekeeper(&["migrate", "-f", CLUSTER, "--enforcement-action", "no"]).failed("dryrun");
    psp2gatekeeper(&["migrate", "-f", CLUSTER, "--force"]).failed("--out-dir");
    psp2gatekeeper(&["no-such-command"]).failed("no-such-command");
}

#[test]
fn every_command_explains_itself() {
    let commands = commands();
    assert!(commands.len() > 2, "{commands:?}");
    for command in &commands {
        let help = psp2gatekeeper(&[command, "--help"]).succeeded().stdout;
        let example = format!("\n  psp2gatekeeper {command} ");
        let examples = help.find("\nExamples:\n  # ");
        let codes = help.find("\nExit codes: 0 ");
        let (Some(examples), Some(codes)) = (examples, codes) else {
            panic!("{help}");
        };
        assert!(examples < codes, "{help}");
        assert!(help[examples..].contains(example.trim_end()), "{help}");
        assert!(help[codes..].contains("; 2 "), "{help}");
        let same = psp2gatekeeper(&["help", command]).succeeded().stdout;
        assert_eq!(help, same);
    }
}

#[test]
fn completion_knows_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = psp2gatekeeper(&["completion", shell]).succeeded().stdout;
        for command in commands() {
            assert!(script.contains(&command), "{shell} does not know {command}");
        }
        assert!(script.contains("kubeconfig"), "{shell} knows no option");
    }
    psp2gatekeeper(&["completion", "cmd"]).failed("bash");
}

#[test]
fn every_command_has_a_manual_page() {
    let (directory, _) = workplace();
    let pages = directory.path().join("share/man1");
    let beside = pages.join("other.1");
    fs::create_dir_all(&pages).expect("it can be made");
    fs::write(&beside, "theirs").expect("it can be written");
    psp2gatekeeper(&["man", "--out-dir", text(&pages)]).succeeded();
    let pages = files(&pages);
    assert_eq!(pages[&beside], "theirs");
    let page = |name: &str| {
        let path = beside.with_file_name(format!("{name}.1"));
        pages
            .get(&path)
            .unwrap_or_else(|| panic!("{name} has no page"))
    };
    assert!(page("psp2gatekeeper").contains("psp2gatekeeper"));
    for command in commands() {
        let page = page(&format!("psp2gatekeeper-{command}"));
        for part in [".SH SYNOPSIS", ".SH OPTIONS", "Exit codes: 0 "] {
            assert!(page.contains(part), "{command} lacks {part}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_plugin_of_kubectl_calls_itself_so() {
    let (directory, input) = workplace();
    let plugin = directory.path().join("kubectl-psp2gatekeeper");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_psp2gatekeeper"), &plugin)
        .expect("it can be made");
    let run = |arguments: &[&str]| {
        let output = Command::new(&plugin).args(arguments).output();
        let output = output.expect("the program starts");
        let text = String::from_utf8([output.stdout, output.stderr].concat());
        (output.status.code(), text.expect("it writes UTF-8"))
    };
    let (code, help) = run(&["--help"]);
    assert_eq!(code, Some(0), "{help}");
    assert!(
        help.contains("Usage: kubectl psp2gatekeeper [OPTIONS] <COMMAND>"),
        "{help}"
    );
    let (_, help) = run(&["migrate", "--help"]);
    assert!(
        help.contains("Usage: kubectl psp2gatekeeper migrate [OPTIONS]"),
        "{help}"
    );
    assert!(
        help.contains("\n  kubectl psp2gatekeeper migrate -f"),
        "{help}"
    );
    assert!(!help.contains("\n  psp2gatekeeper "), "{help}");
    let (code, usage) = run(&["migrate"]);
    assert_eq!(code, Some(2));
    assert!(
        usage.contains("Usage: kubectl psp2gatekeeper migrate "),
        "{usage}"
    );
    let (code, text) = run(&["migrate", "-f", text(&input)]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let run = psp2gatekeeper(&["--version"]).succeeded();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(run.stdout, format!("psp2gatekeeper {version}\n"));
    assert_eq!(run.stderr, "");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
        .args(["migrate", "-f", CLUSTER])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut first = [0; 4];
    let mut stdout = child.stdout.take().expect("it is piped");
    stdout.read_exact(&mut first).expect("it writes");
    drop(stdout);
    let output = child.wait_with_output().expect("the program ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("error"), "{stderr}");
}

#[test]
fn input_comes_from_stdin_too() {
    let run = with_stdin(&["migrate", "-f", "-"], WITH_WARNING).succeeded();
    assert!(run.stdout.contains("kind: \"ConstraintTemplate\""));
    assert!(run.stderr.contains(" stdin:4:8: "), "{}", run.stderr);
    let broken = with_stdin(&["migrate", "-f", "-"], "a: [");
    broken.failed("stdin:1");
}

#[test]
fn subdirectories_are_read_when_asked_for() {
    let (directory, input) = workplace();
    let below = directory.path().join("clusters/prod");
    fs::create_dir_all(&below).expect("it can be made");
    fs::rename(&input, below.join("policies.yml")).expect("it can be moved");
    fs::write(below.join("notes.txt"), "{").expect("it can be written");
    let clusters = directory.path().join("clusters");
    psp2gatekeeper(&["migrate", "-f", text(&clusters)]).failed("-R");
    psp2gatekeeper(&["migrate", "-R", "-f", text(&clusters)]).succeeded();
}

#[test]
fn what_cannot_be_read_is_named() {
    let (directory, _) = workplace();
    let missing = directory.path().join("missing.yaml");
    psp2gatekeeper(&["migrate", "-f", text(&missing)]).failed("missing.yaml");
    let binary = directory.path().join("binary.yaml");
    fs::write(&binary, b"a: b\n\xff").expect("it can be written");
    psp2gatekeeper(&["migrate", "-f", text(&binary)]).failed("binary.yaml:2: not UTF-8");
}

#[test]
fn strict_ends_with_another_exit_code_and_says_why() {
    let (_directory, input) = workplace();
    let lax = psp2gatekeeper(&["migrate", "-f", text(&input)]).succeeded();
    assert!(lax.stderr.contains("warning["), "{}", lax.stderr);
    let strict = psp2gatekeeper(&["migrate", "-f", text(&input), "--strict"]);
    assert_eq!(strict.code, 1);
    assert_eq!(strict.stdout, lax.stdout);
    let why = format!("{}exit code 1, because of `--strict`: ", lax.stderr);
    let counts = strict.stderr.strip_prefix(&why).expect("it says why");
    let told = lax.stderr.matches("warning[").count();
    assert!(counts.starts_with(&format!("{told} warning")), "{counts}");
    let clean = psp2gatekeeper(&["migrate", "-f", CLUSTER, "--strict"]);
    assert_eq!(clean.code, 0, "{}", clean.stderr);
}

#[test]
fn the_output_directory_is_made_with_what_is_above_it() {
    let (directory, input) = workplace();
    let out = directory.path().join("a/b");
    let run = psp2gatekeeper(&["migrate", "-f", text(&input), "--out-dir", text(&out)]);
    assert_eq!(run.succeeded().stdout, "");
    for file in [
        "REPORT.md",
        "report.json",
        "1-templates/kustomization.yaml",
        "3-constraints/kustomization.yaml",
    ] {
        assert!(out.join(file).is_file(), "{file} is missing");
    }
    let beside: Vec<_> = fs::read_dir(directory.path().join("a"))
        .expect("it can be read")
        .collect();
    assert_eq!(beside.len(), 1, "nothing stays beside it: {beside:?}");
}

#[test]
fn a_second_run_replaces_the_first() {
    let (directory, input) = workplace();
    let out = directory.path().join("out");
    let arguments = [
        "migrate",
        "-f",
        text(&input),
        "--no-mutators",
        "--out-dir",
        text(&out),
    ];
    psp2gatekeeper(&arguments).succeeded();
    let first = files(&out);
    psp2gatekeeper(&arguments).succeeded();
    assert_eq!(files(&out), first);

    // As if that run had written one object more.
    let stale = out.join("2-mutators/assign-old.yaml");
    fs::create_dir_all(out.join("2-mutators")).expect("it can be made");
    fs::write(&stale, "").expect("it can be written");
    let report = out.join("report.json");
    let mut value: Value = serde_json::from_str(&first[&report]).expect("it is JSON");
    let objects = value["objects"].as_array_mut().expect("it is a list");
    objects.push(
        serde_json::json!({"kind": "Assign", "name": "old", "file": "2-mutators/assign-old.yaml"}),
    );
    fs::write(&report, value.to_string()).expect("it can be written");
    psp2gatekeeper(&arguments).succeeded();
    assert!(!stale.exists(), "what only the earlier run wrote is gone");
    assert!(!out.join("2-mutators").exists());
}

#[test]
fn what_others_wrote_is_not_touched() {
    let (directory, input) = workplace();
    let out = directory.path().join("out");
    let arguments = ["migrate", "-f", text(&input), "--out-dir", text(&out)];
    fs::create_dir_all(out.join("1-templates")).expect("it can be made");
    let foreign = out.join("1-templates/README.md");
    fs::write(&foreign, "ours").expect("it can be written");
    let before = files(&out);
    psp2gatekeeper(&arguments).failed("1-templates/README.md");
    assert_eq!(files(&out), before, "it was refused, so nothing changed");

    let forced = [&arguments[..], &["--force"]].concat();
    psp2gatekeeper(&forced).succeeded();
    assert_eq!(files(&out)[&foreign], "ours");
    assert!(out.join("REPORT.md").is_file());
    psp2gatekeeper(&arguments).failed("1-templates/README.md");
}

#[test]
fn an_error_leaves_the_output_as_it_was() {
    let (directory, input) = workplace();
    let out = directory.path().join("out");
    let arguments = ["migrate", "-f", text(&input), "--out-dir", text(&out)];
    psp2gatekeeper(&arguments).succeeded();
    let before = files(directory.path());
    let refused = WITH_WARNING.replacen("RunAsAny", "Whatever", 1);
    fs::write(&input, &refused).expect("it can be written");
    psp2gatekeeper(&arguments).failed("input.yaml:4:");
    fs::write(&input, WITH_WARNING).expect("it can be written");
    assert_eq!(files(directory.path()), before);

    let file = directory.path().join("file");
    fs::write(&file, "ours").expect("it can be written");
    let below = file.join("out");
    psp2gatekeeper(&["migrate", "-f", text(&input), "--out-dir", text(&below)]).failed("file");
    assert_eq!(
        fs::read_to_string(&file).expect("it is still there"),
        "ours"
    );
}

#[cfg(unix)]
#[test]
fn the_output_has_ordinary_permissions() {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = |path: &Path| {
        let metadata = fs::metadata(path).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    let (directory, input) = workplace();
    let ordinary = directory.path().join("ordinary");
    fs::create_dir(&ordinary).expect("it can be made");
    let out = directory.path().join("out");
    let arguments = ["migrate", "-f", text(&input), "--out-dir", text(&out)];
    psp2gatekeeper(&arguments).succeeded();
    assert_eq!(mode(&out), mode(&ordinary));
    assert_eq!(mode(&out.join("1-templates")), mode(&ordinary));
    assert_eq!(mode(&out.join("REPORT.md")), mode(&input));

    fs::set_permissions(&out, fs::Permissions::from_mode(0o750)).expect("they can be set");
    psp2gatekeeper(&arguments).succeeded();
    assert_eq!(
        mode(&out),
        0o750,
        "a directory that was there keeps its own"
    );
}

#[test]
fn json_can_be_read_again() {
    let run = psp2gatekeeper(&["resolve", "-f", CLUSTER, "-o", "json"]).succeeded();
    let list: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!(list["apiVersion"], "psp2gatekeeper/v1");
    assert_eq!(list["kind"], "GrantList");
    assert_eq!(list["items"][0]["policies"][0], "restricted");

    let (directory, _) = workplace();
    let out = directory.path().join("out");
    psp2gatekeeper(&["migrate", "-f", CLUSTER, "--out-dir", text(&out)]).succeeded();
    let report = fs::read_to_string(out.join("report.json")).expect("it is there");
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    assert_eq!(report["apiVersion"], "psp2gatekeeper/v1");
    assert_eq!(report["kind"], "Report");
    for object in report["objects"].as_array().expect("it is a list") {
        let file = object["file"].as_str().expect("it is a text");
        assert!(out.join(file).is_file(), "{file} is missing");
    }
}

#[test]
fn resolve_narrows_down_to_who_asks_for_what() {
    let arguments = ["resolve", "-f", CLUSTER, "-n", "monitoring"];
    let accounts = [&arguments[..], &["--serviceaccount", "node-exporter"]].concat();
    let run = psp2gatekeeper(&accounts).succeeded();
    assert!(run.stdout.contains("node-agent"), "{}", run.stdout);
    let elsewhere = [
        &arguments[..3],
        &["-n", "shop", "--serviceaccount", "node-exporter"],
    ];
    let run = psp2gatekeeper(&elsewhere.concat()).succeeded();
    assert!(!run.stdout.contains("node-agent"), "{}", run.stdout);
    psp2gatekeeper(&["resolve", "-f", CLUSTER, "--serviceaccount", "web"]).failed("--namespace");
}

#[test]
fn resolve_knows_which_namespaces_the_input_knows() {
    let resolve =
        |namespace: &str| psp2gatekeeper(&["resolve", "-f", CLUSTER, "-n", namespace]).succeeded();
    let run = resolve("monitorng");
    assert!(run.stdout.contains("restricted"), "{}", run.stdout);
    assert!(
        run.stderr.contains("note[namespace-not-found]: ")
            && run.stderr.ends_with("; the nearest name is `monitoring`\n"),
        "{}",
        run.stderr
    );
    let run = resolve("something-else");
    assert!(run.stderr.contains("`something-else`"), "{}", run.stderr);
    assert!(!run.stderr.contains("nearest"), "{}", run.stderr);
    // The last one has no object of its own, but a binding.
    for namespace in ["monitoring", "shop", "kube-system"] {
        let run = resolve(namespace);
        assert!(!run.stderr.contains("not-found"), "{}", run.stderr);
    }
}

#[test]
fn the_table_of_resolve_has_nothing_that_a_terminal_obeys() {
    let input = r#"{"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "policy/v1beta1", "kind": "PodSecurityPolicy", "metadata": {"name": "open"},
         "spec": {"runAsUser": {"rule": "RunAsAny"}, "seLinux": {"rule": "RunAsAny"},
                  "fsGroup": {"rule": "RunAsAny"}, "supplementalGroups": {"rule": "RunAsAny"}}},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "open"},
         "rules": [{"apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "verbs": ["use"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "open"},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "open"},
         "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "al\u001b[2Jice"}]}]}"#;
    let run = with_stdin(&["resolve", "-f", "-"], input).succeeded();
    assert!(run.stdout.contains(r"al\u{1b}[2Jice"), "{}", run.stdout);
}

#[test]
fn a_file_without_policies_is_named() {
    let run = with_stdin(&["migrate", "-f", "-"], "replicas: 3\n");
    run.failed("this has no `kind`");
}

#[test]
fn a_preview_without_workloads_says_so() {
    for command in ["diff", "bake"] {
        let run = with_stdin(&[command, "-f", "-"], WITH_WARNING);
        assert!(
            run.stderr.contains("there is no workload in the input"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn who_judges_what_denies_nothing_is_told_first() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let (cluster, out) = (path("cluster.yaml"), path("out"));
    fs::write(&cluster, WITH_WARNING).expect("it is written");
    psp2gatekeeper(&["migrate", "-f", &cluster, "--out-dir", &out]).succeeded();
    let arguments = ["verify", "-f", &cluster, "--manifests", &out];
    let run = psp2gatekeeper(&arguments);
    let told = "nothing in what is judged denies";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert_eq!(run.code, 1);
    let deny = ["--enforcement-action", "deny"];
    let run = psp2gatekeeper(&[&arguments[..], &deny[..]].concat()).succeeded();
    assert!(!run.stderr.contains(told), "{}", run.stderr);
}

#[test]
fn a_gatekeeper_that_does_not_know_what_is_written_is_refused() {
    let run = psp2gatekeeper(&["migrate", "-f", CLUSTER, "--gatekeeper-version", "3.9"]);
    run.failed("3.10 or later");
    psp2gatekeeper(&["migrate", "-f", CLUSTER, "--gatekeeper-version", "v3.10.0"]).succeeded();
}

#[test]
fn a_proc_mount_type_that_the_api_server_resets_is_declared() {
    let pod = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"pod","namespace":"kube-system"},"spec":{"serviceAccountName":"kube-proxy","containers":[{"name":"app","image":"app","securityContext":{"procMount":"Unmasked"}}]}}"#;
    let run = with_stdin(&["review", "-f", CLUSTER, "--requests", "-"], pod).succeeded();
    for part in [
        "PSP forbids it",
        "Gatekeeper admits it",
        "They disagree: Gatekeeper is looser, without what was forbidden, as declared",
        "loss[proc-mount/reset-by-api-server, harmless]",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    for kept in [
        ["--feature-gates", "ProcMountType=true"],
        ["--kubernetes-version", "1.33"],
    ] {
        let arguments = [&["review", "-f", CLUSTER, "--requests", "-"], &kept[..]].concat();
        let run = with_stdin(&arguments, pod).succeeded();
        assert!(
            run.stdout.contains("Gatekeeper forbids it"),
            "{kept:?}: {}",
            run.stdout
        );
    }
}

#[test]
fn what_is_no_request_does_not_keep_others_from_their_answer() {
    let user = |name: &str, groups: &str| {
        format!(
            "{{\"kind\":\"AdmissionReview\",\"request\":{{\"uid\":\"{name}\",\"namespace\":\"shop\",\"userInfo\":{{\"username\":\"{name}\",\"groups\":{groups}}},\"object\":{{\"metadata\":{{\"name\":\"pod\"}},\"spec\":{{\"containers\":[]}}}}}}}}\n"
        )
    };
    // A client in Go writes an empty list as null.
    let stdin = format!(
        "{}{}{}{}",
        user("first", "null"),
        "{\"kind\":\"Service\"}\n",
        user("third", "{}"),
        user("last", "[]")
    );
    let run = with_stdin(
        &["review", "-f", CLUSTER, "--requests", "-", "-o", "json"],
        &stdin,
    );
    let uids: Vec<Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"))
        .map(|it| it["uid"].clone())
        .collect();
    assert_eq!(uids, ["first", "last"]);
    assert_eq!(run.code, 2);
    for part in [
        "`-`: object 2: a Service is neither",
        "object 3: `request.userInfo`",
        "2 objects have no answer",
    ] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    let workloads = format!("{CLUSTER}/workloads.yaml");
    let run = psp2gatekeeper(&["review", "-f", CLUSTER, "--requests", &workloads]);
    for part in [
        "a Namespace is neither a Pod nor an AdmissionReview\n",
        "a Deployment is neither a Pod nor an AdmissionReview; `diff -f` tells what becomes of its pods\n",
    ] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
}

#[test]
fn a_list_of_nobody_says_so() {
    let run = with_stdin(&["resolve", "-f", "-"], "").succeeded();
    assert!(
        run.stderr.contains("no PodSecurityPolicy"),
        "{}",
        run.stderr
    );
    let run = psp2gatekeeper(&["resolve", "-f", CLUSTER, "--as", "system:anonymous"]).succeeded();
    assert!(run.stderr.contains("nobody of those"), "{}", run.stderr);
    let run = psp2gatekeeper(&["resolve", "-f", CLUSTER]).succeeded();
    assert!(!run.stderr.contains("nobody"), "{}", run.stderr);
}

#[test]
fn reviews_are_read_from_stdin_and_answered_line_by_line() {
    let pod = |name: &str| {
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{name}\",\"namespace\":\"shop\"}},\"spec\":{{\"containers\":[{{\"name\":\"app\",\"image\":\"app\"}}]}}}}\n"
        )
    };
    let stdin = format!("{}{}", pod("first"), pod("second"));
    let run = with_stdin(
        &["review", "-f", CLUSTER, "--requests", "-", "-o", "json"],
        &stdin,
    );
    assert!(run.code < 2, "{}", run.stderr);
    let names: Vec<String> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("it is JSON"))
        .map(|it| it["psp"]["pod"]["metadata"]["name"].to_string())
        .collect();
    assert_eq!(names, ["\"first\"", "\"second\""]);
}

#[test]
fn a_capability_that_is_listed_twice_is_another_pod() {
    for (drop, told) in [(r#"["KILL","KILL"]"#, true), (r#"["KILL"]"#, false)] {
        let pod = format!(
            r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"pod","namespace":"shop","annotations":{{"seccomp.security.alpha.kubernetes.io/pod":"runtime/default"}}}},"spec":{{"containers":[{{"name":"app","image":"app","securityContext":{{"capabilities":{{"drop":{drop}}}}}}}]}}}}"#
        );
        let run = with_stdin(&["review", "-f", CLUSTER, "--requests", "-"], &pod).succeeded();
        let loss =
            "another pod is stored, as declared\n  loss[capabilities/lists-not-rewritten, differs]";
        assert_eq!(run.stdout.contains(loss), told, "{drop}: {}", run.stdout);
    }
}
