//! The PSP plugin and Gatekeeper, put together so that they can be asked the same.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::admission::{AdmissionRequest, Operation, Verdict, Violation};
use crate::api::apparmor;
use crate::api::core::{Pod, strings};
use crate::api::policy::PodSecurityPolicy;
use crate::api::seccomp;
use crate::api::validation::{self, API_SERVER, OF_PSP};
use crate::bake::{additions, apply};
use crate::controls::apparmor::name_unset_profiles;
use crate::controls::{CONTROLS, Control};
use crate::gatekeeper::{
    self, ConstraintViolation, EnforcementAction, GatekeeperAdmission, ReviewError,
};
use crate::input::Inventory;
use crate::loss::Direction;
use crate::manifest::Manifest;
use crate::psp::{self, PLUGIN, PSP_ANNOTATION, Phase, PspAdmission};
use crate::requests::prepare;
use crate::verify::{Answerers, Answers, Tried, differences, taking};
use crate::version::Version;
use crate::witness::reshape;

/// Why no side is asked about an update of such a pod.
const NEVER_STORED: &str =
    "no API server stored such an old pod: its seccomp annotations and fields differ";

/// Both sides.
pub(super) struct Both<'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) psp: PspAdmission<'a>,
    pub(super) gatekeeper: GatekeeperAdmission,
    /// What would be written now, if that is not what is judged.
    pub(super) now: Option<GatekeeperAdmission>,
    /// Whether a violation counts whatever its constraint does about it.
    pub(super) as_if_deny: bool,
}

impl<'a> Both<'a> {
    /// Puts together what the manifests say, whatever their constraints do about a violation.
    ///
    /// # Errors
    ///
    /// When a manifest cannot be judged.
    pub(super) fn as_if_deny(
        inventory: &'a Inventory,
        manifests: &[Manifest],
        kubernetes: Version,
    ) -> Result<Self, ReviewError> {
        Ok(Self {
            inventory,
            psp: PspAdmission::new(inventory),
            gatekeeper: gatekeeper(inventory, manifests, kubernetes)?,
            now: None,
            as_if_deny: true,
        })
    }
}

/// Loads the manifests into a Gatekeeper that knows the namespaces of the input, on a cluster of that release.
///
/// # Errors
///
/// When a manifest cannot be judged.
pub(super) fn gatekeeper(
    inventory: &Inventory,
    manifests: &[Manifest],
    kubernetes: Version,
) -> Result<GatekeeperAdmission, ReviewError> {
    let res = GatekeeperAdmission::from_manifests(manifests, &inventory.namespaces)?;
    Ok(res.on(kubernetes))
}

impl Both<'_> {
    /// The request as admission sees it.
    pub(super) fn prepare(&self, request: &AdmissionRequest) -> AdmissionRequest {
        prepare(self.inventory, request.clone())
    }

    /// The request's pod as the API server under Gatekeeper writes it.
    fn read(&self, asked: &AdmissionRequest) -> Result<Pod, ReviewError> {
        GatekeeperAdmission::read(asked, self.gatekeeper.kubernetes())
    }

    /// The pod as it would be stored, for a comparison: without the name of a policy, with lists of capabilities in one order, and
    /// with AppArmor profiles in one place where the API server under Gatekeeper knows two; also those that it does not name, because
    /// a container that is not privileged runs under `runtime/default` without.
    fn stored(&self, asked: &AdmissionRequest, mut pod: Pod) -> Result<Pod, ReviewError> {
        pod.remove(&["metadata", "annotations", PSP_ANNOTATION]);
        for at in pod.container_refs() {
            for key in ["add", "drop"] {
                let own = pod.container(at).and_then(|it| it.own("capabilities"));
                if let Some(names) = own.and_then(|it| it.get(key)).filter(|it| it.is_array()) {
                    let mut names = strings(Some(names));
                    names.sort_unstable();
                    let names = json!(names);
                    let path = ["securityContext", "capabilities", key];
                    pod.set_in_container(at, &path, names);
                }
            }
        }
        if self.gatekeeper.kubernetes() >= apparmor::FIELD_SINCE {
            name_unset_profiles(&mut pod);
            apparmor::move_to_containers(&mut pod);
        }
        let mut res = self.read(&AdmissionRequest {
            pod,
            ..asked.clone()
        })?;
        // An API server that knows no field for the profile has dropped it now.
        name_unset_profiles(&mut res);
        Ok(res)
    }

    /// Why the API server under Gatekeeper refuses the request as it is sent, so that neither side is asked.
    fn unasked(&self, asked: &AdmissionRequest) -> Option<String> {
        if let Err(error) = self.read(asked) {
            return Some(match error {
                ReviewError::Refused { reason } => reason,
                error => error.to_string(),
            });
        }
        if !asked.old_pod.as_ref().is_none_or(is_stored) {
            return Some(NEVER_STORED.to_owned());
        }
        let mut as_sent = asked.pod.clone();
        self.between(asked, &mut as_sent);
        refusal(asked, &as_sent, self.gatekeeper.kubernetes())
    }

    fn ask_psp(&self, asked: &AdmissionRequest) -> Result<(Verdict, Option<String>), ReviewError> {
        let psp::Review {
            admit,
            validate,
            pod,
        } = self.psp.review(asked);
        let policy = [&admit, &validate].into_iter().find_map(Phase::policy);
        let policy = policy.map(str::to_owned);
        for phase in [admit, validate] {
            if let Phase::Refused {
                mut violations,
                message,
            } = phase
            {
                if violations.is_empty() {
                    let by = PLUGIN.to_owned();
                    violations.push(Violation { by, message });
                }
                return Ok((Verdict::Forbidden { violations }, None));
            }
        }
        if let Some(verdict) = unless_stored(asked, &pod, OF_PSP) {
            return Ok((verdict, policy));
        }
        let pod = self.stored(asked, pod)?;
        Ok((Verdict::Admitted { pod }, policy))
    }

    /// Whether a policy that can be used accepts the pod as it is stored; without an AppArmor profile it runs under that of the runtime.
    fn accepts_as_stored(&self, asked: &AdmissionRequest, mut pod: Pod) -> bool {
        apparmor::annotate(&mut pod);
        name_unset_profiles(&mut pod);
        let stored = AdmissionRequest {
            pod,
            ..asked.clone()
        };
        self.psp.validate_only(&stored).is_allowed()
    }

    fn ask_gatekeeper(
        &self,
        gatekeeper: &GatekeeperAdmission,
        asked: &AdmissionRequest,
    ) -> Result<(Verdict, Pod), ReviewError> {
        let gatekeeper::Review {
            pod,
            violations,
            error,
            ..
        } = gatekeeper.review_with(asked, |mut pod| {
            self.between(asked, &mut pod);
            pod
        })?;
        if error.is_none() && self.admits(&violations) {
            if let Some(verdict) = unless_stored(asked, &pod, gatekeeper.kubernetes()) {
                return Ok((verdict, pod));
            }
            let stored = self.stored(asked, pod.clone())?;
            return Ok((Verdict::Admitted { pod: stored }, pod));
        }
        let mut violations: Vec<_> = violations
            .into_iter()
            .map(|it| Violation {
                by: it.constraint,
                message: it.message,
            })
            .collect();
        violations.extend(error.map(|message| Violation {
            by: "Gatekeeper".to_owned(),
            message,
        }));
        Ok((Verdict::Forbidden { violations }, pod))
    }

    /// Does to a pod what the API server under Gatekeeper does between the two webhooks.
    ///
    /// It keeps annotation and field of seccomp together as releases up to 1.26 do, also for a later one, which reads the field alone.
    pub(super) fn between(&self, asked: &AdmissionRequest, pod: &mut Pod) {
        self.psp
            .prepare_on(self.gatekeeper.kubernetes(), asked, pod);
    }

    /// Whether these violations forbid nothing.
    fn admits(&self, violations: &[ConstraintViolation]) -> bool {
        let denies = |it: &ConstraintViolation| {
            self.as_if_deny || it.enforcement_action == EnforcementAction::Deny
        };
        !violations.iter().any(denies)
    }

    fn policy(&self, name: &str) -> Option<&PodSecurityPolicy> {
        self.inventory.policies.iter().find(|it| it.name == name)
    }
}

impl Answerers for Both<'_> {
    type Error = ReviewError;

    fn ask(&self, request: &AdmissionRequest) -> Result<Option<Answers>, ReviewError> {
        let asked = self.prepare(request);
        if self.unasked(&asked).is_some() {
            return Ok(None);
        }
        let (psp, policy) = self.ask_psp(&asked)?;
        let (gatekeeper, stored) = self.ask_gatekeeper(&self.gatekeeper, &asked)?;
        let mut res = Answers {
            asked,
            psp,
            policy,
            gatekeeper,
            is_stored_pod_accepted: false,
        };
        if res.direction() == Some(Direction::Looser) {
            res.is_stored_pod_accepted = self.accepts_as_stored(&res.asked, stored);
        }
        Ok(Some(res))
    }

    fn refused_as_sent(&self, request: &AdmissionRequest) -> Option<String> {
        self.unasked(&self.prepare(request))
    }

    fn tried(&self, request: &AdmissionRequest) -> Vec<Tried> {
        let asked = self.prepare(request);
        let trials = self.psp.trials(&asked).into_iter();
        let policies = trials.filter_map(|it| self.policy(&it.policy));
        policies.map(|it| tried(it, &asked.pod)).collect()
    }

    fn filled_in(
        &self,
        request: &AdmissionRequest,
        policy: &str,
        controls: &BTreeSet<&str>,
    ) -> AdmissionRequest {
        let mut res = self.prepare(request);
        if res.operation == Operation::Create
            && let Some(psp) = self.policy(policy)
        {
            fill_in(psp, &mut res.pod, |it| controls.contains(it.name()));
        }
        res
    }

    fn mutated(&self, request: &AdmissionRequest) -> Result<Option<Pod>, ReviewError> {
        let Some(mutated) = unless_refused(self.gatekeeper.mutate(request))? else {
            return Ok(None);
        };
        // An API server writes more than mutators do, such as an empty status.
        let read = GatekeeperAdmission::read(request, self.gatekeeper.kubernetes())?;
        let mut pod = Value::Object(request.pod.0.clone());
        apply(&mut pod, &Value::Object(additions(&read.0, &mutated.pod.0)));
        Ok(match pod {
            Value::Object(pod) => Some(Pod(pod)),
            _ => None,
        })
    }

    fn missing(
        &self,
        request: &AdmissionRequest,
        policy: &str,
    ) -> Result<BTreeSet<&'static str>, ReviewError> {
        let asked = self.prepare(request);
        let (Some(mutated), Some(psp)) = (
            unless_refused(self.gatekeeper.mutate(&asked))?,
            self.policy(policy),
        ) else {
            return Ok(BTreeSet::new());
        };
        let mut after = mutated.pod;
        self.between(&asked, &mut after);
        apparmor::annotate(&mut after);
        let before = reshape::admitted(psp, &asked.pod);
        let kubernetes = self.gatekeeper.kubernetes();
        let defaults = CONTROLS.iter();
        let defaults = defaults.flat_map(|it| it.defaults(&psp.spec, kubernetes));
        let missing =
            defaults.filter(|it| reshape::at(&before, it.place) != reshape::at(&after, it.place));
        Ok(missing.map(|it| it.field).collect())
    }

    fn mutators_fill_in(
        &self,
        request: &AdmissionRequest,
    ) -> Result<BTreeSet<&'static str>, ReviewError> {
        let asked = self.prepare(request);
        let mutated = unless_refused(self.gatekeeper.mutate(&asked))?;
        let before = self.read(&asked)?;
        let all = mutated.iter().flat_map(|it| differences(&before, &it.pod));
        Ok(all.filter_map(|it| self.control_of(&it.path)).collect())
    }

    fn admits_with(
        &self,
        request: &AdmissionRequest,
        pod: &Pod,
        controls: &BTreeSet<&str>,
    ) -> Result<bool, ReviewError> {
        let asked = self.prepare(request);
        let Some(mutated) = unless_refused(self.gatekeeper.mutate(&asked))? else {
            return Ok(false);
        };
        let of_these = |path: &str| {
            self.control_of(path)
                .is_some_and(|it| controls.contains(it))
        };
        let mut pod = taking(&mutated.pod, pod, of_these);
        self.between(&asked, &mut pod);
        if unless_stored(&asked, &pod, self.gatekeeper.kubernetes()).is_some() {
            return Ok(false);
        }
        let violations = self.gatekeeper.validate(&AdmissionRequest { pod, ..asked });
        Ok(unless_refused(violations)?.is_some_and(|it| self.admits(&it)))
    }

    fn is_as_declared(&self, answers: &Answers) -> Result<bool, ReviewError> {
        let Some(now) = &self.now else {
            return Ok(true);
        };
        let (now, _) = self.ask_gatekeeper(now, &answers.asked)?;
        Ok(match (&now, &answers.gatekeeper) {
            (Verdict::Admitted { pod }, Verdict::Admitted { pod: other }) => pod == other,
            (Verdict::Forbidden { .. }, Verdict::Forbidden { .. }) => true,
            _ => false,
        })
    }

    fn control_of(&self, path: &str) -> Option<&'static str> {
        let fills_in = |control: &&&dyn Control| {
            let mut members = control.fills_in().iter();
            members.any(|it| path.contains(&format!(".{it}")) || path.contains(&format!("[{it}")))
        };
        CONTROLS.iter().find(fills_in).map(|it| it.name())
    }
}

/// Nothing where the request is refused with an error.
fn unless_refused<T>(res: Result<T, ReviewError>) -> Result<Option<T>, ReviewError> {
    match res {
        Ok(it) => Ok(Some(it)),
        Err(ReviewError::Refused { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why the API server of that release refuses a new pod, in its words.
fn refusal(asked: &AdmissionRequest, pod: &Pod, kubernetes: Version) -> Option<String> {
    let is_new = asked.operation == Operation::Create && asked.subresource.is_empty();
    let refusal = validation::refusal(pod, kubernetes).filter(|_| is_new)?;
    Some(refusal.to_string())
}

/// The answer where the API server of that release refuses what admission made of a new pod.
fn unless_stored(asked: &AdmissionRequest, pod: &Pod, kubernetes: Version) -> Option<Verdict> {
    let message = refusal(asked, pod, kubernetes)?;
    let by = API_SERVER.to_owned();
    let violations = vec![Violation { by, message }];
    Some(Verdict::Forbidden { violations })
}

/// Whether an API server could have stored the pod: seccomp annotations and fields go together.
fn is_stored(pod: &Pod) -> bool {
    let mut synced = pod.clone();
    seccomp::sync(&mut synced);
    synced == *pod
}

/// What a policy makes of a pod, by control.
fn tried(psp: &PodSecurityPolicy, pod: &Pod) -> Tried {
    let mut mutated = pod.clone();
    let fills_in = fill_in(psp, &mut mutated, |_| true);
    let refuses = CONTROLS
        .iter()
        .filter(|it| !it.validate(psp, &mutated).is_empty());
    Tried {
        policy: psp.name.clone(),
        fills_in,
        refuses: refuses.map(|it| it.name()).collect(),
    }
}

/// Fills in what those controls default, in the order of the plugin; returns the names of those that had something to fill in.
fn fill_in(
    psp: &PodSecurityPolicy,
    pod: &mut Pod,
    takes_part: impl Fn(&dyn Control) -> bool,
) -> BTreeSet<&'static str> {
    let mut res = BTreeSet::new();
    let controls = || CONTROLS.iter().filter(|it| takes_part(**it));
    let mut note = |control: &&dyn Control, before: &Pod, after: &Pod| {
        if before != after {
            res.insert(control.name());
        }
    };
    for control in controls() {
        let before = pod.clone();
        control.mutate_pod(psp, pod);
        note(control, &before, pod);
    }
    for at in pod.container_refs() {
        for control in controls() {
            let before = pod.clone();
            control.mutate_container(psp, pod, at);
            note(control, &before, pod);
        }
    }
    res
}
