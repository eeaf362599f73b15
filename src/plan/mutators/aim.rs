//! Finer aim: where pods of one namespace need different defaults, mutators select some of them.
//!
//! Workloads are told apart by a label that no other workload of the namespace has, best one of their own `spec.selector`; else by
//! the labels of their selectors together, else by their names.

use std::collections::{BTreeMap, BTreeSet};

use super::items::{Item, Whose};
use super::score::{Judge, Solution};
use super::search;
use crate::plan::labels::{
    LabelOperator, LabelRequirement, LabelSelector, Labelled, own_selector, telling_apart,
};
use crate::plan::mutator::PodSelector;

/// Returns the set of mutators, with some of them for some pods only where that lets more through.
pub(super) fn refine(judge: &Judge<'_, '_>, base: Solution) -> Solution {
    let groups = groups(judge);
    if groups.is_empty() || judge.is_perfect(&base, None) {
        return base;
    }
    let refined = with_groups(judge, &base, &groups);
    // What suits the others best may harm workloads that can be told apart from them.
    let apart = groups.iter().filter(|it| requirement(judge, it).is_some());
    let apart: BTreeSet<usize> = apart.flatten().copied().collect();
    let rest: BTreeSet<usize> = (0..judge.items.len())
        .filter(|it| !apart.contains(it))
        .collect();
    let for_rest = search::best(judge, &base, Some(&rest));
    let other = with_groups(judge, &for_rest, &groups);
    [refined, other]
        .into_iter()
        .fold(base, |best, it| better(judge, best, it))
}

fn better(judge: &Judge<'_, '_>, one: Solution, other: Solution) -> Solution {
    if judge.score(&other, None) > judge.score(&one, None) {
        other
    } else {
        one
    }
}

/// The positions of the workloads, those together that can have the same policies.
fn groups(judge: &Judge<'_, '_>) -> Vec<BTreeSet<usize>> {
    let mut res = BTreeMap::<Vec<&str>, BTreeSet<usize>>::new();
    for (position, item) in judge.items.iter().enumerate() {
        if matches!(item.whose, Whose::Workload(_)) && item.admitted.is_some() {
            let usable = item.usable.iter().map(|it| it.name.as_str()).collect();
            res.entry(usable).or_default().insert(position);
        }
    }
    res.into_values().collect()
}

/// Gives each group what suits it best, where it can be told apart and where the whole gets better by it.
fn with_groups(judge: &Judge<'_, '_>, base: &Solution, groups: &[BTreeSet<usize>]) -> Solution {
    let mut wanted = BTreeMap::<Solution, BTreeSet<usize>>::new();
    for group in groups {
        if judge.is_perfect(base, Some(group)) {
            continue;
        }
        let own = search::best(judge, base, Some(group));
        if own != *base {
            wanted.entry(own).or_default().extend(group);
        }
    }
    let mut res = base.clone();
    for (own, group) in wanted {
        let Some(requirement) = requirement(judge, &group) else {
            for one in by_usable(judge, &group) {
                res = match self::requirement(judge, &one) {
                    Some(it) => better(judge, res.clone(), split(&res, base, &own, &it)),
                    None => one_by_one(judge, res, base, &own, &one),
                };
            }
            continue;
        };
        let with = split(&res, base, &own, &requirement);
        res = better(judge, res, with);
    }
    res
}

/// The parts of a group whose workloads can have the same policies.
fn by_usable(judge: &Judge<'_, '_>, group: &BTreeSet<usize>) -> Vec<BTreeSet<usize>> {
    let all = groups(judge).into_iter();
    all.filter(|it| it.is_subset(group)).collect()
}

/// The label that tells the workloads at these positions from the others of the namespace.
fn requirement(judge: &Judge<'_, '_>, group: &BTreeSet<usize>) -> Option<LabelRequirement> {
    let (own, others) = apart(judge, group);
    telling_apart(&own, &others)
}

/// The workloads at these positions, and the others.
fn apart<'j>(
    judge: &'j Judge<'_, '_>,
    group: &BTreeSet<usize>,
) -> (Vec<Labelled<'j>>, Vec<Labelled<'j>>) {
    let workloads = judge.items.iter().enumerate();
    let workloads = workloads.filter(|(_, it)| matches!(it.whose, Whose::Workload(_)));
    let (own, others): (Vec<_>, Vec<_>) = workloads.partition(|(it, _)| group.contains(it));
    let labelled = |all: Vec<(usize, &'j Item<'_>)>| {
        let all = all.into_iter().map(|(_, it)| Labelled {
            labels: &it.labels,
            selector: &it.selector,
        });
        all.collect()
    };
    (labelled(own), labelled(others))
}

/// The set where the pods with the label get their own mutators, and the others the base.
fn split(
    current: &Solution,
    base: &Solution,
    own: &Solution,
    requirement: &LabelRequirement,
) -> Solution {
    let mut res = Solution::new();
    for (id, pods) in current {
        let is_base = base.iter().any(|(it, _)| it == id);
        let is_own = own.iter().any(|(it, _)| it == id);
        let mut pods = pods.clone();
        if is_base && !is_own {
            let excluding = LabelRequirement {
                operator: LabelOperator::NotIn,
                ..requirement.clone()
            };
            add(&mut pods.labels, excluding);
        }
        res.insert((*id, pods));
    }
    for (id, _) in own.difference(base) {
        // One that selects by the same label selects by more of its values.
        let known = res.iter().find(|(it, pods)| {
            it == id && matches!(pods.labels.0.as_slice(), [own] if own.key == requirement.key && own.operator == LabelOperator::In)
        });
        let mut pods = known.map(|(_, pods)| pods.clone()).unwrap_or_default();
        if let Some(known) = known.cloned() {
            res.remove(&known);
        }
        add(&mut pods.labels, requirement.clone());
        res.insert((*id, pods));
    }
    res
}

/// Adds a requirement; one of the same key and operator has the values of both then.
pub(super) fn add(selector: &mut LabelSelector, requirement: LabelRequirement) {
    let mut known = selector.0.iter_mut();
    let known = known.find(|it| it.key == requirement.key && it.operator == requirement.operator);
    match known {
        Some(known) => known.values.extend(requirement.values),
        None => selector.0.push(requirement),
    }
    selector.0.sort();
}

/// The set with more mutators for workloads that no single label tells apart: by all labels of their selectors, else by their names.
fn one_by_one(
    judge: &Judge<'_, '_>,
    current: Solution,
    base: &Solution,
    own: &Solution,
    group: &BTreeSet<usize>,
) -> Solution {
    let mut res = current;
    for position in group {
        let (mine, others) = apart(judge, &BTreeSet::from([*position]));
        let labels = mine.first().and_then(|it| own_selector(*it, &others));
        let pods = match labels {
            Some(labels) => PodSelector { labels, name: None },
            None => match own_name(judge, *position) {
                Some(name) => PodSelector {
                    labels: LabelSelector::default(),
                    name: Some(name),
                },
                None => continue,
            },
        };
        let mut with = res.clone();
        for (id, _) in own.difference(base) {
            // No selector leaves these pods out, and of two values at one place that of the first mutator by name would win.
            let excludes = |it: &usize| judge.candidates.exclude_each_other(*id, *it);
            if !res.iter().any(|(it, pods)| pods.is_all() && excludes(it)) {
                with.insert((*id, pods.clone()));
            }
        }
        res = better(judge, res, with);
    }
    res
}

/// What the names of a workload's pods begin with, and those of no other workload of the namespace.
fn own_name(judge: &Judge<'_, '_>, position: usize) -> Option<String> {
    let generated = judge.items.get(position)?.generate_name.as_str();
    let mut others = judge
        .items
        .iter()
        .enumerate()
        .filter(|(it, other)| *it != position && matches!(other.whose, Whose::Workload(_)));
    let is_shared = others.any(|(_, it)| {
        let names = [&it.generate_name, &it.name];
        names.iter().any(|it| it.starts_with(generated))
    });
    // Gatekeeper takes no other characters in a pattern.
    let is_pattern = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
    let is_plain = !generated.is_empty() && generated.chars().all(is_pattern);
    (is_plain && !is_shared).then(|| format!("{generated}*"))
}
