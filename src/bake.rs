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
use crate::api::core::{Pod, SECCOMP_POD, seccomp_field_for};
use crate::api::validation::API_SERVER;
use crate::api::workload::template_path;
use crate::input::{Inventory, Workload};
use crate::psp::{self, Outcome, PspAdmission};
use crate::requests::{OwnPod, own_pod};
use crate::verify::{Answerers, Answers};
use crate::version::Version;

mod edit;
mod patch;

pub use edit::{Edited, edit};
pub use patch::{apply, to_yaml};

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

/// Finds out what a workload lacks to pass without any default; `pod` is its own pod.
///
/// `answerers` must be PSP as in `psp`, and Gatekeeper without mutators.
///
/// # Errors
///
/// When an answer cannot be known.
pub fn bake<'a, A: Answerers>(
    inventory: &Inventory,
    psp: &PspAdmission<'_>,
    answerers: &A,
    kubernetes: Version,
    (workload, pod): (&'a Workload, OwnPod),
) -> Result<Baked<'a>, A::Error> {
    let baked = |result| Ok(Baked { workload, result });
    let refused = |reasons| BakeResult::Refused { reasons };
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
        return baked(refused(told(violations)));
    }
    let asked = &answers.asked.pod;
    if let Some(why) = patch::ambiguity(asked) {
        return not_judged(why);
    }
    let chosen = inventory.policies.iter().find(|it| it.name == policy);
    let mutated = chosen.map(|it| psp::mutate_pod(it, asked.clone()));
    let added = mutated.map_or_else(|| Ok(Map::new()), |it| added(asked, it, kubernetes));
    let added = match added {
        Ok(added) => added,
        Err(reasons) => return baked(BakeResult::Insufficient { policy, reasons }),
    };
    let (reasons, patch) = if added.is_empty() {
        (what_still_fails(psp, &answers), None)
    } else {
        let patch = patch::document(&workload.object, template_path(&workload.kind), added);
        let mut object = workload.object.clone();
        apply(&mut object, &patch);
        let reasons = match own_pod(&object) {
            Some(pod) => {
                let request = in_namespace(workload, pod).request;
                if let Some(answers) = answerers.ask(&request)? {
                    what_still_fails(psp, &answers)
                } else {
                    let why = refused_by_itself(answerers, &request);
                    vec![format!("{API_SERVER}: {why}")]
                }
            }
            None => vec![NO_POD.to_owned()],
        };
        (reasons, Some(patch))
    };
    baked(match (reasons.is_empty(), patch) {
        (false, _) => BakeResult::Insufficient { policy, reasons },
        (true, Some(patch)) => BakeResult::Patched { policy, patch },
        (true, None) => BakeResult::Complete { policy },
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

/// Why the pod would not pass with nothing to fill anything in; empty where it would.
fn what_still_fails(psp: &PspAdmission<'_>, answers: &Answers) -> Vec<String> {
    let (Verdict::Admitted { .. }, Some(policy)) = (&answers.psp, &answers.policy) else {
        return match &answers.psp {
            Verdict::Forbidden { violations } => told(violations),
            Verdict::Admitted { .. } => Vec::new(),
        };
    };
    let mut trials = psp.trials(&answers.asked).into_iter();
    let mut res: Vec<String> = match trials.find(|it| it.policy == *policy).map(|it| it.outcome) {
        Some(Outcome::Defaulted(changes)) => changes
            .iter()
            .map(|it| format!("{policy}: would still fill in {}: {}", it.path, it.value))
            .collect(),
        _ => Vec::new(),
    };
    if let Verdict::Forbidden { violations } = &answers.gatekeeper {
        res.extend(told(violations));
    }
    res
}

fn told(violations: &[Violation]) -> Vec<String> {
    let violations = violations.iter();
    violations
        .map(|it| format!("{}: {}", it.by, it.message))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A cluster whose only policy drops `KILL`, for everybody.
    fn inventory() -> Inventory {
        let text = "{apiVersion: policy/v1beta1, kind: PodSecurityPolicy, metadata: {name: p}, spec: {\
            requiredDropCapabilities: [KILL], runAsUser: {rule: RunAsAny}, seLinux: {rule: RunAsAny}, \
            supplementalGroups: {rule: RunAsAny}, fsGroup: {rule: RunAsAny}}}";
        let source = crate::input::Source {
            name: "-".to_owned(),
            text: text.to_owned(),
        };
        let options = crate::input::LoadOptions {
            proc_mount_type: false,
        };
        let (mut inventory, _) = crate::input::load(&[source], options).unwrap();
        crate::resolve::assume_everybody(&mut inventory);
        inventory
    }

    #[track_caller]
    fn check(capabilities: &Value, gatekeeper: Verdict, expected: &[&str]) {
        let container = json!({ "name": "c", "securityContext": { "capabilities": capabilities } });
        let pod = json!({ "spec": { "serviceAccountName": "s", "containers": [container] } });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let inventory = inventory();
        let answers = Answers {
            asked: AdmissionRequest {
                namespace: "shop".to_owned(),
                pod: pod.clone(),
                ..AdmissionRequest::default()
            },
            psp: Verdict::Admitted { pod },
            policy: Some("p".to_owned()),
            gatekeeper,
            reset: None,
        };
        let psp = PspAdmission::new(&inventory);
        assert_eq!(what_still_fails(&psp, &answers), expected);
    }

    #[test]
    fn a_pod_passes_that_nobody_changes_or_forbids() {
        let admitted = || Verdict::Admitted {
            pod: Pod::default(),
        };
        let forbidden = Verdict::Forbidden {
            violations: vec![Violation {
                by: "K/c".to_owned(),
                message: "no".to_owned(),
            }],
        };
        let drops = || json!({ "drop": ["KILL"] });
        check(&drops(), admitted(), &[]);
        check(&drops(), forbidden, &["K/c: no"]);
        let change = "p: would still fill in spec.containers[0].securityContext.capabilities.drop: [\"KILL\"]";
        check(&json!({}), admitted(), &[change]);
    }
}
