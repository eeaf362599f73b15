//! Whole requests; the expectations are the answers of Gatekeeper 3.23.

use serde_json::json;

use super::*;
use crate::admission::UserInfo;
use crate::manifest::Folder;

fn template(rego: &str) -> String {
    let rego = rego.replace('\n', "\n      ");
    format!(
        "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {{name: test}}\nspec:\n  crd: {{spec: {{names: {{kind: Test}}, validation: {{openAPIV3Schema: {{type: object, properties: {{number: {{type: integer, default: 7}}}}}}}}}}}}\n  targets:\n  - target: admission.k8s.gatekeeper.sh\n    rego: |\n      package test\n      {rego}\n"
    )
}

fn constraint(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Test\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

fn gatekeeper(texts: &[String]) -> Result<GatekeeperAdmission, ReviewError> {
    let manifests: Vec<_> = texts
        .iter()
        .map(|text| Manifest {
            folder: Folder::Templates,
            kind: "Test".to_owned(),
            name: "test".to_owned(),
            text: text.clone(),
        })
        .collect();
    let labels = |key: &str| BTreeMap::from([(key.to_owned(), "x".to_owned())]);
    let namespaces = BTreeMap::from([
        ("ignored".to_owned(), labels(IGNORE_LABEL)),
        ("labeled".to_owned(), labels("team")),
    ]);
    GatekeeperAdmission::from_manifests(&manifests, &namespaces)
}

fn request() -> AdmissionRequest {
    AdmissionRequest {
        uid: "1".to_owned(),
        namespace: "a".to_owned(),
        user_info: UserInfo {
            username: "ann".to_owned(),
            groups: Vec::new(),
        },
        pod: serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": []}}))
            .unwrap(),
        ..AdmissionRequest::default()
    }
}

/// The actions and messages that a template with one constraint answers.
fn answer(rego: &str, spec: &str, request: &AdmissionRequest) -> Vec<(EnforcementAction, String)> {
    let gatekeeper = gatekeeper(&[template(rego), constraint("c", spec)]).unwrap();
    let violations = gatekeeper.validate(request).unwrap();
    let violations = violations.into_iter();
    violations
        .map(|it| (it.enforcement_action, it.message))
        .collect()
}

const ALWAYS: &str = "violation[{\"msg\": \"no\"}] { true }";

/// Kubernetes 1.34, `pkg/registry/core/pod/strategy.go`: `applyAppArmorVersionSkew`.
#[test]
fn a_constraint_sees_an_apparmor_field_where_the_release_has_one() {
    let mutator = "apiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {name: m}\nspec: {applyTo: [{groups: [''], versions: [v1], kinds: [Pod]}], location: spec.securityContext.appArmorProfile, parameters: {assign: {value: {type: RuntimeDefault}}}}\n";
    let of_pod = "violation[{\"msg\": p.type}] { p := input.review.object.spec.securityContext.appArmorProfile }";
    let of_container = "violation[{\"msg\": p.type}] { p := input.review.object.spec.containers[_].securityContext.appArmorProfile }";
    let annotation = "container.apparmor.security.beta.kubernetes.io/c";
    let mut request = request();
    request.pod = serde_json::from_value(json!({
        "metadata": {"name": "p", "annotations": {annotation: "unconfined"}},
        "spec": {"containers": [{"name": "c"}]},
    }))
    .unwrap();
    for (minor, expected) in [
        (29, [None, None]),
        (30, [Some("RuntimeDefault"), Some("Unconfined")]),
    ] {
        let actual = [of_pod, of_container].map(|rego| {
            let texts = [template(rego), constraint("c", "{}"), mutator.to_owned()];
            let gatekeeper = gatekeeper(&texts).unwrap().on(Version::new(1, minor));
            let review = gatekeeper.review_with(&request, |pod| pod).unwrap();
            review.violations.first().map(|it| it.message.clone())
        });
        assert_eq!(
            actual,
            expected.map(|it| it.map(str::to_owned)),
            "1.{minor}"
        );
    }
}

#[test]
fn rego_sees_what_the_webhook_sends() {
    for (condition, expected) in [
        (
            "input.review.kind == {\"group\": \"\", \"version\": \"v1\", \"kind\": \"Pod\"}",
            true,
        ),
        ("input.review.requestResource.resource == \"pods\"", true),
        ("input.review.operation == \"CREATE\"", true),
        ("input.review.options.kind == \"CreateOptions\"", true),
        ("input.review.oldObject == null", true),
        ("input.review.subResource", false),
        ("input.review.name == \"p\"", true),
        ("input.review.userInfo == {\"username\": \"ann\"}", true),
        ("input.review.object.metadata.namespace == \"a\"", true),
        (
            "input.review.namespaceObject.metadata.labels == {\"kubernetes.io/metadata.name\": \"a\"}",
            true,
        ),
        ("input.parameters == {}", true),
        ("not input.review.object.spec.hostPID", true),
    ] {
        let rego = format!("violation[{{\"msg\": \"no\"}}] {{ {condition} }}");
        let found = !answer(&rego, "{}", &request()).is_empty();
        assert_eq!(found, expected, "{condition}");
    }
}

#[test]
fn parameters_get_defaults_where_there_are_any() {
    let rego = "violation[{\"msg\": \"seven\"}] { input.parameters.number == 7 }";
    assert_eq!(answer(rego, "{}", &request()), []);
    let seven = [(EnforcementAction::Deny, "seven".to_owned())];
    assert_eq!(answer(rego, "{parameters: {}}", &request()), seven);
}

#[test]
fn the_enforcement_action_is_that_of_the_webhook() {
    let scoped = |points: &str| {
        format!(
            "{{enforcementAction: scoped, scopedEnforcementActions: [{{action: warn, enforcementPoints: [{points}]}}]}}"
        )
    };
    for (spec, expected) in [
        ("{}".to_owned(), Some(EnforcementAction::Deny)),
        (
            "{enforcementAction: dryrun}".to_owned(),
            Some(EnforcementAction::Dryrun),
        ),
        ("{enforcementAction: \"\"}".to_owned(), None),
        (
            scoped("{name: validation.gatekeeper.sh}"),
            Some(EnforcementAction::Warn),
        ),
        (scoped("{name: \"*\"}"), Some(EnforcementAction::Warn)),
        (scoped("{name: audit.gatekeeper.sh}"), None),
    ] {
        let actions: Vec<_> = answer(ALWAYS, &spec, &request())
            .into_iter()
            .map(|it| it.0)
            .collect();
        assert_eq!(actions, Vec::from_iter(expected), "{spec}");
    }
}

#[test]
fn a_violation_without_message_disappears_and_one_with_a_number_refuses() {
    let rego = "violation[{\"msg\": msg}] { msg := input.review.object.spec.hostname }";
    assert_eq!(answer(rego, "{}", &request()), []);
    let rego = "violation[{\"details\": 1}] { true }\nviolation[{\"msg\": \"no\"}] { false }";
    assert_eq!(answer(rego, "{}", &request()), []);
    let rego = "violation[{\"msg\": 5}] { true }";
    let gatekeeper = gatekeeper(&[template(rego), constraint("c", "{}")]).unwrap();
    let review = gatekeeper.review_with(&request(), |pod| pod).unwrap();
    assert!(!review.allowed && review.error.is_some());
}

#[test]
fn an_undefined_value_falls_through_to_else() {
    let rego = "violation[{\"msg\": msg}] { msg := e(input.review.object) }\ne(pod) = concat(\"\", pod.zz) { pod.kind == \"Pod\" } else = \"none\"";
    let none = [(EnforcementAction::Deny, "none".to_owned())];
    assert_eq!(answer(rego, "{}", &request()), none);
}

#[test]
fn an_undefined_argument_undoes_a_negation() {
    let rego = "violation[{\"msg\": \"no\"}] { not f(input.review.object.zz) }\nf(x) { x }";
    assert_eq!(answer(rego, "{}", &request()), []);
}

#[test]
fn the_same_message_with_other_details_is_another_violation() {
    let rego = "violation[{\"msg\": \"no\", \"details\": d}] { d := {{}, {\"a\": 1}}[_] }\nviolation[{\"msg\": \"no\"}] { true }";
    assert_eq!(answer(rego, "{}", &request()).len(), 2);
}

#[test]
fn an_update_matches_by_the_new_pod_or_the_old_one() {
    let mut update = request();
    update.operation = Operation::Update;
    update.old_pod = Some(update.pod.clone());
    let labels = json!({"metadata": {"name": "p", "labels": {"app": "x"}}});
    update.pod = serde_json::from_value(labels).unwrap();
    let select = |operator: &str| {
        format!(
            "{{match: {{labelSelector: {{matchExpressions: [{{key: app, operator: {operator}}}]}}}}}}"
        )
    };
    assert_eq!(answer(ALWAYS, &select("Exists"), &update).len(), 1);
    assert_eq!(answer(ALWAYS, &select("DoesNotExist"), &update).len(), 1);
    update.old_pod = Some(update.pod.clone());
    assert_eq!(answer(ALWAYS, &select("DoesNotExist"), &update).len(), 0);
}

#[test]
fn some_requests_do_not_reach_gatekeeper() {
    let gatekeeper = gatekeeper(&[template(ALWAYS), constraint("c", "{}")]).unwrap();
    let admitted = |change: &dyn Fn(&mut AdmissionRequest)| {
        let mut request = request();
        change(&mut request);
        gatekeeper.validate(&request).unwrap().is_empty()
    };
    assert!(!admitted(&|_| {}));
    assert!(!admitted(&|it| it.namespace = "kube-system".to_owned()));
    assert!(!admitted(
        &|it| it.subresource = "ephemeralcontainers".to_owned()
    ));
    assert!(admitted(&|it| it.subresource = "status".to_owned()));
    assert!(admitted(&|it| it.namespace = "ignored".to_owned()));
    assert!(admitted(&|it| it.namespace = "gatekeeper-system".to_owned()));
    assert!(admitted(&|it| it.operation = Operation::Delete));
    let account = "system:serviceaccount:gatekeeper-system:gatekeeper-admin";
    assert!(admitted(&|it| it.user_info.username = account.to_owned()));
}

#[test]
fn the_api_server_comes_between_the_webhooks() {
    let assign = |value: &str| {
        format!(
            "apiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {{name: a}}\nspec:\n  applyTo: [{{groups: [\"\"], versions: [v1], kinds: [Pod]}}]\n  location: spec.securityContext.runAsUser\n  parameters: {{assign: {{value: {value}}}}}\n"
        )
    };
    let rego = "violation[{\"msg\": \"root\"}] { input.review.object.spec.securityContext.runAsUser == 0 }";
    let texts = [template(rego), constraint("c", "{}"), assign("0")];
    let review = gatekeeper(&texts)
        .unwrap()
        .review_with(&request(), |pod| pod)
        .unwrap();
    assert!(!review.allowed);
    let changed = |mut pod: Pod| {
        assert_eq!(
            pod.get(&["spec", "securityContext", "runAsUser"]),
            Some(&json!(0))
        );
        pod.0.insert("spec".to_owned(), json!({"containers": []}));
        pod
    };
    assert!(
        gatekeeper(&texts)
            .unwrap()
            .review_with(&request(), changed)
            .unwrap()
            .allowed
    );
    let unreadable = gatekeeper(&[assign("abc")]).unwrap();
    let review = unreadable.review_with(&request(), |pod| pod).unwrap();
    assert!(!review.allowed && review.error.is_some());
}

#[test]
fn what_cannot_be_evaluated_is_never_admitted() {
    let object = |group: &str, kind: &str| {
        format!("apiVersion: {group}.gatekeeper.sh/v1alpha1\nkind: {kind}\nmetadata: {{name: x}}\n")
    };
    let cel = template(ALWAYS).replace(
        "    rego: |",
        "    code: [{engine: K8sNativeValidation, source: {}}]\n    rego: |",
    );
    for text in [
        object("config", "Config"),
        object("syncset", "SyncSet"),
        object("mutations", "AssignImage"),
        cel,
    ] {
        let error = gatekeeper(std::slice::from_ref(&text)).unwrap_err();
        assert!(
            matches!(error, ReviewError::CannotEvaluate { .. }),
            "{text}: {error}"
        );
    }
    let failing = "violation[{\"msg\": \"no\"}] { to_number(\"x\") == 1 }";
    let gatekeeper = gatekeeper(&[template(failing), constraint("c", "{}")]).unwrap();
    let error = gatekeeper.review_with(&request(), |pod| pod).unwrap_err();
    assert!(
        matches!(error, ReviewError::CannotEvaluate { .. }),
        "{error}"
    );
}

#[test]
fn what_a_cluster_does_not_accept_is_an_error() {
    assert!(
        gatekeeper(&[
            template(ALWAYS),
            constraint("c", "{parameters: {number: 1}}")
        ])
        .is_ok()
    );
    let with = |from: &str, to: &str| template(ALWAYS).replace(from, to);
    for texts in [
        vec![constraint("c", "{}")],
        vec![template(ALWAYS), template(ALWAYS)],
        vec![with("name: test}", "name: other}")],
        vec![with("admission.k8s", "other")],
        vec![with("true }", "true")],
        vec![
            template(ALWAYS),
            constraint("c", "{enforcementAction: block}"),
        ],
        vec![template(ALWAYS), constraint("c", "{parameters: {m: 1}}")],
        vec![template(ALWAYS), constraint("c", "{match: {namespace: a}}")],
        vec![
            template(ALWAYS),
            constraint("c", "{enforcementAction: scoped}"),
        ],
        vec![
            template(ALWAYS),
            constraint("c", "{}").replace("v1beta1", "v1"),
        ],
    ] {
        assert!(gatekeeper(&texts).is_err(), "{texts:?}");
    }
}
