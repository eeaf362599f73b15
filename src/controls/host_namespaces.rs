//! The host's process and IPC namespaces: `hostPID`, `hostIPC`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! A pod that shares one of them is refused unless the policy allows that one.
//! Nothing is defaulted; `shareProcessNamespace` is not looked at.
//! The plugin reads the internal pod, where both fields are in the security context; its paths say so.
//!
//! ## Gatekeeper
//!
//! `hostPID` and `hostIPC` travel as they are.
//! `templates/rego/lib/host_namespaces.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::json;

use super::translate::{Parameters, Translate, parameters};
use super::{Control, FieldError, Semantics};
use crate::api::core::Pod;
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `host_namespaces`.
#[derive(Clone, Copy, Debug)]
pub struct HostNamespaces;

impl Control for HostNamespaces {
    fn name(&self) -> &'static str {
        "host-namespaces"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["hostPID", "hostIPC"]
    }
}

impl Semantics for HostNamespaces {
    fn validate_pod(&self, acc: &mut Vec<FieldError>, psp: &PodSecurityPolicy, pod: &Pod) {
        if !psp.spec.host_pid && pod.uses_host("hostPID") {
            let detail = "Host PID is not allowed to be used";
            acc.push(FieldError::invalid(
                "spec.securityContext.hostPID",
                true,
                detail,
            ));
        }
        if !psp.spec.host_ipc && pod.uses_host("hostIPC") {
            let detail = "Host IPC is not allowed to be used";
            acc.push(FieldError::invalid(
                "spec.securityContext.hostIPC",
                true,
                detail,
            ));
        }
    }
}

impl Translate for HostNamespaces {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([
            ("hostPID", json!(psp.host_pid)),
            ("hostIPC", json!(psp.host_ipc)),
        ])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        (wide.host_pid || !narrow.host_pid) && (wide.host_ipc || !narrow.host_ipc)
    }
}
