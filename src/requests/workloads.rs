//! The user's own pods, and those of the user's workloads.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value};

use super::prepare::TOKEN_VOLUME;
use crate::admission::{AdmissionRequest, UserInfo};
use crate::api::core::{ContainerList, Pod};
use crate::api::workload::{self, CONTROLLER_NAMESPACE, REPLICA_SET_CONTROLLER, template_path};
use crate::input::Workload;
use crate::rbac::{AUTHENTICATED, authenticated, service_account_user};

/// The annotation in which the plugin recorded the policy that it chose.
const RECORDED_POLICY: &str = "kubernetes.io/psp";
/// What an API server appends to `generateName`, here always the same.
const GENERATED_END: &str = "xxxxx";

/// A pod of the user's, or the pod of a workload, ready to be asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnPod {
    /// The request to create it, without what a cluster makes up anew for each pod.
    pub request: AdmissionRequest,
    /// Whether it is known who asks for such pods.
    pub has_controller: bool,
    /// The policy that the plugin chose when the pod was created, as the pod says.
    pub recorded: Option<String>,
}

impl OwnPod {
    /// A hash of what is asked for, equal for pods of one workload.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let request = &self.request;
        (&request.namespace, &request.user_info.username).hash(&mut hasher);
        request.pod.0.hash(&mut hasher);
        hasher.finish()
    }
}

/// Returns the pod that an object is or makes, or nothing for an object of another kind.
pub fn own_pod(object: &Value) -> Option<OwnPod> {
    let text = |path: &str| {
        object
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let kind = text("/kind");
    if kind == "Pod" {
        return Some(live(object.as_object()?));
    }
    let mut template = object;
    for key in template_path(kind) {
        template = template.get(key)?;
    }
    let mut pod = Pod(template.as_object()?.clone());
    let name = text("/metadata/name");
    set_name(&mut pod, kind, name);
    let namespace = match text("/metadata/namespace") {
        "" => "default",
        namespace => namespace,
    };
    Some(OwnPod {
        request: AdmissionRequest {
            uid: format!("the pods of {kind} {namespace}/{name}"),
            namespace: namespace.to_owned(),
            user_info: controller(kind).unwrap_or_else(replica_set_controller),
            pod,
            ..AdmissionRequest::default()
        },
        has_controller: controller(kind).is_some(),
        recorded: None,
    })
}

/// Names a pod as its controller does: the pods of a `StatefulSet` by their numbers, the others by what an API server appends.
///
/// The controller of Deployments puts a hash between, which no selector by name can know.
fn set_name(pod: &mut Pod, kind: &str, name: &str) {
    pod.remove(&["metadata", "name"]);
    pod.remove(&["metadata", "generateName"]);
    if kind == "StatefulSet" {
        pod.set(&["metadata", "name"], format!("{name}-0").into());
    } else {
        pod.set(&["metadata", "generateName"], format!("{name}-").into());
    }
}

/// Returns the workloads whose pods are asked for, each with its pod.
///
/// What belongs to another workload, of these or of the `others`, is left out: its owner's template is asked for instead.
pub fn own_pods<'a>(workloads: &'a [Workload], others: &[Workload]) -> Vec<(&'a Workload, OwnPod)> {
    let known: BTreeSet<(&str, &str, &str)> = workloads
        .iter()
        .chain(others)
        .map(|it| (it.kind.as_str(), it.namespace.as_str(), it.name.as_str()))
        .collect();
    workloads
        .iter()
        .filter(|it| {
            owners(&it.object).all(|(kind, name)| !known.contains(&(kind, &it.namespace, name)))
        })
        .filter_map(|it| Some((it, own_pod(&it.object)?)))
        .collect()
}

fn owners(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    let owners = object.pointer("/metadata/ownerReferences");
    let owners = owners.and_then(Value::as_array).into_iter().flatten();
    owners.filter_map(|it| Some((it.get("kind")?.as_str()?, it.get("name")?.as_str()?)))
}

/// Returns the identity of the controller that makes pods for a kind of object, if one does.
fn controller(kind: &str) -> Option<UserInfo> {
    workload::controller(kind).map(controller_named)
}

/// Returns who is taken to create a pod: the controller of what it belongs to, the kubelet where that is a node, and else the
/// controller of `ReplicaSet`s, which creates most pods.
pub fn creator(pod: &Pod) -> UserInfo {
    known_creator(pod).unwrap_or_else(replica_set_controller)
}

/// Returns who creates such pods, if what the pod belongs to tells it.
fn known_creator(pod: &Pod) -> Option<UserInfo> {
    match owner(pod)?.as_str() {
        // The kubelet's own pods, which an API server has a mirror of.
        "Node" => {
            let node = pod.get(&["spec", "nodeName"]).and_then(Value::as_str);
            Some(UserInfo {
                username: format!("system:node:{}", node.unwrap_or_default()),
                groups: vec!["system:nodes".to_owned(), AUTHENTICATED.to_owned()],
            })
        }
        kind => controller(kind),
    }
}

fn replica_set_controller() -> UserInfo {
    controller_named(REPLICA_SET_CONTROLLER)
}

fn controller_named(name: &str) -> UserInfo {
    authenticated(service_account_user(CONTROLLER_NAMESPACE, name))
}

fn live(object: &Map<String, Value>) -> OwnPod {
    let mut pod = Pod(object.clone());
    let recorded = pod.annotation(RECORDED_POLICY).map(str::to_owned);
    let owner = owner(&pod);
    let namespace = match pod.namespace() {
        "" => "default".to_owned(),
        namespace => namespace.to_owned(),
    };
    let origin = format!("Pod {namespace}/{}", pod.name());
    let requester = known_creator(&pod);
    normalize(&mut pod, owner.as_deref());
    OwnPod {
        has_controller: requester.is_some(),
        request: AdmissionRequest {
            uid: origin,
            namespace,
            user_info: requester.unwrap_or_else(replica_set_controller),
            pod,
            ..AdmissionRequest::default()
        },
        recorded,
    }
}

/// The kind of what the pod belongs to.
fn owner(pod: &Pod) -> Option<String> {
    let owners = pod.get(&["metadata", "ownerReferences"])?.as_array()?;
    let controls = |it: &&Value| it.get("controller") == Some(&Value::Bool(true));
    let owner = owners.iter().find(controls).or(owners.first())?;
    Some(owner.get("kind")?.as_str()?.to_owned())
}

/// Labels that a controller or the API server makes up for each pod or revision.
const GENERATED_LABELS: [&str; 8] = [
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
];

/// Annotations that the system writes on a pod once it is there, by how they begin.
const GENERATED_ANNOTATIONS: [&str; 7] = [
    RECORDED_POLICY,
    "cni.projectcalico.org/",
    "k8s.v1.cni.cncf.io/",
    "kubernetes.io/config.hash",
    "kubernetes.io/config.mirror.hash",
    "kubernetes.io/config.seen",
    "kubernetes.io/limit-ranger",
];

/// Takes away what differs between pods of one workload, so that they become equal.
fn normalize(pod: &mut Pod, owner: Option<&str>) {
    let name = pod.name().to_owned();
    let generate_name = pod.generate_name().to_owned();
    pod.remove(&["status"]);
    for key in [
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    ] {
        pod.remove(&["metadata", key]);
    }
    pod.remove(&["spec", "nodeName"]);
    if pod.get(&["spec", "hostname"]).and_then(Value::as_str) == Some(&name) {
        pod.remove(&["spec", "hostname"]);
    }
    retain(pod, "labels", |key| !GENERATED_LABELS.contains(&key));
    retain(pod, "annotations", |key| {
        !GENERATED_ANNOTATIONS.iter().any(|it| key.starts_with(it))
    });
    if owner.is_some() {
        let stem = match generate_name.as_str() {
            // A StatefulSet numbers its pods.
            "" => name.trim_end_matches(|it: char| it.is_ascii_digit()),
            base => base,
        };
        let stem = stem.trim_end_matches('-');
        pod.set(&["metadata", "name"], stem.into());
        // Of a DaemonSet each pod is bound to its node by these.
        pod.remove(&["spec", "affinity"]);
        pod.remove(&["spec", "tolerations"]);
        name_claims_alike(pod, &name, stem);
    }
    name_token_volumes_alike(pod);
}

fn retain(pod: &mut Pod, field: &str, keep: impl Fn(&str) -> bool) {
    let members = pod.get(&["metadata", field]).and_then(Value::as_object);
    let Some(members) = members else {
        return;
    };
    let kept: Map<String, Value> = members
        .iter()
        .filter(|(key, _)| keep(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    pod.set(&["metadata", field], kept.into());
}

/// A `StatefulSet` names the claims of a pod after it.
fn name_claims_alike(pod: &mut Pod, name: &str, stem: &str) {
    for volume in list(&mut pod.0, "volumes") {
        let claim = volume.pointer_mut("/persistentVolumeClaim/claimName");
        if let Some(claim) = claim
            && let Some(base) = claim.as_str().and_then(|it| it.strip_suffix(name))
        {
            *claim = format!("{base}{stem}").into();
        }
    }
}

fn name_token_volumes_alike(pod: &mut Pod) {
    let mut names = BTreeMap::new();
    for volume in list(&mut pod.0, "volumes") {
        if let Some(name) = volume.get_mut("name")
            && let Some(old) = name.as_str().filter(|it| it.starts_with(TOKEN_VOLUME))
        {
            let new = format!("{TOKEN_VOLUME}{GENERATED_END}");
            names.insert(old.to_owned(), new.clone());
            *name = new.into();
        }
    }
    for containers in ContainerList::ALL {
        let containers = list(&mut pod.0, containers.field()).iter_mut();
        let mounts = containers.filter_map(|it| it.get_mut("volumeMounts")?.as_array_mut());
        for name in mounts.flatten().filter_map(|it| it.get_mut("name")) {
            if let Some(new) = name.as_str().and_then(|it| names.get(it)) {
                *name = new.clone().into();
            }
        }
    }
}

fn list<'a>(pod: &'a mut Map<String, Value>, key: &str) -> &'a mut [Value] {
    match pod.get_mut("spec").and_then(|it| it.get_mut(key)) {
        Some(Value::Array(items)) => items,
        _ => &mut [],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn replica(name: &str, owner: &str, hash: &str, volume: &str) -> Value {
        json!({
            "kind": "Pod",
            "metadata": {
                "namespace": "shop",
                "name": name,
                "uid": hash,
                "labels": { "app": "web", "pod-template-hash": hash, "controller-revision-hash": hash },
                "annotations": { "kubernetes.io/psp": "restricted", "cni.projectcalico.org/podIP": hash },
                "ownerReferences": [{ "kind": owner, "name": "web", "controller": true, "uid": hash }],
            },
            "spec": {
                "nodeName": hash,
                "hostname": name,
                "containers": [{ "name": "app", "volumeMounts": [{ "name": volume, "mountPath": "/x" }] }],
                "volumes": [
                    { "name": volume, "projected": {} },
                    { "name": "data", "persistentVolumeClaim": { "claimName": format!("data-{name}") } },
                ],
            },
            "status": { "podIP": hash },
        })
    }

    #[test]
    fn pods_of_one_workload_are_equal() {
        let first = own_pod(&replica(
            "web-0",
            "StatefulSet",
            "a",
            "kube-api-access-abcde",
        ))
        .unwrap();
        let other = own_pod(&replica(
            "web-11",
            "StatefulSet",
            "b",
            "kube-api-access-vwxyz",
        ))
        .unwrap();
        assert_eq!(first.request.pod, other.request.pod);
        assert_eq!(first.recorded.as_deref(), Some("restricted"));
        let user = first.request.user_info.username;
        assert_eq!(
            user,
            "system:serviceaccount:kube-system:statefulset-controller"
        );
    }

    #[test]
    fn workloads_are_asked_about_as_their_controller_does() {
        let template = json!({ "metadata": { "labels": { "a": "b" } }, "spec": {} });
        for (kind, spec, controller) in [
            (
                "Deployment",
                json!({ "template": template }),
                "replicaset-controller",
            ),
            (
                "CronJob",
                json!({ "jobTemplate": { "spec": { "template": template } } }),
                "job-controller",
            ),
        ] {
            let object = json!({ "kind": kind, "metadata": { "name": "x" }, "spec": spec });
            let pod = own_pod(&object).unwrap();
            let user = &pod.request.user_info.username;
            assert!(user.ends_with(controller), "{user}");
            assert_eq!(pod.request.namespace, "default");
            assert_eq!(
                pod.request.pod.get(&["metadata", "labels", "a"]),
                Some(&json!("b"))
            );
        }
        assert_eq!(own_pod(&json!({ "kind": "Service", "spec": {} })), None);
    }

    #[test]
    fn the_pods_of_a_kubelet_are_its_own() {
        let mut mirror = replica("etcd", "Node", "n1", "x");
        mirror["spec"]["nodeName"] = json!("n1");
        let pod = own_pod(&mirror).unwrap();
        assert_eq!(pod.request.user_info.username, "system:node:n1");
    }
}
