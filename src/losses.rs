//! What Gatekeeper will not do as PSP did, each with a pod that shows it.
//!
//! What becomes of a pod depends on the policies that it can have and on the mutators that act on it.
//! So those who have the same grants are taken together, namespace by namespace with the same mutators (`areas`); each such
//! situation is searched for pods that differ (`search`, `strategies`), and `outcome` says in what.
//! `merge` puts together what is the same.
//! `exemptions`, `updates`, `resets` and `windows` declare what has nothing to do with defaults.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Access, Identity, subject_text};
use crate::api::policy::PodSecurityPolicy;
use crate::input::Inventory;
use crate::loss::Loss;
use crate::plan::{Bundle, PlanOptions};
use crate::rbac::{AUTHENTICATED, SubjectKey};
use crate::witness::budget::{MOST_ACCOUNTS, MOST_NAMESPACES, MOST_SUBJECTS, MOST_USED};
use crate::witness::memo::Memo;
use crate::witness::reshape;

use areas::{Area, Areas, Variant};
use finding::Finding;
use merge::{Gathered, Reach};
use outcome::Defaults;
use search::{Found, Searches};
use similar::Similar;

mod areas;
mod causes;
mod exemptions;
mod finding;
mod merge;
mod outcome;
mod pods;
mod resets;
mod search;
mod similar;
mod strategies;
#[cfg(test)]
mod tests;
mod updates;
mod windows;

/// Finds the losses of a bundle, sorted by PSP, name and field.
pub fn find(
    inventory: &Inventory,
    access: &Access<'_>,
    bundle: &Bundle,
    options: PlanOptions,
) -> Vec<Loss> {
    let (mut res, more) = rayon::join(
        || of_defaults(inventory, access, bundle, options),
        || {
            let memo = Memo::new(options.kubernetes, options.strict_app_armor);
            let mut res = exemptions::losses(inventory, access, &memo);
            res.extend(resets::losses(inventory, access, bundle, options, &memo));
            res.extend(windows::losses(inventory, access, bundle, &memo));
            res
        },
    );
    res.extend(more);
    if !bundle.mutators_know_operations {
        res.extend(updates::losses(&bundle.mutators));
    }
    res.sort_by_cached_key(|it| (it.psp.clone(), it.name(), it.field.clone()));
    res
}

/// The losses about defaults.
fn of_defaults(
    inventory: &Inventory,
    access: &Access<'_>,
    bundle: &Bundle,
    options: PlanOptions,
) -> Vec<Loss> {
    let similar = Similar::new(inventory, options);
    let defaults = Defaults::new(inventory, options.kubernetes);
    let areas = Areas::new(access, &bundle.mutators);
    let causes = causes::Causes::new(&bundle.unset);
    let mut searches = Searches::new(&defaults, &similar, options);
    let mut groups = Vec::new();
    for (subjects, scopes) in access.holders() {
        let mut areas_of = areas.of(&scopes);
        if uses_very_many(access, &subjects, &areas_of) {
            // One stands for the namespaces of the input, and one for those that it does not name.
            let last = areas_of.len().saturating_sub(2);
            areas_of.drain(..last);
        }
        for area in areas_of {
            let met = met(access, &areas, &subjects, &area);
            for it in &met {
                for variant in &it.variants {
                    searches.add(&it.usable, variant);
                }
            }
            groups.push((subjects.clone(), area, met));
        }
    }
    let found = searches.run();
    let mut res = Gathered::new(&similar);
    for (subjects, area, met) in groups {
        let names = subjects.iter().map(|it| subject_text(it)).collect();
        for (finding, shown) in findings(&found, &met) {
            let reach = Reach {
                namespaces: &area.names,
                subjects: &names,
                reaches_creators: reaches_creators(access, &subjects, &area, &shown.identity),
                causes: causes.of(finding.kind, &finding.psp.name, finding.field, &area.names),
            };
            res.add(&finding, reach, || loss(&finding, shown));
        }
    }
    res.finish()
}

/// Whether the first of the subjects can have so many policies that trying them all takes long.
fn uses_very_many(access: &Access<'_>, subjects: &BTreeSet<&SubjectKey>, areas: &[Area]) -> bool {
    let (Some(subject), Some(area)) = (subjects.first(), areas.last()) else {
        return false;
    };
    let namespace = area.tried.first().map(String::as_str).unwrap_or_default();
    access
        .usable(&Identity::of(subject, namespace), namespace)
        .len()
        > MOST_USED
}

/// Somebody with some of the grants, in a namespace, and what decides over the pods.
struct Met<'s, 'a> {
    identity: Identity,
    namespace: String,
    usable: Vec<&'a PodSecurityPolicy>,
    variants: Vec<Variant<'s>>,
}

/// Those who stand for the subjects in an area, once for the same policies and mutators.
fn met<'s, 'a>(
    access: &Access<'a>,
    areas: &Areas<'s>,
    subjects: &BTreeSet<&'a SubjectKey>,
    area: &Area,
) -> Vec<Met<'s, 'a>> {
    let mut res = Vec::new();
    let mut known = BTreeSet::new();
    for namespace in area.tried.iter().take(MOST_NAMESPACES) {
        let variants = areas.variants(namespace);
        let acting: Vec<Vec<String>> = variants.iter().map(Variant::owned_names).collect();
        for identity in identities(access, subjects, namespace) {
            if access.is_exempt(&identity, namespace) {
                continue;
            }
            let usable = access.usable(&identity, namespace);
            let names: Vec<&str> = usable.iter().map(|it| it.name.as_str()).collect();
            if known.insert((names, acting.clone())) {
                res.push(Met {
                    identity,
                    namespace: namespace.clone(),
                    usable,
                    variants: variants.clone(),
                });
            }
        }
    }
    res
}

/// Who stands for the subjects in a namespace, the likeliest first.
fn identities(
    access: &Access<'_>,
    subjects: &BTreeSet<&SubjectKey>,
    namespace: &str,
) -> Vec<Identity> {
    let mut res = Vec::new();
    for subject in subjects.iter().take(MOST_SUBJECTS) {
        res.extend(Identity::all_of(subject, namespace));
        let accounts = access.creators().accounts(namespace).take(MOST_ACCOUNTS);
        let accounts = accounts.chain(["default"]);
        res.extend(accounts.filter_map(|it| Identity::by_service_account(subject, it)));
    }
    // Members of a group can have more than the group.
    let others = access.subjects(namespace).take(MOST_SUBJECTS);
    let others = others.map(|it| Identity::of(it, namespace));
    res.extend(others.filter(|identity| {
        let mut own = subjects.iter();
        own.any(|it| it.matches(&identity.requester))
    }));
    // Those whom nobody authenticates come last: hardly anybody lets them create pods.
    res.sort_by_key(Identity::is_anonymous);
    res
}

/// What is found, each with who shows it; the same once.
fn findings<'m, 's, 'a: 's>(
    found: &Found<'s, 'a>,
    met: &'m [Met<'s, 'a>],
) -> Vec<(Finding<'a>, &'m Met<'s, 'a>)> {
    let mut res = BTreeMap::new();
    for it in met {
        let mut told = BTreeSet::new();
        for variant in &it.variants {
            for finding in found.findings(&it.usable, variant) {
                // What becomes of pods that no mutator selects is told first.
                if told.insert(finding.key()) {
                    let key = (finding.key(), finding.why.clone());
                    res.entry(key).or_insert((finding, it));
                }
            }
        }
    }
    res.into_values().collect()
}

/// Whether somebody of the input who creates pods meets what the identity shows.
fn reaches_creators(
    access: &Access<'_>,
    subjects: &BTreeSet<&SubjectKey>,
    area: &Area,
    identity: &Identity,
) -> bool {
    if identity.is_anonymous() {
        return false;
    }
    // A controller is an authenticated user like any other.
    let authenticated = SubjectKey::Group(AUTHENTICATED.to_owned());
    if identity.requester.groups == [AUTHENTICATED] && subjects.contains(&authenticated) {
        return true;
    }
    let requester = SubjectKey::User(identity.requester.username.clone());
    let groups = identity.requester.groups.iter().cloned();
    let groups = groups.map(SubjectKey::Group);
    let groups = groups.filter(|it| subjects.contains(it));
    let creators = access.creators();
    let namespaces = area.tried.iter();
    let mut scopes = namespaces.map(|it| Some(it.as_str())).chain([None]);
    scopes.any(|scope| {
        creators.can_create(&requester, scope)
            || groups.clone().any(|it| creators.can_create(&it, scope))
    })
}

/// The loss that was found, without whom it reaches.
fn loss(finding: &Finding<'_>, shown: &Met<'_, '_>) -> Loss {
    Loss {
        control: finding.control,
        kind: finding.kind,
        psp: finding.psp.name.clone(),
        alike: Vec::new(),
        field: finding.field.to_owned(),
        namespaces: Vec::new(),
        subjects: Vec::new(),
        reaches_creators: false,
        why: finding.why.clone(),
        causes: Vec::new(),
        witness: reshape::request(&shown.identity, &shown.namespace, finding.pod.clone()),
    }
}
