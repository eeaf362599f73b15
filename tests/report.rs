//! What every recorded report has in common, in Markdown and for machines.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read files and may panic"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// A report of a golden case, in both forms.
struct Recorded {
    name: String,
    markdown: String,
    json: Value,
}

fn recorded() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut res = Vec::new();
    for case in fs::read_dir(folder).expect("golden cases") {
        let case = case.expect("a case").path();
        let read = |name: &str| fs::read_to_string(case.join("output").join(name));
        if let (Ok(markdown), Ok(json)) = (read("REPORT.md"), read("report.json")) {
            res.push(Recorded {
                name: case.display().to_string(),
                markdown,
                json: serde_json::from_str(&json).expect("JSON"),
            });
        }
    }
    assert!(res.len() > 30, "{}", res.len());
    res
}

/// The heading above losses that do not count.
const UNMET: &str = "\n### Losses that nobody meets who creates pods\n";

/// What comes before that heading, and what of its own comes behind it; the latter is empty where there is none.
fn split_at_unmet(markdown: &str) -> (&str, &str) {
    match markdown.split_once(UNMET) {
        Some((before, behind)) => (before, behind.split("\n## ").next().unwrap_or_default()),
        None => (markdown, ""),
    }
}

#[test]
fn what_nobody_meets_who_creates_pods_has_its_own_heading_and_does_not_count() {
    let mut apart = 0;
    for Recorded {
        name,
        markdown,
        json,
    } in recorded()
    {
        let (met, unmet) = split_at_unmet(&markdown);
        let mut fields = BTreeSet::new();
        for loss in json["losses"].as_array().expect("losses") {
            let is_met = loss["reachesCreators"].as_bool().expect("a flag");
            let cell = |key: &str| loss[key].as_str().expect("a text").to_owned();
            let row = format!("| `{}` | {} | ", cell("name"), cell("direction"));
            let table = if is_met { met } else { unmet };
            assert!(table.contains(&row), "{name}: {row}");
            if is_met && loss["direction"] != "harmless" && loss["control"] != "gatekeeper" {
                fields.insert(cell("field"));
            }
            apart += usize::from(!is_met);
        }
        let ledger = &json["ledger"];
        let counted: u64 = ["stricter", "looser", "differs"]
            .iter()
            .map(|it| ledger[*it].as_u64().expect("a number"))
            .sum();
        let own = fields
            .iter()
            .filter(|it| it.starts_with("spec.") || it.contains("ProfileName"));
        assert_eq!(
            usize::try_from(counted),
            Ok(own.count()),
            "{name}: {fields:?}"
        );
    }
    assert!(apart > 0, "no recorded report has one");
}

#[test]
fn a_default_that_is_not_set_has_its_cause_and_what_helps() {
    let mut causes = 0;
    for Recorded {
        name,
        markdown,
        json,
    } in recorded()
    {
        let losses = json["losses"].as_array().expect("losses").iter();
        for cause in losses.filter_map(|it| it["causes"].as_array()).flatten() {
            let text = |key: &str| cause[key].as_str().expect("a text");
            let lines = [("cause", text("what")), ("help", text("help"))];
            for (word, text) in lines {
                let line = format!("\n  - {word}: {text}\n");
                assert!(markdown.contains(&line), "{name}: {line}");
            }
            causes += 1;
        }
    }
    assert!(causes > 0, "no recorded report has one");
}

#[test]
fn the_verdict_comes_before_what_was_read_and_counts_the_rows_of_the_table() {
    for Recorded { name, markdown, .. } in recorded() {
        let (top, rest) = markdown.split_once("\n## ").expect("a heading");
        let (rest, _) = split_at_unmet(rest);
        let rows = |direction: &str| rest.matches(&format!("` | {direction} | `")).count();
        let differ = rows("differs");
        let verdict = format!(
            "\n**Losses: {} looser, {} stricter, {differ} {}, {} harmless.**\n",
            rows("looser"),
            rows("stricter"),
            if differ == 1 { "differs" } else { "differ" },
            rows("harmless")
        );
        assert!(top.contains(&verdict), "{name}: {verdict}: {top}");
    }
}

/// A policy with a default for all authenticated users, and one without for a group, in each of seven namespaces.
fn many_namespaces() -> String {
    let policy = |name: &str, fs_group: &str| {
        format!(
            "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {{name: {name}}}\nspec: {{runAsUser: {{rule: RunAsAny}}, seLinux: {{rule: RunAsAny}}, supplementalGroups: {{rule: RunAsAny}}, fsGroup: {fs_group}}}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\nrules: [{{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [{name}], verbs: [use]}}]\n---\n"
        )
    };
    let binding = |kind: &str, metadata: &str, role: &str, group: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {metadata}\nroleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}\nsubjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: '{group}'}}]\n---\n"
        )
    };
    let mut res = policy("grouped", "{rule: MustRunAs, ranges: [{min: 5, max: 6}]}");
    res += &policy("open", "{rule: RunAsAny}");
    let everybody = "system:authenticated";
    for number in 1..=7 {
        let metadata = format!("{{name: b, namespace: n{number}}}");
        res += &binding("RoleBinding", &metadata, "open", &format!("g{number}"));
        let metadata = format!("{{name: all, namespace: n{number}}}");
        res += &binding("RoleBinding", &metadata, "grouped", everybody);
    }
    res
}

#[test]
fn what_a_list_cuts_short_is_whole_in_the_json() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    fs::write(path("input.yaml"), many_namespaces()).expect("it is written");
    let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
        .args(["migrate", "-f", "input.yaml", "--out-dir", "out"])
        .current_dir(&directory)
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let read = |name: &str| fs::read_to_string(path(name)).expect("it is there");
    let markdown = read("out/REPORT.md");
    let json: Value = serde_json::from_str(&read("out/report.json")).expect("JSON");
    let all: Vec<String> = (1..=7).map(|it| format!("n{it}")).collect();
    let cut = "`n1`, `n2`, `n3`, `n4`, `n5` and 2 more |";
    assert!(
        markdown.contains(&format!("| {cut} grouped |")),
        "{markdown}"
    );
    assert_eq!(json["defaults"][0]["namespaces"], json!(all));
    assert!(
        markdown.matches(&format!("| {cut}")).count() > 1,
        "{markdown}"
    );
    let losses = json["losses"].as_array().expect("losses").iter();
    let of_policies = losses.filter(|it| it["psp"] != "*");
    let namespaces = of_policies
        .filter_map(|it| it["namespaces"].as_array())
        .flatten();
    let namespaces: BTreeSet<&str> = namespaces.filter_map(Value::as_str).collect();
    assert!(namespaces.iter().eq(&all), "{namespaces:?}");
    let where_all_is = "\nWhere a list ends with \"and N more\", `report.json` has all of it.\n";
    assert!(markdown.contains(where_all_is), "{markdown}");
}

#[test]
fn the_fields_are_counted_in_the_last_line() {
    for Recorded {
        name,
        markdown,
        json,
    } in recorded()
    {
        let ledger = &json["ledger"];
        let count = |what: &str| ledger[what].as_u64().expect("a number");
        let fields = if count("exact") == 1 {
            "field"
        } else {
            "fields"
        };
        let expected = format!(
            "{} {fields} exact, {} stricter, {} looser, {} differs",
            count("exact"),
            count("stricter"),
            count("looser"),
            count("differs")
        );
        let last = markdown.lines().last().expect("a line");
        assert!(last.ends_with(&expected), "{name}: {last}");
        let has_losses = json["losses"].as_array().is_some_and(|it| !it.is_empty());
        let difference = "counts fields, and the first lines of this report count losses";
        assert_eq!(markdown.contains(difference), has_losses, "{name}");
    }
}

#[test]
fn no_two_lines_are_blank_one_after_the_other() {
    for Recorded { name, markdown, .. } in recorded() {
        let at = markdown.find("\n\n\n").map(|at| &markdown[..at]);
        assert_eq!(at.and_then(|it| it.lines().last()), None, "{name}");
        assert!(markdown.ends_with('\n') && !markdown.ends_with("\n\n"));
    }
}

#[test]
fn steps_are_numbered_one_after_the_other() {
    for Recorded { name, markdown, .. } in recorded() {
        for section in markdown.split("\n## ") {
            let numbers = section.lines().filter_map(|it| {
                let (number, _) = it.split_once(". ")?;
                number.parse::<usize>().ok()
            });
            let numbers: Vec<usize> = numbers.collect();
            let expected: Vec<usize> = (1..=numbers.len()).collect();
            assert_eq!(numbers, expected, "{name}: {section}");
        }
    }
}

#[test]
fn diff_and_verify_come_before_anything_is_applied() {
    for Recorded { name, json, .. } in recorded() {
        let steps = json["steps"].as_array().expect("steps");
        let place = |of: &dyn Fn(&str) -> bool| {
            steps
                .iter()
                .position(|it| of(it["command"].as_str().expect("text")))
        };
        let diff = place(&|it| it.contains("psp2gatekeeper diff "));
        let verify = place(&|it| it.contains("psp2gatekeeper verify "));
        let first = place(&|it| it.contains("helm ") || it.contains(" apply"));
        assert!(diff.is_some() && diff < first, "{name}");
        assert!(verify.is_some() && verify < first, "{name}");
    }
}

#[test]
fn labels_that_mutators_act_on_are_named_below_their_table_and_in_a_step() {
    let mut seen = 0;
    for Recorded {
        name,
        markdown,
        json,
    } in recorded()
    {
        let defaults = json["defaults"].as_array().expect("defaults");
        for labels in defaults.iter().filter_map(|it| it["labels"].as_str()) {
            let named = format!("`{labels}`");
            let below = format!("by label: {named}");
            let steps = json["steps"].as_array().expect("steps");
            let is_step = |it: &Value| it["text"].as_str().is_some_and(|it| it.contains(&named));
            assert!(markdown.contains(&below), "{name}: {below}");
            assert!(steps.iter().any(is_step), "{name}: {named}");
            seen += 1;
        }
    }
    assert!(seen > 0);
}
