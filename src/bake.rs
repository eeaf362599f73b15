//! What PSP would fill in becomes explicit in the workloads, so that they pass where nothing fills anything in.
//!
//! The pod of a workload is asked for as its controller does.
//! What the policy that admits it would write becomes a strategic-merge patch of the template that the pod is made from.
//! Then the patched workload is asked for again: PSP must admit its pod without a change, and Gatekeeper as well.
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`: PSP only adds, so that a patch never takes anything away.
//!
//! A seccomp profile is written where the API server has it in a stored pod: in the annotation, which PSP reads, and in the field,
//! which is all that Kubernetes reads since 1.27.
//! An AppArmor profile is an annotation for each container; from Kubernetes 1.30 on, where a stored pod has both, also a field of
//! the container.
//! Where the constraint takes a container without a profile for one with `runtime/default`, nothing is written: that annotation is
//! the one change that PSP may still make.

use serde_json::{Map, Value};

use crate::admission::{Verdict, Violation};
use crate::api::apparmor;
use crate::api::core::{Pod, RUNTIME_DEFAULT, SECCOMP_POD, seccomp_field_for};
use crate::controls::apparmor::{is_unset, name_unset_profiles, unset_is_runtime_default};
use crate::input::{Inventory, Workload};
use crate::psp::{self, Change, Outcome, PspAdmission};
use crate::requests::{OwnPod, own_pod, template_path};
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

/// What the caller decides.
#[derive(Clone, Copy, Debug)]
pub struct BakeOptions {
    /// The release of Kubernetes that the workloads are to run on.
    pub kubernetes: Version,
    /// Whether a container must name its AppArmor profile also where PSP would have written `runtime/default`.
    pub strict_app_armor: bool,
}

/// Finds out what a workload lacks to pass without any default; `pod` is its own pod.
///
/// `answerers` must be PSP as in `psp`, and Gatekeeper without mutators, planned with the same options.
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
    let refused = |reasons| BakeResult::Refused { reasons };
    let Some(answers) = answerers.ask(&in_namespace(workload, pod).request)? else {
        return baked(refused(vec![NOT_A_POD.to_owned()]));
    };
    let policy = match (&answers.psp, &answers.policy) {
        (Verdict::Forbidden { violations }, _) => return baked(refused(told(violations))),
        (Verdict::Admitted { .. }, policy) => policy.as_deref().unwrap_or_default(),
    };
    let asked = &answers.asked.pod;
    if let Some(why) = patch::ambiguity(asked) {
        let reason = format!("an API server refuses the pod: {why}");
        return baked(refused(vec![reason]));
    }
    let chosen = inventory.policies.iter().find(|it| it.name == policy);
    let mutated = chosen.map_or_else(|| asked.clone(), |it| psp::mutate_pod(it, asked.clone()));
    let complete = |pod: &Pod| {
        let added = added(pod, mutated.clone(), options.kubernetes);
        complete(psp, answerers, options, workload, &answers, added)
    };
    if !options.strict_app_armor && chosen.is_some_and(|it| unset_is_runtime_default(&it.spec)) {
        let mut named = asked.clone();
        name_unset_profiles(&mut named);
        let result = complete(&named)?;
        if !matches!(result, BakeResult::Insufficient { .. }) {
            return baked(result);
        }
        // What PSP would still write may make another policy decide; then all of it is made explicit.
    }
    baked(complete(asked)?)
}

/// Patches a workload with what is added to its pod, and asks for it again.
///
/// # Errors
///
/// When an answer cannot be known.
fn complete<A: Answerers>(
    psp: &PspAdmission<'_>,
    answerers: &A,
    options: BakeOptions,
    workload: &Workload,
    answers: &Answers,
    added: Result<Map<String, Value>, Vec<String>>,
) -> Result<BakeResult, A::Error> {
    let policy = answers.policy.clone().unwrap_or_default();
    let added = match added {
        Ok(added) => added,
        Err(reasons) => return Ok(BakeResult::Insufficient { policy, reasons }),
    };
    if added.is_empty() {
        let reasons = what_still_fails(psp, answers, options);
        return Ok(if reasons.is_empty() {
            BakeResult::Complete { policy }
        } else {
            BakeResult::Insufficient { policy, reasons }
        });
    }
    let patch = patch::document(&workload.object, template_path(&workload.kind), added);
    let mut object = workload.object.clone();
    apply(&mut object, &patch);
    let request = own_pod(&object).map(|it| in_namespace(workload, it).request);
    let answers = request.map(|it| answerers.ask(&it)).transpose()?.flatten();
    let reasons = answers.map_or_else(
        || vec![NOT_A_POD.to_owned()],
        |it| what_still_fails(psp, &it, options),
    );
    Ok(if reasons.is_empty() {
        BakeResult::Patched { policy, patch }
    } else {
        BakeResult::Insufficient { policy, reasons }
    })
}

/// The reason why neither side is asked.
const NOT_A_POD: &str = "an API server refuses the pod before any policy is asked";

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
fn what_still_fails(
    psp: &PspAdmission<'_>,
    answers: &Answers,
    options: BakeOptions,
) -> Vec<String> {
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
            .filter(|it| options.strict_app_armor || !names_what_is_unset(&answers.asked.pod, it))
            .map(|it| format!("{policy}: would still fill in {}: {}", it.path, it.value))
            .collect(),
        _ => Vec::new(),
    };
    if let Verdict::Forbidden { violations } = &answers.gatekeeper {
        res.extend(told(violations));
    }
    res
}

/// Whether the change writes `runtime/default` for a container without a profile, which has that anyhow.
fn names_what_is_unset(pod: &Pod, change: &Change) -> bool {
    change.value == RUNTIME_DEFAULT
        && pod.containers().filter(is_unset).any(|it| {
            let key = apparmor::annotation_key(it.name());
            change.path == format!("metadata.annotations[{key}]")
        })
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
    use crate::admission::AdmissionRequest;

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
        let options = BakeOptions {
            kubernetes: Version::new(1, 24),
            strict_app_armor: false,
        };
        assert_eq!(what_still_fails(&psp, &answers, options), expected);
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
