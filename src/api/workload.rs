//! The kinds of objects that pods are made from, and the controllers that create those pods.
//!
//! Kubernetes 1.24, `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go`: the service accounts of controllers that
//! may create pods.
//! Their roles and bindings are often missing in an input, because every API server has them.

use serde_json::Value;

/// The namespace of the controllers' service accounts.
pub const CONTROLLER_NAMESPACE: &str = "kube-system";

/// The controller that creates most pods, and that stands for all where nobody says which one it is.
pub const REPLICA_SET_CONTROLLER: &str = "replicaset-controller";

/// The kinds with a controller, each with the name of its service account.
const CONTROLLERS_BY_KIND: [(&str, &str); 7] = [
    ("CronJob", "job-controller"),
    ("DaemonSet", "daemon-set-controller"),
    ("Deployment", REPLICA_SET_CONTROLLER),
    ("Job", "job-controller"),
    ("ReplicaSet", REPLICA_SET_CONTROLLER),
    ("ReplicationController", "replication-controller"),
    ("StatefulSet", "statefulset-controller"),
];

/// The service accounts of all controllers that create pods, sorted.
///
/// The last but two makes the pods that scrub volumes.
pub const CONTROLLERS: [&str; 6] = [
    "daemon-set-controller",
    "job-controller",
    "persistent-volume-binder",
    REPLICA_SET_CONTROLLER,
    "replication-controller",
    "statefulset-controller",
];

/// Returns the service account of the controller that creates pods for a kind of object, if one does.
pub fn controller(kind: &str) -> Option<&'static str> {
    let mut all = CONTROLLERS_BY_KIND.iter();
    all.find(|(it, _)| *it == kind).map(|(_, name)| *name)
}

/// Returns where an object of a kind keeps its pod template; empty for a Pod, which is one.
pub fn template_path(kind: &str) -> &'static [&'static str] {
    match kind {
        "Pod" => &[],
        "CronJob" => &["spec", "jobTemplate", "spec", "template"],
        "PodTemplate" => &["template"],
        _ => &["spec", "template"],
    }
}

/// Returns the service account that the pods of an object run as; `default` where the object names none.
pub fn service_account<'a>(kind: &str, object: &'a Value) -> &'a str {
    let mut template = object;
    for key in template_path(kind) {
        template = &template[*key];
    }
    let spec = &template["spec"];
    let names = [&spec["serviceAccountName"], &spec["serviceAccount"]];
    let mut names = names.into_iter().filter_map(Value::as_str);
    names.find(|it| !it.is_empty()).unwrap_or("default")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_controller_of_a_kind_is_one_that_creates_pods() {
        assert!(CONTROLLERS.is_sorted());
        for (kind, name) in CONTROLLERS_BY_KIND {
            assert!(CONTROLLERS.contains(&name), "{kind}");
        }
    }

    #[test]
    fn pods_run_as_what_their_template_names() {
        let template = |spec: &Value| json!({ "spec": { "template": { "spec": spec } } });
        let object = template(&json!({ "serviceAccountName": "web", "serviceAccount": "old" }));
        assert_eq!(service_account("Deployment", &object), "web");
        let object = template(&json!({ "serviceAccountName": "", "serviceAccount": "old" }));
        assert_eq!(service_account("Deployment", &object), "old");
        assert_eq!(service_account("Deployment", &json!({})), "default");
        let pod = json!({ "spec": { "serviceAccountName": "web" } });
        assert_eq!(service_account("Pod", &pod), "web");
    }
}
