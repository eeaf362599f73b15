//! The set of mutators with which most is let through, where each acts on all pods of the namespace.

use std::collections::BTreeSet;

use super::score::{Judge, Score, Solution};
use crate::plan::mutator::PodSelector;

/// How often the set is changed in one place; each time it gets better.
const MOST_CHANGES: usize = 64;

/// Returns the best set that is found, judged by all items or by those at some positions.
///
/// It starts with what is given; then come the defaults of each policy together, those first whose pods are most; then single ones
/// are taken in, out and exchanged as long as that is better.
pub(super) fn best(
    judge: &Judge<'_, '_>,
    start: &Solution,
    only: Option<&BTreeSet<usize>>,
) -> Solution {
    let packages = packages(judge, only);
    if packages.is_empty() {
        return Solution::new();
    }
    // Where nothing stands in the way of the defaults of one policy there is nothing to search.
    if let [package] = packages.as_slice() {
        let all: Solution = package.iter().map(|id| (*id, everybody())).collect();
        if judge.is_perfect(&all, only) {
            return all;
        }
    }
    let mut search = Search {
        score: judge.score(&Solution::new(), only),
        best: Solution::new(),
        judge,
        only,
    };
    search.consider(start.clone());
    for package in &packages {
        if search.is_perfect() {
            return search.best;
        }
        search.consider(package.iter().map(|id| (*id, everybody())).collect());
        let (beside, instead) = (search.with(package, false), search.with(package, true));
        search.consider(beside);
        search.consider(instead);
    }
    let first: BTreeSet<usize> = packages.into_iter().flatten().collect();
    // What spares containers with a security context may be all that harms nobody.
    let others = judge.used.iter().filter(|it| {
        let mut first = first.iter();
        first.any(|own| judge.candidates.exclude_each_other(*own, **it))
    });
    let all: BTreeSet<usize> = others.chain(&first).copied().collect();
    let mut left = MOST_CHANGES;
    while left > 0 && !search.is_perfect() && search.improve(&all) {
        left -= 1;
    }
    search.best
}

/// All pods.
fn everybody() -> PodSelector {
    PodSelector::default()
}

/// The candidates of each policy by which PSP admits one of the items, the policy with the most pods first.
fn packages(judge: &Judge<'_, '_>, only: Option<&BTreeSet<usize>>) -> Vec<BTreeSet<usize>> {
    let mut demand = std::collections::BTreeMap::<&str, usize>::new();
    for (position, item) in judge.items.iter().enumerate() {
        if let Some((psp, _)) = &item.admitted
            && only.is_none_or(|it| it.contains(&position))
        {
            *demand.entry(psp.name.as_str()).or_default() += 1 + item.weight;
        }
    }
    let mut demand: Vec<_> = demand.into_iter().collect();
    demand.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let of = |(name, _): (&str, usize)| -> BTreeSet<usize> {
        let defaults = judge.candidates.of(name).iter();
        defaults
            .filter_map(|it| it.candidates.first())
            .copied()
            .collect()
    };
    let packages = demand.into_iter().map(of);
    packages.filter(|it| !it.is_empty()).collect()
}

struct Search<'s, 'j, 'a> {
    judge: &'s Judge<'j, 'a>,
    only: Option<&'s BTreeSet<usize>>,
    best: Solution,
    score: Score,
}

impl Search<'_, '_, '_> {
    fn is_perfect(&self) -> bool {
        self.judge.is_perfect(&self.best, self.only)
    }

    /// Takes the set if it is better; says whether it was.
    fn consider(&mut self, solution: Solution) -> bool {
        if solution == self.best {
            return false;
        }
        let score = self.judge.score(&solution, self.only);
        let is_better = score > self.score;
        if is_better {
            self.best = solution;
            self.score = score;
        }
        is_better
    }

    /// The best set so far and more candidates, beside those that exclude them or instead of those.
    fn with(&self, more: &BTreeSet<usize>, instead: bool) -> Solution {
        let candidates = self.judge.candidates;
        let excludes = |a: usize, b: usize| candidates.exclude_each_other(a, b);
        let kept = self
            .best
            .iter()
            .filter(|(id, _)| !instead || !more.iter().any(|it| excludes(*it, *id)));
        let mut res: Solution = kept.cloned().collect();
        for id in more {
            if !res.iter().any(|(it, _)| excludes(*it, *id)) {
                res.insert((*id, everybody()));
            }
        }
        res
    }

    /// Makes the one change that is best, if there is one that makes the set better.
    fn improve(&mut self, all: &BTreeSet<usize>) -> bool {
        let mut changes = Vec::new();
        for id in all {
            let present = (*id, everybody());
            changes.push(if self.best.contains(&present) {
                let others = self.best.iter().filter(|it| **it != present);
                others.cloned().collect()
            } else {
                self.with(&BTreeSet::from([*id]), true)
            });
        }
        let mut improved = false;
        for it in changes {
            improved |= self.consider(it);
        }
        improved
    }
}
