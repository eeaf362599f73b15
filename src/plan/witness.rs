//! Pods that show a loss.

use serde_json::{Map, Value, json};

use super::usage::Identity;
use crate::admission::{AdmissionRequest, Operation};
use crate::api::core::{ContainerList, ContainerRef, Pod, strings};
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec};
use crate::controls::defaults::{Level, Mutation, MutationKind, Place};
use crate::psp::{mutate_pod, strategy, validate_pod};

/// A pod that asks for nothing, and one that asks for what the policy allows and a narrower one may not.
pub(super) fn pods(psp: &PodSecurityPolicy) -> [Pod; 2] {
    let modest = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "witness" },
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{ "name": "app", "image": "registry.example/app:1" }],
            "securityContext": {},
        },
    });
    let mut pods = [Pod::default(), Pod::default()];
    for pod in &mut pods {
        give(pod, &modest);
    }
    let [_, demanding] = &mut pods;
    give(demanding, &demands(&psp.spec));
    pods
}

fn demands(psp: &PodSecurityPolicySpec) -> Value {
    let mut spec = Map::new();
    for (field, allowed) in [
        ("hostNetwork", psp.host_network),
        ("hostPID", psp.host_pid),
        ("hostIPC", psp.host_ipc),
    ] {
        if allowed {
            spec.insert(field.to_owned(), true.into());
        }
    }
    let mut context = Map::new();
    // The API server refuses a privileged container that may not gain privileges.
    if psp.privileged
        && psp.allow_privilege_escalation
        && psp.default_allow_privilege_escalation != Some(false)
    {
        context.insert("privileged".to_owned(), true.into());
    }
    let may_add = psp
        .allowed_capabilities
        .iter()
        .find(|it| !it.ends_with("SYS_ADMIN"));
    if let Some(name) = may_add {
        let name = if name == ALL { "NET_ADMIN" } else { name };
        context.insert("capabilities".to_owned(), json!({ "add": [name] }));
    }
    let mut container = Map::from_iter([("securityContext".to_owned(), context.into())]);
    if let Some(range) = psp
        .host_ports
        .iter()
        .find(|it| it.min <= it.max && it.max > 0)
    {
        let port = range.min.max(1);
        let ports = json!([{ "containerPort": port, "hostPort": port, "protocol": "TCP" }]);
        container.insert("ports".to_owned(), ports);
    }
    let volume = |name: &str| psp.volumes.iter().any(|it| it == ALL || it == name);
    let mut volumes = Vec::new();
    if volume("hostPath") {
        let first = psp.allowed_host_paths.first();
        let path = first.map_or("/var/log", |it| it.path_prefix.as_str());
        volumes.push(json!({ "name": "host", "hostPath": { "path": path } }));
    }
    for (name, source) in [
        ("emptyDir", json!({})),
        ("persistentVolumeClaim", json!({ "claimName": "data" })),
        ("secret", json!({ "secretName": "secret" })),
        ("configMap", json!({ "name": "config" })),
    ] {
        if volume(name) {
            volumes.push(json!({ "name": name.to_lowercase(), name: source }));
        }
    }
    spec.insert("volumes".to_owned(), volumes.into());
    spec.insert("containers".to_owned(), json!([container]));
    json!({ "spec": spec })
}

/// The pod as the policy leaves it and the API server stores it, but for what it writes at the place.
pub(super) fn lacking(psp: &PodSecurityPolicy, pod: &Pod, place: Place) -> Pod {
    let mut res = mutate_pod(psp, pod.clone());
    strategy::prepare_for_create(&mut res, true);
    match place {
        Place::Pod(["metadata", "annotations", key]) => {
            res.remove(&["metadata", "annotations", key]);
            // The field that the API server made of it.
            res.remove(&["spec", "securityContext", "seccompProfile"]);
        }
        Place::Pod(path) => res.remove(path),
        Place::Annotations(prefix) => {
            let names: Vec<String> = res.containers().map(|it| it.name().to_owned()).collect();
            for name in names {
                res.remove(&["metadata", "annotations", &format!("{prefix}{name}")]);
            }
        }
        Place::Containers(path) => {
            for at in res.container_refs() {
                remove(&mut res, at, path);
            }
        }
    }
    res
}

fn remove(pod: &mut Pod, at: ContainerRef, path: &[&str]) {
    let list = pod
        .0
        .get_mut("spec")
        .and_then(|it| it.get_mut(at.list.field()));
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let container = list.and_then(|it| it.get_mut(at.index));
    let mut parent = container.and_then(|it| it.get_mut("securityContext"));
    for key in parents {
        parent = parent.and_then(|it| it.get_mut(*key));
    }
    if let Some(Value::Object(members)) = parent {
        members.remove(*last);
    }
}

/// Gives the pod what it lacks or has otherwise.
pub(super) fn give(pod: &mut Pod, more: &Value) {
    let mut value = Value::Object(std::mem::take(&mut pod.0));
    merge(&mut value, more);
    if let Value::Object(members) = value {
        pod.0 = members;
    }
}

/// Adds the members of one value to the other, element by element in lists.
fn merge(value: &mut Value, more: &Value) {
    match (value, more) {
        (Value::Object(members), Value::Object(more)) => {
            for (key, more) in more {
                merge(members.entry(key.as_str()).or_insert(Value::Null), more);
            }
        }
        (Value::Array(items), Value::Array(more)) if !items.is_empty() => {
            for (item, more) in items.iter_mut().zip(more) {
                merge(item, more);
            }
        }
        (value, more) => *value = more.clone(),
    }
}

/// The policy that the plugin chooses for a new pod among those usable, given by name, and whether it fills anything in.
pub(super) fn choice<'a>(
    usable: &[&'a PodSecurityPolicy],
    pod: &Pod,
) -> Option<(&'a PodSecurityPolicy, bool)> {
    let mut first_mutating = None;
    for psp in usable {
        let mutated = mutate_pod(psp, pod.clone());
        if !validate_pod(psp, &mutated).is_empty() {
            continue;
        }
        if mutated == *pod {
            return Some((psp, false));
        }
        first_mutating = first_mutating.or(Some((*psp, true)));
    }
    first_mutating
}

/// Whether the policy, and then the API server, accept the pod as it is.
pub(super) fn accepts(psp: &PodSecurityPolicy, pod: &Pod) -> bool {
    !is_refused_by_api_server(pod)
        && mutate_pod(psp, pod.clone()) == *pod
        && validate_pod(psp, pod).is_empty()
}

/// Whether a container may not gain privileges and has them already.
///
/// Kubernetes 1.24, `pkg/apis/core/validation/validation.go`: `ValidateSecurityContext`.
fn is_refused_by_api_server(pod: &Pod) -> bool {
    pod.containers().any(|it| {
        let is = |key: &str, value: bool| it.own(key) == Some(&Value::Bool(value));
        let added = it.own("capabilities").and_then(|it| it.get("add"));
        is("allowPrivilegeEscalation", false)
            && (is("privileged", true) || strings(added).contains(&"CAP_SYS_ADMIN"))
    })
}

/// The pod as mutators leave it and the API server stores it.
pub(super) fn mutated<'a>(pod: &Pod, mutations: impl Iterator<Item = &'a Mutation>) -> Pod {
    let mut res = pod.clone();
    for mutation in mutations {
        apply(&mut res, mutation);
    }
    strategy::prepare_for_create(&mut res, true);
    res
}

fn apply(pod: &mut Pod, mutation: &Mutation) {
    let Some(Value::Object(spec)) = pod.0.get_mut("spec") else {
        return;
    };
    if mutation.level == Level::Pod {
        fill_in(spec, mutation);
        return;
    }
    for list in [ContainerList::Init, ContainerList::Regular] {
        let containers = spec.get_mut(list.field()).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if let Value::Object(container) = container {
                fill_in(container, mutation);
            }
        }
    }
}

fn fill_in(object: &mut Map<String, Value>, mutation: &Mutation) {
    let exists = |path: &str| {
        let mut keys = path.split('.');
        let first = keys.next().and_then(|it| object.get(it));
        keys.fold(first, |acc, key| acc?.get(key)).is_some()
    };
    if mutation.unless.is_some_and(exists) {
        return;
    }
    let mut place = &mut Value::Null;
    let mut keys = mutation.location.split('.');
    if let Some(key) = keys.next() {
        place = object.entry(key).or_insert(Value::Null);
    }
    for key in keys {
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(members) = place else {
            return;
        };
        place = members.entry(key).or_insert(Value::Null);
    }
    match (mutation.kind, place, &mutation.value) {
        (MutationKind::ModifySet, Value::Array(items), Value::Array(more)) => {
            for it in more {
                if !items.contains(it) {
                    items.push(it.clone());
                }
            }
        }
        (_, place, value) => *place = value.clone(),
    }
}

/// The request to create the pod in a namespace.
pub(super) fn request(identity: &Identity, namespace: &str, mut pod: Pod) -> AdmissionRequest {
    pod.set(&["metadata", "namespace"], namespace.into());
    let account = identity.service_account.as_str();
    pod.set(&["spec", "serviceAccountName"], account.into());
    pod.set(&["spec", "serviceAccount"], account.into());
    AdmissionRequest {
        uid: String::new(),
        namespace: namespace.to_owned(),
        operation: Operation::Create,
        subresource: String::new(),
        user_info: identity.requester.clone(),
        pod,
        old_pod: None,
    }
}
