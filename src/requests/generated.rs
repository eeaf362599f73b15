//! Requests that a generator makes up, the same ones for the same seed.

use fastrand::Rng;

use super::cast::Cast;
use super::crossing::{changes, probes_of};
use super::pods::{complying, minimal, roomy};
use crate::admission::AdmissionRequest;
use crate::api::core::Pod;
use crate::controls::probe::Probe;
use crate::input::Inventory;

/// One in so many requests is a change to a pod that is there.
const UPDATES: u8 = 5;

/// What the generator chooses from.
#[derive(Debug)]
pub(super) struct Generator<'a> {
    cast: &'a Cast,
    /// The names of policies with a pod that the policy accepts and its probes.
    policies: Vec<(&'a str, Pod, Vec<Probe>)>,
    own: Vec<Pod>,
    rng: Rng,
}

impl<'a> Generator<'a> {
    pub(super) fn new(inventory: &'a Inventory, cast: &'a Cast, own: Vec<Pod>, seed: u64) -> Self {
        let policies = inventory.policies.iter();
        let policies = policies.map(|it| {
            let probes = probes_of(&it.spec).into_iter().map(|it| it.0);
            (it.name.as_str(), complying(it), probes.collect())
        });
        Self {
            cast,
            policies: policies.collect(),
            own,
            rng: Rng::with_seed(seed),
        }
    }

    /// Makes up a request; `number` is how it is called.
    pub(super) fn request(&mut self, number: u64) -> Option<AdmissionRequest> {
        let (policy, complying, probes) = self.rng.choice(&self.policies)?;
        let mut pod = match self.rng.u8(0..8) {
            0 => minimal(),
            1 | 2 => roomy(),
            3 | 4 => self.rng.choice(&self.own).unwrap_or(complying).clone(),
            _ => complying.clone(),
        };
        for _ in 0..self.rng.u8(1..=3) {
            let refs: Vec<_> = pod.container_refs().collect();
            if let (Some(probe), Some(at)) = (self.rng.choice(probes), self.rng.choice(refs)) {
                probe.apply(&mut pod, at);
            }
        }
        // Mostly somebody who may use the policy: everybody else is refused for that alone.
        let holder = self.rng.choice(self.cast.holders(policy));
        let (person, namespace) = match holder {
            Some((person, namespace)) if self.rng.u8(0..4) > 0 => (person, namespace),
            _ => (
                self.rng.choice(&self.cast.people)?,
                self.rng.choice(&self.cast.namespaces)?,
            ),
        };
        let created = person.asks(namespace, &pod, format!("generated request {number}"));
        if self.rng.u8(0..UPDATES) == 0 {
            self.rng.choice(changes(&created))
        } else {
            Some(created)
        }
    }
}
