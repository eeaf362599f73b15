//! What mutators do to pods of those for whom they were not made.
//!
//! A mutator acts on every pod of a namespace.
//! Administrators, and service accounts of other namespaces, may let a pod have policies that nobody else may; see
//! [`is_bystander`].

use std::collections::{BTreeMap, BTreeSet};

use super::losses::Reach;
use super::mutators::{Mutator, Namespaces, is_bystander};
use super::requesters::Requesters;
use super::usage::{Identity, Usage, Users, subject_text};
use super::witness;
use crate::admission::AdmissionRequest;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::input::Inventory;
use crate::loss::{Direction, Loss};
use crate::rbac::SubjectKey;
use crate::resolve::Grant;

/// With how many subjects, namespaces and policies each a witness is looked for.
const MOST_TRIED: usize = 4;

/// With more usable policies than this, whether all of them refuse a pod is not asked.
const MOST_ASKED: usize = 32;

/// Tells of what becomes of the pods of bystanders, by the field that is filled in.
pub(super) fn losses(
    inventory: &Inventory,
    grants: &[Grant],
    usage: &Usage<'_>,
    mutators: &[Mutator],
) -> Vec<Loss> {
    let requesters = Requesters::new(inventory);
    let mut subjects = BTreeMap::<_, BTreeSet<&SubjectKey>>::new();
    for grant in grants {
        let scope = grant.namespace.as_deref();
        if is_bystander(grant, scope, &requesters) {
            subjects.entry(scope).or_default().insert(&grant.subject);
        }
    }
    let mut bystanders = Users::new();
    for (scope, subjects) in subjects {
        bystanders.entry(subjects).or_default().insert(scope);
    }
    let mut fields = BTreeMap::<_, Vec<&Mutator>>::new();
    for mutator in mutators {
        let field = (mutator.control, mutator.mutation.location);
        fields.entry(field).or_default().push(mutator);
    }
    let mut res = Vec::new();
    for ((control, location), of_field) in fields {
        for (subjects, scopes) in &bystanders {
            let mut reach = Reach::default();
            for scope in scopes {
                for mutator in &of_field {
                    match (scope, &mutator.namespaces) {
                        (Some(namespace), reached) if reached.contains(namespace) => {
                            reach.add(namespace);
                        }
                        (Some(_), _) => {}
                        (None, Namespaces::Only(names)) => {
                            names.iter().for_each(|it| reach.add(it))
                        }
                        (None, Namespaces::AllBut(names)) => reach.add_others(names),
                    }
                }
            }
            let search = Search {
                usage,
                mutators,
                location,
                subjects,
                reach: &reach,
            };
            let loss = |name: &str, direction, why: &str, found: Found<'_>| Loss {
                name: format!("{control}/{name}"),
                direction,
                psp: found.psp.name.clone(),
                field: format!("spec.{location}"),
                namespaces: reach.names.iter().cloned().collect(),
                subjects: subjects.iter().map(|it| subject_text(it)).collect(),
                why: why.to_owned(),
                witness: found.witness,
            };
            let (differs, stricter) = search.run();
            let why = "the default of the namespace is filled in whoever creates a pod, also where one may use a policy without it";
            res.extend(differs.map(|it| loss("default-for-all", Direction::Differs, why, it)));
            let why = "the default of the namespace is filled in whoever creates a pod, and the policies that would accept the pod refuse it so, or the API server does";
            res.extend(stricter.map(|it| loss("default-in-the-way", Direction::Stricter, why, it)));
        }
    }
    res
}

struct Search<'a> {
    usage: &'a Usage<'a>,
    mutators: &'a [Mutator],
    location: &'a str,
    subjects: &'a BTreeSet<&'a SubjectKey>,
    reach: &'a Reach,
}

/// A request, and the policy by which the plugin admits it.
struct Found<'a> {
    psp: &'a PodSecurityPolicy,
    witness: AdmissionRequest,
}

impl<'a> Search<'a> {
    /// A request whose pod is stored otherwise, and one that is refused.
    fn run(&self) -> (Option<Found<'a>>, Option<Found<'a>>) {
        let (mut differs, mut stricter) = (None, None);
        for namespace in self.reach.tried.iter().take(MOST_TRIED) {
            for subject in self.subjects.iter().take(MOST_TRIED) {
                let identity = Identity::of(subject, namespace);
                let usable = self.usage.usable(&identity, namespace);
                let plain = usable.iter().filter(|it| !self.is_wanted_by(it, namespace));
                for psp in plain.take(MOST_TRIED) {
                    for pod in witness::pods(psp) {
                        match self.outcome(&usable, psp, &pod, namespace) {
                            Some(Direction::Differs) if differs.is_none() => {
                                let witness = witness::request(&identity, namespace, pod);
                                differs = Some(Found { psp, witness });
                            }
                            Some(Direction::Stricter) if stricter.is_none() => {
                                let witness = witness::request(&identity, namespace, pod);
                                stricter = Some(Found { psp, witness });
                            }
                            _ => {}
                        }
                        if differs.is_some() && stricter.is_some() {
                            return (differs, stricter);
                        }
                    }
                }
            }
        }
        (differs, stricter)
    }

    /// Whether what is filled in here is the policy's own default.
    fn is_wanted_by(&self, psp: &PodSecurityPolicy, namespace: &str) -> bool {
        self.mutators
            .iter()
            .filter(|it| it.mutation.location == self.location && it.namespaces.contains(namespace))
            .any(|it| it.policies.contains(&psp.name))
    }

    /// In what the two worlds differ about a pod that the plugin admits by the policy as it is, because of this field.
    fn outcome(
        &self,
        usable: &[&PodSecurityPolicy],
        psp: &PodSecurityPolicy,
        pod: &Pod,
        namespace: &str,
    ) -> Option<Direction> {
        if !witness::accepts(psp, pod) {
            return None;
        }
        let here = || {
            self.mutators
                .iter()
                .filter(|it| it.namespaces.contains(namespace))
        };
        let with = witness::mutated(pod, here().map(|it| &it.mutation));
        let others = here().filter(|it| it.mutation.location != self.location);
        let without = witness::mutated(pod, others.map(|it| &it.mutation));
        let accepted = |pod: &Pod| usable.iter().any(|it| witness::accepts(it, pod));
        if with == without {
            None
        } else if accepted(&with) {
            Some(Direction::Differs)
        } else if usable.len() <= MOST_ASKED && accepted(&without) {
            Some(Direction::Stricter)
        } else {
            None
        }
    }
}
