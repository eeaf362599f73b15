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

use super::probe::Probe;
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

    fn probes(&self, _psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        ["hostPID", "hostIPC"]
            .into_iter()
            .flat_map(|field| [true, false].map(|it| Probe::pod(&["spec", field], it)))
            .collect()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{check, check_covers, check_parameters, policy};

    #[test]
    fn each_namespace_needs_its_own_permission() {
        let pod = json!({ "spec": { "hostPID": true, "hostIPC": true } });
        let pid = "spec.securityContext.hostPID: \
            Invalid value: true: Host PID is not allowed to be used";
        let ipc = "spec.securityContext.hostIPC: \
            Invalid value: true: Host IPC is not allowed to be used";
        for (host_pid, host_ipc, errors) in [
            (true, true, vec![]),
            (false, true, vec![pid]),
            (true, false, vec![ipc]),
            (false, false, vec![pid, ipc]),
        ] {
            let psp = policy(|it| {
                it.host_pid = host_pid;
                it.host_ipc = host_ipc;
            });
            check(&HostNamespaces, &psp, pod.clone(), &errors);
        }
    }

    #[test]
    fn a_shared_process_namespace_is_not_the_host_s() {
        let psp = policy(|it| it.host_pid = false);
        let pod = json!({ "spec": { "shareProcessNamespace": true, "hostPID": false } });
        check(&HostNamespaces, &psp, pod, &[]);
    }

    #[test]
    fn a_policy_covers_another_that_allows_no_more() {
        let all = [(false, false), (true, false), (false, true), (true, true)];
        for (wide, narrow, covers) in [
            (all[3], all, [true, true, true, true]),
            (all[2], all, [true, false, true, false]),
            (all[1], all, [true, true, false, false]),
            (all[0], all, [true, false, false, false]),
        ] {
            let namespaces = |(host_pid, host_ipc)| {
                policy(|it| {
                    it.host_pid = host_pid;
                    it.host_ipc = host_ipc;
                })
            };
            for (narrow, covers) in narrow.into_iter().zip(covers) {
                check_covers(
                    &HostNamespaces,
                    &namespaces(wide),
                    &namespaces(narrow),
                    covers,
                );
            }
        }
    }

    #[test]
    fn each_namespace_travels_by_its_name() {
        let psp = policy(|it| it.host_ipc = false);
        let expected = json!({ "hostPID": true, "hostIPC": false });
        check_parameters(&HostNamespaces, &psp, &expected);
    }
}
