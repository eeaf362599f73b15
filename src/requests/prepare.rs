//! What an API server does to a pod before admission plugins such as PodSecurityPolicy see it.
//!
//! Kubernetes 1.24, `pkg/apis/core/v1/defaults.go`, `pkg/apis/core/v1/conversion.go` and
//! `plugin/pkg/admission/serviceaccount/admission.go`, as far as a policy can notice it.
//! Service accounts that the inventory lacks are taken to exist and to want their token mounted.

use serde_json::{Map, Value, json};

use crate::admission::{AdmissionRequest, Operation};
use crate::api::core::{ContainerList, Pod};
use crate::input::Inventory;

/// The namespace of what names none, and the service account of a pod that names none.
const DEFAULT: &str = "default";
/// The annotation of pods that stand for what a kubelet runs by itself.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// The name of a token volume, before its random end.
pub(super) const TOKEN_VOLUME: &str = "kube-api-access-";
/// Stands for five characters that an API server makes up.
const RANDOM: &str = "xxxxx";
/// Where containers look for their token.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Returns the request with its pods as admission sees them, from pods as clients write them.
///
/// Doing it twice is the same as doing it once.
pub fn prepare(inventory: &Inventory, mut request: AdmissionRequest) -> AdmissionRequest {
    if request.namespace.is_empty() {
        request.namespace = match request.pod.namespace() {
            "" => DEFAULT.to_owned(),
            namespace => namespace.to_owned(),
        };
    }
    for pod in [&mut request.pod].into_iter().chain(&mut request.old_pod) {
        if pod.namespace().is_empty() {
            pod.set(
                &["metadata", "namespace"],
                request.namespace.as_str().into(),
            );
        }
        set_defaults(pod);
    }
    if request.operation == Operation::Create && request.subresource.is_empty() {
        admit_service_account(inventory, &request.namespace, &mut request.pod);
    }
    request
}

fn set_defaults(pod: &mut Pod) {
    if pod.get(&["spec", "securityContext"]).is_none() {
        pod.set(&["spec", "securityContext"], Map::new().into());
    }
    let name = pod.service_account_name().to_owned();
    set_service_account(pod, &name);
    if pod.uses_host("hostNetwork") {
        // Not of ephemeral containers.
        for list in [ContainerList::Init, ContainerList::Regular] {
            for port in list_mut(pod, list.field())
                .iter_mut()
                .flat_map(|it| list_in(it, "ports"))
            {
                set_host_port(port);
            }
        }
    }
    for volume in list_mut(pod, "volumes").iter_mut() {
        set_volume_defaults(volume);
    }
}

/// Writes the account under its old name too, as the API server does.
fn set_service_account(pod: &mut Pod, name: &str) {
    if !name.is_empty() {
        for key in ["serviceAccount", "serviceAccountName"] {
            pod.set(&["spec", key], name.into());
        }
    }
}

fn set_host_port(port: &mut Value) {
    let number = |key: &str| port.get(key).and_then(Value::as_i64).unwrap_or_default();
    let container_port = number("containerPort");
    if number("hostPort") == 0
        && container_port != 0
        && let Some(port) = port.as_object_mut()
    {
        port.insert("hostPort".to_owned(), container_port.into());
    }
}

fn set_volume_defaults(volume: &mut Value) {
    let Some(volume) = volume.as_object_mut() else {
        return;
    };
    if volume
        .iter()
        .all(|(key, value)| key == "name" || value.is_null())
    {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    if let Some(source) = volume.get_mut("downwardAPI") {
        set_field_versions(source);
    }
    if let Some(projected) = volume.get_mut("projected") {
        for source in list_in(projected, "sources") {
            if let Some(source) = source.get_mut("downwardAPI") {
                set_field_versions(source);
            }
        }
    }
}

fn set_field_versions(source: &mut Value) {
    for item in list_in(source, "items") {
        if let Some(Value::Object(field)) = item.get_mut("fieldRef") {
            let version = field.entry("apiVersion").or_insert(Value::Null);
            if version.as_str().unwrap_or_default().is_empty() {
                *version = "v1".into();
            }
        }
    }
}

/// Gives the pod its service account, the token and the pull secrets of it.
fn admit_service_account(inventory: &Inventory, namespace: &str, pod: &mut Pod) {
    set_account(pod);
    if pod.annotation(MIRROR).is_some() {
        return;
    }
    let key = (namespace.to_owned(), pod.service_account_name().to_owned());
    let account = inventory.service_accounts.get(&key);
    let of_account = |field: &str| account.and_then(|it| it.get(field)).cloned();
    let automount = pod
        .get(&["spec", "automountServiceAccountToken"])
        .and_then(Value::as_bool)
        .or_else(|| of_account("automountServiceAccountToken")?.as_bool());
    if automount.unwrap_or(true) {
        mount_token(pod);
    }
    if list_mut(pod, "imagePullSecrets").is_empty()
        && let Some(secrets) = of_account("imagePullSecrets")
    {
        pod.set(&["spec", "imagePullSecrets"], secrets);
    }
}

/// Gives a pod that names no service account the one that it gets.
pub(super) fn set_account(pod: &mut Pod) {
    if pod.annotation(MIRROR).is_none() && pod.service_account_name().is_empty() {
        set_service_account(pod, DEFAULT);
    }
}

fn mount_token(pod: &mut Pod) {
    let known = pod
        .volumes()
        .map(|it| it.name())
        .find(|it| it.starts_with(TOKEN_VOLUME))
        .map(str::to_owned);
    let name = known
        .clone()
        .unwrap_or_else(|| format!("{TOKEN_VOLUME}{RANDOM}"));
    let mut mounted = false;
    for list in [ContainerList::Init, ContainerList::Regular] {
        for container in list_mut(pod, list.field()) {
            let mounts = list_in(container, "volumeMounts");
            let path = |it: &Value| it.get("mountPath").and_then(Value::as_str) == Some(TOKEN_PATH);
            if mounts.iter().any(path) {
                continue;
            }
            let mut mounts = mounts.to_vec();
            mounts.push(json!({ "name": name, "readOnly": true, "mountPath": TOKEN_PATH }));
            if let Some(container) = container.as_object_mut() {
                container.insert("volumeMounts".to_owned(), mounts.into());
                mounted = true;
            }
        }
    }
    if mounted && known.is_none() {
        let mut volumes = list_mut(pod, "volumes").to_vec();
        volumes.push(token_volume(&name));
        pod.set(&["spec", "volumes"], volumes.into());
    }
}

fn token_volume(name: &str) -> Value {
    let root = json!({ "key": "ca.crt", "path": "ca.crt" });
    let namespace = json!({ "apiVersion": "v1", "fieldPath": "metadata.namespace" });
    json!({ "name": name, "projected": { "defaultMode": 0o644, "sources": [
        { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
        { "configMap": { "name": "kube-root-ca.crt", "items": [root] } },
        { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": namespace }] } },
    ] } })
}

/// The items of a list under `spec`; none where it is absent.
fn list_mut<'a>(pod: &'a mut Pod, key: &str) -> &'a mut [Value] {
    match pod.0.get_mut("spec") {
        Some(spec) => list_in(spec, key),
        None => &mut [],
    }
}

fn list_in<'a>(value: &'a mut Value, key: &str) -> &'a mut [Value] {
    match value.get_mut(key) {
        Some(Value::Array(items)) => items,
        _ => &mut [],
    }
}
