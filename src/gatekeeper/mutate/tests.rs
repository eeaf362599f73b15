//! The expectations are the answers of Gatekeeper 3.23.

use serde_json::json;

use super::*;
use crate::gatekeeper::document;

fn mutators(texts: &[&str]) -> Result<Mutators, ReviewError> {
    let objects: Vec<_> = texts
        .iter()
        .flat_map(|it| document::objects("test", it).unwrap())
        .collect();
    Mutators::new(&objects)
}

fn assign(name: &str, location: &str, value: &str, more: &str) -> String {
    format!(
        "apiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {{name: {name}}}\nspec:\n  applyTo: [{{groups: [\"\"], versions: [v1], kinds: [Pod]}}]\n  location: '{location}'\n  parameters: {{assign: {{value: {value}}}{more}}}\n"
    )
}

fn modify_set(name: &str, location: &str, operation: &str, list: &str) -> String {
    format!(
        "apiVersion: mutations.gatekeeper.sh/v1\nkind: ModifySet\nmetadata: {{name: {name}}}\nspec:\n  applyTo: [{{groups: [\"\"], versions: [v1], kinds: [Pod], operations: [CREATE]}}]\n  location: '{location}'\n  parameters: {{operation: {operation}, values: {{fromList: {list}}}}}\n"
    )
}

fn mutate(texts: &[&str], operation: Operation, mut pod: Value) -> Result<Value, String> {
    let namespace = Namespace {
        name: "a",
        labels: None,
    };
    let mutators = mutators(texts).unwrap();
    mutators.mutate(&mut pod, namespace, operation)?;
    Ok(pod)
}

#[track_caller]
fn check(texts: &[&str], spec: &Value, expected: &Value) {
    let pod = json!({"metadata": {"name": "p"}, "spec": spec});
    let mutated = mutate(texts, Operation::Create, pod).unwrap();
    assert_eq!(mutated["spec"], *expected);
}

#[test]
fn missing_objects_on_the_way_are_created_and_numbers_stay_integers() {
    let text = assign("a", "spec.securityContext.runAsUser", "1000", "");
    check(
        &[&text],
        &json!({}),
        &json!({"securityContext": {"runAsUser": 1000}}),
    );
}

#[test]
fn a_glob_visits_what_is_there_and_creates_nothing() {
    let text = assign("a", "spec.containers[name:*].image", "i", "");
    check(
        &[&text],
        &json!({"containers": [{"name": "x"}, {}]}),
        &json!({"containers": [{"name": "x", "image": "i"}, {"image": "i"}]}),
    );
    check(&[&text], &json!({}), &json!({}));
}

#[test]
fn a_key_without_its_element_appends_one() {
    let text = assign("a", "spec.containers[name:ghost].image", "i", "");
    check(
        &[&text],
        &json!({"containers": [{"name": "x"}]}),
        &json!({"containers": [{"name": "x"}, {"name": "ghost", "image": "i"}]}),
    );
}

#[test]
fn path_tests_look_at_the_element_at_hand() {
    let path_test =
        ", pathTests: [{subPath: 'spec.containers[name:*].tty', condition: MustNotExist}]";
    let text = assign("a", "spec.containers[name:*].tty", "true", path_test);
    check(
        &[&text],
        &json!({"containers": [{"tty": false}, {}]}),
        &json!({"containers": [{"tty": false}, {"tty": true}]}),
    );
}

#[test]
fn the_last_name_wins_and_with_must_not_exist_the_first() {
    let test = ", pathTests: [{subPath: spec.hostname, condition: MustNotExist}]";
    let plain = [
        assign("b9", "spec.hostname", "nine", ""),
        assign("b10", "spec.hostname", "ten", ""),
    ];
    check(
        &[&plain[0], &plain[1]],
        &json!({}),
        &json!({"hostname": "nine"}),
    );
    let tested = [
        assign("b9", "spec.hostname", "nine", test),
        assign("b10", "spec.hostname", "ten", test),
    ];
    check(
        &[&tested[0], &tested[1]],
        &json!({}),
        &json!({"hostname": "ten"}),
    );
}

#[test]
fn a_merge_appends_what_is_missing_and_a_prune_leaves_empty_parents() {
    let merge = modify_set("m", "spec.x.drop", "merge", "[ALL, KILL]");
    check(
        &[&merge],
        &json!({"x": {"drop": ["KILL", "A"]}}),
        &json!({"x": {"drop": ["KILL", "A", "ALL"]}}),
    );
    let prune = modify_set("m", "spec.x.drop", "prune", "[ALL]");
    check(
        &[&prune],
        &json!({"x": {"drop": ["ALL"]}}),
        &json!({"x": {"drop": []}}),
    );
    check(&[&prune], &json!({}), &json!({"x": {}}));
}

#[test]
fn an_assigned_number_is_not_the_integer_that_a_set_holds() {
    let whole = assign("a", "spec.groups", "[1000]", "");
    let merge = modify_set("m", "spec.groups", "merge", "[1000]");
    check(
        &[&whole, &merge],
        &json!({}),
        &json!({"groups": [1000, 1000]}),
    );
}

#[test]
fn metadata_is_never_overwritten_and_may_switch_on_another_mutator() {
    let label = "apiVersion: mutations.gatekeeper.sh/v1\nkind: AssignMetadata\nmetadata: {name: z}\nspec:\n  location: 'metadata.labels.\"a.b/c\"'\n  parameters: {assign: {value: set}}\n";
    let with_match = assign("a", "spec.hostname", "h", "").replace(
        "spec:\n",
        "spec:\n  match: {labelSelector: {matchLabels: {a.b/c: set}}}\n",
    );
    let pod = |labels: Value| json!({"metadata": {"labels": labels}, "spec": {}});
    let mutated = mutate(&[label, &with_match], Operation::Create, pod(json!({}))).unwrap();
    assert_eq!(
        mutated,
        json!({"metadata": {"labels": {"a.b/c": "set"}}, "spec": {"hostname": "h"}})
    );
    let kept = pod(json!({"a.b/c": ""}));
    assert_eq!(
        mutate(&[label, &with_match], Operation::Update, kept.clone()),
        Ok(kept)
    );
}

#[test]
fn operations_limit_a_mutator() {
    let merge = modify_set("m", "spec.x", "merge", "[1]");
    let pod = json!({"spec": {}});
    assert_eq!(mutate(&[&merge], Operation::Update, pod.clone()), Ok(pod));
}

#[test]
fn a_location_that_does_not_fit_the_pod_refuses_the_request() {
    let text = assign("a", "spec.containers.image", "i", "");
    let pod = json!({"spec": {"containers": []}});
    assert!(mutate(&[&text], Operation::Create, pod).is_err());
}

#[test]
fn mutators_in_conflict_are_all_off_and_others_go_on() {
    let object = assign("a", "spec.containers.image", "i", "");
    let list = assign("b", "spec.containers[name:*].image", "i", "");
    let other = assign("c", "spec.hostname", "h", "");
    check(
        &[&object, &list, &other],
        &json!({"containers": [{"name": "x"}]}),
        &json!({"containers": [{"name": "x"}], "hostname": "h"}),
    );
}

#[test]
fn what_gatekeeper_refuses_is_an_error() {
    let test = |sub_path: &str, condition: &str| {
        format!(", pathTests: [{{subPath: '{sub_path}', condition: {condition}}}]")
    };
    let ordered = ", pathTests: [{subPath: spec.a.b, condition: MustNotExist}, {subPath: spec.a, condition: MustExist}]";
    for text in [
        assign("a", "metadata.labels.x", "y1", ""),
        assign("a", "spec.c[name:*].name", "x", ""),
        assign("a", "spec.c[name:x]", "{name: z}", ""),
        assign("a", "spec.c[name:*]", "{name: z}", ""),
        assign("a", "spec.a.b", "x", &test("spec.c", "MustExist")),
        assign("a", "spec.a.b", "x", &test("spec.a", "Exists")),
        assign("a", "spec.a.b", "x", ordered),
        assign("a", "spec.a", "null", ""),
        assign("a", "spec.a", "1", "").replace("[Pod]}", "[Pod], operations: [DELETE]}"),
        assign("a", "spec.a", "1", "").replace("[Pod]}", "[Pod], operations: ['*', CREATE]}"),
        assign("a", "spec.a", "1", "").replace("[v1]", "[]"),
        assign("a", "spec.a", "1", "").replace("applyTo", "applyTos"),
        modify_set("m", "spec.c[name:*]", "merge", "[1]"),
        modify_set("m", "spec.c", "union", "[1]"),
    ] {
        let error = mutators(&[&text]).unwrap_err();
        assert!(
            matches!(error, ReviewError::Invalid { .. }),
            "{text}: {error}"
        );
    }
}

#[test]
fn what_comes_from_outside_cannot_be_evaluated() {
    let image = assign("a", "spec.a", "1", "").replace("kind: Assign\n", "kind: AssignImage\n");
    let external =
        assign("a", "spec.a", "1", "").replace("value: 1", "externalData: {provider: p}");
    for text in [image, external] {
        let error = mutators(&[&text]).unwrap_err();
        assert!(
            matches!(error, ReviewError::CannotEvaluate { .. }),
            "{text}: {error}"
        );
    }
}
