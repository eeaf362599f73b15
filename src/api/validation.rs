//! What an API server refuses in a pod that admission has filled something into.
//!
//! Kubernetes 1.24 to 1.34, `pkg/apis/core/validation/validation.go`: `ValidateSecurityContext` and
//! `validateSeccompAnnotationsAndFields`.
//! The rest of the validation is about what neither a policy nor a mutator writes.

use serde_json::Value;

use super::core::{
    Container, Pod, SECCOMP_CONTAINER_PREFIX, SECCOMP_POD, seccomp_annotation_for,
    seccomp_field_for, strings,
};
use crate::version::Version;

/// The release whose API server stored what the PSP admission controller made of a pod: the last one that has the controller.
pub const OF_PSP: Version = Version::new(1, 24);

/// Returns why an API server of that release refuses the pod: the first path and reason, if there is any.
///
/// All releases refuse the same so far.
pub fn refusal(pod: &Pod, _kubernetes: Version) -> Option<String> {
    let of_containers = pod.containers().find_map(|it| {
        let reason = gains_privileges(&it)?;
        Some(format!(
            "{}.securityContext: Invalid value: {reason}",
            it.at
        ))
    });
    of_containers.or_else(|| {
        let path = contradictory_seccomp(pod)?;
        Some(format!(
            "{path}.securityContext.seccompProfile: Forbidden: seccomp profile in annotation and field must match"
        ))
    })
}

/// What a container has that may not gain privileges, and that gives it privileges.
fn gains_privileges(container: &Container<'_>) -> Option<&'static str> {
    let is = |key: &str, value: bool| container.own(key).and_then(Value::as_bool) == Some(value);
    if !is("allowPrivilegeEscalation", false) {
        return None;
    }
    if is("privileged", true) {
        return Some("cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    }
    let added = container.own("capabilities").and_then(|it| it.get("add"));
    // By this name alone.
    strings(added).contains(&"CAP_SYS_ADMIN").then_some(
        "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
    )
}

/// The path of the pod's or the container's specification whose seccomp annotation says something else than its field.
fn contradictory_seccomp(pod: &Pod) -> Option<String> {
    let differ = |key: &str, field: Option<&Value>| {
        let (Some(annotation), Some(field)) = (pod.annotation(key), seccomp_annotation_for(field))
        else {
            return false;
        };
        // Two annotations may mean one field.
        seccomp_field_for(annotation) != seccomp_field_for(&field)
    };
    if differ(SECCOMP_POD, pod.security("seccompProfile")) {
        return Some("spec".to_owned());
    }
    let mut containers = pod.containers();
    let found = containers.find(|it| {
        let key = format!("{SECCOMP_CONTAINER_PREFIX}{}", it.name());
        differ(&key, it.own("seccompProfile"))
    });
    found.map(|it| it.at.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(annotations: &Value, pod: &Value, container: &Value, expected: Option<&str>) {
        let pod = json!({
            "metadata": { "annotations": annotations },
            "spec": {
                "securityContext": pod,
                "containers": [{ "name": "app", "securityContext": container }],
            },
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let actual = refusal(&pod, OF_PSP);
        assert_eq!(
            actual.as_deref().map(|it| it.split(": ").next().unwrap()),
            expected,
            "{pod:?}"
        );
    }

    #[test]
    fn what_may_not_gain_privileges_may_not_have_them() {
        let path = Some("spec.containers[0].securityContext");
        for (context, expected) in [
            (json!({ "privileged": true }), path),
            (
                json!({ "capabilities": { "add": ["CAP_SYS_ADMIN"] } }),
                path,
            ),
            (json!({ "capabilities": { "add": ["SYS_ADMIN"] } }), None),
            (json!({ "privileged": false }), None),
        ] {
            for (value, expected) in [
                (json!(false), expected),
                (json!(true), None),
                (json!(null), None),
            ] {
                let mut context = context.clone();
                context["allowPrivilegeEscalation"] = value;
                check(&json!({}), &json!({}), &context, expected);
            }
        }
    }

    #[test]
    fn a_seccomp_annotation_and_its_field_say_the_same() {
        let localhost = |it: &str| json!({ "type": "Localhost", "localhostProfile": it });
        for (annotation, field, is_same) in [
            ("runtime/default", json!({ "type": "RuntimeDefault" }), true),
            ("docker/default", json!({ "type": "RuntimeDefault" }), true),
            ("runtime/default", json!({ "type": "Unconfined" }), false),
            ("unconfined", json!({ "type": "Unconfined" }), true),
            ("localhost/a", localhost("a"), true),
            ("localhost/a", localhost("b"), false),
            ("localhost/a", json!(null), true),
        ] {
            let context = json!({ "seccompProfile": field });
            let on_pod = json!({ SECCOMP_POD: annotation });
            let path = |it| (!is_same).then_some(it);
            let expected = path("spec.securityContext.seccompProfile");
            check(&on_pod, &context, &json!({}), expected);
            let key = format!("{SECCOMP_CONTAINER_PREFIX}app");
            let on_container = json!({ key: annotation });
            let expected = path("spec.containers[0].securityContext.seccompProfile");
            check(&on_container, &json!({}), &context, expected);
        }
    }
}
