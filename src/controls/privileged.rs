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
//! `privileged` travels as it is.
//! `templates/rego/lib/privileged.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::{Value, json};

use super::translate::{Parameters, Translate, parameters};
use super::{Control, FieldError, Semantics};
use crate::api::core::Container;
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `privileged`.
#[derive(Clone, Copy, Debug)]
pub struct Privileged;

impl Control for Privileged {
    fn name(&self) -> &'static str {
        "privileged"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["privileged"]
    }
}

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

impl Translate for Privileged {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([("privileged", json!(psp.privileged))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.privileged || !narrow.privileged
    }
}
