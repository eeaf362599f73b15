//! Losses of many policies that are alike, told once.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::rc::Rc;

use super::circumstances::Circumstances;
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
    pub(super) fn of(&self, policy: &str) -> Option<usize> {
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
#[derive(Clone, Debug)]
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
    pub(super) witness: Option<Rc<AdmissionRequest>>,
}

/// Losses, of which those of many policies that are alike become one.
///
/// Each has been shown by a request of its own, of which that of the first policy is kept; but the first of a kind stands for all
/// where subjects may use very many policies, and in the same [`Circumstances`].
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    kinds: &'a Kinds<'a>,
    res: Vec<Loss>,
    /// Those without a witness.
    unshown: Vec<Sought>,
    /// For which kinds and subjects a policy was looked at.
    known: BTreeSet<(usize, BTreeSet<String>)>,
    /// What was said in which circumstances.
    told: BTreeMap<Circumstances<'a>, Vec<Sought>>,
    /// What becomes one.
    alike: BTreeMap<Key, Together>,
}

impl Sought {
    fn into_loss(self, witness: Rc<AdmissionRequest>) -> Loss {
        Loss {
            name: self.name,
            direction: self.direction,
            psp: self.psp,
            alike: Vec::new(),
            field: self.field.to_owned(),
            namespaces: self.namespaces.into_iter().collect(),
            subjects: self.subjects.into_iter().collect(),
            why: self.why,
            witness: Rc::unwrap_or_clone(witness),
        }
    }
}

/// A loss of the first policy, and whom it reaches with the others.
#[derive(Debug)]
struct Together {
    first: Sought,
    witness: Rc<AdmissionRequest>,
    others: BTreeSet<String>,
}

impl Together {
    fn new(first: Sought, witness: Rc<AdmissionRequest>) -> Self {
        Self {
            first,
            witness,
            others: BTreeSet::new(),
        }
    }

    fn add(&mut self, other: Sought) {
        self.others.insert(other.psp);
        self.first.namespaces.extend(other.namespaces);
        self.first.subjects.extend(other.subjects);
    }

    fn into_loss(mut self) -> Loss {
        self.others.remove(&self.first.psp);
        Loss {
            alike: self.others.into_iter().collect(),
            ..self.first.into_loss(self.witness)
        }
    }
}

impl<'a> Gathered<'a> {
    pub(super) fn new(kinds: &'a Kinds<'a>) -> Self {
        Self {
            kinds,
            res: Vec::new(),
            unshown: Vec::new(),
            known: BTreeSet::new(),
            told: BTreeMap::new(),
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
        let Some(kind) = self.kinds.of(&sought.psp) else {
            self.res.push(sought.into_loss(witness));
            return;
        };
        let key = (
            kind,
            sought.name.clone(),
            sought.direction,
            sought.field.to_owned(),
            sought.why.clone(),
            sought.namespaces.contains(EVERYWHERE),
        );
        match self.alike.entry(key) {
            Entry::Vacant(it) => {
                it.insert(Together::new(sought, witness));
            }
            Entry::Occupied(mut it) => it.get_mut().add(sought),
        }
    }

    /// Takes all that was found out about a policy, and keeps it for others of its kind.
    pub(super) fn add_all(&mut self, circumstances: Option<Circumstances<'a>>, told: Vec<Sought>) {
        for it in &told {
            self.add(it.clone());
        }
        if let Some(circumstances) = circumstances {
            self.told.insert(circumstances, told);
        }
    }

    /// Says of a policy what is known of another in the same circumstances; returns false where nothing is.
    pub(super) fn repeat(
        &mut self,
        circumstances: &Circumstances<'a>,
        policy: &str,
        namespace: &str,
        subjects: &BTreeSet<&SubjectKey>,
    ) -> bool {
        let Some(told) = self.told.get(circumstances).cloned() else {
            return false;
        };
        let subjects: BTreeSet<String> = subjects.iter().map(|it| subject_text(it)).collect();
        for it in told {
            let reached = iter::once(namespace).filter(|_| !it.namespaces.is_empty());
            self.add(Sought {
                psp: policy.to_owned(),
                namespaces: reached.map(str::to_owned).collect(),
                subjects: subjects.clone(),
                ..it
            });
        }
        true
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
            if key.0 == kind && together.first.subjects.is_superset(&known.1) {
                together.others.insert(policy.to_owned());
            }
        }
        !self.known.insert(known)
    }

    pub(super) fn finish(self) -> Vec<Loss> {
        let mut res = self.res;
        res.extend(self.alike.into_values().map(Together::into_loss));
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
