//! The search for a request that shows what becomes of a default.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::iter;
use std::rc::Rc;

use serde_json::Value;

use super::asked::Asked;
use super::directed::{Directed, Wanted};
use super::losses::{MOST_TRIED, Reach};
use super::mutators::Mutator;
use super::unlike::{MOST_UNLIKE, Unlike};
use super::usage::{Identity, Usage, home};
use super::witness;
use crate::admission::AdmissionRequest;
use crate::api::core::{Pod, RUNTIME_DEFAULT, SECCOMP_POD, UNCONFINED, seccomp_field_for};
use crate::api::policy::PodSecurityPolicy;
use crate::api::validation::{self, OF_PSP};
use crate::controls::defaults::{Mutation, Place};
use crate::rbac::SubjectKey;

/// So many times a policy is asked about a pod, in a search among pods that are easy to think of.
const MOST_CHOICES: usize = 512;

/// So many pods that show it, were it not for an earlier policy, are looked at more closely.
const MOST_NEAR: usize = 4;

/// The search for a request that shows what becomes of a default.
pub(super) struct Search<'a, 'p> {
    pub(super) usage: &'a Usage<'a>,
    pub(super) psp: &'a PodSecurityPolicy,
    pub(super) subjects: &'a BTreeSet<&'a SubjectKey>,
    /// A pod that asks for nothing.
    pub(super) modest: &'a Pod,
    /// Pods that ask for something.
    pub(super) more: &'a LazyCell<Vec<Pod>, Box<dyn FnOnce() -> Vec<Pod> + 'p>>,
    /// Pods that are made when no other shows anything.
    pub(super) unlike: &'a Unlike,
    pub(super) asked: &'a Asked,
    pub(super) control: &'static str,
    pub(super) place: Place,
    /// Those of all that the policy fills in.
    pub(super) places: &'a [Place],
    pub(super) mutators: &'a [Mutator],
}

impl Search<'_, '_> {
    /// A request that the plugin lets pass by the policy, which fills in what belongs to the place; nothing else if that can be.
    ///
    /// What is given to the pod besides may make the policy fill in nothing.
    pub(super) fn defaulted(&self, reach: &Reach, with: &[&Value]) -> Option<AdmissionRequest> {
        let alone = &[self.place][..];
        // The policy may be chosen only where the pod lacks more of what it fills in.
        let more = Some(self.places).filter(|it| *it != alone);
        let res = iter::once(alone).chain(more).find_map(|lacking| {
            let res = self.simple(reach, lacking, with);
            res.or_else(|| self.unlike(reach, lacking, with))
        });
        res.or_else(|| with.is_empty().then(|| self.directed(reach)).flatten())
    }

    /// The same by steps from one pod to the next.
    fn directed(&self, reach: &Reach) -> Option<AdmissionRequest> {
        self.tried_by_few(reach).find_map(|it| {
            let shown = self.unlike.refused(&self.steps(&it, self.places));
            let (_, pod) = shown.iter().find(|(place, _)| *place == self.place)?;
            Some(witness::request(&it.identity, it.namespace, pod.clone()))
        })
    }

    /// The same among pods that are easy to think of.
    fn simple(
        &self,
        reach: &Reach,
        lacking: &[Place],
        with: &[&Value],
    ) -> Option<AdmissionRequest> {
        self.tried(reach).find_map(|it| {
            let enough = MOST_CHOICES / it.usable.len().max(1);
            let more = iter::once_with(|| self.more.iter()).flatten();
            let mut pods = iter::once(self.modest).chain(more).take(enough.max(2));
            pods.find_map(|pod| self.shows(&it, pod, lacking, with))
        })
    }

    fn steps<'b>(&'b self, at: &'b Tried<'_>, places: &'b [Place]) -> Directed<'b> {
        Directed {
            unlike: self.unlike,
            asked: self.asked,
            psp: self.psp,
            usable: &at.usable,
            mutations: self.here(at.namespace).collect(),
            places,
        }
    }

    /// The same among pods that the other policies refuse.
    fn unlike(
        &self,
        reach: &Reach,
        lacking: &[Place],
        with: &[&Value],
    ) -> Option<AdmissionRequest> {
        self.tried_by_few(reach).find_map(|it| {
            // What the pod says to the same control may take away what is looked for, or be all that tells the policies apart.
            let mut pods = [Some(self.control), None]
                .into_iter()
                .map(|but| self.unlike.pod(self.psp, &it.usable, but));
            pods.find_map(|made| self.shows(&it, &made.pod, lacking, with))
        })
    }

    /// Whether the pod, without what belongs to the places, is let pass by the policy alone; then the request for it.
    fn shows(
        &self,
        at: &Tried<'_>,
        pod: &Pod,
        lacking: &[Place],
        with: &[&Value],
    ) -> Option<AdmissionRequest> {
        let mut pod = witness::lacking(self.psp, pod, lacking.iter().copied());
        for more in with {
            witness::give(&mut pod, more);
        }
        if !self.asked.is_accepted(self.psp, &pod) {
            return None;
        }
        let (chosen, mutates) = self.asked.choice(&at.usable, &pod)?;
        if chosen.name != self.psp.name {
            return None;
        }
        let before = witness::admitted(self.psp, &pod);
        // What mutators make of it must not be what another policy accepts.
        let is_refused = || {
            let after = self.mutated(&pod, at.namespace);
            mutates
                && witness::at(&before, self.place) != witness::at(&after, self.place)
                && !self.asked.accept(&at.usable, &after)
        };
        let is_stored = validation::refusal(&before, OF_PSP).is_none();
        let shows = is_stored && (!with.is_empty() || is_refused());
        shows.then(|| witness::request(&at.identity, at.namespace, pod))
    }

    /// The pod as the mutators of the namespace leave it.
    fn mutated(&self, pod: &Pod, namespace: &str) -> Pod {
        witness::mutated(pod, self.here(namespace))
    }

    /// What mutators do in the namespace.
    fn here(&self, namespace: &str) -> impl Iterator<Item = &Mutation> {
        let mutators = self.mutators.iter();
        let here = mutators.filter(move |it| it.namespaces.contains(namespace));
        here.map(|it| &it.mutation)
    }

    /// A request for a pod whose profile of seccomp is a field alone, that the policy fills in and that others accept as it is.
    ///
    /// Every policy would write the annotation, so that none of them leaves the pod as it is.
    pub(super) fn first_by_name(&self, reach: &Reach) -> Option<AdmissionRequest> {
        self.psp.spec.seccomp.allowed.as_ref()?;
        for it in self.tried(reach) {
            let mut near = Vec::new();
            let later = it.usable.iter().copied();
            let later =
                later.filter(|it| it.name > self.psp.name && it.spec.seccomp.allowed.is_some());
            for (psp, pod) in later.take(MOST_UNLIKE).flat_map(|psp| {
                self.with_field_alone(psp, it.namespace)
                    .into_iter()
                    .map(move |pod| (psp, pod))
            }) {
                let chosen = self.asked.choice(&it.usable, &pod);
                let is_first = chosen.is_some_and(|(it, _)| it.name == self.psp.name);
                if is_first && self.is_stored_otherwise(&it.usable, &pod, it.namespace) {
                    return Some(witness::request(&it.identity, it.namespace, pod));
                }
                near.push((psp, pod));
            }
            let place = [self.place];
            let search = self.steps(&it, &place);
            let found = near.into_iter().take(MOST_NEAR).find_map(|(psp, pod)| {
                let shown = search.pods(pod, Wanted::AcceptedBy(psp));
                shown.into_iter().next()
            });
            if let Some((_, pod)) = found {
                return Some(witness::request(&it.identity, it.namespace, pod));
            }
        }
        None
    }

    /// Pods whose profile of seccomp is a field alone, that both policies accept, and in which this one fills in at the place what
    /// mutators do not.
    fn with_field_alone(&self, later: &PodSecurityPolicy, namespace: &str) -> Vec<Pod> {
        let own = witness::lacking(self.psp, self.modest, [self.place]);
        let pods = [witness::least(later), own].map(|it| {
            let mut pod = witness::admitted(later, &it);
            pod.remove(&["metadata", "annotations", SECCOMP_POD]);
            pod
        });
        let pods = pods.into_iter().filter(|pod| {
            let before = witness::admitted(self.psp, pod);
            let after = self.mutated(pod, namespace);
            witness::at(&before, self.place) != witness::at(&after, self.place)
        });
        let pods = pods.flat_map(move |pod| {
            seccomp_fields([self.psp, later]).map(move |field| {
                let mut pod = pod.clone();
                pod.set_security("seccompProfile", field);
                pod
            })
        });
        let both = [self.psp, later];
        let pods = pods.filter(|pod| both.iter().all(|it| self.asked.is_accepted(it, pod)));
        pods.collect()
    }

    /// Whether the pod is admitted by both and lacks the default then.
    fn is_stored_otherwise(
        &self,
        usable: &[&PodSecurityPolicy],
        pod: &Pod,
        namespace: &str,
    ) -> bool {
        let before = witness::admitted(self.psp, pod);
        let after = self.mutated(pod, namespace);
        witness::at(&before, self.place) != witness::at(&after, self.place)
            && self.asked.accept(usable, &after)
    }

    fn tried<'b>(&'b self, reach: &'b Reach) -> impl Iterator<Item = Tried<'b>> {
        tried(self.usage, self.subjects, self.mutators, reach)
    }

    /// The same, where so few policies are usable that pods are made which only one of them accepts.
    fn tried_by_few<'b>(&'b self, reach: &'b Reach) -> impl Iterator<Item = Tried<'b>> {
        let tried = self.tried(reach);
        tried.filter(|it| it.usable.len() <= MOST_UNLIKE)
    }
}

/// Who asks where, and the policies that are usable then, by name.
pub(super) struct Tried<'a> {
    namespace: &'a str,
    identity: Identity,
    pub(super) usable: Vec<&'a PodSecurityPolicy>,
}

/// What to try, each set of policies once.
pub(super) fn tried<'a>(
    usage: &'a Usage<'_>,
    subjects: &'a BTreeSet<&SubjectKey>,
    mutators: &'a [Mutator],
    reach: &'a Reach,
) -> impl Iterator<Item = Tried<'a>> {
    let mut known = BTreeSet::new();
    let homes = subjects.iter().filter_map(|it| home(it)).take(MOST_TRIED);
    let namespaces = reach.all_tried(homes.chain(usage.bound()));
    let identities = namespaces.flat_map(move |namespace| {
        let mutators = mutators.iter().enumerate();
        let here = mutators.filter(|(_, it)| it.namespaces.contains(namespace));
        let here: Rc<[usize]> = here.map(|(index, _)| index).collect();
        let own = subjects.iter().take(MOST_TRIED);
        let own = own.flat_map(move |it| Identity::all_of(it, namespace));
        // Members of a group may be more than that.
        let others = usage.subjects(namespace).take(MOST_TRIED);
        let members = others
            .map(move |it| Identity::of(it, namespace))
            .filter(move |it| subjects.iter().any(|of| it.is_of(of, namespace)));
        own.chain(members)
            .map(move |it| (namespace, Rc::clone(&here), it))
    });
    identities.filter_map(move |(namespace, here, identity)| {
        if usage.is_exempt(&identity, namespace) {
            return None;
        }
        let usable = usage.usable(&identity, namespace);
        let names: Vec<&str> = usable.iter().map(|it| it.name.as_str()).collect();
        known.insert((names, here)).then_some(Tried {
            namespace,
            identity,
            usable,
        })
    })
}

/// Fields for profiles that the policies list, and for the usual ones.
fn seccomp_fields(policies: [&PodSecurityPolicy; 2]) -> impl Iterator<Item = Value> {
    let listed = policies.into_iter().flat_map(|it| {
        let listed = it.spec.seccomp.allowed.as_deref().unwrap_or_default();
        listed.split(',').take(MOST_TRIED)
    });
    let usual = [RUNTIME_DEFAULT, UNCONFINED, "localhost/witness.json"];
    listed.chain(usual).filter_map(seccomp_field_for)
}
