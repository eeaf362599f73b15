//! Seccomp profiles: two annotations of the policy.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/seccomp/strategy.go`.
//! A pod without the annotation gets it: what the field of the pod says, and where there is no field, the default.
//! The profile of the pod and that of each container are judged, fields included, by the list between the commas of the annotation,
//! taken as it stands: `*` allows everything, `runtime/default` and `docker/default` allow each other.
//! Without a list no profile may be set; with one, a profile must be.
//! The default does not count as allowed.
//!
//! ## Gatekeeper
//!
//! Judged by `templates/rego/lib/seccomp.rego`.
//!
//! ## Losses
//!
//! None.

use super::{FieldError, Semantics};
use crate::api::core::{
    Container, DOCKER_DEFAULT, Pod, RUNTIME_DEFAULT, SECCOMP_CONTAINER_PREFIX, SECCOMP_POD,
};
use crate::api::policy::{ALL, PodSecurityPolicy};

/// The control `seccomp`.
#[derive(Clone, Copy, Debug)]
pub struct Seccomp;

impl Semantics for Seccomp {
    fn mutate_pod(&self, psp: &PodSecurityPolicy, pod: &mut Pod) {
        let profile = match pod.seccomp_profile() {
            profile if profile.is_empty() && pod.security("seccompProfile").is_none() => {
                psp.spec.seccomp.default.clone()
            }
            profile => profile,
        };
        if !profile.is_empty() {
            pod.set_annotation(SECCOMP_POD, &profile);
        }
    }

    fn validate_pod(&self, acc: &mut Vec<FieldError>, psp: &PodSecurityPolicy, pod: &Pod) {
        validate(acc, psp, SECCOMP_POD, &pod.seccomp_profile());
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        let key = format!("{SECCOMP_CONTAINER_PREFIX}{}", container.name());
        validate(acc, psp, &key, &container.seccomp_profile());
    }
}

fn validate(acc: &mut Vec<FieldError>, psp: &PodSecurityPolicy, key: &str, profile: &str) {
    let raw = psp.spec.seccomp.allowed.as_deref();
    let listed: Vec<&str> = raw.into_iter().flat_map(|it| it.split(',')).collect();
    if listed.contains(&ALL) {
        return;
    }
    let path = format!("pod.metadata.annotations[{key}]");
    if listed.is_empty() {
        if !profile.is_empty() {
            acc.push(FieldError::forbidden(path, "seccomp may not be set"));
        }
    } else if !is_listed(&listed, profile) {
        let detail = format!(
            "{profile} is not an allowed seccomp profile. Valid values are {}",
            raw.unwrap_or_default()
        );
        acc.push(FieldError::forbidden(path, &detail));
    }
}

fn is_listed(listed: &[&str], profile: &str) -> bool {
    let runtime = [RUNTIME_DEFAULT, DOCKER_DEFAULT];
    listed.contains(&profile)
        || (runtime.contains(&profile) && listed.iter().any(|it| runtime.contains(it)))
}
