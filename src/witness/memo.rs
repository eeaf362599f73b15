//! What policies decide, each asked about each pod once.

use std::cell::{LazyCell, RefCell};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::reshape::at;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::api::validation::{self, OF_PSP};
use crate::controls::defaults::Place;
use crate::controls::{CONTROLS, apparmor};
use crate::psp::{is_valid, mutate_pod};
use crate::version::Version;

/// The answers, as far as they are known, for an output on one release of Kubernetes.
#[derive(Debug)]
pub struct Memo {
    kubernetes: Version,
    strict_app_armor: bool,
    /// By the hashes of the policy's name and of the pod.
    answers: RefCell<BTreeMap<(u64, u64), Answer>>,
}

/// What a policy says to a pod.
#[derive(Clone, Copy, Debug)]
struct Answer {
    /// Whether it sets something.
    sets_default: bool,
    /// Whether it accepts the pod with what it sets.
    is_valid: bool,
}

impl Memo {
    /// Knows nothing yet; with `strict_app_armor` the constraint demands a profile where PSP would have set `runtime/default`.
    pub fn new(kubernetes: Version, strict_app_armor: bool) -> Self {
        Self {
            kubernetes,
            strict_app_armor,
            answers: RefCell::default(),
        }
    }

    /// The policy that PSP chooses for a new pod among those usable, given by name, and whether it sets anything.
    pub fn choice<'a>(
        &self,
        usable: &[&'a PodSecurityPolicy],
        pod: &Pod,
    ) -> Option<(&'a PodSecurityPolicy, bool)> {
        let number = hash(pod);
        let mut first_mutating = None;
        for psp in usable {
            // Most policies deny a pod that lacks something, which is quickly told.
            if first_mutating.is_some() && self.known(psp, number).is_none() && !is_valid(psp, pod)
            {
                continue;
            }
            let answer = self.answer(psp, number, pod);
            if answer.is_valid && !answer.sets_default {
                return Some((psp, false));
            }
            if answer.is_valid {
                first_mutating.get_or_insert((*psp, true));
            }
        }
        first_mutating
    }

    /// Whether the policy accepts the pod with what it sets.
    pub fn is_accepted(&self, psp: &PodSecurityPolicy, pod: &Pod) -> bool {
        self.answer(psp, hash(pod), pod).is_valid
    }

    /// Whether the constraint, with one of the policies, and then the API server accept the pod as it stands.
    pub fn accept(&self, usable: &[&PodSecurityPolicy], pod: &Pod) -> bool {
        let stands = |number: u64, it: &PodSecurityPolicy, pod: &Pod| {
            let answer = self.answer(it, number, pod);
            answer.is_valid && !answer.sets_default
        };
        let number = hash(pod);
        let named = LazyCell::new(|| {
            let mut res = pod.clone();
            apparmor::name_unset_profiles(&mut res);
            (hash(&res), res)
        });
        let accepts = |it: &&PodSecurityPolicy| {
            stands(number, it, pod)
                || (self.takes_unset_profile(it)
                    && named.0 != number
                    && stands(named.0, it, &named.1))
        };
        usable.iter().any(accepts) && !self.is_refused(pod)
    }

    /// Whether the constraint takes a container without an AppArmor profile for one with that of the runtime, as the policy sets it.
    pub fn takes_unset_profile(&self, psp: &PodSecurityPolicy) -> bool {
        !self.strict_app_armor && apparmor::unset_is_runtime_default(&psp.spec)
    }

    /// Whether the API server under Gatekeeper refuses the pod by itself.
    pub fn is_refused(&self, pod: &Pod) -> bool {
        validation::refusal(pod, self.kubernetes).is_some()
    }

    /// Whether the API server refuses what PSP made of a pod, so that nobody has decided about it.
    pub fn is_undecided(&self, admitted: &Pod) -> bool {
        validation::refusal(admitted, OF_PSP).is_some()
    }

    /// Where two pods count for something else, of all that policies set defaults at.
    ///
    /// An AppArmor profile that is unset is the default of the runtime, unless the constraint tells them apart.
    pub fn differing_places(&self, one: &Pod, other: &Pod) -> Vec<Place> {
        if one == other {
            return Vec::new();
        }
        let named = [one, other].map(|it| {
            let mut res = it.clone();
            if !self.strict_app_armor {
                apparmor::name_unset_profiles(&mut res);
            }
            res
        });
        let [one, other] = &named;
        let places = CONTROLS.iter().flat_map(|it| it.places()).copied();
        places.filter(|it| at(one, *it) != at(other, *it)).collect()
    }

    fn known(&self, psp: &PodSecurityPolicy, number: u64) -> Option<Answer> {
        let key = (of(&psp.name), number);
        self.answers.borrow().get(&key).copied()
    }

    fn answer(&self, psp: &PodSecurityPolicy, number: u64, pod: &Pod) -> Answer {
        if let Some(known) = self.known(psp, number) {
            return known;
        }
        let mutated = mutate_pod(psp, pod.clone());
        let answer = Answer {
            sets_default: mutated != *pod,
            is_valid: is_valid(psp, &mutated),
        };
        let key = (of(&psp.name), number);
        self.answers.borrow_mut().insert(key, answer);
        answer
    }
}

/// A number that stands for the pod.
pub fn hash(pod: &Pod) -> u64 {
    of(&pod.0)
}

/// A number that stands for a value.
pub fn of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
