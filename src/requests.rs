//! Which admission requests are worth asking, and what they look like to admission.
//!
//! Requests are made as clients would send them, with pods as people write them; [`prepare`] makes of them what admission sees.
//! The `uid` of a request says in words where it comes from.

mod cast;
mod crossing;
mod foreign;
mod generated;
mod pods;
mod prepare;
mod workloads;

use crate::admission::AdmissionRequest;
use crate::api::core::Pod;
use crate::input::Inventory;
use crate::resolve::Grant;
use cast::Cast;
use generated::Generator;

pub use foreign::Foreign;
pub use prepare::prepare;
pub use workloads::{OwnPod, creator, own_pod, own_pods};

/// Everybody and everything that requests are made from.
#[derive(Debug)]
pub struct Requests<'a> {
    inventory: &'a Inventory,
    grants: &'a [Grant],
    foreign: &'a Foreign,
    cast: Cast,
}

impl<'a> Requests<'a> {
    /// Gathers everybody; `foreign` has what stands in the manifests to judge and comes from nowhere.
    pub fn new(inventory: &'a Inventory, grants: &'a [Grant], foreign: &'a Foreign) -> Self {
        Self {
            inventory,
            grants,
            foreign,
            cast: Cast::new(inventory, grants, foreign),
        }
    }

    /// Returns what is worth asking about a pod of the user's: its creation by its controller, or by everybody where it has none,
    /// and changes to it.
    pub fn about(&self, pod: &OwnPod) -> Vec<AdmissionRequest> {
        let request = &pod.request;
        let mut res = crossing::changes(request);
        res.push(request.clone());
        if !pod.has_controller {
            let people = self.cast.people.iter().map(|it| &it.requester);
            for user_info in people.take(MOST_ASKERS) {
                res.push(AdmissionRequest {
                    user_info: user_info.clone(),
                    ..request.clone()
                });
            }
        }
        res
    }

    /// Returns what is worth asking about the policies and grants: each control's probes on both sides of every boundary of every
    /// policy, each grant, and everybody everywhere.
    pub fn about_policies(&self) -> impl Iterator<Item = AdmissionRequest> {
        let everybody = crossing::everybody(self.inventory, &self.cast);
        everybody
            .chain(crossing::grants(self.inventory, &self.cast, self.grants))
            .chain(crossing::probes(self.inventory, &self.cast, self.foreign))
    }

    /// Makes up `count` requests, the same ones for the same seed; pods of `own` are among what they start from.
    pub fn generated(
        &self,
        own: Vec<Pod>,
        count: u64,
        seed: u64,
    ) -> impl Iterator<Item = AdmissionRequest> {
        let mut generator = Generator::new(self.inventory, &self.cast, own, seed);
        (1..=count).filter_map(move |number| generator.request(number))
    }
}

/// A pod that nobody is known to have asked for is asked for by so many people at most.
const MOST_ASKERS: usize = 50;
