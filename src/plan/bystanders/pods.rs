//! The pods that are tried.

use std::collections::BTreeSet;
use std::iter;
use std::rc::Rc;

use super::Search;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::defaults::{Mutation, Place};
use crate::plan::mutators::Mutator;
use crate::plan::{asked, witness};

impl Search<'_, '_> {
    /// Pods that lack all, none and each of what the policy fills in, and those that lack what a mutator may fill in.
    pub(super) fn pods(
        &self,
        psp: &PodSecurityPolicy,
        usable: &[&PodSecurityPolicy],
        here: &[&Mutator],
    ) -> Vec<Pod> {
        let mutations: Vec<_> = here.iter().map(|it| &it.mutation).collect();
        let controls: BTreeSet<&'static str> = here.iter().map(|it| it.control).collect();
        // A mutator looks at the field where the plugin looks at the annotation.
        let in_annotations = self.fields.keys().filter_map(|(control, place)| {
            let is_one = matches!(place, Place::Pod(["metadata", "annotations", _]));
            (is_one && controls.contains(control)).then_some(*control)
        });
        let unlike = self.memory.unlike.pod(psp, usable, None);
        let but = controls.iter().filter(|it| unlike.by.contains(*it));
        let others = but.map(|it| self.memory.unlike.pod(psp, usable, Some(it)));
        let unlike = iter::once(Rc::clone(&unlike)).chain(others);
        let unlike = unlike.map(|it| it.pod.clone());
        let mut bases: Vec<Pod> = witness::pods(psp).chain(unlike).collect();
        bases.dedup();
        let by_mutator = self.fields.iter().filter(|(_, (_, location))| {
            let labelled = self.labelled.into_iter().flat_map(|(_, it)| &it.all);
            let mut mutators = self.mutators.all.iter().chain(labelled);
            mutators.any(|it| Some(it.mutation.location) == *location)
        });
        let by_mutator: Vec<Place> = by_mutator.map(|((_, place), _)| *place).collect();
        let mut res: Vec<Pod> = in_annotations
            .flat_map(|it| witness::probed(psp, it))
            .collect();
        let names: Vec<&str> = here.iter().map(|it| it.name.as_str()).collect();
        for pod in bases {
            let key = asked::of(&(&psp.name, &names, &by_mutator, asked::hash(&pod)));
            let mut known = self.memory.derived.borrow_mut();
            let derived = known
                .entry(key)
                .or_insert_with(|| self.derived(psp, pod, &by_mutator, &mutations).into());
            res.extend(derived.iter().cloned());
        }
        res
    }

    /// What is made of one pod.
    fn derived(
        &self,
        psp: &PodSecurityPolicy,
        pod: Pod,
        by_mutator: &[Place],
        mutations: &[&Mutation],
    ) -> Vec<Pod> {
        let admitted = witness::admitted(psp, &pod);
        let places = self.fields.keys().map(|(_, place)| *place);
        let mut res: Vec<Pod> = places
            .map(|it| witness::without(psp, admitted.clone(), [it]))
            .collect();
        res.push(witness::without(
            psp,
            admitted.clone(),
            by_mutator.iter().copied(),
        ));
        res.push(witness::tolerating(psp, &admitted, mutations));
        res.push(admitted);
        res.push(pod);
        res
    }
}
