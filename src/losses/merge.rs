//! Losses of many policies that are alike, and of many subjects and namespaces, put together.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::finding::Finding;
use super::similar::Similar;
use crate::loss::{ALL, Cause, Loss, LossKind};

/// What losses have in common that are told as one, beside the policies: kind, control, field, reason, and whether they reach
/// everywhere.
type Key<'a> = (LossKind, &'static str, &'a str, String, bool);

/// Losses, of which those of many policies that are alike become one.
#[derive(Debug)]
pub(super) struct Gathered<'a> {
    similar: &'a Similar<'a>,
    res: Vec<Together>,
    /// By the number of the policies' kind.
    alike: BTreeMap<(usize, Key<'a>), Together>,
}

/// A loss, and whom it reaches with others.
#[derive(Debug)]
pub(super) struct Together {
    loss: Loss,
    policies: BTreeSet<String>,
    pub(super) namespaces: BTreeSet<String>,
    pub(super) subjects: BTreeSet<String>,
    causes: BTreeSet<Cause>,
}

/// A loss to be, and whom it reaches.
pub(super) struct Reach<'r> {
    pub(super) namespaces: &'r BTreeSet<String>,
    pub(super) subjects: &'r BTreeSet<String>,
    pub(super) reaches_creators: bool,
    pub(super) causes: Vec<Cause>,
}

impl<'a> Gathered<'a> {
    pub(super) fn new(similar: &'a Similar<'a>) -> Self {
        Self {
            similar,
            res: Vec::new(),
            alike: BTreeMap::new(),
        }
    }

    /// Takes what was found; `make` makes the loss of it, without whom it reaches, where it is not told already.
    pub(super) fn add(
        &mut self,
        finding: &Finding<'a>,
        reach: Reach<'_>,
        make: impl FnOnce() -> Loss,
    ) {
        let names = [finding.psp.name.as_str()].into_iter();
        let policies = names
            .chain(finding.alike.iter().copied())
            .map(str::to_owned);
        let Some(kind) = self.similar.of(&finding.psp.name) else {
            let mut one = Together::new(make(), policies.collect());
            one.extend(reach, || None);
            self.res.push(one);
            return;
        };
        let is_everywhere = reach.namespaces.contains(ALL);
        let why = finding.why.clone();
        let key = (
            finding.kind,
            finding.control,
            finding.field,
            why,
            is_everywhere,
        );
        match self.alike.entry((kind, key)) {
            Entry::Vacant(it) => {
                let one = it.insert(Together::new(make(), policies.collect()));
                one.extend(reach, || None);
            }
            Entry::Occupied(mut it) => {
                let one = it.get_mut();
                one.policies.extend(policies);
                one.extend(reach, || Some(make()));
            }
        }
    }

    /// Puts together what says the same of the same subjects, and then of the same namespaces.
    pub(super) fn finish(self) -> Vec<Loss> {
        let all = self.res.into_iter().chain(self.alike.into_values());
        let by_subjects = together(all, |it| it.subjects.clone());
        let res = together(by_subjects.into_iter(), |it| it.namespaces.clone());
        res.into_iter().map(Together::into_loss).collect()
    }
}

impl Together {
    pub(super) fn new(loss: Loss, policies: BTreeSet<String>) -> Self {
        Self {
            loss,
            policies,
            namespaces: BTreeSet::new(),
            subjects: BTreeSet::new(),
            causes: BTreeSet::new(),
        }
    }

    /// Adds whom another one reaches; it is told by that one's witness if only that one is met by somebody who creates pods.
    fn extend(&mut self, reach: Reach<'_>, other: impl FnOnce() -> Option<Loss>) {
        self.namespaces.extend(reach.namespaces.iter().cloned());
        self.subjects.extend(reach.subjects.iter().cloned());
        self.causes.extend(reach.causes);
        if reach.reaches_creators && !self.loss.reaches_creators {
            if let Some(other) = other() {
                self.loss = other;
            }
            self.loss.reaches_creators = true;
        }
    }

    pub(super) fn into_loss(self) -> Loss {
        let mut alike = self.policies;
        alike.remove(&self.loss.psp);
        Loss {
            alike: alike.into_iter().collect(),
            namespaces: self.namespaces.into_iter().collect(),
            subjects: self.subjects.into_iter().collect(),
            causes: self.causes.into_iter().take(MOST_CAUSES).collect(),
            ..self.loss
        }
    }
}

/// How many causes a loss names.
const MOST_CAUSES: usize = 3;

/// Puts together losses of the same policies, kind, control, field and reason that have something else in common.
pub(super) fn together(
    losses: impl Iterator<Item = Together>,
    same: impl Fn(&Together) -> BTreeSet<String>,
) -> Vec<Together> {
    let mut res = BTreeMap::<_, Together>::new();
    for one in losses {
        let loss = &one.loss;
        let what = (
            loss.kind,
            loss.control,
            loss.field.clone(),
            loss.why.clone(),
        );
        match res.entry((one.policies.clone(), what, same(&one))) {
            Entry::Vacant(it) => {
                it.insert(one);
            }
            Entry::Occupied(mut it) => {
                let reach = Reach {
                    namespaces: &one.namespaces,
                    subjects: &one.subjects,
                    reaches_creators: one.loss.reaches_creators,
                    causes: one.causes.into_iter().collect(),
                };
                let other = one.loss;
                it.get_mut().extend(reach, || Some(other));
            }
        }
    }
    res.into_values().collect()
}
