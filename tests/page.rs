//! The page of `--report-html`: what it shows first, that nothing of the input becomes markup, and that it needs nothing else.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read files and may panic"
)]

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use tempfile::TempDir;

/// Markup in a place where a name is meant.
const HOSTILE: &str = "<script>alert(1)</script>";
/// What ends an attribute.
const QUOTED: &str = "\"><img src=x onerror=alert(2)>";

/// A policy that everybody may use, which drops a capability, and whoever `subjects` binds to it in a namespace.
fn cluster(subjects: &[(&str, &str)]) -> String {
    let mut res = "\
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
metadata: {name: restricted}
rules:
  - {apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [restricted], verbs: [use]}
"
    .to_owned();
    for (number, (namespace, user)) in subjects.iter().enumerate() {
        let user = serde_json::to_string(user).expect("it is a text");
        let _ = write!(
            res,
            "---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{namespace: {namespace}, name: binding-{number}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: restricted}}
subjects:
  - {{apiGroup: rbac.authorization.k8s.io, kind: User, name: {user}}}
  - {{kind: ServiceAccount, namespace: {namespace}, name: web}}
"
        );
    }
    res
}

/// A pod whose container says this of its security.
fn pod(name: &str, security_context: &str) -> String {
    let name = serde_json::to_string(name).expect("it is a text");
    format!(
        "---
apiVersion: v1
kind: Pod
metadata: {{namespace: shop, name: {name}, annotations: {{note: {name}}}}}
spec:
  serviceAccountName: web
  containers: [{{name: c, image: {name}, securityContext: {security_context}}}]
"
    )
}

/// As the policy would have it.
const DROPS: &str = "{capabilities: {drop: [NET_RAW]}}";

/// Writes the page of an input with a command, without mutators; returns the page.
fn page(command: &str, input: &str, more: &[&str]) -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("there is room");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("input.yaml"), input).expect("it can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
        .args([command, "-f", &path("input.yaml"), "--no-mutators"])
        .args(["--report-html", &path("page.html")])
        .args(more)
        .output()
        .expect("the program starts");
    let code = output.status.code().expect("it is not killed");
    assert!(code < 2, "{}", String::from_utf8_lossy(&output.stderr));
    let page = fs::read_to_string(path("page.html")).expect("it was written");
    assert_well_formed(&page);
    (folder, page)
}

/// Asserts that tags are closed in the order in which they were opened.
#[track_caller]
fn assert_well_formed(page: &str) {
    const VOID: [&str; 3] = ["meta", "input", "!doctype"];
    let script = page.find("<script>").expect("the filter is a script");
    let mut open = Vec::new();
    for tag in page[..script].split('<').skip(1) {
        let (inside, _) = tag.split_once('>').expect("a tag ends");
        let name = inside.split([' ', '\n']).next().expect("a tag has a name");
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{tag}"),
            None if VOID.contains(&name) => {}
            None => open.push(name),
        }
    }
    assert_eq!(open, ["html", "body"]);
}

#[test]
fn nothing_of_the_input_becomes_markup() {
    let input = [
        cluster(&[("shop", HOSTILE)]),
        pod(HOSTILE, DROPS),
        pod(QUOTED, "{}"),
        pod("web", "{privileged: true}"),
    ];
    for command in ["migrate", "diff"] {
        let (_folder, page) = page(command, &input.concat(), &[]);
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
        assert!(page.contains("&lt;img src=x onerror"), "{page}");
        assert_eq!(page.matches("<script").count(), 1, "ours alone");
        assert!(!page.contains("<img"), "{page}");
    }
}

#[test]
fn a_page_needs_nothing_from_elsewhere() {
    let (_folder, page) = page("migrate", &cluster(&[("shop", "alice")]), &[]);
    for part in [" src=", "@import", "url(", "<link", "http://", "https://"] {
        assert!(!page.contains(part), "{part}");
    }
    let targets = page.split(" href=\"").skip(1);
    assert!(targets.into_iter().all(|it| it.starts_with('#')), "{page}");
    assert!(page.contains("default-src 'none'"), "{page}");
    assert!(
        page.contains("id=\"filter\" hidden"),
        "only the script shows it"
    );
}

#[test]
fn workloads_at_risk_come_first() {
    let input = [
        cluster(&[("shop", "alice")]),
        pod("as-before", DROPS),
        pod("at-risk", "{}"),
    ];
    let (_folder, page) = page("migrate", &input.concat(), &[]);
    let place = |text: &str| {
        page.find(text)
            .unwrap_or_else(|| panic!("{text} is missing: {page}"))
    };
    assert!(place("shop/at-risk") < place("shop/as-before"));
    assert!(place("id=\"nowForbidden\"") < place("shop/at-risk"));
    assert!(place("id=\"same\"") < place("shop/as-before"));
    // By which policy, what it fills in, and what explains the difference.
    for text in [
        "by PodSecurityPolicy <span class=\"name\">restricted",
        "<code>[\"NET_RAW\"]</code>",
        "<code>capabilities&#x2f;default-not-set</code>",
        "A pod that shows it",
    ] {
        assert!(place(text) > 0);
    }
}

#[test]
fn the_page_of_a_comparison_has_the_objects_that_change() {
    let input = cluster(&[("shop", "alice")]);
    let (_folder, page) = page("diff", &input, &["--out-dir", "/no/such/directory"]);
    assert!(page.contains("Objects that would change"), "{page}");
    assert!(page.contains("+kind: ConstraintTemplate"), "{page}");
}

#[test]
fn namespaces_where_the_same_holds_share_a_line() {
    let subjects = ["a", "b", "c", "d", "e", "f"].map(|it| (it, "alice"));
    let (_folder, page) = page("migrate", &cluster(&subjects), &[]);
    assert!(page.contains("a, b, c, d</span> and 2 more"), "{page}");
    assert!(page.contains("service account web, user alice"), "{page}");
}

#[test]
fn a_page_says_what_it_leaves_out() {
    let workloads: Vec<String> = (0..501)
        .map(|it| pod(&format!("pod-{it}"), DROPS))
        .collect();
    let names: Vec<String> = (0..1003).map(|it| format!("ns-{it}")).collect();
    let subjects: Vec<(&str, &str)> = names.iter().map(|it| (it.as_str(), it.as_str())).collect();
    let input = [cluster(&subjects), workloads.concat()].concat();
    let (_folder, page) = page("migrate", &input, &[]);
    assert!(page.contains("The first 500 of 501 are here."), "{page}");
    // One line is what holds everywhere.
    assert!(page.contains("4 more namespaces are left out"), "{page}");
}

#[test]
fn many_policies_are_lists_instead_of_columns() {
    let mut input = cluster(&[("shop", "alice")]);
    for number in 0..20 {
        let policy = cluster(&[]).replace("name: restricted", &format!("name: policy-{number}"));
        let policy = policy
            .split("---")
            .next()
            .expect("it is the first")
            .to_owned();
        input.push_str("---\n");
        input.push_str(&policy);
    }
    let (_folder, page) = page("migrate", &input, &[]);
    assert!(page.contains("too many for a column each"), "{page}");
    assert!(
        !page.contains("<th scope=\"col\" class=\"name\">policy-1"),
        "{page}"
    );
    assert!(
        page.contains("restricted</span>: service account web, user alice"),
        "{page}"
    );
}

#[test]
fn a_page_beside_the_report_belongs_to_the_output() {
    let (folder, _) = page("migrate", &cluster(&[("shop", "alice")]), &[]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    for _ in 0..2 {
        let status = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
            .args(["migrate", "-f", &path("input.yaml"), "--no-mutators"])
            .args([
                "--out-dir",
                &path("out"),
                "--report-html",
                &path("out/REPORT.html"),
            ])
            .status()
            .expect("the program starts");
        assert!(status.success());
        assert!(folder.path().join("out/REPORT.html").is_file());
    }
}

#[test]
fn steps_have_their_way_back_and_code_is_marked() {
    for command in ["migrate", "diff"] {
        let (_folder, page) = page(command, &cluster(&[("shop", "alice")]), &[]);
        let script = page.find("<script>").expect("the filter is a script");
        assert!(!page[..script].contains('`'), "{page}");
        for part in [
            "Way back: <code>helm rollback gatekeeper --namespace gatekeeper-system</code>.",
            "Way back: take the namespace out of <code>--deny</code>, run",
            "Set Gatekeeper up with <code>gatekeeper-values.yaml</code>, which",
            "psp2gatekeeper verify -f CLUSTER",
            "These are fields; the top of the page counts losses",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }
}

#[test]
fn the_step_about_defaults_says_why_no_mutator_sets_a_profile_of_apparmor() {
    let annotation =
        "annotations: {apparmor.security.beta.kubernetes.io/defaultProfileName: localhost/x}";
    let name = "metadata: {name: restricted";
    let input = cluster(&[("shop", "alice")]).replacen(name, &format!("{name}, {annotation}"), 1);
    for (release, expected) in [("1.29", true), ("1.30", false)] {
        let options = ["--kubernetes-version", release, "--strict-apparmor"];
        let (_folder, page) = page("migrate", &input, &options);
        assert!(page.contains("apparmor&#x2f;default-not-set"), "{page}");
        let step = "Before Kubernetes 1.30 no mutator can set an AppArmor profile";
        assert_eq!(page.contains(step), expected, "{release}: {page}");
    }
}

#[test]
fn a_default_that_is_not_set_has_its_cause_and_what_helps() {
    let profile = "metadata: {name: restricted, annotations: {apparmor.security.beta.kubernetes.io/allowedProfileNames: localhost/x, apparmor.security.beta.kubernetes.io/defaultProfileName: localhost/x}}\nspec:";
    let input = cluster(&[("shop", "alice")]);
    let input = input.replacen("metadata: {name: restricted}\nspec:", profile, 1);
    let input = [input, pod("web", "{}")].concat();
    let folder = tempfile::tempdir().expect("there is room");
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("input.yaml"), input).expect("it can be written");
    let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
        .args([
            "diff",
            "-f",
            &path("input.yaml"),
            "--report-html",
            &path("page.html"),
        ])
        .output()
        .expect("the program starts");
    assert!(output.status.code().is_some_and(|it| it < 2), "{output:?}");
    let page = fs::read_to_string(path("page.html")).expect("it was written");
    assert_well_formed(&page);
    let (workloads, losses) = page.split_once("<h2 id=\"losses\">").expect("losses");
    let cause = "<li>cause: no mutator can write an annotation";
    let help = "<li><b>help</b>: run <code>psp2gatekeeper bake</code>";
    for words in [cause, help] {
        assert_eq!(workloads.matches(words).count(), 1, "{workloads}");
        assert!(losses.contains(words), "{losses}");
    }
}
