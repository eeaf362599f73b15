//! AppArmor profiles: two annotations of the policy.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/apparmor/strategy.go`.
//! A container without a profile, or with an empty one, gets the default, as an annotation of the pod.
//! Without the annotation that lists what is allowed, everything is; with it, each container must have one of the profiles between
//! its commas, taken as they stand.
//! An empty list allows nothing.
//!
//! ## Gatekeeper
//!
//! Judged by `templates/rego/lib/apparmor.rego`.
//!
//! ## Losses
//!
//! None.

use super::{FieldError, Semantics, quoted};
use crate::api::core::{APPARMOR_CONTAINER_PREFIX, Container, ContainerRef, Pod};
use crate::api::policy::PodSecurityPolicy;

/// The control `apparmor`.
#[derive(Clone, Copy, Debug)]
pub struct AppArmor;

impl Semantics for AppArmor {
    fn mutate_container(&self, psp: &PodSecurityPolicy, pod: &mut Pod, at: ContainerRef) {
        let default = &psp.spec.app_armor.default;
        if !default.is_empty()
            && let Some(container) = pod.container(at)
            && container.app_armor_profile().is_empty()
        {
            let key = format!("{APPARMOR_CONTAINER_PREFIX}{}", container.name());
            pod.set_annotation(&key, default);
        }
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        let Some(allowed) = psp.spec.app_armor.allowed.as_deref() else {
            return;
        };
        let key = format!("{APPARMOR_CONTAINER_PREFIX}{}", container.name());
        let path = format!("pod.metadata.annotations[{key}]");
        match container.app_armor_profile() {
            "" => acc.push(FieldError::forbidden(path, "AppArmor profile must be set")),
            profile if allowed.split(',').any(|it| it == profile) => {}
            profile => {
                let allowed = quoted(allowed);
                let detail =
                    format!("{profile} is not an allowed profile. Allowed values: {allowed}");
                acc.push(FieldError::forbidden(path, &detail));
            }
        }
    }
}
