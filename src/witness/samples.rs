//! Pods that are easy to think of.

use std::iter;

use serde_json::{Map, Value, json};

use super::reshape::{give, merge, mutated};
use crate::api::core::{
    APPARMOR_CONTAINER_PREFIX, ContainerList, ContainerRef, DOCKER_DEFAULT, Pod, RUNTIME_DEFAULT,
    SECCOMP_POD, seccomp_field_for,
};
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec, ProfileStrategy};
use crate::controls::defaults::Mutation;
use crate::controls::probe::Probe;
use crate::controls::{CONTROLS, Control};
use crate::psp::{is_valid, mutate_pod};

/// The container of every witness.
const FIRST: ContainerRef = ContainerRef {
    list: ContainerList::Regular,
    index: 0,
};

/// The name of that container.
const CONTAINER: &str = "app";

/// A pod that asks for nothing that the policy does not demand.
pub fn least(psp: &PodSecurityPolicy) -> Pod {
    asking(psp, &[])
}

/// A pod that asks for nothing, one that asks for all that the policy allows and a narrower one may not, and one for each of that.
///
/// The first is made before the others are thought of, because it most often shows what is looked for.
pub fn pods(psp: &PodSecurityPolicy) -> impl Iterator<Item = Pod> {
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
pub fn tolerating(psp: &PodSecurityPolicy, pod: &Pod, mutations: &[&Mutation]) -> Pod {
    let mutated = |pod: &Pod| mutated(pod, mutations);
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
pub fn probed(psp: &PodSecurityPolicy, control: &str) -> Vec<Pod> {
    let pod = mutate_pod(psp, least(psp));
    let controls = CONTROLS.iter().filter(|it| it.name() == control);
    let probes = controls.flat_map(|it| it.probes(&psp.spec));
    probes.map(|it| probe(&pod, &it)).collect()
}

/// The pod with what a probe makes of its container and of itself.
pub fn probe(pod: &Pod, probe: &Probe) -> Pod {
    let mut res = pod.clone();
    probe.apply(&mut res, FIRST);
    res
}

/// Whether the policy accepts the pod with what it fills in, as far as the control is concerned.
pub fn is_accepted_under(psp: &PodSecurityPolicy, control: &dyn Control, pod: &Pod) -> bool {
    // Most controls fill nothing in.
    if control.fills_in().is_empty() {
        return control.validate(psp, pod).is_empty();
    }
    control.validate(psp, &control.mutate(psp, pod)).is_empty()
}

/// Whether the policy accepts the pod with what it fills in.
pub fn is_accepted(psp: &PodSecurityPolicy, pod: &Pod) -> bool {
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
pub fn modest() -> Pod {
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

/// A pod with an init container and two more, all of which set nothing.
pub fn bare() -> Pod {
    with_contexts(&json!({}))
}

/// The same, where all of them have a security context that asks for nothing.
pub fn bare_with_context() -> Pod {
    with_contexts(&json!({ "securityContext": { "privileged": false } }))
}

fn with_contexts(more: &Value) -> Pod {
    let mut res = modest();
    let container = |name: &str| {
        let mut res = json!({ "name": name, "image": "registry.example/app:1" });
        merge(&mut res, more);
        res
    };
    res.set(&["spec", "initContainers"], json!([container("setup")]));
    let containers = json!([container(CONTAINER), container("side")]);
    res.set(&["spec", "containers"], containers);
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
