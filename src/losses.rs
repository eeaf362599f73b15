//! What Gatekeeper will not do as PSP did, each with a pod that shows it.
//!
//! What becomes of a pod depends on the policies that it can have and on the mutators that act on it.
//! So those who have the same grants are taken together, namespace by namespace with the same mutators ([`areas`]); each such
//! situation is searched for pods that differ ([`search`]), and [`outcome`] says in what.
//! [`merge`] puts together what is the same.
//! [`exemptions`], [`updates`] and [`resets`] declare what has nothing to do with defaults.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Access, Identity, subject_text};
use crate::input::Inventory;
use crate::loss::Loss;
use crate::plan::{Bundle, PlanOptions};
use crate::rbac::{AUTHENTICATED, SubjectKey};
use crate::witness::budget::{MOST_ACCOUNTS, MOST_NAMESPACES, MOST_SUBJECTS, MOST_USED};
use crate::witness::memo::Memo;
use crate::witness::reshape;

use areas::{Area, Areas, Variant};
use merge::{Gathered, Reach};
use outcome::Defaults;
use search::{Finding, Searches};
use similar::Similar;

mod areas;
mod causes;
mod exemptions;
mod merge;
mod outcome;
mod pods;
mod resets;
mod search;
mod similar;
mod updates;

/// What stands for every namespace in the reach of a loss.
const EVERYWHERE: &str = "*";

/// What stands for all users, and for all PSPs, in a loss.
const ALL: &str = "*";

/// Finds the losses of a bundle, sorted by PSP, name and field.
pub fn find(
    inventory: &Inventory,
    access: &Access<'_>,
    bundle: &Bundle,
    options: PlanOptions,
) -> Vec<Loss> {
    let memo = Memo::new(options.kubernetes, options.strict_app_armor);
    let (mut res, more) = rayon::join(
        || of_defaults(inventory, access, bundle, options),
        || {
            let memo = Memo::new(options.kubernetes, options.strict_app_armor);
            exemptions::losses(inventory, access, &memo)
        },
    );
    res.extend(more);
    res.extend(resets::losses(inventory, access, bundle, options, &memo));
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
    let searches = Searches::new(&defaults, &similar, options);
    let causes = causes::Causes::new(&bundle.unset);
    let mut res = Gathered::new(&similar);
    for (subjects, scopes) in access.holders() {
        let names = subjects.iter().map(|it| subject_text(it)).collect();
        let mut areas_of = areas.of(&scopes);
        if uses_very_many(access, &subjects, &areas_of) {
            // One stands for the namespaces of the input, and one for those that it does not name.
            let last = areas_of.len().saturating_sub(2);
            areas_of.drain(..last);
        }
        for area in areas_of {
            let group = Group {
                access,
                areas: &areas,
                subjects: &subjects,
                area: &area,
            };
            for (finding, identity, namespace) in group.findings(&searches) {
                let reach = Reach {
                    namespaces: &area.names,
                    subjects: &names,
                    reaches_creators: group.reaches_creators(&identity),
                    causes: causes.of(finding.kind, &finding.psp.name, finding.field, &area.names),
                };
                res.add(&finding, reach, || loss(&finding, &identity, namespace));
            }
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

/// Those who have the same grants, where the same mutators act.
struct Group<'g, 'a> {
    access: &'g Access<'a>,
    areas: &'g Areas<'g>,
    subjects: &'g BTreeSet<&'a SubjectKey>,
    area: &'g Area,
}

impl<'g, 'a> Group<'g, 'a> {
    /// What is found, each with who shows it where; the same once.
    fn findings(&self, searches: &Searches<'_, 'a>) -> Vec<(Finding<'a>, Identity, &'g str)> {
        let mut res = BTreeMap::new();
        let mut known = BTreeSet::new();
        let namespaces = self.area.tried.iter().take(MOST_NAMESPACES);
        for namespace in namespaces.map(String::as_str) {
            for identity in self.identities(namespace) {
                if self.access.is_exempt(&identity, namespace) {
                    continue;
                }
                let usable = self.access.usable(&identity, namespace);
                let names: Vec<&str> = usable.iter().map(|it| it.name.as_str()).collect();
                let variants = self.areas.variants(namespace);
                let acting: Vec<Vec<String>> = variants.iter().map(Variant::owned_names).collect();
                if !known.insert((names, acting)) {
                    continue;
                }
                let mut told = BTreeSet::new();
                for variant in variants {
                    for finding in searches.findings(&usable, &variant) {
                        // What becomes of pods that no mutator selects is told first.
                        if told.insert(finding.key()) {
                            let key = (finding.key(), finding.why.clone());
                            let found = || (finding, identity.clone(), namespace);
                            res.entry(key).or_insert_with(found);
                        }
                    }
                }
            }
        }
        res.into_values().collect()
    }

    /// Who stands for the subjects in a namespace, the likeliest first.
    fn identities(&self, namespace: &str) -> Vec<Identity> {
        let mut res = Vec::new();
        for subject in self.subjects.iter().take(MOST_SUBJECTS) {
            res.extend(Identity::all_of(subject, namespace));
            let creators = self.access.creators();
            let accounts = creators.accounts(namespace).take(MOST_ACCOUNTS);
            let accounts = accounts.chain(["default"]);
            res.extend(accounts.filter_map(|it| Identity::by_service_account(subject, it)));
        }
        // Members of a group can have more than the group.
        let others = self.access.subjects(namespace).take(MOST_SUBJECTS);
        let others = others.map(|it| Identity::of(it, namespace));
        res.extend(others.filter(|identity| {
            let mut own = self.subjects.iter();
            own.any(|it| it.matches(&identity.requester))
        }));
        // Those whom nobody authenticates come last: hardly anybody lets them create pods.
        res.sort_by_key(Identity::is_anonymous);
        res
    }

    /// Whether somebody of the input who creates pods meets what the identity shows.
    fn reaches_creators(&self, identity: &Identity) -> bool {
        if identity.is_anonymous() {
            return false;
        }
        // A controller is an authenticated user like any other.
        let authenticated = SubjectKey::Group(AUTHENTICATED.to_owned());
        if identity.requester.groups == [AUTHENTICATED] && self.subjects.contains(&authenticated) {
            return true;
        }
        let requester = SubjectKey::User(identity.requester.username.clone());
        let groups = identity.requester.groups.iter().cloned();
        let groups = groups
            .map(SubjectKey::Group)
            .filter(|it| self.subjects.contains(it));
        let creators = self.access.creators();
        let namespaces = self.area.tried.iter();
        let mut scopes = namespaces.map(|it| Some(it.as_str())).chain([None]);
        scopes.any(|scope| {
            creators.can_create(&requester, scope)
                || groups.clone().any(|it| creators.can_create(&it, scope))
        })
    }
}

/// The loss that was found, without whom it reaches.
fn loss(finding: &Finding<'_>, identity: &Identity, namespace: &str) -> Loss {
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
        witness: reshape::request(identity, namespace, finding.pod.clone()),
    }
}
