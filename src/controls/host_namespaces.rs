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
//! Judged by `templates/rego/lib/host_namespaces.rego`.
//!
//! ## Losses
//!
//! None.

use super::{FieldError, Semantics};
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;

/// The control `host_namespaces`.
#[derive(Clone, Copy, Debug)]
pub struct HostNamespaces;

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
