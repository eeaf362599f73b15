//! What PSP would fill in becomes explicit in the workloads, so that they pass where nothing fills anything in.
//!
//! The pod of a workload is asked for as its controller does.
//! What the policy that admits it would write becomes a strategic-merge patch of the template that the pod is made from.
//! Then the patched workload is asked for again: PSP must admit its pod without a change, and Gatekeeper as well.
//!
//! What an API server refuses is not written: a pod for Windows may not have most of what PSP fills in, so that PSP never
//! admitted one that it had to change.
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`: PSP only adds, so that a patch never takes anything away.
//!
//! A seccomp profile is written where the API server has it in a stored pod: in the annotation, which PSP reads, and in the field,
//! which is all that Kubernetes reads since 1.27.
//! An AppArmor profile is an annotation for each container; from Kubernetes 1.30 on, where a stored pod has both, also a field of
//! the container.

use serde_json::{Map, Value};

use crate::admission::{AdmissionRequest, Verdict, Violation};
use crate::api::apparmor;
use crate::api::core::{Pod, RUNTIME_DEFAULT, SECCOMP_POD, seccomp_field_for};
use crate::api::validation::API_SERVER;
use crate::api::workload::template_path;
use crate::controls::apparmor::{is_unset, name_unset_profiles};
use crate::input::{Inventory, Workload};
use crate::psp::{self, Change, Outcome, PspAdmission};
use crate::requests::{OwnPod, own_pod};
use crate::verify::{Answerers, Answers, differences};
use crate::version::Version;

mod edit;
mod patch;

pub use edit::{Edited, edit};
pub use patch::{additions, apply, to_yaml};

/// A workload, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Baked<'a> {
    /// The workload as it stands in the input.
    pub workload: &'a Workload,
    /// What became of it.
    pub result: BakeResult,
}

/// What becomes of a workload.
#[derive(Clone, Debug, PartialEq)]
pub enum BakeResult {
    /// Its pods pass as they are.
    Complete {
        /// The policy that admits them.
        policy: String,
    },
    /// Its pods pass once it is patched.
    Patched {
        /// The policy whose defaults the patch has.
        policy: String,
        /// The strategic-merge patch: `apiVersion`, `kind`, the name and what is added.
        patch: Value,
    },
    /// An API server refuses its pods, as they are or with what PSP fills in, so that no policy decides about them.
    NotJudged {
        /// Why, at least one reason in the words of the API server.
        reasons: Vec<String>,
    },
    /// Its pods are not admitted today, so that there is nothing to make explicit.
    Refused {
        /// Why not, at least one reason.
        reasons: Vec<String>,
    },
    /// Its pods are admitted today, and would not be without defaults even if they were explicit.
    Insufficient {
        /// The policy that admits them today.
        policy: String,
        /// Why not, at least one reason.
        reasons: Vec<String>,
    },
}

/// What decides over the patches.
#[derive(Clone, Copy, Debug)]
pub struct BakeOptions {
    /// The release of Kubernetes that the workloads run on.
    pub kubernetes: Version,
    /// Whether the constraint demands an AppArmor profile where PSP would have set `runtime/default`.
    pub strict_app_armor: bool,
}

/// How often PSP and the mutators are asked in turn; most often the first time is enough.
const MOST_ROUNDS: usize = 4;

/// Finds out what a workload lacks to pass as it stands; `pod` is its own pod.
///
/// What is made explicit is what the mutators of Gatekeeper would write, at the same places, and what PSP sets besides.
/// `answerers` must be PSP as in `psp`, and Gatekeeper with the mutators of the output.
///
/// # Errors
///
/// When an answer cannot be known.
pub fn bake<'a, A: Answerers>(
    inventory: &Inventory,
    psp: &PspAdmission<'_>,
    answerers: &A,
    options: BakeOptions,
    (workload, pod): (&'a Workload, OwnPod),
) -> Result<Baked<'a>, A::Error> {
    let baked = |result| Ok(Baked { workload, result });
    let not_judged = |reason| {
        baked(BakeResult::NotJudged {
            reasons: vec![reason],
        })
    };
    let request = in_namespace(workload, pod).request;
    let Some(answers) = answerers.ask(&request)? else {
        return not_judged(refused_by_itself(answerers, &request));
    };
    let policy = answers.policy.clone().unwrap_or_default();
    if let Some(why) = answers.undecided() {
        return not_judged(format!("with the defaults of {policy}: {why}"));
    }
    if let Verdict::Forbidden { violations } = &answers.psp {
        return baked(BakeResult::Refused {
            reasons: told(violations),
        });
    }
    if let Some(why) = patch::ambiguity(&answers.asked.pod) {
        return not_judged(why);
    }
    let bake = Bake {
        inventory,
        psp,
        answerers,
        options,
        workload,
    };
    // Where mutators and PSP do not agree, what PSP sets is tried alone.
    let with_mutators = bake.completed(&answers.asked, true)?;
    let result = bake.patched(&answers, &policy, with_mutators)?;
    if !matches!(result, BakeResult::Insufficient { .. }) {
        return baked(result);
    }
    let alone = bake.completed(&answers.asked, false)?;
    baked(bake.patched(&answers, &policy, alone)?)
}

/// A workload, and who is asked about it.
struct Bake<'b, 'p, A> {
    inventory: &'b Inventory,
    psp: &'b PspAdmission<'p>,
    answerers: &'b A,
    options: BakeOptions,
    workload: &'b Workload,
}

impl<A: Answerers> Bake<'_, '_, A> {
    /// The pod with all that is set in it, until neither PSP nor the mutators change it any more.
    fn completed(&self, asked: &AdmissionRequest, by_mutators: bool) -> Result<Pod, A::Error> {
        let mut request = asked.clone();
        for _ in 0..MOST_ROUNDS {
            let before = request.pod.clone();
            if by_mutators && let Some(pod) = self.answerers.mutated(&request)? {
                request.pod = pod;
            }
            let review = self.psp.review(&request);
            let policies = self.inventory.policies.iter();
            let chosen = review.admit.policy();
            if let Some(chosen) = policies
                .into_iter()
                .find(|it| Some(it.name.as_str()) == chosen)
            {
                request.pod = psp::mutate_pod(chosen, request.pod);
            }
            if request.pod == before {
                break;
            }
        }
        Ok(request.pod)
    }

    /// Patches the workload so that its pod is that one, and asks for it again.
    fn patched(
        &self,
        answers: &Answers,
        policy: &str,
        completed: Pod,
    ) -> Result<BakeResult, A::Error> {
        let policy = policy.to_owned();
        let mut asked = answers.asked.pod.clone();
        if !self.options.strict_app_armor {
            // What a container has anyhow is not written.
            name_unset_profiles(&mut asked);
        }
        let mut completed = completed;
        if !self.options.strict_app_armor {
            name_unset_profiles(&mut completed);
        }
        let added = match added(&asked, completed, self.options.kubernetes) {
            Ok(added) => added,
            Err(reasons) => return Ok(BakeResult::Insufficient { policy, reasons }),
        };
        let (reasons, patch) = if added.is_empty() {
            (self.what_still_fails(answers), None)
        } else {
            let path = template_path(&self.workload.kind);
            let written = patch::document(&self.workload.object, path, added);
            let mut object = self.workload.object.clone();
            apply(&mut object, &written);
            (self.what_fails_of(&object)?, Some(written))
        };
        Ok(match (reasons.is_empty(), patch) {
            (false, _) => BakeResult::Insufficient { policy, reasons },
            (true, Some(patch)) => BakeResult::Patched { policy, patch },
            (true, None) => BakeResult::Complete { policy },
        })
    }

    /// Why the pods of a patched workload would not pass as they stand; empty where they would.
    fn what_fails_of(&self, object: &Value) -> Result<Vec<String>, A::Error> {
        let Some(pod) = own_pod(object) else {
            return Ok(vec![NO_POD.to_owned()]);
        };
        let request = in_namespace(self.workload, pod).request;
        let Some(answers) = self.answerers.ask(&request)? else {
            let why = refused_by_itself(self.answerers, &request);
            return Ok(vec![format!("{API_SERVER}: {why}")]);
        };
        Ok(self.what_still_fails(&answers))
    }

    /// Why the pod would not pass as it stands, or would still be changed; empty where neither is so.
    fn what_still_fails(&self, answers: &Answers) -> Vec<String> {
        let (Verdict::Admitted { .. }, Some(policy)) = (&answers.psp, &answers.policy) else {
            return match &answers.psp {
                Verdict::Forbidden { violations } => told(violations),
                Verdict::Admitted { .. } => Vec::new(),
            };
        };
        let mut trials = self.psp.trials(&answers.asked).into_iter();
        let pod = &answers.asked.pod;
        let mut res: Vec<String> = match trials.find(|it| it.policy == *policy).map(|it| it.outcome)
        {
            Some(Outcome::Defaulted(changes)) => changes
                .iter()
                .filter(|it| self.options.strict_app_armor || !names_what_is_unset(pod, it))
                .map(|it| format!("{policy}: would still set {}: {}", it.path, it.value))
                .collect(),
            _ => Vec::new(),
        };
        if let Verdict::Forbidden { violations } = &answers.gatekeeper {
            res.extend(told(violations));
        }
        if let Some((one, other)) = answers.pods() {
            let differing = differences(one, other).into_iter();
            res.extend(
                differing.map(|it| format!("Gatekeeper: would still store {} otherwise", it.path)),
            );
        }
        res
    }
}

/// Whether the change writes `runtime/default` for a container without a profile, which has that anyhow.
fn names_what_is_unset(pod: &Pod, change: &Change) -> bool {
    change.value == RUNTIME_DEFAULT
        && pod.containers().filter(is_unset).any(|it| {
            let key = apparmor::annotation_key(it.name());
            change.path == format!("metadata.annotations[{key}]")
        })
}

/// Returns why an API server lets nobody change what the pods of an existing object of that kind are made from; nothing where it
/// lets them.
///
/// Kubernetes 1.24 to 1.37, `pkg/apis/batch/validation/validation.go`, `validatePodTemplateUpdate`: of the template of a Job nothing
/// may change while it runs, and no field of its security ever.
/// `pkg/apis/core/validation/validation.go`, `ValidatePodUpdate`: no field of a Pod's security may change, nor may an annotation of
/// AppArmor be added.
/// The templates of a CronJob and of all other kinds may change.
pub fn immutable(kind: &str) -> Option<&'static str> {
    match kind {
        "Job" => Some("spec.template of a Job is immutable: delete and create it again"),
        "Pod" => Some("spec of a Pod is immutable: delete and create it again"),
        _ => None,
    }
}

/// The reason where a patch leaves no pod to be asked about.
const NO_POD: &str = "nothing is left that pods are made from";

/// Why an API server refuses a request that neither side is asked about.
fn refused_by_itself<A: Answerers>(answerers: &A, request: &AdmissionRequest) -> String {
    match answerers.refused_as_sent(request) {
        Some(why) => why,
        None => "before any policy is asked".to_owned(),
    }
}

/// The pod in the namespace that the workload counts in, which its manifest need not have.
fn in_namespace(workload: &Workload, mut pod: OwnPod) -> OwnPod {
    pod.request.namespace.clone_from(&workload.namespace);
    pod
}

/// What is added to a pod that PSP has mutated, and the fields that go with annotations in it.
///
/// # Errors
///
/// Where a field says otherwise than the annotation that PSP, which does not know the field, writes.
fn added(
    pod: &Pod,
    mut mutated: Pod,
    kubernetes: Version,
) -> Result<Map<String, Value>, Vec<String>> {
    let is_new = |it: &Pod, key: &str| pod.annotation(key) != it.annotation(key);
    if is_new(&mutated, SECCOMP_POD)
        && mutated.security("seccompProfile").is_none()
        && let Some(field) = mutated.annotation(SECCOMP_POD).and_then(seccomp_field_for)
    {
        mutated.set_security("seccompProfile", field);
    }
    let mut conflicts = Vec::new();
    for at in mutated.container_refs() {
        let Some(container) = mutated.container(at) else {
            continue;
        };
        let key = apparmor::annotation_key(container.name());
        if kubernetes < apparmor::FIELD_SINCE || !is_new(&mutated, &key) {
            continue;
        }
        let profile = container.app_armor_profile();
        let field = apparmor::field_for(profile);
        if container
            .own(apparmor::FIELD)
            .is_some_and(|it| Some(it) != field.as_ref())
        {
            let path = container.security_path(apparmor::FIELD);
            conflicts.push(format!(
                "{path} is not the default `{profile}`, which PodSecurityPolicy writes as an annotation; from Kubernetes {} on the two must not differ",
                apparmor::FIELD_SINCE
            ));
        } else if let Some(field) = field
            && container.effective(apparmor::FIELD) != Some(&field)
        {
            mutated.set_container_security(at, apparmor::FIELD, field);
        }
    }
    if conflicts.is_empty() {
        Ok(patch::additions(&pod.0, &mutated.0))
    } else {
        Err(conflicts)
    }
}

fn told(violations: &[Violation]) -> Vec<String> {
    let violations = violations.iter();
    violations
        .map(|it| format!("{}: {}", it.by, it.message))
        .collect()
}
