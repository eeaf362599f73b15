//! Sysctls: `forbiddenSysctls`, `allowedUnsafeSysctls`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/sysctl/mustmatchpatterns.go`.
//! Each sysctl of the pod is refused if it is forbidden, else accepted if it is one of the safe ones of that release or allowed
//! though unsafe, else refused.
//! An entry that ends in `*` stands for all names with what precedes it; values are not looked at.
//! Nothing is defaulted.
//!
//! ## Gatekeeper
//!
//! Both lists travel as sorted lists.
//! The safe sysctls are those of Kubernetes 1.24, whatever release the output runs on.
//! `templates/rego/lib/sysctls.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::Value;

use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters};
use super::{Control, FieldError, Semantics, quoted};
use crate::api::core::Pod;
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `sysctls`.
#[derive(Clone, Copy, Debug)]
pub struct Sysctls;

impl Control for Sysctls {
    fn name(&self) -> &'static str {
        "sysctls"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["forbiddenSysctls", "allowedUnsafeSysctls"]
    }
}

impl Semantics for Sysctls {
    fn validate_pod(&self, acc: &mut Vec<FieldError>, psp: &PodSecurityPolicy, pod: &Pod) {
        let sysctls = pod.security("sysctls").and_then(Value::as_array);
        for (index, sysctl) in sysctls.into_iter().flatten().enumerate() {
            let name = sysctl.get("name").and_then(Value::as_str);
            let name = name.unwrap_or_default();
            let path = format!("pod.spec.securityContext.sysctls[{index}]");
            if matches_any(&psp.spec.forbidden_sysctls, name) {
                let detail = format!("sysctl {} is not allowed", quoted(name));
                acc.push(FieldError::forbidden(path, &detail));
            } else if !SAFE.contains(&name) && !matches_any(&psp.spec.allowed_unsafe_sysctls, name)
            {
                let detail = format!("unsafe sysctl {} is not allowed", quoted(name));
                acc.push(FieldError::forbidden(path, &detail));
            }
        }
    }
}

impl Translate for Sysctls {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([
            ("allowedUnsafeSysctls", as_set(&psp.allowed_unsafe_sysctls)),
            ("forbiddenSysctls", as_set(&psp.forbidden_sysctls)),
        ])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        is_subset(&wide.forbidden_sysctls, &narrow.forbidden_sysctls)
            && (has(&wide.allowed_unsafe_sysctls, ALL)
                || is_subset(&narrow.allowed_unsafe_sysctls, &wide.allowed_unsafe_sysctls))
    }
}

/// The sysctls that are safe in Kubernetes 1.24.
const SAFE: [&str; 5] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
];

fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|it| match it.strip_suffix(ALL) {
        Some(prefix) => name.starts_with(prefix),
        None => it == name,
    })
}
