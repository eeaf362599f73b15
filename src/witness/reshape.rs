//! What becomes of a pod, and how one is made of another.

use serde_json::{Map, Value};

use crate::access::Identity;
use crate::admission::{AdmissionRequest, Operation};
use crate::api::apparmor;
use crate::api::core::{ContainerRef, Pod};
use crate::api::policy::PodSecurityPolicy;
use crate::controls::defaults::{Mutation, Place};
use crate::psp::{mutate_pod, strategy};

/// The annotation of the mirror pod that stands for a static pod in the API server.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The pod as the policy leaves it and the API server stores it, but for what it writes at the places.
pub fn lacking(psp: &PodSecurityPolicy, pod: &Pod, places: impl IntoIterator<Item = Place>) -> Pod {
    without(psp, admitted(psp, pod), places)
}

/// The pod but for what is at the places; in a list, but for what the policy adds to it.
pub fn without(
    psp: &PodSecurityPolicy,
    mut pod: Pod,
    places: impl IntoIterator<Item = Place>,
) -> Pod {
    for place in places {
        clear(psp, &mut pod, place);
    }
    pod
}

fn clear(psp: &PodSecurityPolicy, pod: &mut Pod, place: Place) {
    match place {
        Place::Pod(["metadata", "annotations", key]) => {
            pod.remove(&["metadata", "annotations", key]);
            // The field that the API server made of it.
            pod.remove(&["spec", "securityContext", "seccompProfile"]);
        }
        Place::Pod(path) => pod.remove(path),
        Place::Annotations(prefix) => {
            let names: Vec<String> = pod.containers().map(|it| it.name().to_owned()).collect();
            for name in names {
                pod.remove(&["metadata", "annotations", &format!("{prefix}{name}")]);
            }
        }
        Place::Containers(path) => {
            let added: &[String] = match path {
                ["capabilities", "add"] => &psp.spec.default_add_capabilities,
                ["capabilities", "drop"] => &psp.spec.required_drop_capabilities,
                _ => &[],
            };
            for at in pod.container_refs() {
                remove(pod, at, path, added);
            }
        }
    }
}

fn remove(pod: &mut Pod, at: ContainerRef, path: &[&str], added: &[String]) {
    let list = pod
        .0
        .get_mut("spec")
        .and_then(|it| it.get_mut(at.list.field()));
    let container = list.and_then(|it| it.get_mut(at.index));
    if let Some(Value::Object(context)) = container.and_then(|it| it.get_mut("securityContext")) {
        remove_member(context, path, added);
    }
}

/// Removes what is at the path, of a list what was added, and each parent that has nothing else.
fn remove_member(members: &mut Map<String, Value>, path: &[&str], added: &[String]) {
    let Some((key, rest)) = path.split_first() else {
        return;
    };
    if !rest.is_empty() {
        let Some(Value::Object(inner)) = members.get_mut(*key) else {
            return;
        };
        remove_member(inner, rest, added);
        if !inner.is_empty() {
            return;
        }
    } else if let Some(Value::Array(items)) = members.get_mut(*key) {
        items.retain(|it| added.iter().all(|added| it != added));
        if !items.is_empty() {
            return;
        }
    }
    members.remove(*key);
}

/// Gives the pod what it lacks or has otherwise.
pub fn give(pod: &mut Pod, more: &Value) {
    let mut value = Value::Object(std::mem::take(&mut pod.0));
    merge(&mut value, more);
    if let Value::Object(members) = value {
        pod.0 = members;
    }
}

/// Adds the members of one value to the other, element by element in lists.
pub fn merge(value: &mut Value, more: &Value) {
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

/// The pod as the plugin admits it by the policy and the API server stores it.
pub fn admitted(psp: &PodSecurityPolicy, pod: &Pod) -> Pod {
    let mut res = mutate_pod(psp, pod.clone());
    strategy::prepare_for_create(&mut res, true);
    res
}

/// What counts at a place, container by container where it is theirs.
pub fn at(pod: &Pod, place: Place) -> Vec<Option<Value>> {
    match place {
        Place::Pod(path) => vec![pod.get(path).cloned()],
        Place::Annotations(_) => pod
            .containers()
            .map(|it| Some(it.app_armor_profile().into()))
            .collect(),
        Place::Containers(path) => pod
            .containers()
            .map(|it| {
                let (first, rest) = path.split_first()?;
                let value = it.effective(first);
                let value = rest.iter().fold(value, |acc, key| acc?.get(key)).cloned();
                value.map(sorted)
            })
            .collect(),
    }
}

/// The pod as mutators leave it and the API server stores it.
pub fn mutated(pod: &Pod, mutations: &[&Mutation]) -> Pod {
    let mut res = pod.clone();
    for mutation in mutations {
        mutation.apply(&mut res);
    }
    // The model of the plugin, which is asked about the pod, reads annotations alone.
    apparmor::annotate(&mut res);
    strategy::prepare_for_create(&mut res, true);
    res
}

/// The request to create the pod in a namespace.
pub fn request(identity: &Identity, namespace: &str, mut pod: Pod) -> AdmissionRequest {
    pod.set(&["metadata", "namespace"], namespace.into());
    match identity.service_account.as_str() {
        "" => pod.set_annotation(MIRROR, "witness"),
        account => {
            pod.set(&["spec", "serviceAccountName"], account.into());
            pod.set(&["spec", "serviceAccount"], account.into());
        }
    }
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

/// The value, where a list is a set whose order means nothing.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(mut items) => {
            items.sort_by_key(Value::to_string);
            items.into()
        }
        other => other,
    }
}
