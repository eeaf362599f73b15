//! Pods that one policy accepts and others do not.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::directed::{Directed, Wanted};
use super::witness;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::defaults::Place;
use crate::controls::probe::Probe;
use crate::controls::{CONTROLS, Control};
use crate::version::Version;

/// The release for which defaults are compared; any would do.
const RELEASE: Version = Version::new(1, 24);

/// With more policies than this, no such pod is looked for.
pub(super) const MOST_UNLIKE: usize = 32;

/// Such pods, and what makes them so, as far as they are known.
#[derive(Default)]
pub(super) struct Unlike {
    /// By the policy that accepts it, the other one, and the control.
    boundaries: Known<(String, String, &'static str), [Probe]>,
    /// By the policy that accepts it, the control for which nothing is said, if any, and all policies.
    made: Known<(String, Option<&'static str>, Vec<String>), Made>,
    /// By the policy that fills something in, all policies and what mutators do.
    refused: Known<(String, Vec<String>), [Shown]>,
}

type Known<K, V> = RefCell<BTreeMap<K, Rc<V>>>;

/// A place where something is filled in, and the pod that shows it.
type Shown = (Place, Pod);

/// A pod that is unlike those that other policies accept.
pub(super) struct Made {
    pub(super) pod: Pod,
    /// The controls by which they refuse it: leaving aside any other makes no difference.
    pub(super) by: BTreeSet<&'static str>,
}

impl Unlike {
    /// A pod that the policy accepts, once it has filled in its defaults, and that as many of the others refuse as can be.
    ///
    /// What another one refuses is beyond the boundaries that it draws, those for one control aside.
    pub(super) fn pod(
        &self,
        psp: &PodSecurityPolicy,
        usable: &[&PodSecurityPolicy],
        but: Option<&'static str>,
    ) -> Rc<Made> {
        let names: Vec<String> = usable.iter().map(|it| it.name.clone()).collect();
        let made = |but| {
            let key = (psp.name.clone(), but, names.clone());
            if let Some(known) = self.made.borrow().get(&key) {
                return Rc::clone(known);
            }
            let res = Rc::new(self.make(psp, usable, but));
            self.made.borrow_mut().insert(key, Rc::clone(&res));
            res
        };
        let res = made(None);
        let matters = but.is_some_and(|it| res.by.contains(it));
        if matters { made(but) } else { res }
    }

    fn make(
        &self,
        psp: &PodSecurityPolicy,
        usable: &[&PodSecurityPolicy],
        but: Option<&str>,
    ) -> Made {
        let mut res = witness::least(psp);
        let mut by = BTreeSet::new();
        let others = usable.iter().filter(|it| it.name != psp.name);
        // What keeps one out may let another in again.
        for other in others.clone().chain(others) {
            if !witness::is_accepted(other, &res) {
                continue;
            }
            let mut controls = CONTROLS.iter().filter(|it| Some(it.name()) != but);
            let beyond = controls.find_map(|control| {
                let probes = self.boundary(psp, other, *control);
                let mut pods = probes.iter().map(|it| witness::probe(&res, it));
                let pod = pods.find(|it| {
                    !witness::is_accepted_under(other, *control, it)
                        && witness::is_accepted(psp, it)
                });
                pod.map(|it| (control.name(), it))
            });
            if let Some((control, pod)) = beyond {
                by.insert(control);
                res = pod;
            }
        }
        Made { pod: res, by }
    }

    /// What the policy accepts under the control, and the other one does not.
    pub(super) fn boundary(
        &self,
        psp: &PodSecurityPolicy,
        other: &PodSecurityPolicy,
        control: &dyn Control,
    ) -> Rc<[Probe]> {
        let key = (psp.name.clone(), other.name.clone(), control.name());
        let mut boundaries = self.boundaries.borrow_mut();
        let known = boundaries.entry(key).or_insert_with(|| {
            if is_no_boundary(psp, other, control) {
                return Rc::new([]);
            }
            let pod = witness::least(psp);
            let mut probes = control.probes(&other.spec);
            for it in control.probes(&psp.spec) {
                if !probes.contains(&it) {
                    probes.push(it);
                }
            }
            let beyond = probes.into_iter().filter(|it| {
                let pod = witness::probe(&pod, it);
                !witness::is_accepted_under(other, control, &pod)
                    && witness::is_accepted_under(psp, control, &pod)
            });
            beyond.collect()
        });
        Rc::clone(known)
    }

    /// What a search for refused pods finds, which is made once for the same policies and mutators.
    pub(super) fn refused(&self, search: &Directed<'_>) -> Rc<[Shown]> {
        let names = search.usable.iter().map(|it| it.name.clone());
        let mutations = search.mutations.iter();
        let mutations = mutations.map(|it| format!("{} {}", it.location, it.value));
        let key = (search.psp.name.clone(), names.chain(mutations).collect());
        let mut known = self.refused.borrow_mut();
        let res = known.entry(key);
        let search = || {
            let places = search.places.iter().copied();
            let from = witness::lacking(search.psp, &witness::least(search.psp), places);
            search.pods(from, Wanted::Refused).into()
        };
        Rc::clone(res.or_insert_with(search))
    }
}

/// Whether the other policy cannot but accept what the policy does under the control; a careful no is possible.
fn is_no_boundary(
    psp: &PodSecurityPolicy,
    other: &PodSecurityPolicy,
    control: &dyn Control,
) -> bool {
    if control.fills_in().is_empty() {
        return control.covers(&other.spec, &psp.spec);
    }
    let [own, of_other] = [psp, other].map(|it| {
        let parameters = control.parameters(&it.spec);
        (parameters, control.defaults(&it.spec, RELEASE))
    });
    own == of_other
}
