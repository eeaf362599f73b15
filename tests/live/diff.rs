//! `diff` against what a cluster runs.

use serde_json::{Value, json};

use super::{Cluster, as_file, read, text};

/// Has the cluster run what `migrate` writes into `out`, as an API server returns it and as Argo CD left it.
fn apply(cluster: &Cluster) -> (Value, Value) {
    let out = cluster.path("out");
    let run = cluster.run("migrate", &["--out-dir", text(&out)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let object = |file: &str| {
        let text = read(&out, file);
        let mut res: Value = serde_yaml::from_str(&text).expect("it is YAML");
        res["status"] = json!({ "created": true });
        let metadata = &mut res["metadata"];
        metadata["uid"] = json!("1b7cb4a5");
        metadata["generation"] = json!(2);
        metadata["managedFields"] = json!([{ "manager": "argocd-controller" }]);
        metadata["labels"]["app.kubernetes.io/instance"] = json!("policies");
        metadata["annotations"]["argocd.argoproj.io/tracking-id"] = json!("policies:x");
        res
    };
    let mut template = object("1-templates/constrainttemplate-podsecuritypolicyadmission.yaml");
    template["spec"]["crd"]["spec"]["validation"]["legacySchema"] = json!(false);
    let constraint = object("3-constraints/podsecuritypolicyadmission-pod-security-policies.yaml");
    runs(cluster, TEMPLATES, &[&template]);
    runs(cluster, CONSTRAINTS, &[&constraint]);
    (template, constraint)
}

const TEMPLATES: &str = "constrainttemplates.templates.gatekeeper.sh";
const CONSTRAINTS: &str = "podsecuritypolicyadmission.constraints.gatekeeper.sh";

fn runs(cluster: &Cluster, resource: &str, objects: &[&Value]) {
    let list = json!({ "apiVersion": "v1", "items": objects, "kind": "List", "metadata": {} });
    cluster.answers(resource, &list);
}

/// The objects that `diff --summary` names, and its exit code.
fn summary(cluster: &Cluster, more: &[&str]) -> (Vec<String>, i32) {
    let run = cluster.run("diff", &[&["--summary"], more].concat());
    assert!(run.code < 2, "{}", run.stderr);
    let lines = run.stdout.lines().take_while(|it| !it.is_empty());
    (lines.map(str::to_owned).collect(), run.code)
}

#[test]
fn what_was_applied_is_no_difference() {
    let cluster = Cluster::new();
    apply(&cluster);
    assert_eq!(summary(&cluster, &[]), (vec![], 0));
    let log = cluster.log();
    let verbs = log.lines().filter_map(|it| it.split(' ').next());
    assert!(verbs.into_iter().all(|it| it == "get"), "{log}");
}

#[test]
fn what_the_cluster_runs_is_compared_with_what_would_be_written() {
    let cluster = Cluster::new();
    let (template, mut constraint) = apply(&cluster);
    let mut ours = constraint.clone();
    ours["metadata"]["name"] = json!("of-an-earlier-release");
    let mut theirs = ours.clone();
    theirs["metadata"]["name"] = json!("theirs");
    theirs["metadata"]["labels"] = json!({});
    constraint["spec"]["enforcementAction"] = json!("deny");
    runs(&cluster, CONSTRAINTS, &[&constraint, &ours, &theirs]);
    let (lines, code) = summary(&cluster, &[]);
    let expected = [
        "removed  PodSecurityPolicyAdmission of-an-earlier-release",
        "changed  PodSecurityPolicyAdmission pod-security-policies",
    ];
    assert_eq!((lines, code), (expected.map(str::to_owned).to_vec(), 1));
    let full = cluster.run("diff", &[]).stdout;
    let line = "-  enforcementAction: deny\n+  enforcementAction: dryrun\n";
    assert!(full.contains(line), "{full}");
    assert!(full.starts_with("--- LIVE/"), "{full}");

    // An annotation of ours that is no longer written matters, whoever reads it.
    let mut old = template;
    old["metadata"]["annotations"]["psp2gatekeeper/old"] = json!("x");
    runs(&cluster, TEMPLATES, &[&old]);
    let (lines, _) = summary(&cluster, &[]);
    let changed = "changed  ConstraintTemplate podsecuritypolicyadmission";
    assert!(lines.iter().any(|it| it == changed), "{lines:?}");
}

#[test]
fn after_the_upgrade_the_policies_come_from_a_snapshot() {
    let cluster = Cluster::new();
    let file = as_file(&cluster);
    apply(&cluster);
    let gone = "error: the server doesn't have a resource type \"podsecuritypolicies\"\n";
    cluster.fails("podsecuritypolicies.policy", gone);
    assert_eq!(cluster.run("diff", &[]).code, 2);
    assert_eq!(summary(&cluster, &["-f", text(&file)]), (vec![], 0));
    let out = cluster.path("out");
    let run = cluster.run("diff", &["-f", text(&file), "--out-dir", text(&out)]);
    assert_eq!(run.code, 2, "{}", run.stdout);
}

#[test]
fn without_gatekeeper_every_object_is_new() {
    let cluster = Cluster::new();
    let gone = "error: the server doesn't have a resource type \"constrainttemplates\"\n";
    cluster.fails(TEMPLATES, gone);
    let run = cluster.run("diff", &["--summary"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("every object is new"), "{}", run.stderr);
    assert!(run.stdout.contains("2 added"), "{}", run.stdout);
}

#[test]
fn the_rules_to_compare_with_are_named_when_they_are_missing() {
    let cluster = Cluster::new();
    cluster.fails(
        TEMPLATES,
        "Error from server (Forbidden): constrainttemplates.templates.gatekeeper.sh is forbidden: User \"alice\" cannot list\n",
    );
    let run = cluster.run("diff", &[]);
    assert_eq!(run.code, 2);
    let rules = r#"
  - apiGroups: ["templates.gatekeeper.sh"]
    resources: ["constrainttemplates"]
    verbs: ["list"]
"#;
    assert!(run.stderr.ends_with(rules), "{}", run.stderr);
}
