//! A search for a pod that goes step by step towards what the pod is to show.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::{self, Asked};
use super::unlike::Unlike;
use super::witness;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::api::validation::{self, OF_PSP};
use crate::controls::defaults::{Mutation, Place};
use crate::controls::probe::Probe;
use crate::controls::{CONTROLS, Control};
use crate::psp::{is_valid, mutate_pod};

/// So many pods are looked at in a search.
const MOST_PODS: usize = 128;

/// So many pods are made of one for each control.
const MOST_STEPS: usize = 3;

/// What Gatekeeper is to do with the pod.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted<'a> {
    /// No policy accepts it as the mutators leave it.
    Refused,
    /// This policy accepts it as the mutators leave it.
    AcceptedBy(&'a PodSecurityPolicy),
}

/// A search for pods that the plugin admits by a policy with what it fills in.
pub(super) struct Directed<'s> {
    pub(super) unlike: &'s Unlike,
    pub(super) asked: &'s Asked,
    pub(super) psp: &'s PodSecurityPolicy,
    /// All that may be used, by name.
    pub(super) usable: &'s [&'s PodSecurityPolicy],
    /// What mutators do to the pod.
    pub(super) mutations: Vec<&'s Mutation>,
    /// Where the policy fills something in, and pods are sought that show it.
    pub(super) places: &'s [Place],
}

/// A pod on the way.
struct Step<'s> {
    pod: Pod,
    /// How much stands between it and what it is to show.
    distance: usize,
    /// Where what the policy fills in is not what mutators leave.
    differs_at: Vec<Place>,
    /// What to take away next.
    hindrance: Option<Hindrance<'s>>,
}

/// Why a pod does not show what it is to show.
#[derive(Clone, Copy)]
struct Hindrance<'s> {
    what: What,
    psp: &'s PodSecurityPolicy,
}

/// What a policy does with a pod.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// The plugin chooses it, or would if it were not for yet another.
    IsChosen,
    /// It accepts the pod as the mutators leave it.
    Accepts,
    /// It refuses the pod as the mutators leave it.
    Refuses,
}

impl<'s> Directed<'s> {
    /// Pods that are as wanted, each with a place where what the policy fills in is not what mutators leave there.
    pub(super) fn pods(&self, from: Pod, wanted: Wanted<'s>) -> Vec<(Place, Pod)> {
        let mut res = Vec::new();
        let mut sought = self.places.to_vec();
        let mut ways = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut steps = Vec::new();
        let mut add = |steps: &mut Vec<Step<'s>>, pod: Pod| {
            if seen.len() < MOST_PODS && seen.insert(asked::hash(&pod)) {
                steps.extend(self.step(pod, wanted));
            }
        };
        add(&mut steps, from);
        while !sought.is_empty() {
            let nearest = steps.iter().enumerate().min_by_key(|(_, it)| it.distance);
            let Some((index, _)) = nearest else {
                break;
            };
            let step = steps.remove(index);
            let Some(hindrance) = step.hindrance else {
                let shown = sought.extract_if(.., |it| step.differs_at.contains(it));
                res.extend(shown.map(|it| (it, step.pod.clone())));
                continue;
            };
            if sought.iter().all(|it| !step.differs_at.contains(it)) {
                continue;
            }
            let under = |control: &&dyn Control| self.ways(&step.pod, hindrance, wanted, *control);
            let probes = if hindrance.what == What::Refuses {
                // The policy must accept the pod under every control, so that one after the other can be looked at.
                let mut controls = CONTROLS.iter();
                let first = controls.find(|it| !self.is_without(&step.pod, hindrance, **it));
                first.iter().flat_map(|it| under(it)).collect()
            } else {
                let key = (hindrance.what, hindrance.psp.name.as_str());
                let known = ways.entry(key);
                known
                    .or_insert_with(|| CONTROLS.iter().flat_map(under).collect::<Vec<_>>())
                    .clone()
            };
            for probe in probes {
                add(&mut steps, witness::probe(&step.pod, &probe));
            }
        }
        res
    }

    fn mutated(&self, pod: &Pod) -> Pod {
        witness::mutated(pod, self.mutations.iter().copied())
    }

    /// How far the pod is from what is wanted; nothing if the policy does not accept it, or fills nothing in.
    fn step(&self, pod: Pod, wanted: Wanted<'s>) -> Option<Step<'s>> {
        let filled = mutate_pod(self.psp, pod.clone());
        if filled == pod || !is_valid(self.psp, &filled) {
            return None;
        }
        let (before, after) = (witness::admitted(self.psp, &pod), self.mutated(&pod));
        let places = self.places.iter().copied();
        let differs_at: Vec<_> = places
            .filter(|it| witness::at(&before, *it) != witness::at(&after, *it))
            .collect();
        if differs_at.is_empty() || validation::refusal(&before, OF_PSP).is_some() {
            return None;
        }
        let hindrance = |what| move |psp| Hindrance { what, psp };
        let others = || {
            let all = self.usable.iter().copied();
            all.filter(|it| it.name != self.psp.name)
        };
        let is_chosen = |psp: &&PodSecurityPolicy| {
            let is_first = psp.name < self.psp.name;
            let filled = mutate_pod(psp, pod.clone());
            (is_first || filled == pod) && is_valid(psp, &filled)
        };
        let chosen = others().filter(is_chosen).map(hindrance(What::IsChosen));
        let mut hindrances: Vec<_> = chosen.collect();
        match wanted {
            Wanted::Refused => {
                let all = self.usable.iter().copied();
                let accepting = all.filter(|it| self.asked.accept(&[it], &after));
                hindrances.extend(accepting.map(hindrance(What::Accepts)));
            }
            Wanted::AcceptedBy(psp) => {
                let refusing = CONTROLS.iter().filter(|it| !leaves(psp, **it, &after));
                hindrances.extend(refusing.map(|_| hindrance(What::Refuses)(psp)));
            }
        }
        Some(Step {
            pod,
            distance: hindrances.len(),
            differs_at,
            hindrance: hindrances.into_iter().next(),
        })
    }

    /// What the pod may ask for under a control that takes the hindrance away from it, or makes it less.
    fn ways(
        &self,
        pod: &Pod,
        hindrance: Hindrance<'s>,
        wanted: Wanted<'s>,
        control: &dyn Control,
    ) -> Vec<Probe> {
        let objections = |psp, pod: &Pod| objections(psp, control, &self.mutated(pod));
        let nearest = match wanted {
            Wanted::Refused => None,
            Wanted::AcceptedBy(psp) => Some((psp, objections(psp, pod))),
        };
        let is_wanted = |it: &Pod| nearest.is_none_or(|(psp, known)| objections(psp, it) <= known);
        let Hindrance { what, psp } = hindrance;
        if what == What::IsChosen {
            let ways = self.unlike.boundary(self.psp, psp, control);
            let ways = ways.iter().filter(|it| is_wanted(&witness::probe(pod, it)));
            return ways.take(MOST_STEPS).cloned().collect();
        }
        let own = objections(psp, pod);
        let is_way = |it: &Pod| match what {
            What::Refuses => objections(psp, it) < own,
            _ => self.is_without(it, hindrance, control),
        };
        let probes = [psp, self.psp].into_iter();
        let probes = probes.flat_map(|it| control.probes(&it.spec));
        let ways = probes.filter(|it| {
            let pod = witness::probe(pod, it);
            witness::is_accepted_under(self.psp, control, &pod) && is_way(&pod) && is_wanted(&pod)
        });
        ways.take(MOST_STEPS).collect()
    }

    /// Whether the control does not hinder.
    fn is_without(&self, pod: &Pod, hindrance: Hindrance<'s>, control: &dyn Control) -> bool {
        let Hindrance { what, psp } = hindrance;
        match what {
            What::IsChosen => !witness::is_accepted_under(psp, control, pod),
            What::Accepts => !leaves(psp, control, &self.mutated(pod)),
            What::Refuses => leaves(psp, control, &self.mutated(pod)),
        }
    }
}

/// Whether the policy neither refuses nor changes the pod, as far as the control is concerned.
fn leaves(psp: &PodSecurityPolicy, control: &dyn Control, pod: &Pod) -> bool {
    objections(psp, control, pod) == 0
}

/// To how much of the pod the policy objects under the control; that it would change it counts as one.
fn objections(psp: &PodSecurityPolicy, control: &dyn Control, pod: &Pod) -> usize {
    let changes = !control.fills_in().is_empty() && control.mutate(psp, pod) != *pod;
    control.validate(psp, pod).len() + usize::from(changes)
}
