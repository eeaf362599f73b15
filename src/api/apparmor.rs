//! The two places of an AppArmor profile in a pod: annotation and, since Kubernetes 1.30, field.

use serde_json::{Value, json};

use super::core::{
    APPARMOR_CONTAINER_PREFIX, Container, LOCALHOST_PREFIX, Pod, RUNTIME_DEFAULT, UNCONFINED,
};
use crate::version::Version;

/// The first release of Kubernetes with a field for the profile.
pub const FIELD_SINCE: Version = Version::new(1, 30);

/// The member of a security context, of a pod or a container, that has the profile.
pub const FIELD: &str = "appArmorProfile";

/// The key of the annotation of a container.
pub fn annotation_key(container: &str) -> String {
    format!("{APPARMOR_CONTAINER_PREFIX}{container}")
}

/// The field that says the same as the annotation of a container, if one can.
///
/// Kubernetes 1.34, `pkg/api/pod/util.go`: `ApparmorFieldForAnnotation`.
pub fn field_for(profile: &str) -> Option<Value> {
    match profile {
        RUNTIME_DEFAULT => Some(json!({ "type": "RuntimeDefault" })),
        UNCONFINED => Some(json!({ "type": "Unconfined" })),
        _ => match profile.strip_prefix(LOCALHOST_PREFIX)? {
            "" => None,
            name => Some(json!({ "type": "Localhost", "localhostProfile": name })),
        },
    }
}

/// Gives each container whose profile is an annotation the field, as the API server does with a new pod.
///
/// Kubernetes 1.34, `pkg/registry/core/pod/strategy.go`: `applyAppArmorVersionSkew`.
/// What the pod's own field says already is not repeated, and pods for Windows are left alone.
pub fn sync(pod: &mut Pod) {
    if is_for_windows(pod) {
        return;
    }
    for at in pod.container_refs() {
        if let Some(container) = pod.container(at)
            && container.own(FIELD).is_none()
            && let Some(field) = field_of_annotation(&container)
            && pod.security(FIELD) != Some(&field)
        {
            pod.set_container_security(at, FIELD, field);
        }
    }
}

/// Writes the profile of each container in its own field alone, wherever the pod says it, so that pods with the same profiles are
/// equal.
///
/// The container's field comes first, then its annotation, then the pod's field.
/// An annotation that no field can say stays where nothing else says a profile.
pub fn move_to_containers(pod: &mut Pod) {
    if is_for_windows(pod) {
        return;
    }
    let of_pod = pod.security(FIELD).cloned();
    for at in pod.container_refs() {
        let Some(container) = pod.container(at) else {
            continue;
        };
        let field = container.own(FIELD).cloned();
        let field = field
            .or_else(|| field_of_annotation(&container))
            .or_else(|| of_pod.clone());
        if let Some(field) = field {
            let key = annotation_key(container.name());
            pod.remove(&["metadata", "annotations", &key]);
            pod.set_container_security(at, FIELD, field);
        }
    }
    pod.remove(&["spec", "securityContext", FIELD]);
}

/// Writes the profile of each container as its annotation, wherever the pod says it, for who reads annotations alone.
///
/// Fields stay; of several places the first counts that [`move_to_containers`] names.
pub fn annotate(pod: &mut Pod) {
    for at in pod.container_refs() {
        let Some(container) = pod.container(at) else {
            continue;
        };
        let annotation = container.app_armor_profile();
        let field = match container.own(FIELD) {
            None if annotation.is_empty() => pod.security(FIELD),
            own => own,
        };
        if let Some(profile) = field.and_then(profile_of) {
            let key = annotation_key(container.name());
            pod.set_annotation(&key, &profile);
        }
    }
}

/// The annotation that says the same as a field, if one can.
fn profile_of(field: &Value) -> Option<String> {
    let member = |key: &str| field.get(key).and_then(Value::as_str);
    match member("type")? {
        "RuntimeDefault" => Some(RUNTIME_DEFAULT.to_owned()),
        "Unconfined" => Some(UNCONFINED.to_owned()),
        "Localhost" => Some(format!("{LOCALHOST_PREFIX}{}", member("localhostProfile")?)),
        _ => None,
    }
}

fn field_of_annotation(container: &Container<'_>) -> Option<Value> {
    field_for(container.app_armor_profile())
}

fn is_for_windows(pod: &Pod) -> bool {
    pod.get(&["spec", "os", "name"])
        .is_some_and(|it| it == "windows")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "container.apparmor.security.beta.kubernetes.io/app";

    /// A pod whose container has this annotation, with these fields of pod and container; null stands for none.
    fn pod(annotation: &Value, of_pod: &Value, of_container: &Value) -> Pod {
        let mut res = json!({
            "metadata": { "annotations": {} },
            "spec": { "securityContext": {}, "containers": [{ "name": "app" }] },
        });
        if !annotation.is_null() {
            res["metadata"]["annotations"][KEY] = annotation.clone();
        }
        if !of_pod.is_null() {
            res["spec"]["securityContext"][FIELD] = of_pod.clone();
        }
        if !of_container.is_null() {
            res["spec"]["containers"][0]["securityContext"] = json!({ FIELD: of_container });
        }
        serde_json::from_value(res).unwrap()
    }

    #[test]
    fn an_annotation_becomes_the_field_of_its_container_unless_the_pod_says_the_same() {
        let none = Value::Null;
        let [default, unconfined] =
            ["RuntimeDefault", "Unconfined"].map(|it| json!({ "type": it }));
        let local = json!({ "type": "Localhost", "localhostProfile": "a" });
        for (annotation, of_pod, of_container, expected) in [
            ("runtime/default", &none, &none, &default),
            ("unconfined", &default, &none, &unconfined),
            ("localhost/a", &none, &none, &local),
            ("runtime/default", &default, &none, &none),
            ("runtime/default", &none, &unconfined, &unconfined),
            ("localhost/", &none, &none, &none),
            ("", &default, &none, &none),
        ] {
            let annotation = json!(annotation);
            let mut actual = pod(&annotation, of_pod, of_container);
            sync(&mut actual);
            assert_eq!(actual, pod(&annotation, of_pod, expected));
        }
    }

    #[test]
    fn wherever_a_profile_stands_it_is_the_same() {
        let none = Value::Null;
        let [default, unconfined] =
            ["RuntimeDefault", "Unconfined"].map(|it| json!({ "type": it }));
        for (annotation, of_pod, of_container, expected) in [
            (&json!("runtime/default"), &none, &none, &default),
            (&none, &default, &none, &default),
            (&none, &none, &default, &default),
            (&json!(""), &default, &none, &default),
            // The nearer one.
            (&json!("unconfined"), &default, &none, &unconfined),
            (&json!("unconfined"), &none, &default, &default),
        ] {
            let mut actual = pod(annotation, of_pod, of_container);
            move_to_containers(&mut actual);
            assert_eq!(actual, pod(&none, &none, expected));
        }
        let nothing = pod(&json!("localhost/"), &none, &none);
        let mut actual = nothing.clone();
        move_to_containers(&mut actual);
        assert_eq!(actual, nothing);
    }

    #[test]
    fn who_reads_annotations_learns_of_fields() {
        let none = Value::Null;
        let default = json!({ "type": "RuntimeDefault" });
        let local = json!({ "type": "Localhost", "localhostProfile": "a" });
        for (annotation, of_pod, of_container, expected) in [
            (&none, &default, &none, "runtime/default"),
            (&json!(""), &local, &none, "localhost/a"),
            (&json!("unconfined"), &default, &none, "unconfined"),
            (&json!("unconfined"), &none, &local, "localhost/a"),
            (&none, &default, &local, "localhost/a"),
        ] {
            let mut actual = pod(annotation, of_pod, of_container);
            annotate(&mut actual);
            assert_eq!(actual, pod(&json!(expected), of_pod, of_container));
        }
        let mut actual = pod(&none, &none, &none);
        annotate(&mut actual);
        assert_eq!(actual, pod(&none, &none, &none));
    }

    #[test]
    fn pods_for_windows_are_left_alone() {
        let none = Value::Null;
        let mut before = pod(&json!("unconfined"), &none, &none);
        before.set(&["spec", "os", "name"], "windows".into());
        for change in [sync, move_to_containers] {
            let mut after = before.clone();
            change(&mut after);
            assert_eq!(after, before);
        }
    }
}
