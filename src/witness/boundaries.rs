//! Pods that one policy accepts and others do not.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::samples;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::probe::Probe;
use crate::controls::{CONTROLS, Control};
use crate::version::Version;

/// The release for which defaults are compared; any would do.
const RELEASE: Version = Version::new(1, 24);

/// What is known of the boundaries between policies, and pods beyond them.
#[derive(Debug, Default)]
pub struct Boundaries {
    /// By the policy that accepts it, the other one, and the control.
    boundaries: Known<(String, String, &'static str), [Probe]>,
    /// By the policy that accepts it, the control for which nothing is said, if any, and all policies.
    made: Known<(String, Option<&'static str>, Vec<String>), Made>,
}

type Known<K, V> = RefCell<BTreeMap<K, Rc<V>>>;

/// A pod that is unlike those that other policies accept.
#[derive(Debug)]
pub struct Made {
    /// The pod.
    pub pod: Pod,
    /// The controls by which they refuse it: leaving aside any other makes no difference.
    pub by: BTreeSet<&'static str>,
}

impl Boundaries {
    /// A pod that the policy accepts, once it has filled in its defaults, and that as many of the others refuse as can be.
    ///
    /// What another one refuses is beyond the boundaries that it draws, those for one control aside.
    pub fn pod(
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
        let mut res = samples::least(psp);
        let mut by = BTreeSet::new();
        let others = usable.iter().filter(|it| it.name != psp.name);
        // What keeps one out may let another in again.
        for other in others.clone().chain(others) {
            if !samples::is_accepted(other, &res) {
                continue;
            }
            let mut controls = CONTROLS.iter().filter(|it| Some(it.name()) != but);
            let beyond = controls.find_map(|control| {
                let probes = self.boundary(psp, other, *control);
                let mut pods = probes.iter().map(|it| samples::probe(&res, it));
                let pod = pods.find(|it| {
                    !samples::is_accepted_under(other, *control, it)
                        && samples::is_accepted(psp, it)
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
    pub fn boundary(
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
            let pod = samples::least(psp);
            let mut probes = control.probes(&other.spec);
            for it in control.probes(&psp.spec) {
                if !probes.contains(&it) {
                    probes.push(it);
                }
            }
            let beyond = probes.into_iter().filter(|it| {
                let pod = samples::probe(&pod, it);
                !samples::is_accepted_under(other, control, &pod)
                    && samples::is_accepted_under(psp, control, &pod)
            });
            beyond.collect()
        });
        Rc::clone(known)
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
