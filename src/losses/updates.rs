//! Pods that are older than the mutators, where mutators cannot be kept to new ones.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::access::{ANYWHERE, Identity};
use crate::admission::Operation;
use crate::loss::{ALL, Loss, LossKind};
use crate::plan::{Mutator, Namespaces};
use crate::rbac::{AUTHENTICATED, SubjectKey};
use crate::witness::{reshape, samples};

/// Tells what becomes of pods that are there already, where mutators cannot be kept to new ones.
pub(super) fn losses(mutators: &[Mutator]) -> Vec<Loss> {
    let mut fields = BTreeMap::<_, (Option<&Mutator>, BTreeSet<String>)>::new();
    for mutator in mutators {
        let key = (mutator.control, mutator.field, &mutator.pods);
        let (first, reach) = fields.entry(key).or_default();
        first.get_or_insert(mutator);
        match &mutator.namespaces {
            Namespaces::Only(names) => reach.extend(names.iter().cloned()),
            Namespaces::AllBut(_) => {
                reach.insert(ALL.to_owned());
            }
        }
    }
    let mut res = Vec::new();
    for ((control, field, pods), (mutator, reach)) in fields {
        let (Some(mutator), Some(first)) = (mutator, reach.first()) else {
            continue;
        };
        let namespace = match first.as_str() {
            ALL => ANYWHERE,
            name => name,
        };
        let identity = Identity::of(&SubjectKey::Group(AUTHENTICATED.to_owned()), namespace);
        let pod = samples::modest();
        let mut witness = reshape::request(&identity, namespace, pod);
        let mut names = reach;
        if names.contains(ALL) {
            names = BTreeSet::from([ALL.to_owned()]);
        }
        reshape::give(&mut witness.pod, &pods.labels.labels());
        let mut old_pod = witness.pod.clone();
        old_pod.set(&["metadata", "finalizers"], json!(["example.com/hold"]));
        witness.operation = Operation::Update;
        witness.old_pod = Some(old_pod);
        res.push(Loss {
            control,
            kind: LossKind::DefaultOnUpdate,
            psp: mutator.policies.first().cloned().unwrap_or_default(),
            alike: Vec::new(),
            field: field.to_owned(),
            namespaces: names.into_iter().collect(),
            subjects: vec![ALL.to_owned()],
            reaches_creators: true,
            why: "mutators act on updates too before Gatekeeper 3.23, and the API server lets nobody change an old pod that lacks the default, not even to remove a finalizer".to_owned(),
            causes: Vec::new(),
            witness,
        });
    }
    res
}
