//! The PodSecurityPolicy admission plugin of Kubernetes 1.24.
//!
//! It follows `plugin/pkg/admission/security/podsecuritypolicy/admission.go` and
//! `pkg/security/podsecuritypolicy/provider.go`: what it admits, forbids, defaults and says is what they would, word for word.
//!
//! The plugin is asked twice.
//! In the mutating phase of a CREATE it looks for a policy that accepts the pod as it is, and else takes the first that accepts
//! the pod once it has filled in its defaults.
//! In the validating phase of a CREATE or UPDATE it changes nothing, and a policy that would have to does not count.
//! Between the two the API server changes the pod, see [`strategy`].
//!
//! Policies are tried by name, and only those that the pod's service account or the requester may use matter: of the others
//! the plugin takes neither the acceptance nor the errors.
//! The errors of several policies come in the order of their names; the plugin itself gives them in no order.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::iter;

use crate::admission::{Admission, AdmissionRequest, Operation, Verdict, Violation};
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::{self, CONTROLS, FieldError, Semantics, quoted};
use crate::input::Inventory;
use crate::rbac::{Authorizer, service_account_user};
use crate::version::Version;

pub mod strategy;
mod trial;

pub use trial::{Change, Identities, Outcome, Trial};

/// The annotation that names the policy by which a pod was admitted.
pub const PSP_ANNOTATION: &str = "kubernetes.io/psp";
/// The name of the plugin, which stands for a policy where none says why a pod is forbidden.
pub const PLUGIN: &str = "PodSecurityPolicy";

/// The admission plugin with the policies and the RBAC objects of a cluster.
#[derive(Clone, Debug)]
pub struct PspAdmission<'a> {
    policies: BTreeMap<&'a str, &'a PodSecurityPolicy>,
    authorizer: Authorizer,
    keeps_proc_mount: bool,
}

/// What became of a request, in both phases.
///
/// After a refusal by the first phase the second is asked all the same, about the pod as it is then.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// The mutating phase.
    pub admit: Phase,
    /// The validating phase.
    pub validate: Phase,
    /// The pod as it would be stored, but for its status and the name, UID and time that the API server gives it.
    pub pod: Pod,
}

impl Review {
    /// Whether both phases let the request pass; API validation, which could still refuse it, is not asked.
    pub fn is_allowed(&self) -> bool {
        self.admit.is_allowed() && self.validate.is_allowed()
    }
}

/// What one phase decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The plugin lets such requests pass without looking at policies.
    Ignored,
    /// A policy accepts the pod.
    Accepted {
        /// Its name, as the API server writes it in the audit log.
        policy: String,
    },
    /// No policy accepts the pod.
    Refused {
        /// What the usable policies do not accept, by policy in the order of names.
        /// There may be nothing: nobody may use a policy, or each would have to change a pod that may not be changed.
        violations: Vec<Violation>,
        /// The whole text that the client reads.
        message: String,
    },
}

impl Phase {
    /// Whether the request passes.
    pub fn is_allowed(&self) -> bool {
        !matches!(self, Self::Refused { .. })
    }

    /// The name of the policy that accepts the pod.
    pub fn policy(&self) -> Option<&str> {
        match self {
            Self::Accepted { policy } => Some(policy),
            Self::Ignored | Self::Refused { .. } => None,
        }
    }

    /// The whole text that the client reads when the request does not pass.
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Refused { message, .. } => Some(message),
            Self::Ignored | Self::Accepted { .. } => None,
        }
    }
}

impl<'a> PspAdmission<'a> {
    /// Prepares the plugin for the policies and RBAC objects of the inventory.
    pub fn new(inventory: &'a Inventory) -> Self {
        let policies = inventory.policies.iter();
        let policies: BTreeMap<_, _> = policies.map(|it| (it.name.as_str(), it)).collect();
        Self {
            policies,
            authorizer: Authorizer::new(inventory),
            keeps_proc_mount: inventory.keeps_proc_mount(),
        }
    }

    /// Takes a request through both phases and what the API server does between them.
    pub fn review(&self, request: &AdmissionRequest) -> Review {
        let (admit, mut pod) = self.admit(request);
        self.prepare(request, &mut pod);
        Review {
            admit,
            validate: self.validate(request, &pod),
            pod,
        }
    }

    /// Asks the validating phase alone, about the pod as it was submitted: the verdict if nothing had filled in defaults.
    ///
    /// The annotation that names a policy does not count.
    pub fn validate_only(&self, request: &AdmissionRequest) -> Phase {
        let mut pod = request.pod.clone();
        self.prepare(request, &mut pod);
        if is_ignored(request, &pod) {
            return Phase::Ignored;
        }
        self.choose_unchanged(request, &pod, None)
    }

    /// Tries the policies that somebody involved may use on a request, in the order of the plugin, and tells each outcome.
    ///
    /// The pod is the one that the first phase to look at policies sees; the list is empty where none does.
    pub fn trials(&self, request: &AdmissionRequest) -> Vec<Trial> {
        let mut pod = request.pod.clone();
        let mut hint = None;
        if request.operation == Operation::Update {
            self.prepare(request, &mut pod);
            hint = pod.annotation(PSP_ANNOTATION);
        }
        if is_ignored(request, &pod) {
            return Vec::new();
        }
        let usable = self.usable(request, &pod);
        let [service_account, requester] = &usable;
        self.in_order(&usable, hint)
            .map(|psp| Trial {
                policy: psp.name.clone(),
                usable_by: Identities {
                    service_account: service_account.contains(psp.name.as_str()),
                    requester: requester.contains(psp.name.as_str()),
                },
                outcome: Outcome::of(psp, &pod),
            })
            .collect()
    }

    /// The mutating phase, and the pod after it.
    fn admit(&self, request: &AdmissionRequest) -> (Phase, Pod) {
        let pod = &request.pod;
        if is_ignored(request, pod) || request.operation != Operation::Create {
            return (Phase::Ignored, pod.clone());
        }
        let mut first_mutated = None;
        let mut violations = Vec::new();
        let mut chosen = None;
        for psp in self.in_order(&self.usable(request, pod), None) {
            let mutated = mutate_pod(psp, pod.clone());
            let errors = validate_pod(psp, &mutated);
            if !errors.is_empty() {
                violations.extend(errors.iter().map(|it| violation(psp, it)));
            } else if mutated == *pod {
                chosen = Some((psp, mutated));
                break;
            } else if first_mutated.is_none() {
                first_mutated = Some((psp, mutated));
            }
        }
        match chosen.or(first_mutated) {
            Some((psp, mut pod)) => {
                pod.set_annotation(PSP_ANNOTATION, &psp.name);
                let policy = psp.name.clone();
                (Phase::Accepted { policy }, pod)
            }
            None => (self.refused(pod, "admit", violations), pod.clone()),
        }
    }

    /// The validating phase.
    fn validate(&self, request: &AdmissionRequest, pod: &Pod) -> Phase {
        if is_ignored(request, pod) {
            return Phase::Ignored;
        }
        self.choose_unchanged(request, pod, pod.annotation(PSP_ANNOTATION))
    }

    /// Finds the first policy that accepts the pod as it is.
    fn choose_unchanged(&self, request: &AdmissionRequest, pod: &Pod, hint: Option<&str>) -> Phase {
        let mut violations = Vec::new();
        for psp in self.in_order(&self.usable(request, pod), hint) {
            // What a policy would fill in is not missing: such a policy is passed over, without a word.
            let mutated = mutate_pod(psp, pod.clone());
            let errors = validate_pod(psp, &mutated);
            if errors.is_empty() && mutated == *pod {
                let policy = psp.name.clone();
                return Phase::Accepted { policy };
            }
            violations.extend(errors.iter().map(|it| violation(psp, it)));
        }
        // The policy hinted at came first; the sort is stable.
        violations.sort_by(|left, right| left.by.cmp(&right.by));
        self.refused(pod, "validate", violations)
    }

    fn refused(&self, pod: &Pod, verb: &str, violations: Vec<Violation>) -> Phase {
        let name = [pod.name(), pod.generate_name(), "Unknown"];
        let name = name
            .into_iter()
            .find(|it| !it.is_empty())
            .unwrap_or_default();
        let why = if self.policies.is_empty() {
            "no providers available to validate pod request".to_owned()
        } else {
            let messages: Vec<&str> = violations.iter().map(|it| it.message.as_str()).collect();
            format!("unable to {verb} pod: [{}]", messages.join(" "))
        };
        let message = format!("pods {} is forbidden: {PLUGIN}: {why}", quoted(name));
        Phase::Refused {
            violations,
            message,
        }
    }

    /// The names of the policies that the pod's service account may use, and of those that the requester may.
    fn usable(&self, request: &AdmissionRequest, pod: &Pod) -> [BTreeSet<&str>; 2] {
        let service_account = match pod.service_account_name() {
            "" => BTreeSet::new(), // a mirror pod
            name => {
                let user = service_account_user(&request.namespace, name);
                self.authorizer.usable(&user, &request.namespace)
            }
        };
        let requester = self
            .authorizer
            .usable(&request.user_info, &request.namespace);
        [service_account, requester]
    }

    /// The policies of either set, by name, except that the one hinted at comes first.
    fn in_order(
        &self,
        [service_account, requester]: &[BTreeSet<&str>; 2],
        hint: Option<&str>,
    ) -> impl Iterator<Item = &'a PodSecurityPolicy> + use<'a> {
        let names = service_account.union(requester);
        let policies = names.filter_map(|it| self.policies.get(it).copied());
        let mut policies: Vec<_> = policies.collect();
        // A stable sort: all others stay where they are.
        policies.sort_by_key(|it| Some(it.name.as_str()) != hint);
        policies.into_iter()
    }

    /// Does to the pod what the API server does between the two phases.
    pub fn prepare(&self, request: &AdmissionRequest, pod: &mut Pod) {
        prepare(request, pod, self.keeps_proc_mount);
    }

    /// Does to the pod what an API server of that release does between the two phases, with the feature gates of this one.
    pub fn prepare_on(&self, kubernetes: Version, request: &AdmissionRequest, pod: &mut Pod) {
        prepare(request, pod, self.keeps_proc_mount_on(kubernetes));
    }

    /// The request for a new pod with what an API server of that release takes out before the second phase; absent where that is
    /// nothing.
    pub fn reset_on(
        &self,
        kubernetes: Version,
        request: &AdmissionRequest,
    ) -> Option<AdmissionRequest> {
        if request.operation != Operation::Create
            || !request.subresource.is_empty()
            || self.keeps_proc_mount_on(kubernetes)
        {
            return None;
        }
        let mut res = request.clone();
        strategy::reset_proc_mount(&mut res.pod);
        (res != *request).then_some(res)
    }

    fn keeps_proc_mount_on(&self, kubernetes: Version) -> bool {
        strategy::keeps_proc_mount(self.keeps_proc_mount, kubernetes)
    }
}

fn prepare(request: &AdmissionRequest, pod: &mut Pod, keeps_proc_mount: bool) {
    if !request.subresource.is_empty() {
        return;
    }
    match (request.operation, &request.old_pod) {
        (Operation::Create, _) => strategy::prepare_for_create(pod, keeps_proc_mount),
        (Operation::Update, Some(old_pod)) => {
            strategy::prepare_for_update(pod, old_pod, keeps_proc_mount);
        }
        _ => {}
    }
}

impl Admission for PspAdmission<'_> {
    type Error = Infallible;

    fn review(&self, request: &AdmissionRequest) -> Result<Verdict, Infallible> {
        let Review {
            admit,
            validate,
            pod,
        } = self.review(request);
        let refusal = [admit, validate].into_iter().find_map(|phase| match phase {
            Phase::Refused {
                violations,
                message,
            } => Some((violations, message)),
            Phase::Ignored | Phase::Accepted { .. } => None,
        });
        Ok(match refusal {
            None => Verdict::Admitted { pod },
            Some((violations, message)) if violations.is_empty() => Verdict::Forbidden {
                violations: vec![Violation {
                    by: PLUGIN.to_owned(),
                    message,
                }],
            },
            Some((violations, _)) => Verdict::Forbidden { violations },
        })
    }
}

/// Fills in what the policy defaults.
pub fn mutate_pod(psp: &PodSecurityPolicy, mut pod: Pod) -> Pod {
    for control in CONTROLS {
        control.mutate_pod(psp, &mut pod);
    }
    for at in pod.container_refs() {
        for control in CONTROLS {
            control.mutate_container(psp, &mut pod, at);
        }
    }
    pod
}

/// Returns all that the policy does not accept, in the order of the plugin.
pub fn validate_pod(psp: &PodSecurityPolicy, pod: &Pod) -> Vec<FieldError> {
    checks(psp, pod).flatten().collect()
}

/// Whether the policy accepts the pod with what is filled in.
pub fn is_valid(psp: &PodSecurityPolicy, pod: &Pod) -> bool {
    checks(psp, pod).all(|it| it.is_empty())
}

/// What each check finds wrong, in the order of the plugin.
fn checks(psp: &PodSecurityPolicy, pod: &Pod) -> impl Iterator<Item = Vec<FieldError>> {
    let whole = move |control: &dyn Semantics| found(|acc| control.validate_pod(acc, psp, pod));
    let volumes = pod.volumes().flat_map(move |volume| {
        let controls = CONTROLS.iter();
        controls.map(move |it| found(|acc| it.validate_volume(acc, psp, pod, &volume)))
    });
    let containers = pod.containers().flat_map(move |container| {
        let controls = CONTROLS.iter();
        controls.map(move |it| found(|acc| it.validate_container(acc, psp, &container)))
    });
    let before = POD_CONTROLS.iter().map(move |it| whole(*it));
    let between = iter::once_with(move || whole(&controls::runtime_class::RuntimeClass));
    before.chain(volumes).chain(between).chain(containers)
}

fn found(check: impl FnOnce(&mut Vec<FieldError>)) -> Vec<FieldError> {
    let mut acc = Vec::new();
    check(&mut acc);
    acc
}

/// The controls that check the pod itself before its volumes, in the order of the plugin.
///
/// The order of [`CONTROLS`] is that of containers, where seccomp comes after SELinux.
/// The runtime class is checked after the volumes.
const POD_CONTROLS: &[&dyn Semantics] = &[
    &controls::groups::Groups,
    &controls::seccomp::Seccomp,
    &controls::selinux::SeLinux,
    &controls::host_network::HostNetwork,
    &controls::host_namespaces::HostNamespaces,
    &controls::sysctls::Sysctls,
];

/// Whether the plugin lets the request pass without looking at policies.
fn is_ignored(request: &AdmissionRequest, pod: &Pod) -> bool {
    let looked_at = match request.operation {
        Operation::Create => true,
        Operation::Update => {
            let old_pod = request.old_pod.as_ref();
            !old_pod.is_some_and(|old_pod| strategy::only_changes_gc_fields(pod, old_pod))
        }
        Operation::Delete | Operation::Connect => false,
    };
    !looked_at || !request.subresource.is_empty()
}

fn violation(psp: &PodSecurityPolicy, error: &FieldError) -> Violation {
    Violation {
        by: psp.name.clone(),
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
