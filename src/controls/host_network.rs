//! `host_network`.

use serde_json::json;

use super::translate::{Parameters, Translate, parameters};
use crate::api::policy::{HostPortRange, PodSecurityPolicySpec};

#[derive(Debug)]
pub(crate) struct HostNetwork;

impl Translate for HostNetwork {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let ports: Vec<_> = psp
            .host_ports
            .iter()
            .map(|it| json!({ "min": it.min, "max": it.max }))
            .collect();
        parameters([
            ("hostNetwork", json!(psp.host_network)),
            ("hostPorts", json!(ports)),
        ])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        let within = |inner: &HostPortRange| {
            wide.host_ports
                .iter()
                .any(|outer| outer.min <= inner.min && inner.max <= outer.max)
        };
        (wide.host_network || !narrow.host_network)
            && narrow
                .host_ports
                .iter()
                .filter(|it| it.min <= it.max)
                .all(within)
    }
}
