//! What Gatekeeper will not do as the plugin did, each with a pod that shows it.

use std::collections::BTreeSet;

use super::usage::{Identity, Scope, Usage, subject_text};
use super::witness;
use crate::admission::AdmissionRequest;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::CONTROLS;
use crate::controls::defaults::{DefaultValue, Place};
use crate::input::Inventory;
use crate::loss::{Direction, Loss};
use crate::rbac::{MASTERS, SubjectKey};
use crate::version::Version;

/// With more policies than this, which of them administrators would get is not looked at, which takes the square of it.
const MOST_FOR_ADMINISTRATORS: usize = 32;

/// What stands for every namespace in the reach of a loss.
const EVERYWHERE: &str = "*";

/// A namespace that stands for all that the input does not name.
const ANYWHERE: &str = "default";

/// With how many subjects and namespaces of a policy a witness is looked for.
const MOST_TRIED: usize = 8;

/// Tells of the defaults that a policy fills in and nothing else does.
pub(super) fn losses(inventory: &Inventory, usage: &Usage<'_>, kubernetes: Version) -> Vec<Loss> {
    let mut res = Vec::new();
    let masters = SubjectKey::Group(MASTERS.to_owned());
    let administrators = (BTreeSet::from([&masters]), BTreeSet::from([None]));
    for psp in &inventory.policies {
        let defaults = defaults(psp, kubernetes);
        if defaults.is_empty() {
            continue;
        }
        let pods = witness::pods(psp);
        let users = usage.users(&psp.name).into_iter();
        let administrators =
            Some(&administrators).filter(|_| inventory.policies.len() <= MOST_FOR_ADMINISTRATORS);
        for (subjects, scopes) in users.chain(administrators.cloned()) {
            for (control, default) in &defaults {
                let shown = || not_set(usage, psp, &subjects, &scopes, &pods, default.place);
                res.extend(shown().map(|witness| Loss {
                    name: format!("{control}/default-not-set"),
                    direction: Direction::Stricter,
                    psp: psp.name.clone(),
                    field: default.field.to_owned(),
                    namespaces: scopes.iter().map(|it| it.unwrap_or(EVERYWHERE).to_owned()).collect(),
                    subjects: subjects.iter().map(|it| subject_text(it)).collect(),
                    why: "a pod that leaves it open is refused, where the plugin filled in the default".to_owned(),
                    witness,
                }));
            }
        }
    }
    res
}

/// The defaults of a policy with the names of their controls.
fn defaults(psp: &PodSecurityPolicy, kubernetes: Version) -> Vec<(&'static str, DefaultValue)> {
    CONTROLS
        .iter()
        .flat_map(|control| {
            let defaults = control.defaults(&psp.spec, kubernetes).into_iter();
            defaults.map(|it| (control.name(), it))
        })
        .collect()
}

/// A request that the plugin lets pass by this policy, once it has filled in what belongs to the place and nothing else.
fn not_set(
    usage: &Usage<'_>,
    psp: &PodSecurityPolicy,
    subjects: &BTreeSet<&SubjectKey>,
    scopes: &BTreeSet<Scope<'_>>,
    pods: &[Pod],
    place: Place,
) -> Option<AdmissionRequest> {
    let namespaces = scopes.iter().map(|it| it.unwrap_or(ANYWHERE));
    let tried = namespaces.take(MOST_TRIED).flat_map(|namespace| {
        subjects
            .iter()
            .take(MOST_TRIED)
            .map(move |it| (namespace, *it))
    });
    for (namespace, subject) in tried {
        let identity = Identity::of(subject, namespace);
        let usable = usage.usable(&identity, namespace);
        for pod in pods {
            let pod = witness::lacking(psp, pod, place);
            let choice = witness::choice(&usable, &pod);
            if choice.is_some_and(|(chosen, mutates)| mutates && chosen.name == psp.name) {
                return Some(witness::request(&identity, namespace, pod));
            }
        }
    }
    None
}
