//! Privileged containers: `privileged`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! A container with `privileged: true` is refused unless the policy says `privileged: true`.
//! Nothing is defaulted; absent and `false` pass.
//!
//! ## Gatekeeper
//!
//! Judged by `templates/rego/lib/privileged.rego`.
//!
//! ## Losses
//!
//! None.

use serde_json::Value;

use super::{FieldError, Semantics};
use crate::api::core::Container;
use crate::api::policy::PodSecurityPolicy;

/// The control `privileged`.
#[derive(Clone, Copy, Debug)]
pub struct Privileged;

impl Semantics for Privileged {
    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        if !psp.spec.privileged && container.own("privileged") == Some(&Value::Bool(true)) {
            let path = container.security_path("privileged");
            let detail = "Privileged containers are not allowed";
            acc.push(FieldError::invalid(path, true, detail));
        }
    }
}
