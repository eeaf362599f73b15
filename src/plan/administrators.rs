//! Defaults of administrators' pods, where there are so many policies that not each can be looked at for them.

use std::collections::BTreeMap;
use std::iter;
use std::rc::Rc;

use super::alike::{Gathered, Sought};
use super::asked::Asked;
use super::losses::{Key, NOT_SET, defaults, key, split};
use super::mutators::Mutator;
use super::usage::{Identity, Usage, subject_text};
use super::witness;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::api::validation::{self, OF_PSP};
use crate::controls::defaults::DefaultValue;
use crate::input::Inventory;
use crate::loss::Direction;
use crate::version::Version;

/// So many times a policy is asked about a pod, but for the first pod.
const MOST_CHOICES: usize = 8192;

/// Tells of the defaults that no mutator fills in: by one policy that shows it for a field, for all that fill it in.
pub(super) fn add(
    acc: &mut Gathered<'_>,
    inventory: &Inventory,
    usage: &Usage<'_>,
    mutators: &[Mutator],
    by_key: &BTreeMap<Key, &Mutator>,
    asked: &Asked,
    kubernetes: Version,
) {
    for (subjects, scopes) in usage.administrators() {
        let (_, everywhere) = split(&scopes, None);
        let (Some(subject), Some(namespace)) = (subjects.first(), everywhere.tried.first()) else {
            continue;
        };
        let identity = Identity::of(subject, namespace);
        if usage.is_exempt(&identity, namespace) {
            continue;
        }
        let here: Vec<_> = mutators
            .iter()
            .filter(|it| it.namespaces.contains(namespace))
            .collect();
        let usable = usage.usable(&identity, namespace);
        let shown = shown(&usable, &here, asked, kubernetes);
        for psp in &inventory.policies {
            for (control, default) in defaults(psp, kubernetes) {
                let Some((by, pod)) = shown.get(&(control, default.field)) else {
                    continue;
                };
                let mutator = default
                    .mutation
                    .and_then(|it| by_key.get(&key(control, &it)));
                let (_, without) = split(&scopes, mutator.map(|it| &it.namespaces));
                let (name, why) = NOT_SET;
                let witness = || Rc::new(witness::request(&identity, namespace, pod.clone()));
                acc.add(Sought {
                    name: format!("{control}/{name}"),
                    direction: Direction::Stricter,
                    psp: psp.name.clone(),
                    field: default.field,
                    namespaces: without.names,
                    subjects: subjects.iter().map(|it| subject_text(it)).collect(),
                    why: why.to_owned(),
                    witness: (psp.name == by.name).then(witness),
                });
            }
        }
    }
}

/// Pods that are refused for lack of a default, and the policy by which the plugin admits each; by control and field.
fn shown<'a>(
    usable: &[&'a PodSecurityPolicy],
    here: &[&Mutator],
    asked: &Asked,
    kubernetes: Version,
) -> BTreeMap<(&'static str, &'static str), (&'a PodSecurityPolicy, Pod)> {
    let mut res = BTreeMap::new();
    let more = usable.iter().flat_map(|it| witness::pods(it).take(2));
    let enough = MOST_CHOICES / usable.len().max(1);
    for pod in iter::once(witness::modest())
        .chain(more)
        .take(enough.max(1))
    {
        let Some((psp, true)) = asked.choice(usable, &pod) else {
            continue;
        };
        let before = witness::admitted(psp, &pod);
        let after = witness::mutated(&pod, here.iter().map(|it| &it.mutation));
        if validation::refusal(&before, OF_PSP).is_some() || asked.accept(usable, &after) {
            continue;
        }
        for (control, DefaultValue { field, place, .. }) in defaults(psp, kubernetes) {
            if witness::at(&before, place) != witness::at(&after, place) {
                res.entry((control, field))
                    .or_insert_with(|| (psp, pod.clone()));
            }
        }
    }
    res
}
