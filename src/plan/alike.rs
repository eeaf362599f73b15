//! Losses of many policies that are alike, told once.

use std::collections::{BTreeMap, BTreeSet};

use super::families::{FEWEST, outline};
use super::losses::EVERYWHERE;
use super::usage::subject_text;
use crate::admission::AdmissionRequest;
use crate::controls::translate::Parameters;
use crate::loss::{Direction, Loss};
use crate::rbac::SubjectKey;

/// Which policies are alike but for values such as ids, by name.
#[derive(Debug, Default)]
pub(super) struct Kinds<'a> {
    /// The number of the kind, by its outline.
    numbers: BTreeMap<String, usize>,
    by_policy: BTreeMap<&'a str, usize>,
    /// How many policies are of the kind, by its number.
    sizes: BTreeMap<usize, usize>,
}

impl<'a> Kinds<'a> {
    pub(super) fn add(&mut self, policy: &'a str, parameters: &Parameters) {
        let next = self.numbers.len();
        let number = *self.numbers.entry(outline(parameters)).or_insert(next);
        self.by_policy.insert(policy, number);
        *self.sizes.entry(number).or_default() += 1;
    }

    /// The kind of the policy, if enough others are of the same.
    fn of(&self, policy: &str) -> Option<usize> {
        let number = self.by_policy.get(policy)?;
        self.sizes
            .get(number)
            .is_some_and(|it| *it >= FEWEST)
            .then_some(*number)
    }
}

/// What losses have in common that are told as one: kind of the policies, name, direction, field, reason, and whether they reach
/// everywhere.
type Key = (usize, String, Direction, String, String, bool);

/// A loss of one policy, for which a witness was looked for.
#[derive(Debug)]
pub(super) struct Sought {
    /// As in [`Loss`], like the rest.
    pub(super) name: String,
    pub(super) direction: Direction,
    pub(super) psp: String,
    pub(super) field: &'static str,
    pub(super) namespaces: BTreeSet<String>,
    pub(super) subjects: BTreeSet<String>,
    pub(super) why: String,
    /// What was found.
    pub(super) witness: Option<AdmissionRequest>,
}

/// Losses, of which those of many policies that are alike become one.
///
/// Each has been shown by a request of its own, of which that of the first policy is kept; but for subjects that may use very many
/// policies, where the first of a kind stands for all.
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    kinds: &'a Kinds<'a>,
    res: Vec<Loss>,
    /// Those without a witness.
    unshown: Vec<Sought>,
    /// For which kinds and subjects a policy was looked at.
    known: BTreeSet<(usize, BTreeSet<String>)>,
    /// What becomes one.
    alike: BTreeMap<Key, Together>,
}

#[derive(Debug)]
struct Together {
    first: Loss,
    policies: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    subjects: BTreeSet<String>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(kinds: &'a Kinds<'a>) -> Self {
        Self {
            kinds,
            res: Vec::new(),
            unshown: Vec::new(),
            known: BTreeSet::new(),
            alike: BTreeMap::new(),
        }
    }

    /// Takes one more; the policies must come in the order of their names.
    pub(super) fn add(&mut self, mut sought: Sought) {
        let Some(witness) = sought.witness.take() else {
            if sought.direction == Direction::Stricter && !sought.namespaces.is_empty() {
                self.unshown.push(sought);
            }
            return;
        };
        let loss = Loss {
            name: sought.name,
            direction: sought.direction,
            psp: sought.psp,
            alike: Vec::new(),
            field: sought.field.to_owned(),
            namespaces: sought.namespaces.into_iter().collect(),
            subjects: sought.subjects.into_iter().collect(),
            why: sought.why,
            witness,
        };
        let Some(kind) = self.kinds.of(&loss.psp) else {
            self.res.push(loss);
            return;
        };
        let everywhere = loss.namespaces.iter().any(|it| it == EVERYWHERE);
        let key = (
            kind,
            loss.name.clone(),
            loss.direction,
            loss.field.clone(),
            loss.why.clone(),
            everywhere,
        );
        let together = self.alike.entry(key).or_insert_with(|| Together {
            first: loss.clone(),
            policies: BTreeSet::new(),
            namespaces: BTreeSet::new(),
            subjects: BTreeSet::new(),
        });
        together.policies.insert(loss.psp);
        together.namespaces.extend(loss.namespaces);
        together.subjects.extend(loss.subjects);
    }

    /// Whether what becomes of the pods of the subjects is known by another policy that is like this one; from the second one on.
    ///
    /// Then it is true of this policy too.
    pub(super) fn is_known(&mut self, policy: &str, subjects: &BTreeSet<&SubjectKey>) -> bool {
        let Some(kind) = self.kinds.of(policy) else {
            return false;
        };
        let known = (kind, subjects.iter().map(|it| subject_text(it)).collect());
        for (key, together) in &mut self.alike {
            if key.0 == kind && together.subjects.is_superset(&known.1) {
                together.policies.insert(policy.to_owned());
            }
        }
        !self.known.insert(known)
    }

    pub(super) fn finish(self) -> Vec<Loss> {
        let mut res = self.res;
        res.extend(self.alike.into_values().map(|mut it| {
            it.policies.remove(&it.first.psp);
            Loss {
                alike: it.policies.into_iter().collect(),
                namespaces: it.namespaces.into_iter().collect(),
                subjects: it.subjects.into_iter().collect(),
                ..it.first
            }
        }));
        for it in self.unshown {
            join(&mut res, it);
        }
        res
    }
}

/// Adds a policy to the loss of another that says the same of these subjects.
///
/// Where it is known of one policy that what it fills in is not filled in any more, it is true of another that fills it in too,
/// whenever that one is chosen; only no pod came to mind for which it would be.
fn join(losses: &mut [Loss], unshown: Sought) {
    let is_same = |it: &&mut Loss| {
        (&it.name, it.direction, it.field.as_str())
            == (&unshown.name, unshown.direction, unshown.field)
            && (unshown.subjects.iter()).all(|subject| it.subjects.binary_search(subject).is_ok())
    };
    let Some(loss) = losses.iter_mut().find(is_same) else {
        return;
    };
    let mut namespaces = unshown.namespaces;
    namespaces.extend(loss.namespaces.drain(..));
    loss.namespaces = namespaces.into_iter().collect();
    if let Err(position) = loss.alike.binary_search(&unshown.psp)
        && loss.psp != unshown.psp
    {
        loss.alike.insert(position, unshown.psp);
    }
}
