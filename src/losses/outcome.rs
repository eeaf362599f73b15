//! In what the two differ about a pod.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::CONTROLS;
use crate::controls::defaults::{DefaultValue, Mutation, Place};
use crate::input::Inventory;
use crate::loss::LossKind;
use crate::plan::Mutator;
use crate::version::Version;
use crate::witness::memo::Memo;
use crate::witness::reshape;

/// The defaults of all policies.
#[derive(Debug)]
pub(super) struct Defaults<'a> {
    by_policy: BTreeMap<&'a str, Vec<(&'static str, DefaultValue)>>,
    /// Where PSP sets what a mutator writes at a location.
    places: BTreeMap<&'static str, Place>,
}

impl<'a> Defaults<'a> {
    pub(super) fn new(inventory: &'a Inventory, kubernetes: Version) -> Self {
        let mut places = BTreeMap::new();
        let mut by_policy = BTreeMap::new();
        for psp in &inventory.policies {
            let defaults = CONTROLS.iter().flat_map(|control| {
                let defaults = control.defaults(&psp.spec, kubernetes).into_iter();
                defaults.map(|it| (control.name(), it))
            });
            let defaults: Vec<_> = defaults.collect();
            for (_, it) in &defaults {
                places.extend(it.mutation.as_ref().map(|own| (own.location, it.place)));
            }
            by_policy.insert(psp.name.as_str(), defaults);
        }
        Self { by_policy, places }
    }

    /// The defaults of a policy with the names of their controls.
    pub(super) fn of(&self, psp: &str) -> &[(&'static str, DefaultValue)] {
        self.by_policy
            .get(psp)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Where a mutator has its effect.
    pub(super) fn place(&self, mutator: &Mutator) -> Option<Place> {
        self.places.get(mutator.mutation.location).copied()
    }
}

/// Whether the mutator does what the policy's default wants.
pub(super) fn is_own(mutator: &Mutator, default: &DefaultValue) -> bool {
    let same = |it: &Mutation| {
        let own = &mutator.mutation;
        (it.location, &it.value, it.unless) == (own.location, &own.value, own.unless)
    };
    default.mutation.as_ref().is_some_and(same)
}

/// A difference: its kind, control and field.
pub(super) type Difference = (LossKind, &'static str, &'static str);

/// Who can have which policies, and which mutators act.
pub(super) struct Situation<'s, 'a> {
    pub(super) defaults: &'s Defaults<'a>,
    pub(super) memo: &'s Memo,
    /// In the order in which PSP tries them.
    pub(super) usable: &'s [&'a PodSecurityPolicy],
    /// In the order in which they are applied.
    pub(super) acting: &'s [&'s Mutator],
}

impl<'a> Situation<'_, 'a> {
    /// The pod as the mutators leave it.
    pub(super) fn mutated(&self, pod: &Pod) -> Pod {
        self.mutated_by(pod, |_| true)
    }

    fn mutated_by(&self, pod: &Pod, is_on: impl Fn(&Mutator) -> bool) -> Pod {
        let acting = self.acting.iter().filter(|it| is_on(it));
        let mutations: Vec<_> = acting.map(|it| &it.mutation).collect();
        reshape::mutated(pod, &mutations)
    }

    /// In what the two differ about a new pod, and the policy that it is about.
    pub(super) fn outcome(&self, pod: &Pod) -> Option<(&'a PodSecurityPolicy, Vec<Difference>)> {
        let after = self.mutated(pod);
        let is_accepted = self.memo.accept(self.usable, &after);
        let Some((psp, _)) = self.memo.choice(self.usable, pod) else {
            return is_accepted
                .then(|| self.admitted_by_default(pod, &after))
                .flatten();
        };
        let before = reshape::admitted(psp, pod);
        if self.memo.is_undecided(&before) {
            return None;
        }
        let differing = self.memo.differing_places(&before, &after);
        let differences = if is_accepted {
            self.stored_differently(psp, pod, &after, &differing)
        } else {
            self.denied(psp, pod, &differing)
        };
        Some((psp, differences))
    }

    /// What mutators set without which the pod would be denied, as PSP denied it, and the policy that accepts it.
    fn admitted_by_default(
        &self,
        pod: &Pod,
        after: &Pod,
    ) -> Option<(&'a PodSecurityPolicy, Vec<Difference>)> {
        let mut usable = self.usable.iter();
        let psp = usable.find(|it| self.memo.accept(&[it], after))?;
        let needed = self.acting.iter().filter(|off| {
            let without = self.mutated_by(pod, |it| it.name != off.name);
            !self.memo.accept(self.usable, &without)
        });
        let differences = needed.map(|it| (LossKind::DefaultAdmits, it.control, it.field));
        Some((psp, differences.collect()))
    }

    fn stored_differently(
        &self,
        psp: &PodSecurityPolicy,
        pod: &Pod,
        after: &Pod,
        differing: &[Place],
    ) -> Vec<Difference> {
        if differing.is_empty() {
            return Vec::new();
        }
        let mut unmutated = None;
        let mut res = Vec::new();
        let changed = self.memo.differing_places(pod, after);
        for place in differing {
            let own = self.defaults.of(&psp.name).iter();
            let own = own.filter(|(_, it)| it.place == *place);
            let mut mutators = self.acting.iter();
            let mutator = mutators.find(|it| self.defaults.place(it) == Some(*place));
            let mutator = mutator.filter(|_| changed.contains(place));
            let mut is_told = false;
            for (control, it) in own {
                let is_own = mutator.is_some_and(|mutator| is_own(mutator, it));
                if mutator.is_none() {
                    let is_first = *unmutated.get_or_insert_with(|| {
                        let pod = self.mutated_by(pod, |_| false);
                        self.memo.accept(self.usable, &pod)
                    });
                    let kind = if is_first {
                        LossKind::DefaultOfTheFirst
                    } else {
                        LossKind::DefaultOfAnotherPolicy
                    };
                    res.push((kind, *control, it.field));
                    is_told = true;
                } else if is_own {
                    is_told = true; // its caveats are told by themselves
                }
            }
            if let (false, Some(mutator)) = (is_told, mutator) {
                res.push((LossKind::DefaultForAll, mutator.control, mutator.field));
            }
        }
        res
    }

    fn denied(&self, psp: &PodSecurityPolicy, pod: &Pod, differing: &[Place]) -> Vec<Difference> {
        let missing = self.defaults.of(&psp.name).iter();
        let missing: Vec<_> = missing
            .filter(|(_, it)| {
                differing.contains(&it.place) && !self.acting.iter().any(|own| is_own(own, it))
            })
            .collect();
        let mut res: Vec<Difference> = missing
            .iter()
            .map(|(control, it)| (LossKind::DefaultNotSet, *control, it.field))
            .collect();
        let controls: BTreeSet<&str> = missing.iter().map(|(control, _)| *control).collect();
        let is_accepted = |is_on: &dyn Fn(&Mutator) -> bool| {
            let mut pod = self.mutated_by(pod, is_on);
            for control in CONTROLS.iter().filter(|it| controls.contains(it.name())) {
                pod = control.mutate(psp, &pod);
            }
            self.memo.accept(self.usable, &pod)
        };
        if !is_accepted(&|_| true) {
            let in_the_way = in_the_way(self.acting, is_accepted);
            let in_the_way = in_the_way.iter();
            res.extend(in_the_way.map(|it| (LossKind::DefaultInTheWay, it.control, it.field)));
        }
        res
    }
}

/// Those without which the pod is accepted: each by itself, or else as few together as can be; none where it is denied anyway.
pub(super) fn in_the_way<'a>(
    all: &[&'a Mutator],
    is_accepted: impl Fn(&dyn Fn(&Mutator) -> bool) -> bool,
) -> Vec<&'a Mutator> {
    let without = |off: &[&Mutator]| {
        let is_on = |it: &Mutator| off.iter().all(|off| off.name != it.name);
        is_accepted(&is_on)
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
