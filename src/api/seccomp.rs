//! The two places of a seccomp profile in a pod: annotation and field.

use serde_json::Value;

use super::core::{
    Pod, SECCOMP_CONTAINER_PREFIX, SECCOMP_POD, seccomp_annotation_for, seccomp_field_for,
};

/// Gives a pod or container that has one of annotation and field the other, as the API server does with a new pod.
///
/// Kubernetes 1.24, `pkg/registry/core/pod/strategy.go`: `applySeccompVersionSkew`.
pub fn sync(pod: &mut Pod) {
    let field = seccomp_annotation_for(pod.security("seccompProfile"));
    let annotation = pod.annotation(SECCOMP_POD).map(ToOwned::to_owned);
    match missing_half(field, annotation) {
        Some(Half::Annotation(annotation)) => pod.set_annotation(SECCOMP_POD, &annotation),
        Some(Half::Field(field)) => pod.set_security("seccompProfile", field),
        None => {}
    }
    for at in pod.container_refs() {
        let Some(container) = pod.container(at) else {
            continue;
        };
        let key = format!("{SECCOMP_CONTAINER_PREFIX}{}", container.name());
        let field = seccomp_annotation_for(container.own("seccompProfile"));
        let annotation = pod.annotation(&key).map(ToOwned::to_owned);
        match missing_half(field, annotation) {
            Some(Half::Annotation(annotation)) => pod.set_annotation(&key, &annotation),
            Some(Half::Field(field)) => pod.set_container_security(at, "seccompProfile", field),
            None => {}
        }
    }
}

/// One of the two places of a seccomp profile, with what belongs there.
enum Half {
    Annotation(String),
    Field(Value),
}

/// The half that can be made of the other; `field` is given in the form of an annotation.
fn missing_half(field: Option<String>, annotation: Option<String>) -> Option<Half> {
    match (field, annotation) {
        (Some(field), None) => (!field.is_empty()).then_some(Half::Annotation(field)),
        (None, Some(annotation)) => seccomp_field_for(&annotation).map(Half::Field),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONTAINER_KEY: &str = "container.seccomp.security.alpha.kubernetes.io/app";

    fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    /// A pod of this security context with one container of that one; null stands for none.
    fn contexts(pod: &Value, container: &Value) -> Value {
        json!({ "spec": {
            "securityContext": pod,
            "containers": [{ "name": "app", "securityContext": container }],
        } })
    }

    #[track_caller]
    fn check_create(before: Value, after: Value) {
        let mut actual = pod(before);
        sync(&mut actual);
        assert_eq!(actual, pod(after));
    }

    fn annotated(mut pod: Value, annotations: &Value) -> Value {
        pod["metadata"] = json!({ "annotations": annotations });
        pod
    }

    #[test]
    fn a_seccomp_field_gets_its_annotation() {
        let field = json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": "p" } });
        let before = contexts(&field, &field);
        let annotations = json!({ SECCOMP_POD: "localhost/p", CONTAINER_KEY: "localhost/p" });
        check_create(before.clone(), annotated(before, &annotations));
    }

    #[test]
    fn a_seccomp_annotation_gets_its_field() {
        let field = |it: &Value| json!({ "seccompProfile": it });
        for (annotation, profile) in [
            ("unconfined", json!({ "type": "Unconfined" })),
            ("docker/default", json!({ "type": "RuntimeDefault" })),
            ("runtime/default", json!({ "type": "RuntimeDefault" })),
            (
                "localhost/p",
                json!({ "type": "Localhost", "localhostProfile": "p" }),
            ),
        ] {
            let annotations = json!({ SECCOMP_POD: annotation, CONTAINER_KEY: annotation });
            let before = annotated(contexts(&json!({}), &json!(null)), &annotations);
            let after = annotated(contexts(&field(&profile), &field(&profile)), &annotations);
            check_create(before, after);
        }
    }

    #[test]
    fn what_has_no_counterpart_and_what_has_both_stays() {
        let annotations = json!({ SECCOMP_POD: "localhost/", CONTAINER_KEY: "" });
        let unknown = annotated(contexts(&json!({}), &json!({})), &annotations);
        check_create(unknown.clone(), unknown);
        let field = json!({ "seccompProfile": { "type": "Unconfined" } });
        let annotations = json!({ SECCOMP_POD: "runtime/default", CONTAINER_KEY: "x" });
        let both = annotated(contexts(&field, &field), &annotations);
        check_create(both.clone(), both);
        let local = contexts(
            &json!({ "seccompProfile": { "type": "Localhost" } }),
            &json!({}),
        );
        check_create(local.clone(), local);
    }
}
