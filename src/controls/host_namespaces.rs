//! `host_namespaces`.

use serde_json::json;

use super::translate::{Parameters, Translate, parameters};
use crate::api::policy::PodSecurityPolicySpec;

#[derive(Debug)]
pub(crate) struct HostNamespaces;

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
