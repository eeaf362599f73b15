//! What Gatekeeper will not do as the plugin did, each with a pod that shows it.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::rc::Rc;

use super::acting::Acting;
use super::alike::{Gathered, Kinds, Sought};
use super::asked::Asked;
use super::circumstances::Circumstances;
use super::labels::LabelSelector;
use super::mutators::{Mutator, Mutators, Namespaces};
use super::search::{Search, tried};
use super::unlike::Unlike;
use super::usage::{Identity, Scope, Usage, subject_text};
use super::{administrators, witness};
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::CONTROLS;
use crate::controls::defaults::{DefaultValue, Mutation, Place};
use crate::input::Inventory;
use crate::loss::{Direction, Loss};
use crate::rbac::SubjectKey;
use crate::version::Version;

/// With more policies than this it is not looked at for each which of their pods administrators would get by it, which takes the
/// square of it; see [`administrators`].
const MOST_FOR_ADMINISTRATORS: usize = 32;

/// For subjects that may use more policies than this, a witness is looked for with the first policy of each kind alone.
const MOST_USED: usize = 64;

/// What stands for every namespace in the reach of a loss.
pub(super) const EVERYWHERE: &str = "*";

/// A namespace that stands for all that the input does not name.
pub(super) const ANYWHERE: &str = "default";

/// With how many subjects and namespaces of a policy a witness is looked for.
pub(super) const MOST_TRIED: usize = 8;

/// Tells of the defaults that Gatekeeper does not fill in, and of those that it fills in otherwise.
pub(super) fn losses(
    inventory: &Inventory,
    usage: &Usage<'_>,
    mutators: &Mutators,
    kinds: &Kinds<'_>,
    kubernetes: Version,
) -> Vec<Loss> {
    let mut res = Gathered::new(kinds);
    let all = &mutators.whole;
    let by_key: BTreeMap<_, _> = all.iter().map(keyed).collect();
    let labelled: Vec<_> = mutators.labelled.iter().map(keyed).collect();
    let acting = [all, &mutators.labelled].map(|it| Acting::new(it.iter().collect()));
    let unlike = Unlike::default();
    let asked = Asked::new(kubernetes);
    let mut of_many = BTreeMap::new();
    let administrators = if inventory.policies.len() <= MOST_FOR_ADMINISTRATORS {
        usage.administrators()
    } else {
        BTreeMap::new()
    };
    for psp in &inventory.policies {
        let defaults = defaults(psp, kubernetes);
        if defaults.is_empty() {
            continue;
        }
        let defaults = defaults.into_iter().map(|(control, default)| {
            let key = default.mutation.as_ref().map(|it| key(control, it));
            Filled {
                control,
                mutator: key.as_ref().and_then(|it| by_key.get(it)).copied(),
                labelled: labelled
                    .iter()
                    .filter(|(own, it)| {
                        key.as_ref() == Some(own) && it.policies.contains(&psp.name)
                    })
                    .map(|(_, it)| *it)
                    .collect(),
                default,
            }
        });
        let defaults: Vec<_> = defaults.collect();
        let own: Vec<_> = defaults.iter().map(|it| it.mutator).collect();
        let places: Vec<Place> = defaults.iter().map(|it| it.default.place).collect();
        let mut pods = witness::pods(psp);
        let Some(modest) = pods.next() else {
            continue;
        };
        let more = LazyCell::new(Box::new(|| pods.collect()) as Box<dyn FnOnce() -> Vec<Pod> + '_>);
        let users = usage.users(&psp.name).into_iter();
        for (subjects, scopes) in users.chain(administrators.clone()) {
            let (_, everywhere) = split(&scopes, None);
            let (many, few): (BTreeSet<_>, BTreeSet<_>) = subjects.into_iter().partition(|it| {
                let uses_many = || uses_many(usage, it, &everywhere);
                *of_many.entry(*it).or_insert_with(uses_many)
            });
            let parts = [(few, false), (many, true)].into_iter();
            for (subjects, use_many) in parts.filter(|(subjects, _)| !subjects.is_empty()) {
                if use_many && res.is_known(&psp.name, &subjects) {
                    continue;
                }
                let circumstances = kinds.of(&psp.name).and_then(|kind| {
                    let tried = tried(usage, &subjects, all, &everywhere);
                    Circumstances::of(kind, psp, &scopes, tried, &acting, &own)
                });
                if let Some((namespace, it)) = &circumstances
                    && res.repeat(it, &psp.name, namespace, &subjects)
                {
                    continue;
                }
                let told = defaults.iter().flat_map(|it| {
                    let search = Search {
                        usage,
                        psp,
                        subjects: &subjects,
                        modest: &modest,
                        more: &more,
                        unlike: &unlike,
                        asked: &asked,
                        control: it.control,
                        place: it.default.place,
                        places: &places,
                        mutators: all,
                    };
                    it.losses(&search, &scopes, &everywhere)
                });
                res.add_all(circumstances.map(|(_, it)| it), told.collect());
            }
        }
    }
    if inventory.policies.len() > MOST_FOR_ADMINISTRATORS {
        administrators::add(&mut res, inventory, usage, all, &by_key, &asked, kubernetes);
    }
    res.finish()
}

/// What a policy fills in, and what of Gatekeeper does.
struct Filled<'a> {
    control: &'static str,
    default: DefaultValue,
    mutator: Option<&'a Mutator>,
    /// Those that act on pods with a label.
    labelled: Vec<&'a Mutator>,
}

impl Filled<'_> {
    /// What becomes of it in the scopes, each loss with a witness if one was found.
    fn losses(
        &self,
        search: &Search<'_, '_>,
        scopes: &BTreeSet<Scope<'_>>,
        everywhere: &Reach,
    ) -> Vec<Sought> {
        let subjects = search.subjects.iter().map(|it| subject_text(it));
        let subjects: BTreeSet<String> = subjects.collect();
        let sought = |name: &str, direction, reach: &Reach, why: &str, witness: Option<_>| Sought {
            name: format!("{}/{name}", self.control),
            direction,
            psp: search.psp.name.clone(),
            field: self.default.field,
            namespaces: reach.names.clone(),
            subjects: subjects.clone(),
            why: why.to_owned(),
            witness: witness.map(Rc::new),
        };
        let (with, without) = split(scopes, self.mutator.map(|it| &it.namespaces));
        let (name, why) = NOT_SET;
        let witness = search.defaulted(&without, &[]);
        let mut res = vec![
            sought(name, Direction::Stricter, &without, why, witness),
            sought(
                "default-of-the-first",
                Direction::Differs,
                everywhere,
                "a pod whose profile of seccomp is a field alone gets no default where a policy accepts it that is not the first by name, which the plugin would have taken",
                search.first_by_name(everywhere),
            ),
        ];
        let labelled = self.labelled.iter().map(|it| {
            let (with, _) = split(scopes, Some(&it.namespaces));
            (with, it.labels.as_ref().map(LabelSelector::pod))
        });
        let caveats = self.default.mutation.iter().flat_map(|it| &it.caveats);
        for (with, label) in iter::once((with, None)).chain(labelled) {
            res.extend(caveats.clone().map(|it| {
                let more: Vec<_> = label.iter().chain([&it.pod]).collect();
                let witness = search.defaulted(&with, &more);
                sought(it.name, it.direction, &with, &it.why, witness)
            }));
        }
        res
    }
}

/// What `default-not-set` is called without its control, and why it is.
pub(super) const NOT_SET: (&str, &str) = (
    "default-not-set",
    "a pod that leaves it open is refused, where the plugin filled in the default",
);

/// Whether the subject may use so many policies that it takes long to tell by which of them a pod is admitted.
fn uses_many(usage: &Usage<'_>, subject: &SubjectKey, reach: &Reach) -> bool {
    let Some(namespace) = reach.tried.first() else {
        return false;
    };
    let identity = Identity::of(subject, namespace);
    usage.usable(&identity, namespace).len() > MOST_USED
}

/// What tells mutators apart: control, location and value.
pub(super) type Key = (&'static str, &'static str, String);

/// Returns what tells a mutator apart that does this.
pub(super) fn key(control: &'static str, mutation: &Mutation) -> Key {
    (control, mutation.location, mutation.value.to_string())
}

fn keyed(mutator: &Mutator) -> (Key, &Mutator) {
    (key(mutator.control, &mutator.mutation), mutator)
}

/// Namespaces that a loss reaches.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// Their names; [`EVERYWHERE`] stands for all, or for all but some.
    pub(super) names: BTreeSet<String>,
    /// Where to look for a witness; among them one that stands for those without a name.
    pub(super) tried: BTreeSet<String>,
    /// Where not to look, where [`EVERYWHERE`] stands for all but some.
    but: BTreeSet<String>,
}

impl Reach {
    pub(super) fn add(&mut self, name: &str) {
        self.names.insert(name.to_owned());
        self.tried.insert(name.to_owned());
    }

    /// Adds all namespaces, those to come included, but for some.
    pub(super) fn add_others(&mut self, but: &BTreeSet<String>) {
        self.names.insert(EVERYWHERE.to_owned());
        self.but.extend(but.iter().cloned());
        let numbered = (2..).map(|it| format!("{ANYWHERE}-{it}"));
        let names = iter::once(ANYWHERE.to_owned()).chain(numbered);
        // The first exists in every cluster, and may have bindings of its own.
        self.tried
            .extend(names.filter(|it| !but.contains(it)).take(2));
    }

    /// Where to look, with some of the namespaces that have bindings of their own.
    pub(super) fn all_tried<'a>(
        &'a self,
        bound: impl Iterator<Item = &'a str> + 'a,
    ) -> impl Iterator<Item = &'a str> {
        let others = if self.names.contains(EVERYWHERE) {
            MOST_TRIED
        } else {
            0
        };
        let bound = bound.filter(|it| !self.but.contains(*it) && !self.tried.contains(*it));
        let tried = self.tried.iter().map(String::as_str).take(MOST_TRIED);
        tried.chain(bound.take(others))
    }
}

/// The namespaces of the scopes that a mutator acts in, and the others.
pub(super) fn split(scopes: &BTreeSet<Scope<'_>>, mutated: Option<&Namespaces>) -> (Reach, Reach) {
    let (mut with, mut without) = (Reach::default(), Reach::default());
    for scope in scopes {
        match (scope, mutated) {
            (Some(namespace), Some(mutated)) if mutated.contains(namespace) => with.add(namespace),
            (Some(namespace), _) => without.add(namespace),
            (None, None) => without.add_others(&BTreeSet::new()),
            (None, Some(Namespaces::AllBut(names))) => {
                with.add_others(names);
                for it in names {
                    without.add(it);
                }
            }
            (None, Some(Namespaces::Only(names))) => {
                for it in names {
                    with.add(it);
                }
                without.add_others(names);
            }
        }
    }
    (with, without)
}

/// The defaults of a policy with the names of their controls.
pub(super) fn defaults(
    psp: &PodSecurityPolicy,
    kubernetes: Version,
) -> Vec<(&'static str, DefaultValue)> {
    CONTROLS
        .iter()
        .flat_map(|control| {
            let defaults = control.defaults(&psp.spec, kubernetes).into_iter();
            defaults.map(|it| (control.name(), it))
        })
        .collect()
}
