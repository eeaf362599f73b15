//! Pods that show a loss.

use std::iter;

use serde_json::{Map, Value, json};

use super::usage::Identity;
use crate::admission::{AdmissionRequest, Operation};
use crate::api::apparmor;
use crate::api::core::{
    APPARMOR_CONTAINER_PREFIX, ContainerList, ContainerRef, DOCKER_DEFAULT, Pod, RUNTIME_DEFAULT,
    SECCOMP_POD, seccomp_field_for,
};
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec, ProfileStrategy};
use crate::controls::defaults::{Level, Mutation, MutationKind, Place};
use crate::controls::probe::Probe;
use crate::controls::{CONTROLS, Control};
use crate::psp::{is_valid, mutate_pod, strategy};

/// The container of every witness.
const FIRST: ContainerRef = ContainerRef {
    list: ContainerList::Regular,
    index: 0,
};

/// The annotation of a pod that a kubelet runs by itself, and that the API server has a mirror of.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// The name of that container.
const CONTAINER: &str = "app";

/// A pod that asks for nothing that the policy does not demand.
pub(super) fn least(psp: &PodSecurityPolicy) -> Pod {
    asking(psp, &[])
}

/// A pod that asks for nothing, one that asks for all that the policy allows and a narrower one may not, and one for each of that.
///
/// The first is made before the others are thought of, because it most often shows what is looked for.
pub(super) fn pods(psp: &PodSecurityPolicy) -> impl Iterator<Item = Pod> {
    let others = move || {
        let demands = demands(&psp.spec);
        let each = demands.chunks(1).map(|it| asking(psp, it));
        iter::once(asking(psp, &demands))
            .chain(each)
            .collect::<Vec<_>>()
    };
    iter::once_with(move || least(psp)).chain(iter::once_with(others).flatten())
}

/// The pod with values of its own where the policy would refuse what mutators write there.
pub(super) fn tolerating(psp: &PodSecurityPolicy, pod: &Pod, mutations: &[&Mutation]) -> Pod {
    let mutated = |pod: &Pod| mutated(pod, mutations.iter().copied());
    let mut res = pod.clone();
    let mut after = mutated(&res);
    for control in CONTROLS {
        let is_refused = |after: &Pod| !control.validate(psp, after).is_empty();
        if !is_refused(&after) {
            continue;
        }
        let own = control.probes(&psp.spec).into_iter().find_map(|probe| {
            let pod = self::probe(&res, &probe);
            let after = mutated(&pod);
            (!is_refused(&after) && is_accepted(psp, &pod)).then_some((pod, after))
        });
        if let Some(own) = own {
            (res, after) = own;
        }
    }
    res
}

/// Pods on both sides of the boundaries that the policy draws for a control; for the rest it has filled in what it does.
pub(super) fn probed(psp: &PodSecurityPolicy, control: &str) -> Vec<Pod> {
    let pod = mutate_pod(psp, least(psp));
    let controls = CONTROLS.iter().filter(|it| it.name() == control);
    let probes = controls.flat_map(|it| it.probes(&psp.spec));
    probes.map(|it| probe(&pod, &it)).collect()
}

/// The pod with what a probe makes of its container and of itself.
pub(super) fn probe(pod: &Pod, probe: &Probe) -> Pod {
    let mut res = pod.clone();
    probe.apply(&mut res, FIRST);
    res
}

/// Whether the policy accepts the pod with what it fills in, as far as the control is concerned.
pub(super) fn is_accepted_under(psp: &PodSecurityPolicy, control: &dyn Control, pod: &Pod) -> bool {
    // Most controls fill nothing in.
    if control.fills_in().is_empty() {
        return control.validate(psp, pod).is_empty();
    }
    control.validate(psp, &control.mutate(psp, pod)).is_empty()
}

/// Whether the policy accepts the pod with what it fills in.
pub(super) fn is_accepted(psp: &PodSecurityPolicy, pod: &Pod) -> bool {
    is_valid(psp, &mutate_pod(psp, pod.clone()))
}

fn asking(psp: &PodSecurityPolicy, demands: &[Demand]) -> Pod {
    let mut res = modest();
    give(&mut res, &profiles(&psp.spec));
    let mut volumes = Vec::new();
    for demand in demands {
        match demand {
            Demand::Volume(volume) => volumes.push(volume.clone()),
            Demand::Other(more) => give(&mut res, more),
        }
    }
    if !volumes.is_empty() {
        res.set(&["spec", "volumes"], volumes.into());
    }
    res
}

/// A pod that asks for nothing.
pub(super) fn modest() -> Pod {
    let mut res = Pod::default();
    let members = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "witness" },
        "spec": {
            "automountServiceAccountToken": false,
            "containers": [{ "name": CONTAINER, "image": "registry.example/app:1" }],
            "securityContext": {},
        },
    });
    give(&mut res, &members);
    res
}

/// The profiles and the proc mount type that a pod must name where the policy accepts none and fills in none that it accepts.
fn profiles(psp: &PodSecurityPolicySpec) -> Value {
    let mut annotations = Map::new();
    let mut context = Map::new();
    let listed = |strategy: &ProfileStrategy| -> Vec<String> {
        let listed = strategy.allowed.as_deref().unwrap_or_default().split(',');
        listed.map(str::to_owned).collect()
    };
    let is_listed = |listed: &[String], profile: &str| {
        let runtime = [RUNTIME_DEFAULT, DOCKER_DEFAULT];
        listed.iter().any(|it| {
            it == ALL
                || it == profile
                || (runtime.contains(&it.as_str()) && runtime.contains(&profile))
        })
    };
    let seccomp = listed(&psp.seccomp);
    if psp.seccomp.allowed.is_some()
        && !is_listed(&seccomp, &psp.seccomp.default)
        && let Some((profile, field)) = seccomp
            .iter()
            .find_map(|it| Some((it, seccomp_field_for(it)?)))
    {
        annotations.insert(SECCOMP_POD.to_owned(), json!(profile));
        context.insert("seccompProfile".to_owned(), field);
    }
    let app_armor = listed(&psp.app_armor);
    if psp.app_armor.allowed.is_some()
        && (psp.app_armor.default.is_empty() || !app_armor.contains(&psp.app_armor.default))
        && let Some(profile) = app_armor.first().filter(|it| !it.is_empty())
    {
        annotations.insert(
            format!("{APPARMOR_CONTAINER_PREFIX}{CONTAINER}"),
            json!(profile),
        );
    }
    let mut container = json!({});
    if let Some(type_) = psp.allowed_proc_mount_types.first()
        && !psp
            .allowed_proc_mount_types
            .iter()
            .any(|it| it == "Default")
    {
        container = json!({ "securityContext": { "procMount": type_ } });
    }
    json!({
        "metadata": { "annotations": annotations },
        "spec": { "securityContext": context, "containers": [container] },
    })
}

/// Something that a policy may forbid.
enum Demand {
    Volume(Value),
    Other(Value),
}

fn demands(psp: &PodSecurityPolicySpec) -> Vec<Demand> {
    let mut res = Vec::new();
    for (field, allowed) in [
        ("hostNetwork", psp.host_network),
        ("hostPID", psp.host_pid),
        ("hostIPC", psp.host_ipc),
    ] {
        if allowed {
            res.push(Demand::Other(json!({ "spec": { field: true } })));
        }
    }
    let mut container =
        |it: Value| res.push(Demand::Other(json!({ "spec": { "containers": [it] } })));
    // The API server refuses a privileged container that may not gain privileges.
    if psp.privileged
        && psp.allow_privilege_escalation
        && psp.default_allow_privilege_escalation != Some(false)
    {
        container(json!({ "securityContext": { "privileged": true } }));
    }
    let may_add = psp
        .allowed_capabilities
        .iter()
        .find(|it| !it.ends_with("SYS_ADMIN"));
    if let Some(name) = may_add {
        let name = if name == ALL { "NET_ADMIN" } else { name };
        container(json!({ "securityContext": { "capabilities": { "add": [name] } } }));
    }
    if let Some(range) = psp
        .host_ports
        .iter()
        .find(|it| it.min <= it.max && it.max > 0)
    {
        let port = range.min.max(1);
        let port = json!({ "containerPort": port, "hostPort": port, "protocol": "TCP" });
        container(json!({ "ports": [port] }));
    }
    let paths = psp
        .allowed_host_paths
        .iter()
        .map(|it| it.path_prefix.as_str());
    let any_path = psp.allowed_host_paths.is_empty().then_some("/var/log");
    let sources = paths
        .chain(any_path)
        .map(|path| ("hostPath", json!({ "path": path })))
        .chain([
            ("emptyDir", json!({})),
            ("persistentVolumeClaim", json!({ "claimName": "data" })),
            ("secret", json!({ "secretName": "secret" })),
            ("configMap", json!({ "name": "config" })),
            ("nfs", json!({ "server": "nfs.example", "path": "/" })),
        ]);
    for (index, (type_, source)) in sources.enumerate() {
        if psp.volumes.iter().any(|it| it == ALL || it == type_) {
            let volume = json!({ "name": format!("volume-{index}"), type_: source });
            res.push(Demand::Volume(volume));
        }
    }
    res
}

/// The pod as the policy leaves it and the API server stores it, but for what it writes at the places.
pub(super) fn lacking(
    psp: &PodSecurityPolicy,
    pod: &Pod,
    places: impl IntoIterator<Item = Place>,
) -> Pod {
    without(psp, admitted(psp, pod), places)
}

/// The pod but for what is at the places; in a list, but for what the policy adds to it.
pub(super) fn without(
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

/// The pod as the plugin admits it by the policy and the API server stores it.
pub(super) fn admitted(psp: &PodSecurityPolicy, pod: &Pod) -> Pod {
    let mut res = mutate_pod(psp, pod.clone());
    strategy::prepare_for_create(&mut res, true);
    res
}

/// What counts at a place, container by container where it is theirs.
pub(super) fn at(pod: &Pod, place: Place) -> Vec<Option<Value>> {
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
                rest.iter().fold(value, |acc, key| acc?.get(key)).cloned()
            })
            .collect(),
    }
}

/// The pod as mutators leave it and the API server stores it.
pub(super) fn mutated<'a>(pod: &Pod, mutations: impl Iterator<Item = &'a Mutation>) -> Pod {
    let mut res = pod.clone();
    for mutation in mutations {
        apply(&mut res, mutation);
    }
    // The model of the plugin, which is asked about the pod, reads annotations alone.
    apparmor::annotate(&mut res);
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
