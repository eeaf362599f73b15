//! What a set of mutators lets through.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::candidates::Candidates;
use super::items::{Item, Whose};
use crate::controls::defaults::Mutation;
use crate::plan::mutator::PodSelector;
use crate::witness::memo::Memo;
use crate::witness::reshape;

/// A set of mutators of one namespace: positions of candidates, each with the pods that it acts on.
pub(super) type Solution = BTreeSet<(usize, PodSelector)>;

/// How good a set of mutators is, the most important first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Score {
    /// How many workloads pass that PSP admits and that pass without any mutator; a set that breaks one of these is worse than all
    /// that break none.
    unbroken: usize,
    /// How many workloads pass that PSP admits.
    workloads: usize,
    /// How many pods to come pass, of those that PSP admits.
    creators: usize,
    /// How many of the other workloads pass once what PSP sets is written into them.
    bakeable: usize,
    /// How many workloads pass that PSP denies.
    newly_admitted: Reverse<usize>,
    /// How many pods of those who do not count pass.
    bystanders: usize,
    /// In how many places workloads are stored otherwise than PSP stores them.
    workloads_differ: Reverse<usize>,
    /// The same of pods to come.
    creators_differ: Reverse<usize>,
    /// How many selectors there are.
    selectors: Reverse<usize>,
    /// How many mutators there are.
    mutators: Reverse<usize>,
}

/// What becomes of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Whether the constraint and the API server accept it.
    pub(super) passes: bool,
    /// In how many places it is stored otherwise than PSP stores it.
    pub(super) differs: usize,
    /// Where it does not pass: whether it does once what PSP sets is written into it.
    pub(super) is_bakeable: bool,
}

/// The pods of a namespace, and what is known of their outcomes.
pub(super) struct Judge<'s, 'a> {
    pub(super) items: &'s [Item<'a>],
    pub(super) candidates: &'s Candidates<'a>,
    pub(super) memo: &'s Memo,
    /// The candidates that can be chosen.
    pub(super) used: BTreeSet<usize>,
    /// For each item the candidates that act on its pod.
    relevant: Vec<BTreeSet<usize>>,
    /// By the number of the item and the candidates that act on it.
    known: RefCell<BTreeMap<(u64, Vec<usize>), Outcome>>,
}

impl<'s, 'a> Judge<'s, 'a> {
    /// Prepares for items and candidates, of which those at the positions `used` can be chosen.
    pub(super) fn new(
        items: &'s [Item<'a>],
        candidates: &'s Candidates<'a>,
        used: BTreeSet<usize>,
        memo: &'s Memo,
    ) -> Self {
        let relevant = items.iter().map(|item| {
            let acts = |id: &&usize| {
                let candidate = candidates.all.get(**id);
                candidate.is_some_and(|it| it.mutation.acts_on(&item.pod))
            };
            used.iter().filter(acts).copied().collect()
        });
        Self {
            items,
            candidates,
            memo,
            relevant: relevant.collect(),
            used,
            known: RefCell::default(),
        }
    }

    /// What becomes of the pod of the item at a position.
    pub(super) fn outcome(&self, position: usize, solution: &Solution) -> Outcome {
        const NOTHING: Outcome = Outcome {
            passes: false,
            differs: 0,
            is_bakeable: false,
        };
        let (Some(item), Some(relevant)) = (self.items.get(position), self.relevant.get(position))
        else {
            return NOTHING;
        };
        let acting = solution.iter().filter(|(id, pods)| {
            relevant.contains(id) && pods.labels.matches(&item.labels) && has_name(item, pods)
        });
        let acting: Vec<usize> = acting.map(|(id, _)| *id).collect();
        let key = (item.number, acting);
        if let Some(known) = self.known.borrow().get(&key) {
            return *known;
        }
        let res = self.judge(item, &key.1);
        self.known.borrow_mut().insert(key, res);
        res
    }

    fn judge(&self, item: &Item<'_>, acting: &[usize]) -> Outcome {
        let mutations: Vec<&Mutation> = acting
            .iter()
            .filter_map(|id| Some(&self.candidates.all.get(*id)?.mutation))
            .collect();
        let after = reshape::mutated(&item.pod, &mutations);
        let passes = self.memo.accept(&item.usable, &after);
        let differs = match &item.admitted {
            Some((_, before)) if passes => self.memo.differing_places(before, &after).len(),
            _ => 0,
        };
        let is_bakeable = !passes
            && item.admitted.as_ref().is_some_and(|(_, before)| {
                self.memo
                    .accept(&item.usable, &reshape::mutated(before, &mutations))
            });
        Outcome {
            passes,
            differs,
            is_bakeable,
        }
    }

    /// How good a set of mutators is, by all items or by those at some positions.
    pub(super) fn score(&self, solution: &Solution, only: Option<&BTreeSet<usize>>) -> Score {
        let mut res = Score {
            unbroken: 0,
            workloads: 0,
            creators: 0,
            bakeable: 0,
            newly_admitted: Reverse(0),
            bystanders: 0,
            workloads_differ: Reverse(0),
            creators_differ: Reverse(0),
            selectors: Reverse(solution.iter().filter(|(_, it)| !it.is_all()).count()),
            mutators: Reverse(solution.len()),
        };
        let none = Solution::new();
        for (position, item) in self.items.iter().enumerate() {
            if only.is_some_and(|it| !it.contains(&position)) {
                continue;
            }
            let Outcome {
                passes,
                differs,
                is_bakeable,
            } = self.outcome(position, solution);
            if !passes {
                let is_workload = matches!(item.whose, Whose::Workload(_));
                res.bakeable += usize::from(is_workload && is_bakeable);
                continue;
            }
            match (&item.whose, item.admitted.is_some()) {
                (Whose::Workload(_), true) => {
                    res.unbroken += usize::from(self.outcome(position, &none).passes);
                    res.workloads += 1;
                    res.workloads_differ.0 += differs;
                }
                (Whose::Workload(_), false) => res.newly_admitted.0 += 1,
                (Whose::Creator, true) => {
                    res.creators += item.weight.max(1);
                    res.creators_differ.0 += differs;
                }
                (Whose::Bystander, true) => res.bystanders += 1,
                (Whose::Creator | Whose::Bystander, false) => {}
            }
        }
        res
    }

    /// Whether every pod of the items that PSP admits passes and is stored as PSP stores it.
    pub(super) fn is_perfect(&self, solution: &Solution, only: Option<&BTreeSet<usize>>) -> bool {
        let mut items = self.items.iter().enumerate();
        items.all(|(position, item)| {
            let counts = only.is_none_or(|it| it.contains(&position));
            let outcome = || self.outcome(position, solution);
            !counts
                || match item.admitted {
                    Some(_) => {
                        let it = outcome();
                        it.passes && it.differs == 0
                    }
                    None => !matches!(item.whose, Whose::Workload(_)) || !outcome().passes,
                }
        })
    }
}

/// Whether the item's pod has a name, or one to be generated, that begins as the selector says.
fn has_name(item: &Item<'_>, pods: &PodSelector) -> bool {
    pods.name.as_ref().is_none_or(|it| {
        let stem = it.trim_end_matches('*');
        item.name.starts_with(stem) || item.generate_name.starts_with(stem)
    })
}
