//! What mutators do to pods of those for whom they were not made.
//!
//! A mutator acts on every pod of a namespace.
//! Administrators, and service accounts of other namespaces, may let a pod have policies that nobody else may; see
//! [`is_bystander`].
//! One that acts on a label acts on the pods of whoever writes it.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;

use super::labels::LabelSelector;
use super::losses::{Reach, defaults};
use super::mutators::{self as planned, Mutator, Namespaces, creates_none, is_bystander};
use super::requesters::Requesters;
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

/// With how many subjects and namespaces each a witness is looked for.
const MOST_TRIED: usize = 2;

/// With more policies than this, only a pod that asks for nothing is tried, for one subject.
const MOST_ASKED: usize = 12;

/// Tells of what becomes of the pods of bystanders, by the field that is filled in.
pub(super) fn losses(
    inventory: &Inventory,
    grants: &[Grant],
    usage: &Usage<'_>,
    mutators: &planned::Mutators,
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
    let whole = Mutators::new(&mutators.whole);
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
        };
        res.extend(search.losses());
    }
    for (labels, labelled) in by_label(&mutators.labelled) {
        let with_label = Mutators::new(&labelled);
        for namespace in with_label.named.keys() {
            let mut reach = Reach::default();
            reach.add(namespace);
            for subjects in usage.alike(namespace) {
                let search = Search {
                    usage,
                    mutators: &whole,
                    labelled: Some((&labels, &with_label)),
                    fields: &fields,
                    subjects: &subjects,
                    reach: &reach,
                    is_large,
                };
                res.extend(search.losses());
            }
        }
    }
    res
}

/// The mutators that act on the pods with a label, for each label, those together that the same act on.
fn by_label(mutators: &[Mutator]) -> Vec<(LabelSelector, Vec<Mutator>)> {
    let mut values = BTreeMap::<_, BTreeSet<usize>>::new();
    for (index, mutator) in mutators.iter().enumerate() {
        let Some(labels) = &mutator.labels else {
            continue;
        };
        for value in &labels.values {
            let acting = values.entry((&labels.key, value)).or_default();
            acting.insert(index);
        }
    }
    let mut res = BTreeMap::<_, BTreeSet<String>>::new();
    for ((key, value), acting) in values {
        res.entry((key, acting)).or_default().insert(value.clone());
    }
    let labels = res.into_iter().map(|((key, acting), values)| {
        let labels = LabelSelector {
            key: key.clone(),
            values,
        };
        let acting = acting
            .into_iter()
            .filter_map(|it| mutators.get(it).cloned());
        (labels, acting.collect())
    });
    labels.collect()
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

/// The mutators by the namespaces that they act in.
struct Mutators<'a> {
    all: &'a [Mutator],
    /// Those that name their namespaces.
    named: BTreeMap<&'a str, Vec<&'a Mutator>>,
    /// Those that name where they do not act.
    broad: Vec<(&'a BTreeSet<String>, &'a Mutator)>,
}

impl<'a> Mutators<'a> {
    fn new(all: &'a [Mutator]) -> Self {
        let mut named = BTreeMap::<_, Vec<_>>::new();
        let mut broad = Vec::new();
        for mutator in all {
            match &mutator.namespaces {
                Namespaces::Only(these) => {
                    for name in these {
                        named.entry(name.as_str()).or_default().push(mutator);
                    }
                }
                Namespaces::AllBut(others) => broad.push((others, mutator)),
            }
        }
        Self { all, named, broad }
    }

    /// Those that act in the namespace.
    fn of(&self, namespace: &str) -> impl Iterator<Item = &'a Mutator> {
        let named = self.named.get(namespace).into_iter().flatten().copied();
        let broad = self
            .broad
            .iter()
            .filter(|(but, _)| !but.contains(namespace));
        named.chain(broad.map(|(_, mutator)| *mutator))
    }

    /// The namespaces of the scopes in which there is any.
    fn reach(&self, scopes: &BTreeSet<Option<&str>>) -> Reach {
        let mut res = Reach::default();
        for scope in scopes {
            match scope {
                Some(namespace) if self.of(namespace).next().is_some() => res.add(namespace),
                Some(_) => {}
                None => {
                    for name in self.named.keys() {
                        res.add(name);
                    }
                    for (but, _) in &self.broad {
                        res.add_others(but);
                    }
                }
            }
        }
        res
    }
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

struct Search<'a> {
    usage: &'a Usage<'a>,
    mutators: &'a Mutators<'a>,
    /// Those that act on pods with the label besides, if it is about these.
    labelled: Option<(&'a LabelSelector, &'a Mutators<'a>)>,
    fields: &'a Fields,
    subjects: &'a BTreeSet<&'a SubjectKey>,
    reach: &'a Reach,
    /// Whether there are so many policies that trying them all takes long.
    is_large: bool,
}

/// A request, and the policy by which the plugin admits it.
struct Found<'a> {
    psp: &'a PodSecurityPolicy,
    field: &'static str,
    witness: AdmissionRequest,
}

impl<'a> Search<'a> {
    fn losses(&self) -> Vec<Loss> {
        let found = self.run().into_iter();
        found
            .map(|((control, what), found)| Loss {
                name: format!("{control}/{}", what.name()),
                direction: what.direction(),
                psp: found.psp.name.clone(),
                alike: Vec::new(),
                field: found.field.to_owned(),
                namespaces: self.reach.names.iter().cloned().collect(),
                subjects: self.subjects.iter().map(|it| subject_text(it)).collect(),
                why: match self.labelled {
                    None => what.why().to_owned(),
                    Some((labels, _)) => format!("of pods with the label `{labels}`, which stands for some service accounts: {}", what.why()),
                },
                witness: found.witness,
            })
            .collect()
    }

    /// The mutators that act on the pods in question.
    fn acting(&self, namespace: &str) -> Vec<&'a Mutator> {
        let labelled = self
            .labelled
            .into_iter()
            .flat_map(|(_, it)| it.of(namespace));
        self.mutators.of(namespace).chain(labelled).collect()
    }

    /// Requests for all that can be found, by control.
    fn run(&self) -> BTreeMap<(&'static str, What), Found<'a>> {
        let mut res = BTreeMap::new();
        for namespace in self.reach.tried.iter().take(MOST_TRIED) {
            for subject in self.subjects.iter().take(MOST_TRIED) {
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
        let usable = self.usage.usable(identity, namespace);
        let pods: Vec<Pod> = if self.is_large {
            let first = usable.first().map(|it| witness::pods(it));
            first.into_iter().flatten().take(1).collect()
        } else {
            usable.iter().flat_map(|it| self.pods(it)).collect()
        };
        for pod in pods {
            let Some((psp, _)) = witness::choice(&usable, &pod) else {
                continue;
            };
            let mut outcome = self.outcome(&usable, psp, &pod, &self.acting(namespace));
            let mut pod = pod;
            if let Some((labels, _)) = self.labelled {
                // What becomes of pods without the label is told already.
                let without: Vec<_> = self.mutators.of(namespace).collect();
                let without = self.outcome(&usable, psp, &pod, &without);
                outcome.retain(|it| !without.contains(it));
                witness::give(&mut pod, &labels.pod());
            }
            for (control, field, what) in outcome {
                acc.entry((control, what)).or_insert_with(|| Found {
                    psp,
                    field,
                    witness: witness::request(identity, namespace, pod.clone()),
                });
            }
        }
    }

    /// Pods that lack all, none and each of what the policy fills in, and those that lack what a mutator may fill in.
    fn pods(&self, psp: &PodSecurityPolicy) -> Vec<Pod> {
        let mut res = Vec::new();
        for pod in witness::pods(psp) {
            for (_, place) in self.fields.keys() {
                res.push(witness::lacking(psp, &pod, [*place]));
            }
            let by_mutator = self.fields.iter().filter(|(_, (_, location))| {
                let labelled = self.labelled.into_iter().flat_map(|(_, it)| it.all);
                let mut mutators = self.mutators.all.iter().chain(labelled);
                mutators.any(|it| Some(it.mutation.location) == *location)
            });
            let places = by_mutator.map(|((_, place), _)| *place);
            res.push(witness::lacking(psp, &pod, places));
            res.push(witness::admitted(psp, &pod));
            res.push(pod);
        }
        res.dedup();
        res
    }

    /// In which fields the two worlds differ about a pod that the plugin admits by the policy.
    fn outcome(
        &self,
        usable: &[&PodSecurityPolicy],
        psp: &PodSecurityPolicy,
        pod: &Pod,
        mutators: &[&Mutator],
    ) -> Vec<(&'static str, &'static str, What)> {
        let before = witness::admitted(psp, pod);
        if !witness::accepts(psp, &before) {
            return Vec::new();
        }
        let here = || mutators.iter().copied();
        let after = witness::mutated(pod, here().map(|it| &it.mutation));
        let accepted = |pod: &Pod| usable.iter().any(|it| witness::accepts(it, pod));
        let is_accepted = accepted(&after);
        let mut res = Vec::new();
        for ((control, place), (field, location)) in self.fields {
            let mutator = here().find(|it| Some(it.mutation.location) == *location);
            if mutator.is_some_and(|it| it.policies.contains(&psp.name)) {
                continue;
            }
            if !is_accepted {
                if self.is_large {
                    continue;
                }
                let others = here().filter(|it| Some(it.mutation.location) != *location);
                let without = witness::mutated(pod, others.map(|it| &it.mutation));
                if mutator.is_some() && accepted(&without) {
                    res.push((*control, *field, What::InTheWay));
                }
            } else if witness::at(&before, *place) != witness::at(&after, *place) {
                let what = if mutator.is_some() {
                    What::ForAll
                } else {
                    What::OfAnother
                };
                res.push((*control, *field, what));
            }
        }
        res
    }
}
