//! What keeps a default from being set.

use std::collections::BTreeSet;

use super::candidates::PolicyDefault;
use super::items::{Item, Whose};
use super::score::{Judge, Solution};
use crate::access::Access;
use crate::plan::mutator::{Hindrance, PodSelector, UnsetDefault};

/// Returns the defaults that the set does not set on all pods, of the policies by which PSP admits pods of the namespace.
pub(super) fn unset(
    judge: &Judge<'_, '_>,
    access: &Access<'_>,
    namespace: Option<&str>,
    solution: &Solution,
) -> Vec<UnsetDefault> {
    let mut res = BTreeSet::new();
    let counting = judge.items.iter();
    let counting = counting.filter(|it| it.whose != Whose::Bystander);
    let policies = counting.filter_map(|it| it.admitted.as_ref());
    let policies: BTreeSet<&str> = policies.map(|(psp, _)| psp.name.as_str()).collect();
    for psp in policies {
        for default in judge.candidates.of(psp) {
            let first = default.candidates.first();
            let is_set = |id: &usize| solution.contains(&(*id, PodSelector::default()));
            if first.is_some_and(is_set) {
                continue;
            }
            res.insert(UnsetDefault {
                psp: psp.to_owned(),
                control: default.control,
                field: default.field,
                namespace: namespace.map(str::to_owned),
                hindrance: hindrance(judge, access, namespace, solution, default),
            });
        }
    }
    res.into_iter().collect()
}

fn hindrance(
    judge: &Judge<'_, '_>,
    access: &Access<'_>,
    namespace: Option<&str>,
    solution: &Solution,
    default: &PolicyDefault,
) -> Hindrance {
    let Some(id) = default.candidates.first() else {
        return Hindrance::NotExpressible;
    };
    let excluded = |other: usize| judge.candidates.exclude_each_other(*id, other);
    let others = solution.iter().filter(|(it, _)| it != id && !excluded(*it));
    let mut with: Solution = others.cloned().collect();
    with.insert((*id, PodSelector::default()));
    let mut positions: Vec<usize> = (0..judge.items.len()).collect();
    positions.sort_by_key(|it| judge.items.get(*it).map(|it| &it.whose));
    for position in positions {
        let Some(item) = judge.items.get(position) else {
            continue;
        };
        let is_broken =
            judge.outcome(position, solution).passes && !judge.outcome(position, &with).passes;
        if let (Some((psp, _)), true) = (&item.admitted, is_broken) {
            return of_item(access, namespace, item, &psp.name);
        }
    }
    Hindrance::NothingGained
}

fn of_item(access: &Access<'_>, namespace: Option<&str>, item: &Item<'_>, psp: &str) -> Hindrance {
    let psp = psp.to_owned();
    match &item.whose {
        Whose::Workload(name) => Hindrance::Workload {
            name: name.clone(),
            psp,
        },
        Whose::Creator | Whose::Bystander => {
            let namespace = namespace.unwrap_or_default();
            let grants = access.grants_of(&item.identity, namespace);
            let routes = grants.iter().flat_map(|it| &it.routes);
            let mut routes = routes.filter(|it| it.granted.contains(&psp));
            Hindrance::Account {
                name: format!(
                    "ServiceAccount {namespace}/{}",
                    item.identity.service_account
                ),
                binding: routes.next().map(|it| it.binding.to_string()),
                psp,
            }
        }
    }
}
