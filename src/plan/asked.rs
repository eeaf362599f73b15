//! What policies say to pods, each asked about each pod once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::api::validation;
use crate::psp::{is_valid, mutate_pod};
use crate::version::Version;

/// The answers, as far as they are known.
pub(super) struct Asked {
    /// The release that Gatekeeper runs on.
    kubernetes: Version,
    /// By the hashes of the policy's name and of the pod.
    answers: RefCell<BTreeMap<(u64, u64), Answer>>,
}

/// What a policy says to a pod.
#[derive(Clone, Copy)]
struct Answer {
    /// Whether it fills something in.
    fills_in: bool,
    /// Whether it accepts the pod with what it fills in.
    is_valid: bool,
}

impl Asked {
    /// Knows no answer yet.
    pub(super) fn new(kubernetes: Version) -> Self {
        Self {
            kubernetes,
            answers: RefCell::default(),
        }
    }

    /// The policy that the plugin chooses for a new pod among those usable, given by name, and whether it fills anything in.
    pub(super) fn choice<'a>(
        &self,
        usable: &[&'a PodSecurityPolicy],
        pod: &Pod,
    ) -> Option<(&'a PodSecurityPolicy, bool)> {
        let number = hash(pod);
        let mut first_mutating = None;
        for psp in usable {
            // Most policies refuse a pod that lacks something, which is quickly told.
            if first_mutating.is_some() && self.known(psp, number).is_none() && !is_valid(psp, pod)
            {
                continue;
            }
            let Answer { fills_in, is_valid } = self.answer(psp, number, pod);
            if is_valid && !fills_in {
                return Some((psp, false));
            }
            if is_valid {
                first_mutating.get_or_insert((*psp, true));
            }
        }
        first_mutating
    }

    /// Whether the policy accepts the pod with what it fills in.
    pub(super) fn is_accepted(&self, psp: &PodSecurityPolicy, pod: &Pod) -> bool {
        self.answer(psp, hash(pod), pod).is_valid
    }

    /// Whether one of the policies, and then the API server, accept the pod as it is.
    pub(super) fn accept(&self, usable: &[&PodSecurityPolicy], pod: &Pod) -> bool {
        let number = hash(pod);
        let accepts = |it: &&PodSecurityPolicy| {
            let Answer { fills_in, is_valid } = self.answer(it, number, pod);
            is_valid && !fills_in
        };
        usable.iter().any(accepts) && validation::refusal(pod, self.kubernetes).is_none()
    }

    fn known(&self, psp: &PodSecurityPolicy, number: u64) -> Option<Answer> {
        self.answers.borrow().get(&(of(&psp.name), number)).copied()
    }

    fn answer(&self, psp: &PodSecurityPolicy, number: u64, pod: &Pod) -> Answer {
        let ask = || {
            let filled = mutate_pod(psp, pod.clone());
            Answer {
                fills_in: filled != *pod,
                is_valid: is_valid(psp, &filled),
            }
        };
        let mut answers = self.answers.borrow_mut();
        *answers.entry((of(&psp.name), number)).or_insert_with(ask)
    }
}

/// A number for the pod, the same for equal pods; that two others have the same is too unlikely to matter.
pub(super) fn hash(pod: &Pod) -> u64 {
    of(&pod.0)
}

/// The hash of a value.
pub(super) fn of(value: &impl Hash) -> u64 {
    let mut res = DefaultHasher::new();
    value.hash(&mut res);
    res.finish()
}
