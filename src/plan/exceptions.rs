//! Where Gatekeeper is not asked, or asked too often.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::losses::{EVERYWHERE, Reach};
use super::mutators::{Mutator, Namespaces};
use super::usage::{Identity, Usage};
use super::witness;
use crate::admission::Operation;
use crate::input::Inventory;
use crate::loss::{Direction, Loss};
use crate::rbac::{AUTHENTICATED, SubjectKey};

/// The label of namespaces that Gatekeeper's webhooks leave alone.
const IGNORE_LABEL: &str = "admission.gatekeeper.sh/ignore";

/// The namespace of Gatekeeper itself, which its webhooks leave alone.
const OWN_NAMESPACE: &str = "gatekeeper-system";

/// What stands for everybody, and for all PSPs, in a loss.
const EVERYBODY: &str = "*";

/// Tells of the namespaces of the input that Gatekeeper's webhooks leave alone, as they come with its chart.
pub(super) fn ignored_namespaces(inventory: &Inventory, usage: &Usage<'_>) -> Vec<Loss> {
    let ignored: Vec<&String> = inventory
        .namespaces
        .iter()
        .filter(|(name, labels)| *name == OWN_NAMESPACE || labels.contains_key(IGNORE_LABEL))
        .map(|(name, _)| name)
        .collect();
    let everybody = SubjectKey::Group(AUTHENTICATED.to_owned());
    let witness = ignored.iter().find_map(|namespace| {
        let identity = Identity::of(&everybody, namespace);
        let usable = usage.usable(&identity, namespace);
        let mut pod = witness::modest();
        let demand = json!({ "spec": {
            "hostPID": true,
            "containers": [{ "securityContext": { "privileged": true } }],
        } });
        witness::give(&mut pod, &demand);
        let is_forbidden = witness::choice(&usable, &pod).is_none();
        is_forbidden.then(|| witness::request(&identity, namespace, pod))
    });
    let loss = witness.map(|witness| Loss {
        name: "gatekeeper/namespace-ignored".to_owned(),
        direction: Direction::Looser,
        psp: EVERYBODY.to_owned(),
        alike: Vec::new(),
        field: format!("metadata.labels[{IGNORE_LABEL}]"),
        namespaces: ignored.iter().map(ToString::to_string).collect(),
        subjects: vec![EVERYBODY.to_owned()],
        why: "the webhooks of Gatekeeper leave the namespace alone, by its label or because it is their own, so every pod is admitted there".to_owned(),
        witness,
    });
    loss.into_iter().collect()
}

/// Tells what becomes of pods that are there already, where mutators cannot be kept to new ones.
pub(super) fn updates(mutators: &[Mutator]) -> Vec<Loss> {
    let mut fields = BTreeMap::<_, (Option<&Mutator>, Reach)>::new();
    for mutator in mutators {
        let (first, reach) = fields.entry((mutator.control, mutator.field)).or_default();
        first.get_or_insert(mutator);
        match &mutator.namespaces {
            Namespaces::Only(names) => {
                for it in names {
                    reach.add(it);
                }
            }
            Namespaces::AllBut(names) => reach.add_others(names),
        }
    }
    let mut res = Vec::new();
    for ((control, field), (mutator, reach)) in fields {
        let (Some(mutator), Some(namespace)) = (mutator, reach.tried.first()) else {
            continue;
        };
        let mut names = reach.names;
        if names.contains(EVERYWHERE) {
            names = BTreeSet::from([EVERYWHERE.to_owned()]);
        }
        let everybody = SubjectKey::Group(AUTHENTICATED.to_owned());
        let identity = Identity::of(&everybody, namespace);
        let mut witness = witness::request(&identity, namespace, witness::modest());
        let mut old_pod = witness.pod.clone();
        old_pod.set(&["metadata", "finalizers"], json!(["example.com/hold"]));
        witness.operation = Operation::Update;
        witness.old_pod = Some(old_pod);
        res.push(Loss {
            name: format!("{control}/default-on-update"),
            direction: Direction::Stricter,
            psp: mutator.policies.first().cloned().unwrap_or_default(),
            alike: Vec::new(),
            field: field.to_owned(),
            namespaces: names.into_iter().collect(),
            subjects: vec![EVERYBODY.to_owned()],
            why: "mutators act on updates too before Gatekeeper 3.23, and the API server lets nobody change an old pod that lacks the default, not even to remove a finalizer".to_owned(),
            witness,
        });
    }
    res
}
