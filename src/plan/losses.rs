//! What Gatekeeper will not do as the plugin did, each with a pod that shows it.

use std::cell::{LazyCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::rc::Rc;

use serde_json::Value;

use super::alike::{Gathered, Kinds, Sought};
use super::labels::LabelSelector;
use super::mutators::{Mutator, Mutators, Namespaces};
use super::usage::{Identity, Scope, Usage, subject_text};
use super::witness;
use crate::admission::AdmissionRequest;
use crate::api::core::{Pod, RUNTIME_DEFAULT, SECCOMP_POD, UNCONFINED, seccomp_field_for};
use crate::api::policy::PodSecurityPolicy;
use crate::api::validation;
use crate::controls::CONTROLS;
use crate::controls::defaults::{DefaultValue, Mutation, Place};
use crate::input::Inventory;
use crate::loss::{Direction, Loss};
use crate::rbac::SubjectKey;
use crate::version::Version;

/// With more policies than this, which of them administrators would get is not looked at, which takes the square of it.
const MOST_FOR_ADMINISTRATORS: usize = 32;

/// For subjects that may use more policies than this, a witness is looked for with the first policy of each kind alone.
const MOST_USED: usize = 64;

/// So many times a policy is asked about a pod, in a search among pods that are easy to think of.
const MOST_CHOICES: usize = 512;

/// With more policies than this, no pod is made that one of them accepts and the others do not.
const MOST_UNLIKE: usize = 32;

/// What stands for every namespace in the reach of a loss.
pub(super) const EVERYWHERE: &str = "*";

/// A namespace that stands for all that the input does not name.
pub(super) const ANYWHERE: &str = "default";

/// With how many subjects and namespaces of a policy a witness is looked for.
const MOST_TRIED: usize = 8;

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
    let labelled = &mutators.labelled;
    let mutators: BTreeMap<_, _> = all
        .iter()
        .map(|it| (key(it.control, &it.mutation), it))
        .collect();
    let mut of_many = BTreeMap::new();
    for psp in &inventory.policies {
        let defaults = defaults(psp, kubernetes);
        if defaults.is_empty() {
            continue;
        }
        let mut pods = witness::pods(psp);
        let Some(modest) = pods.next() else {
            continue;
        };
        let places: Vec<Place> = defaults.iter().map(|(_, it)| it.place).collect();
        let more = LazyCell::new(Box::new(|| pods.collect()) as Box<dyn FnOnce() -> Vec<Pod> + '_>);
        let unlike = Unlike::default();
        let users = usage.users(&psp.name).into_iter();
        let administrators = Some(usage.administrators())
            .filter(|_| inventory.policies.len() <= MOST_FOR_ADMINISTRATORS);
        for (subjects, scopes) in users.chain(administrators.into_iter().flatten()) {
            let (many, few): (BTreeSet<_>, BTreeSet<_>) = subjects.into_iter().partition(|it| {
                let uses_many = || uses_many(usage, it, &split(&scopes, None).1);
                *of_many.entry(*it).or_insert_with(uses_many)
            });
            let parts = [(few, false), (many, true)].into_iter();
            for (subjects, use_many) in parts.filter(|(subjects, _)| !subjects.is_empty()) {
                if use_many && res.is_known(&psp.name, &subjects) {
                    continue;
                }
                for (control, default) in &defaults {
                    let mutation = default.mutation.as_ref();
                    let mutator = mutation.and_then(|it| mutators.get(&key(control, it)));
                    let (with, without) = split(&scopes, mutator.map(|it| &it.namespaces));
                    let (_, everywhere) = split(&scopes, None);
                    let search = Search {
                        usage,
                        psp,
                        subjects: &subjects,
                        modest: &modest,
                        more: &more,
                        unlike: &unlike,
                        control,
                        place: default.place,
                        places: &places,
                        mutators: all,
                    };
                    let mut tell = |name: &str, direction, reach: &Reach, why: &str, witness| {
                        res.add(Sought {
                            name: format!("{control}/{name}"),
                            direction,
                            psp: psp.name.clone(),
                            field: default.field,
                            namespaces: reach.names.clone(),
                            subjects: subjects.iter().map(|it| subject_text(it)).collect(),
                            why: why.to_owned(),
                            witness,
                        });
                    };
                    tell(
                        "default-not-set",
                        Direction::Stricter,
                        &without,
                        "a pod that leaves it open is refused, where the plugin filled in the default",
                        search.defaulted(&without, &[]),
                    );
                    tell(
                        "default-of-the-first",
                        Direction::Differs,
                        &everywhere,
                        "a pod whose profile of seccomp is a field alone gets no default where a policy accepts it that is not the first by name, which the plugin would have taken",
                        search.first_by_name(&everywhere),
                    );
                    let Some(mutation) = mutation else {
                        continue;
                    };
                    let same = labelled.iter().filter(|it| {
                        key(control, mutation) == key(it.control, &it.mutation)
                            && it.policies.contains(&psp.name)
                    });
                    let same = same.map(|it| {
                        let (with, _) = split(&scopes, Some(&it.namespaces));
                        (with, it.labels.as_ref().map(LabelSelector::pod))
                    });
                    for (with, label) in iter::once((with, None)).chain(same) {
                        for caveat in &mutation.caveats {
                            let more: Vec<_> = label.iter().chain([&caveat.pod]).collect();
                            tell(
                                caveat.name,
                                caveat.direction,
                                &with,
                                &caveat.why,
                                search.defaulted(&with, &more),
                            );
                        }
                    }
                }
            }
        }
    }
    res.finish()
}

/// Whether the subject may use so many policies that it takes long to tell by which of them a pod is admitted.
fn uses_many(usage: &Usage<'_>, subject: &SubjectKey, reach: &Reach) -> bool {
    let Some(namespace) = reach.tried.first() else {
        return false;
    };
    let identity = Identity::of(subject, namespace);
    usage.usable(&identity, namespace).len() > MOST_USED
}

/// What tells mutators apart.
fn key(control: &'static str, mutation: &Mutation) -> (&'static str, &'static str, String) {
    (control, mutation.location, mutation.value.to_string())
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
    fn all_tried<'a>(
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
fn split(scopes: &BTreeSet<Scope<'_>>, mutated: Option<&Namespaces>) -> (Reach, Reach) {
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

/// The search for a request that shows what becomes of a default.
struct Search<'a, 'p> {
    usage: &'a Usage<'a>,
    psp: &'a PodSecurityPolicy,
    subjects: &'a BTreeSet<&'a SubjectKey>,
    /// A pod that asks for nothing.
    modest: &'a Pod,
    /// Pods that ask for something.
    more: &'a LazyCell<Vec<Pod>, Box<dyn FnOnce() -> Vec<Pod> + 'p>>,
    /// Pods that are made when no other shows anything.
    unlike: &'a Unlike,
    control: &'static str,
    place: Place,
    /// Those of all that the policy fills in.
    places: &'a [Place],
    mutators: &'a [Mutator],
}

impl Search<'_, '_> {
    /// A request that the plugin lets pass by the policy, which fills in what belongs to the place; nothing else if that can be.
    ///
    /// What is given to the pod besides may make the policy fill in nothing.
    fn defaulted(&self, reach: &Reach, with: &[&Value]) -> Option<AdmissionRequest> {
        let alone = &[self.place][..];
        let res = self.simple(reach, alone, with);
        let res = res.or_else(|| self.unlike(reach, alone, with));
        // The policy may be chosen only where the pod lacks more of what it fills in.
        let res = res.or_else(|| self.simple(reach, self.places, with));
        res.or_else(|| self.unlike(reach, self.places, with))
    }

    /// The same among pods that are easy to think of.
    fn simple(
        &self,
        reach: &Reach,
        lacking: &[Place],
        with: &[&Value],
    ) -> Option<AdmissionRequest> {
        self.tried(reach).find_map(|it| {
            let enough = MOST_CHOICES / it.usable.len().max(1);
            let more = iter::once_with(|| self.more.iter()).flatten();
            let mut pods = iter::once(self.modest).chain(more).take(enough.max(2));
            pods.find_map(|pod| self.shows(&it, pod, lacking, with))
        })
    }

    /// The same among pods that the other policies refuse.
    fn unlike(
        &self,
        reach: &Reach,
        lacking: &[Place],
        with: &[&Value],
    ) -> Option<AdmissionRequest> {
        self.tried(reach).find_map(|it| {
            // What the pod says to the same control may take away what is looked for, or be all that tells the policies apart.
            let mut pods = [Some(self.control), None]
                .into_iter()
                .filter_map(|but| self.unlike.pod(self.psp, &it.usable, but));
            pods.find_map(|pod| self.shows(&it, &pod, lacking, with))
        })
    }

    /// Whether the pod, without what belongs to the places, is let pass by the policy alone; then the request for it.
    fn shows(
        &self,
        at: &Tried<'_>,
        pod: &Pod,
        lacking: &[Place],
        with: &[&Value],
    ) -> Option<AdmissionRequest> {
        let mut pod = witness::lacking(self.psp, pod, lacking.iter().copied());
        for more in with {
            witness::give(&mut pod, more);
        }
        let (chosen, mutates) = witness::choice(&at.usable, &pod)?;
        if chosen.name != self.psp.name {
            return None;
        }
        let before = witness::admitted(self.psp, &pod);
        // What mutators make of it must not be what another policy accepts.
        let is_refused = || {
            let after = self.mutated(&pod, at.namespace);
            mutates
                && witness::at(&before, self.place) != witness::at(&after, self.place)
                && !at.usable.iter().any(|it| witness::accepts(it, &after))
        };
        let shows = validation::refusal(&before).is_none() && (!with.is_empty() || is_refused());
        shows.then(|| witness::request(&at.identity, at.namespace, pod))
    }

    /// The pod as the mutators of the namespace leave it.
    fn mutated(&self, pod: &Pod, namespace: &str) -> Pod {
        let mutators = self.mutators.iter();
        let here = mutators.filter(|it| it.namespaces.contains(namespace));
        witness::mutated(pod, here.map(|it| &it.mutation))
    }

    /// A request for a pod whose profile of seccomp is a field alone, that the policy fills in and that others accept as it is.
    ///
    /// Every policy would write the annotation, so that none of them leaves the pod as it is.
    fn first_by_name(&self, reach: &Reach) -> Option<AdmissionRequest> {
        let listed = self.psp.spec.seccomp.allowed.as_deref().unwrap_or_default();
        let others = [RUNTIME_DEFAULT, UNCONFINED, "localhost/witness.json"];
        let profiles = listed.split(',').chain(others);
        let fields: Vec<Value> = profiles
            .filter_map(seccomp_field_for)
            .take(MOST_TRIED)
            .collect();
        if fields.is_empty() {
            return None;
        }
        for Tried {
            namespace,
            identity,
            usable,
        } in self.tried(reach)
        {
            let later = usable.iter().filter(|it| it.name > self.psp.name);
            for (psp, field) in later
                .take(MOST_TRIED)
                .flat_map(|it| fields.iter().map(move |field| (it, field)))
            {
                let own = witness::lacking(self.psp, self.modest, [self.place]);
                let others = witness::pods(psp).next();
                for pod in others.into_iter().chain([own]) {
                    let mut pod = witness::admitted(psp, &pod);
                    pod.remove(&["metadata", "annotations", SECCOMP_POD]);
                    pod.set_security("seccompProfile", field.clone());
                    let chosen = witness::choice(&usable, &pod);
                    let is_first = chosen.is_some_and(|(it, _)| it.name == self.psp.name);
                    if is_first && self.is_stored_otherwise(&usable, &pod, namespace) {
                        return Some(witness::request(&identity, namespace, pod));
                    }
                }
            }
        }
        None
    }

    /// Whether the pod is admitted by both and lacks the default then.
    fn is_stored_otherwise(
        &self,
        usable: &[&PodSecurityPolicy],
        pod: &Pod,
        namespace: &str,
    ) -> bool {
        let before = witness::admitted(self.psp, pod);
        let after = self.mutated(pod, namespace);
        witness::at(&before, self.place) != witness::at(&after, self.place)
            && usable.iter().any(|it| witness::accepts(it, &after))
    }

    /// What to try, each set of policies once.
    fn tried<'b>(&'b self, reach: &'b Reach) -> impl Iterator<Item = Tried<'b>> {
        let mut known = BTreeSet::new();
        let namespaces = reach.all_tried(self.usage.bound());
        let identities = namespaces.flat_map(move |namespace| {
            let mutators = self.mutators.iter().enumerate();
            let here = mutators.filter(|(_, it)| it.namespaces.contains(namespace));
            let here: Rc<[usize]> = here.map(|(index, _)| index).collect();
            let subjects = self.subjects.iter().take(MOST_TRIED);
            let own = subjects.flat_map(move |it| Identity::all_of(it, namespace));
            // Members of a group may be more than that.
            let others = self.usage.subjects(namespace).take(MOST_TRIED);
            let members = others
                .map(move |it| Identity::of(it, namespace))
                .filter(move |it| self.subjects.iter().any(|of| it.is_of(of, namespace)));
            own.chain(members)
                .map(move |it| (namespace, Rc::clone(&here), it))
        });
        identities.filter_map(move |(namespace, here, identity)| {
            if self.usage.is_exempt(&identity, namespace) {
                return None;
            }
            let usable = self.usage.usable(&identity, namespace);
            let names: Vec<&str> = usable.iter().map(|it| it.name.as_str()).collect();
            known.insert((names, here)).then_some(Tried {
                namespace,
                identity,
                usable,
            })
        })
    }
}

/// Who asks where, and the policies that are usable then, by name.
struct Tried<'a> {
    namespace: &'a str,
    identity: Identity,
    usable: Vec<&'a PodSecurityPolicy>,
}

/// Pods that one policy accepts and others do not, as far as they are known.
#[derive(Default)]
struct Unlike(RefCell<BTreeMap<Unlikeness, Pod>>);

/// The control for which nothing is said, if any, and the names of those that are usable.
type Unlikeness = (Option<&'static str>, Vec<String>);

impl Unlike {
    /// A pod that the policy accepts, and that as few others of those usable do as can be, whatever they say for one control.
    fn pod(
        &self,
        psp: &PodSecurityPolicy,
        usable: &[&PodSecurityPolicy],
        but: Option<&'static str>,
    ) -> Option<Pod> {
        if usable.len() > MOST_UNLIKE {
            return None;
        }
        let names = usable.iter().map(|it| it.name.clone()).collect();
        let mut known = self.0.borrow_mut();
        let pod = known
            .entry((but, names))
            .or_insert_with(|| witness::refused_by_others(psp, usable, but));
        Some(pod.clone())
    }
}
