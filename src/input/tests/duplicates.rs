use super::{OPTIONS, diagnostics, errors, inventory, lines, policy, source};
use crate::input::{Source, load};

#[test]
fn repeated_keys_are_errors_in_yaml_and_json() {
    assert_eq!(
        errors(&policy("  privileged: true\n  privileged: false\n")),
        ["11:3: key `privileged` is repeated, first on line 10"]
    );
    let text = "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\",\n \"metadata\": {\"name\": \"a\", \"na\\u006de\": \"b\"}}";
    assert_eq!(
        errors(text),
        ["2:28: key `name` is repeated, first on line 2"]
    );
    let many: Vec<String> = (0..40).map(|it| format!("k{it}: 1")).collect();
    let many = many.join("\n");
    assert_eq!(
        errors(&format!("apiVersion: v1\nkind: Pod\n{many}\nk7: 2\n")),
        ["43:1: key `k7` is repeated, first on line 10"]
    );
}

#[test]
fn keys_that_a_merge_brought_may_be_given_again_once() {
    let text = "apiVersion: v1\nkind: Pod\nx: {<<: {a: 1}, a: 2}\n";
    assert_eq!(inventory(text).workloads[0].object["x"]["a"], 2);
    let text = "apiVersion: v1\nkind: Pod\nx: {<<: {a: 1}, a: 2, a: 3}\n";
    assert_eq!(errors(text), ["3:23: key `a` is repeated, first on line 3"]);
}

#[test]
fn the_same_object_again_is_a_note() {
    let text = format!(
        "{}---\n{}",
        policy(""),
        policy("").replace("policy/v1beta1", "extensions/v1beta1")
    );
    assert_eq!(inventory(&text).policies.len(), 1);
    assert_eq!(inventory(&text).read["PodSecurityPolicy"], 1);
    assert_eq!(
        diagnostics(&text),
        [
            "note[duplicate-object]: a.yaml:11:1: PodSecurityPolicy p: given again with the same content, first in a.yaml:1:1"
        ]
    );
}

#[test]
fn another_object_of_the_same_name_is_an_error_that_names_both_places() {
    let other = Source {
        name: "b.yaml".to_owned(),
        ..source(&policy("  privileged: true"))
    };
    let error = load(&[source(&policy("")), other], OPTIONS).expect_err("it is refused");
    assert_eq!(
        lines(&error),
        ["2:7: PodSecurityPolicy p is given again with different content, first in a.yaml:1:1"]
    );
    assert_eq!(error.errors[0].location.file, "b.yaml");
}

#[test]
fn names_are_taken_once_for_each_namespace_and_kind() {
    let role = |kind: &str, namespace: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: a, namespace: {namespace}}}\n---\n"
        )
    };
    let text = role("Role", "x") + &role("Role", "z") + &role("ClusterRole", "x");
    assert_eq!(inventory(&text).roles.len(), 3);
    let rules = "rules: [{verbs: [use], apiGroups: [a], resources: [b]}]\nkind";
    let again = text + &role("Role", "z").replace("kind", rules);
    assert_eq!(
        errors(&again),
        ["15:7: Role z/a is given again with different content, first in a.yaml:5:1"]
    );
}
