//! What mutators do to pods of those for whom they were not made.
//!
//! A mutator acts on every pod of a namespace.
//! Administrators, and service accounts of other namespaces, may let a pod have policies that nobody else may; see
//! [`is_bystander`].
//! One that acts on a label acts on the pods of whoever writes it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::rc::Rc;

use super::acting::{Acting, by_label};
use super::asked::{self, Asked};
use super::candidates::{creates_none, is_bystander};
use super::directed::{Directed, Wanted};
use super::labels::LabelSelector;
use super::losses::{Reach, defaults};
use super::mutators::{Mutator, Mutators};
use super::requesters::Requesters;
use super::unlike::Unlike;
use super::usage::{Identity, Usage, Users, by_subjects, service_account, subject_text};
use super::witness;
use crate::admission::AdmissionRequest;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::defaults::Place;
use crate::input::Inventory;
use crate::loss::{Direction, Loss};
use crate::rbac::SubjectKey;
use crate::resolve::Grant;
use crate::version::Version;

mod pods;

/// With how many subjects a witness is looked for, where there are few policies.
const MOST_SUBJECTS: usize = 32;

/// With how many it is otherwise, and with how many service accounts that a subject lets its pods run as.
const MOST_TRIED: usize = 2;

/// In how many namespaces with different mutators.
const MOST_NAMESPACES: usize = 8;

/// With more policies than this, only a pod that asks for nothing is tried, for one subject.
const MOST_ASKED: usize = 12;

/// Tells of what becomes of the pods of bystanders, by the field that is filled in.
pub(super) fn losses(
    inventory: &Inventory,
    grants: &[Grant],
    usage: &Usage<'_>,
    mutators: &Mutators,
    kubernetes: Version,
) -> Vec<Loss> {
    let mut fields = BTreeMap::new();
    for psp in &inventory.policies {
        for (control, default) in defaults(psp, kubernetes) {
            let location = default.mutation.map(|it| it.location);
            fields.insert((control, default.place), (default.field, location));
        }
    }
    let is_large = inventory.policies.len() > MOST_ASKED;
    let whole = Acting::new(mutators.whole.iter().collect());
    let memory = Memory::new(kubernetes);
    let mut res = Vec::new();
    for (subjects, scopes) in bystanders(inventory, grants) {
        let search = Search {
            usage,
            mutators: &whole,
            labelled: None,
            fields: &fields,
            subjects: &subjects,
            reach: &whole.reach(&scopes),
            is_large,
            kubernetes,
            memory: &memory,
        };
        res.extend(search.losses());
    }
    for (labels, labelled) in by_label(&mutators.labelled) {
        let labelled = Acting::new(labelled);
        for namespace in labelled.named.keys() {
            let mut reach = Reach::default();
            reach.add(namespace);
            for subjects in usage.alike(namespace) {
                let search = Search {
                    usage,
                    mutators: &whole,
                    labelled: Some((&labels, &labelled)),
                    fields: &fields,
                    subjects: &subjects,
                    reach: &reach,
                    is_large,
                    kubernetes,
                    memory: &memory,
                };
                res.extend(search.losses());
            }
        }
    }
    res
}

fn bystanders<'a>(inventory: &Inventory, grants: &'a [Grant]) -> Users<'a> {
    let requesters = Requesters::new(inventory);
    let mut subjects = BTreeMap::<_, BTreeSet<&SubjectKey>>::new();
    for grant in grants {
        let scope = grant.namespace.as_deref();
        if is_bystander(grant, scope, &requesters) {
            subjects.entry(scope).or_default().insert(&grant.subject);
        }
        if let Some(namespace) = creates_none(&grant.subject, &requesters) {
            let own = subjects.entry(Some(namespace)).or_default();
            own.insert(&grant.subject);
        }
    }
    by_subjects(&subjects)
}

/// What becomes of a bystander's pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// It gets a default that its policy does not fill in.
    ForAll,
    /// It lacks a default that its policy fills in, because a mutator made it one that another policy accepts.
    OfAnother,
    /// It is refused.
    InTheWay,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::ForAll => "default-for-all",
            Self::OfAnother => "default-of-another-policy",
            Self::InTheWay => "default-in-the-way",
        }
    }

    fn direction(self) -> Direction {
        match self {
            Self::ForAll | Self::OfAnother => Direction::Differs,
            Self::InTheWay => Direction::Stricter,
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::ForAll => {
                "the default of the namespace is filled in whoever creates a pod, also where one may use a policy without it"
            }
            Self::OfAnother => {
                "with the defaults of the namespace another policy accepts the pod, and the default of the policy that the plugin would have chosen is not filled in"
            }
            Self::InTheWay => {
                "the default of the namespace is filled in whoever creates a pod, and the policies that would accept the pod, or the API server, refuse it so"
            }
        }
    }
}

/// The PSP's field and the path that a mutator writes, by control and place.
type Fields = BTreeMap<(&'static str, Place), (&'static str, Option<&'static str>)>;

struct Search<'s, 'a> {
    usage: &'s Usage<'a>,
    mutators: &'s Acting<'a>,
    /// Those that act on pods with a label besides, if it is about these.
    labelled: Option<(&'s LabelSelector, &'s Acting<'a>)>,
    fields: &'s Fields,
    subjects: &'s BTreeSet<&'a SubjectKey>,
    reach: &'s Reach,
    /// Whether there are so many policies that trying them all takes long.
    is_large: bool,
    kubernetes: Version,
    memory: &'s Memory<'a>,
}

/// A pod, and the policy by which the plugin admits it.
#[derive(Clone)]
struct Shown<'a> {
    psp: &'a PodSecurityPolicy,
    field: &'static str,
    pod: Pod,
}

/// What can be shown, by control.
type AllShown<'a> = BTreeMap<(&'static str, What), Shown<'a>>;

/// What can be shown, by the names of the policies that may be used and of the mutators.
type Known<'a> = BTreeMap<(Vec<&'a str>, Vec<&'a str>), AllShown<'a>>;

/// What is known from one search to the next.
struct Memory<'a> {
    shown: RefCell<Known<'a>>,
    /// Pods made of one, by a hash of that and of what else it takes.
    derived: RefCell<BTreeMap<u64, Rc<[Pod]>>>,
    asked: Asked,
    unlike: Unlike,
}

impl Memory<'_> {
    fn new(kubernetes: Version) -> Self {
        Self {
            shown: RefCell::default(),
            derived: RefCell::default(),
            asked: Asked::new(kubernetes),
            unlike: Unlike::default(),
        }
    }
}

/// A request, and the policy by which the plugin admits it.
struct Found<'a> {
    psp: &'a PodSecurityPolicy,
    field: &'static str,
    witness: AdmissionRequest,
}

impl<'a> Search<'_, 'a> {
    fn losses(&self) -> Vec<Loss> {
        let loss = |((control, what), found): ((&str, What), Found<'_>)| Loss {
            name: format!("{control}/{}", what.name()),
            direction: what.direction(),
            psp: found.psp.name.clone(),
            alike: Vec::new(),
            field: found.field.to_owned(),
            namespaces: self.reach.names.iter().cloned().collect(),
            subjects: self.subjects.iter().map(|it| subject_text(it)).collect(),
            why: match self.labelled {
                None => what.why().to_owned(),
                Some((labels, _)) => format!(
                    "of pods with the label `{labels}`, which stands for other service accounts: {}",
                    what.why()
                ),
            },
            witness: found.witness,
        };
        self.run().into_iter().map(loss).collect()
    }

    /// Requests for all that can be found, by control.
    fn run(&self) -> BTreeMap<(&'static str, What), Found<'a>> {
        let mut res = BTreeMap::new();
        let mut different = BTreeSet::new();
        let tried = self.reach.tried.iter().filter(|it| {
            let names: Vec<&str> = self.mutators.of(it).map(|it| it.name.as_str()).collect();
            different.insert(names)
        });
        let enough = if self.is_large {
            MOST_TRIED
        } else {
            MOST_SUBJECTS
        };
        for namespace in tried.take(MOST_NAMESPACES) {
            for subject in self.subjects.iter().take(enough) {
                if self.is_large && !res.is_empty() {
                    return res;
                }
                let others = self.subjects.iter().filter_map(|it| service_account(it));
                let accounts = others.map(|(_, name)| name).chain(["default"]);
                let creating = accounts.filter_map(|it| Identity::creating(subject, namespace, it));
                let identity = Identity::of(subject, namespace);
                for identity in iter::once(identity).chain(creating.take(MOST_TRIED)) {
                    self.try_identity(&mut res, &identity, namespace);
                }
            }
        }
        res
    }

    fn try_identity(
        &self,
        acc: &mut BTreeMap<(&'static str, What), Found<'a>>,
        identity: &Identity,
        namespace: &str,
    ) {
        if self.usage.is_exempt(identity, namespace) {
            return;
        }
        let usable = self.usage.usable(identity, namespace);
        let names: Vec<&str> = usable.iter().map(|it| it.name.as_str()).collect();
        let shown = |here: &[&'a Mutator]| {
            let mutators = here.iter().map(|it| it.name.as_str()).collect();
            let mut known = self.memory.shown.borrow_mut();
            let all = known
                .entry((names.clone(), mutators))
                .or_insert_with(|| self.shown(&usable, here));
            all.clone()
        };
        let mut here: Vec<_> = self.mutators.of(namespace).collect();
        let mut found = AllShown::new();
        let mut label = None;
        if let Some((labels, labelled)) = self.labelled {
            // What becomes of pods without the label is told already.
            let told = shown(&here);
            here.extend(labelled.of(namespace));
            found.extend(
                shown(&here)
                    .into_iter()
                    .filter(|(key, _)| !told.contains_key(key)),
            );
            label = Some(labels.pod());
        } else {
            found = shown(&here);
        }
        for (key, shown) in found {
            acc.entry(key).or_insert_with(|| {
                let mut pod = shown.pod;
                if let Some(label) = &label {
                    witness::give(&mut pod, label);
                }
                Found {
                    psp: shown.psp,
                    field: shown.field,
                    witness: witness::request(identity, namespace, pod),
                }
            });
        }
    }

    /// Pods for all that can be found with these policies and mutators, by control.
    fn shown(&self, usable: &[&'a PodSecurityPolicy], here: &[&Mutator]) -> AllShown<'a> {
        let mut res = AllShown::new();
        if let [psp] = usable
            && here.iter().all(|it| it.policies.contains(&psp.name))
        {
            return res; // they fill in what the policy would
        }
        let add = |res: &mut AllShown<'a>, pod: Pod| {
            let Some((psp, _)) = self.memory.asked.choice(usable, &pod) else {
                return;
            };
            for (control, field, what) in self.outcome(usable, psp, &pod, here) {
                res.entry((control, what)).or_insert_with(|| Shown {
                    psp,
                    field,
                    pod: pod.clone(),
                });
            }
        };
        if self.is_large {
            if let Some(pod) = usable.first().and_then(|it| witness::pods(it).next()) {
                add(&mut res, pod);
            }
            return res;
        }
        let mut known = BTreeSet::new();
        for pod in usable.iter().flat_map(|it| self.pods(it, usable, here)) {
            if known.insert(asked::hash(&pod)) {
                add(&mut res, pod);
            }
        }
        if here.is_empty() {
            return res;
        }
        for psp in usable {
            let lacking = self.places(psp, |_| true);
            let from = witness::lacking(psp, &witness::least(psp), lacking);
            for other in usable.iter().filter(|it| it.name != psp.name) {
                let places = self.places(psp, |it| is_unknown(psp, it, here, &res));
                if places.is_empty() {
                    break;
                }
                let search = Directed {
                    unlike: &self.memory.unlike,
                    asked: &self.memory.asked,
                    psp,
                    usable,
                    mutations: here.iter().map(|it| &it.mutation).collect(),
                    places: &places,
                };
                for (_, pod) in search.pods(from.clone(), Wanted::AcceptedBy(other)) {
                    add(&mut res, pod);
                }
            }
        }
        res
    }

    /// Where the policy fills something in by some of the controls.
    fn places(&self, psp: &PodSecurityPolicy, is_one: impl Fn(&'static str) -> bool) -> Vec<Place> {
        let defaults = defaults(psp, self.kubernetes).into_iter();
        let some = defaults.filter(|(control, _)| is_one(control));
        some.map(|(_, it)| it.place).collect()
    }

    /// In which fields the two worlds differ about a pod that the plugin admits by the policy.
    fn outcome(
        &self,
        usable: &[&PodSecurityPolicy],
        psp: &PodSecurityPolicy,
        pod: &Pod,
        here: &[&Mutator],
    ) -> Vec<(&'static str, &'static str, What)> {
        let before = witness::admitted(psp, pod);
        if !self.memory.asked.accept(&[psp], &before) {
            return Vec::new();
        }
        let here = || here.iter().copied();
        let after = witness::mutated(pod, here().map(|it| &it.mutation));
        let accepted = |pod: &Pod| self.memory.asked.accept(usable, pod);
        let is_accepted = accepted(&after);
        let mut res = Vec::new();
        for ((control, place), (field, location)) in self.fields {
            let mutator = here().find(|it| Some(it.mutation.location) == *location);
            if mutator.is_some_and(|it| it.policies.contains(&psp.name)) {
                continue;
            }
            if is_accepted && witness::at(&before, *place) != witness::at(&after, *place) {
                let what = if mutator.is_some() {
                    What::ForAll
                } else {
                    What::OfAnother
                };
                res.push((*control, *field, what));
            }
        }
        if !is_accepted && !self.is_large {
            let in_the_way = in_the_way(&here().collect::<Vec<_>>(), |on| {
                accepted(&witness::mutated(pod, on.map(|it| &it.mutation)))
            });
            for ((control, _), (field, location)) in self.fields {
                let mut mutators = in_the_way.iter();
                if mutators.any(|it| Some(it.mutation.location) == *location) {
                    res.push((*control, *field, What::InTheWay));
                }
            }
        }
        res
    }
}

/// Whether no mutator does for a policy what the control does, and no pod shows what becomes of it when another one accepts it.
fn is_unknown(
    psp: &PodSecurityPolicy,
    control: &'static str,
    here: &[&Mutator],
    shown: &AllShown<'_>,
) -> bool {
    let of_policy = |it: &&Mutator| it.control == control && it.policies.contains(&psp.name);
    !here.iter().any(of_policy) && !shown.contains_key(&(control, What::OfAnother))
}

/// Those without which the pod is accepted: each by itself, or else as few together as can be; none where it is refused anyway.
fn in_the_way<'a>(
    all: &[&'a Mutator],
    is_accepted: impl Fn(&mut dyn Iterator<Item = &'a Mutator>) -> bool,
) -> Vec<&'a Mutator> {
    let without = |off: &[&Mutator]| {
        let is_on = |it: &&'a Mutator| off.iter().all(|off| off.name != it.name);
        is_accepted(&mut all.iter().copied().filter(is_on))
    };
    let alone: Vec<_> = all.iter().copied().filter(|it| without(&[*it])).collect();
    if !alone.is_empty() || !without(all) {
        return alone;
    }
    let mut res = all.to_vec();
    for it in all {
        let fewer: Vec<_> = res
            .iter()
            .copied()
            .filter(|off| off.name != it.name)
            .collect();
        if without(&fewer) {
            res = fewer;
        }
    }
    res
}
