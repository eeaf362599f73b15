//! Pods for Windows, in which an API server refuses what mutators set.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::access::{ANYWHERE, Access, Identity};
use crate::input::Inventory;
use crate::loss::{ALL, GATEKEEPER, Loss, LossKind};
use crate::plan::{Bundle, Mutator, Namespaces};
use crate::witness::memo::Memo;
use crate::witness::{reshape, samples};

/// Returns the loss of those who can have a policy without the defaults that mutators set, if there is one.
pub(super) fn losses(
    inventory: &Inventory,
    access: &Access<'_>,
    bundle: &Bundle,
    memo: &Memo,
) -> Option<Loss> {
    let refused: Vec<&Mutator> = bundle
        .mutators
        .iter()
        .filter(|it| is_refused(it, memo))
        .collect();
    let witness = access.grants().iter().find_map(|grant| {
        let namespaces = match grant.namespace.as_deref() {
            Some(namespace) => vec![namespace],
            None => access.named().into_iter().chain([ANYWHERE]).collect(),
        };
        namespaces.into_iter().find_map(|namespace| {
            let identity = Identity::of(&grant.subject, namespace);
            let usable = access.usable(&identity, namespace);
            let here = refused.iter();
            let mut here = here.filter(|it| it.namespaces.contains(namespace) && it.pods.is_all());
            if access.is_exempt(&identity, namespace) || here.next().is_none() {
                return None;
            }
            let pod = pod();
            let (psp, _) = memo.choice(&usable, &pod)?;
            let is_decided = !memo.is_undecided(&reshape::admitted(psp, &pod));
            is_decided.then(|| reshape::request(&identity, namespace, pod))
        })
    })?;
    let mut namespaces = BTreeSet::new();
    for it in &refused {
        match &it.namespaces {
            Namespaces::Only(names) => namespaces.extend(names.iter().cloned()),
            Namespaces::AllBut(_) => {
                namespaces.insert(ALL.to_owned());
            }
        }
    }
    let workloads = inventory.workloads.iter();
    Some(Loss {
        control: GATEKEEPER,
        kind: LossKind::WindowsPod,
        psp: ALL.to_owned(),
        alike: Vec::new(),
        field: "spec.os.name".to_owned(),
        namespaces: namespaces.into_iter().collect(),
        subjects: vec![ALL.to_owned()],
        reaches_creators: workloads.map(|it| &it.object).any(is_for_windows),
        why: "mutators set fields that the API server refuses beside `spec.os.name: windows`, and no mutator can tell such pods from others".to_owned(),
        causes: Vec::new(),
        witness,
    })
}

/// A pod for Windows that asks for nothing.
fn pod() -> crate::api::core::Pod {
    let mut res = samples::modest();
    reshape::give(
        &mut res,
        &json!({ "spec": { "os": { "name": "windows" } } }),
    );
    res
}

/// Whether the API server refuses what the mutator makes of such a pod.
fn is_refused(mutator: &Mutator, memo: &Memo) -> bool {
    memo.is_refused(&reshape::mutated(&pod(), &[&mutator.mutation]))
}

/// Whether something in the object says that its pods are for Windows.
fn is_for_windows(object: &Value) -> bool {
    match object {
        Value::Object(members) => members.iter().any(|(key, value)| {
            (key == "os" && value["name"] == "windows")
                || (key == "kubernetes.io/os" && value == "windows")
                || is_for_windows(value)
        }),
        Value::Array(items) => items.iter().any(is_for_windows),
        _ => false,
    }
}
