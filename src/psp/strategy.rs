//! What the API server does to a pod between mutating and validating admission, as far as it matters to PodSecurityPolicies.
//!
//! Kubernetes 1.24, `pkg/registry/core/pod/strategy.go`, `pkg/api/pod/util.go` and `k8s.io/apiserver/pkg/registry/rest`.
//! Not modelled are the status of a new pod, generated names, UIDs and times, and API validation, which may still refuse the pod.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::api::core::Pod;
use crate::api::seccomp;
use crate::version::Version;

/// The first release whose API server has the feature gate `ProcMountType` on by default.
const PROC_MOUNT_SINCE: Version = Version::new(1, 33);

/// Whether an API server of that release keeps proc mount types, which one of 1.24 does with the feature gate on.
pub fn keeps_proc_mount(gate: bool, kubernetes: Version) -> bool {
    gate || kubernetes >= PROC_MOUNT_SINCE
}

/// Prepares a pod that is about to be created.
///
/// Where a pod or container has one of seccomp annotation and seccomp field, it gets the other.
/// Without the feature gate `ProcMountType` it keeps no proc mount type: each that is set becomes `Default`.
pub fn prepare_for_create(pod: &mut Pod, keeps_proc_mount: bool) {
    for key in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        pod.remove(&["metadata", key]);
    }
    if !keeps_proc_mount {
        reset_proc_mount(pod);
    }
    seccomp::sync(pod);
}

/// Prepares a pod that is about to be updated.
///
/// The status and what only the system writes in the metadata stay as they were; seccomp is not synchronized.
pub fn prepare_for_update(pod: &mut Pod, old_pod: &Pod, keeps_proc_mount: bool) {
    keep(pod, old_pod, &["status"]);
    keep(pod, old_pod, &["metadata", "generation"]);
    for key in ["uid", "resourceVersion", "deletionGracePeriodSeconds"] {
        let path = ["metadata", key];
        if pod.get(&path).is_none_or(|it| it == "") {
            keep(pod, old_pod, &path);
        }
    }
    for key in ["creationTimestamp", "deletionTimestamp"] {
        let path = ["metadata", key];
        if old_pod.get(&path).is_some() {
            keep(pod, old_pod, &path);
        }
    }
    if !keeps_proc_mount && !uses_proc_mount(old_pod) {
        reset_proc_mount(pod);
    }
}

/// Whether an update changes nothing but what garbage collection does: owner references, finalizers and managed fields.
///
/// Kubernetes 1.24, `pkg/registry/rbac/helpers.go`: `IsOnlyMutatingGCFields`. An update that changes nothing is one.
/// Pods are compared as an API server writes them, so that equal quantities and times are written alike; absent, `null` and an
/// empty list or map are the same.
pub fn only_changes_gc_fields(pod: &Pod, old_pod: &Pod) -> bool {
    let [pod, old_pod] = [pod, old_pod].map(|it| {
        let mut pod = it.clone();
        for key in ["ownerReferences", "finalizers", "selfLink", "managedFields"] {
            pod.remove(&["metadata", key]);
        }
        // The API server gives every pod a security context.
        if pod.get(&["spec", "securityContext"]).is_none() {
            pod.set(&["spec", "securityContext"], Map::new().into());
        }
        pod
    });
    equal_objects(&pod.0, &old_pod.0)
}

/// Members whose type in Go is a map, or an object that is always there, so that an empty object is the same as none.
const EMPTY_MEANS_ABSENT: [&str; 12] = [
    "annotations",
    "labels",
    "limits",
    "matchLabels",
    "metadata",
    "nodeSelector",
    "options",
    "overhead",
    "requests",
    "resources",
    "status",
    "volumeAttributes",
];

fn equal_objects(left: &Map<String, Value>, right: &Map<String, Value>) -> bool {
    let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    keys.into_iter().all(|key| {
        let present = |it: &&Value| !is_absent(key, it);
        match (
            left.get(key).filter(present),
            right.get(key).filter(present),
        ) {
            (Some(left), Some(right)) => equal(left, right),
            (left, right) => left.is_none() && right.is_none(),
        }
    })
}

fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => equal_objects(left, right),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .zip(right)
                    .all(|(left, right)| equal(left, right))
        }
        _ => left == right,
    }
}

fn is_absent(key: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => {
            EMPTY_MEANS_ABSENT.contains(&key) && members.iter().all(|(key, it)| is_absent(key, it))
        }
        _ => false,
    }
}

fn uses_proc_mount(pod: &Pod) -> bool {
    pod.containers().any(|it| {
        let type_ = it.own("procMount").and_then(Value::as_str);
        type_.is_some_and(|it| it != "Default")
    })
}

/// Makes each proc mount type that is set `Default`.
///
/// Kubernetes 1.24, `pkg/api/pod/util.go`: `dropDisabledProcMountField`.
pub fn reset_proc_mount(pod: &mut Pod) {
    for at in pod.container_refs() {
        let type_ = pod.container(at).and_then(|it| it.own("procMount"));
        if type_.is_some() {
            pod.set_container_security(at, "procMount", "Default".into());
        }
    }
}

/// Gives the pod what the old one has at the path, which may be nothing.
fn keep(pod: &mut Pod, old_pod: &Pod, path: &[&str]) {
    match old_pod.get(path) {
        Some(value) => pod.set(path, value.clone()),
        None => pod.remove(path),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{contexts, pod};

    #[track_caller]
    fn check_create(before: Value, after: Value) {
        let mut actual = pod(before);
        prepare_for_create(&mut actual, false);
        assert_eq!(actual, pod(after));
    }

    #[test]
    fn proc_mount_types_are_reset_without_their_gate() {
        let [unmasked, default] =
            ["Unmasked", "Default"].map(|it| contexts(&json!({}), &json!({ "procMount": it })));
        check_create(unmasked.clone(), default.clone());
        let mut kept = pod(unmasked.clone());
        prepare_for_create(&mut kept, true);
        assert_eq!(kept, pod(unmasked.clone()));

        let mut reset = pod(unmasked.clone());
        prepare_for_update(&mut reset, &pod(default.clone()), false);
        assert_eq!(reset, pod(default));
        let mut in_use = pod(unmasked.clone());
        prepare_for_update(&mut in_use, &pod(unmasked.clone()), false);
        assert_eq!(in_use, pod(unmasked));
    }

    #[test]
    fn an_update_does_not_synchronize_seccomp() {
        let field = json!({ "seccompProfile": { "type": "Unconfined" } });
        let mut actual = pod(contexts(&field, &json!({})));
        let before = actual.clone();
        prepare_for_update(&mut actual, &before.clone(), false);
        assert_eq!(actual, before);
    }

    #[test]
    fn an_update_cannot_write_what_the_system_writes() {
        let old_pod = pod(json!({
            "metadata": {
                "uid": "1", "resourceVersion": "2", "generation": 3,
                "creationTimestamp": "t", "deletionTimestamp": "d", "deletionGracePeriodSeconds": 4,
            },
            "status": { "phase": "Running" },
        }));
        let mut new_pod = pod(json!({
            "metadata": { "resourceVersion": "5", "generation": 6, "creationTimestamp": "x" },
            "status": { "phase": "Failed" },
        }));
        prepare_for_update(&mut new_pod, &old_pod, false);
        let mut expected = old_pod;
        expected.set(&["metadata", "resourceVersion"], "5".into());
        assert_eq!(new_pod, expected);
    }

    #[test]
    fn absent_null_and_empty_are_the_same_where_they_are_for_the_api_server() {
        let same = |left: Value, right: Value| only_changes_gc_fields(&pod(left), &pod(right));
        let bare = json!({ "spec": { "containers": [{ "name": "a" }] } });
        let written = json!({
            "metadata": { "annotations": {}, "labels": null, "finalizers": ["x"] },
            "spec": {
                "volumes": [],
                "securityContext": {},
                "containers": [{ "name": "a", "resources": { "limits": {} }, "securityContext": null }],
            },
            "status": {},
        });
        assert!(same(written.clone(), bare.clone()));
        assert!(same(bare.clone(), written));
        let with_context =
            json!({ "spec": { "containers": [{ "name": "a", "securityContext": {} }] } });
        assert!(!same(with_context, bare.clone()));
        let two = json!({ "spec": { "containers": [{ "name": "a" }, { "name": "b" }] } });
        assert!(!same(two, bare));
    }
}
