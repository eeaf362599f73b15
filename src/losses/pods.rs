//! The pods that are tried in a situation.

use std::collections::BTreeSet;

use super::outcome::{Defaults, Situation};
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::CONTROLS;
use crate::controls::defaults::{Mutation, Place};
use crate::witness::boundaries::Boundaries;
use crate::witness::{reshape, samples};

/// Pods of a policy that are easy to think of: they lack all, none and each of what policies and mutators set.
pub(super) fn of_policy(
    situation: &Situation<'_, '_>,
    boundaries: &Boundaries,
    psp: &PodSecurityPolicy,
) -> Vec<Pod> {
    let acting = situation.acting.iter();
    let mutations: Vec<&Mutation> = acting.clone().map(|it| &it.mutation).collect();
    let by_mutators = acting.clone().filter_map(|it| situation.defaults.place(it));
    let by_mutators: BTreeSet<Place> = by_mutators.collect();
    let own = situation.defaults.of(&psp.name).iter();
    let own: BTreeSet<Place> = own.map(|(_, it)| it.place).collect();
    let controls: BTreeSet<&str> = acting.map(|it| it.control).collect();
    let unlike = boundaries.pod(psp, situation.usable, None);
    let others = controls.iter().filter(|it| unlike.by.contains(**it));
    let others = others.filter_map(|it| {
        let control = CONTROLS.iter().find(|control| control.name() == *it)?;
        Some(boundaries.pod(psp, situation.usable, Some(control.name())))
    });
    let mut res = Vec::new();
    let everything = &own | &by_mutators;
    let mut add = |base: Pod, in_every_way: bool| {
        let admitted = reshape::admitted(psp, &base);
        let lacking = |places: &BTreeSet<Place>| {
            reshape::without(psp, admitted.clone(), places.iter().copied())
        };
        res.push(lacking(&everything));
        if in_every_way {
            res.push(lacking(&own));
            res.push(lacking(&by_mutators));
            let each = everything.iter();
            res.extend(each.map(|it| reshape::without(psp, admitted.clone(), [*it])));
        }
        if !mutations.is_empty() {
            res.push(samples::tolerating(psp, &admitted, &mutations));
        }
        res.push(admitted);
        res.push(base);
    };
    // One that asks for nothing, one that asks for all that the policy allows, and then one for each of that.
    for (index, base) in samples::pods(psp).enumerate() {
        add(base, index < 2);
    }
    add(unlike.pod.clone(), true);
    for it in others {
        add(it.pod.clone(), true);
    }
    res.extend(in_annotations(&by_mutators, &controls).flat_map(|it| samples::probed(psp, it)));
    res
}

/// The controls of mutators that look at a field where PSP looks at an annotation.
fn in_annotations<'c>(
    by_mutators: &BTreeSet<Place>,
    controls: &'c BTreeSet<&'c str>,
) -> impl Iterator<Item = &'c str> {
    let places: BTreeSet<Place> = by_mutators.clone();
    controls.iter().copied().filter(move |control| {
        let all = CONTROLS.iter().filter(|it| it.name() == *control);
        let mut own = all.flat_map(|it| it.places());
        own.any(|it| {
            places.contains(it) && matches!(it, Place::Pod(["metadata", "annotations", _]))
        })
    })
}

/// Pods that lack what only mutators would give them, of those that a policy denies for it.
pub(super) fn lacking_demands(
    defaults: &Defaults<'_>,
    situation: &Situation<'_, '_>,
    psp: &PodSecurityPolicy,
) -> Vec<Pod> {
    let places = situation.acting.iter().filter_map(|it| defaults.place(it));
    let places: BTreeSet<Place> = places.collect();
    let least = samples::least(psp);
    let each = places
        .iter()
        .map(|it| reshape::without(psp, least.clone(), [*it]));
    let mut res: Vec<Pod> = each.collect();
    res.push(reshape::without(psp, least, places.iter().copied()));
    res
}
