//! The host's network: `hostNetwork`, `hostPorts`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! A pod with `hostNetwork: true` is refused unless the policy allows it.
//! Each `hostPort` above 0 of any container must be in one of the ranges, both ends included; no ranges allow no port.
//! The two are independent, but the API server gives each container port of a pod in the host's network the host port of the same
//! number before the plugin sees it (`pkg/apis/core/v1/defaults.go`), so that such ports need a range as well.
//! Nothing is defaulted.
//!
//! ## Gatekeeper
//!
//! `hostNetwork` and `hostPorts` travel as they are, with all ranges.
//! A file may lack the host ports that the API server copies on the host's network; the library reads the container ports there.
//! `templates/rego/lib/host_network.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::json;

use super::probe::{Probe, around};
use super::translate::{Parameters, Translate, parameters};
use super::{Control, FieldError, Semantics, list_of};
use crate::api::core::{Container, Pod};
use crate::api::policy::{HostPortRange, PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `host_network`.
#[derive(Clone, Copy, Debug)]
pub struct HostNetwork;

impl Control for HostNetwork {
    fn name(&self) -> &'static str {
        "host-network"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["hostNetwork", "hostPorts"]
    }

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let network = |it: bool| Probe::pod(&["spec", "hostNetwork"], it);
        let ranges = psp.host_ports.iter();
        let ranges = ranges.map(|it| (i64::from(it.min), i64::from(it.max)));
        let mut res = vec![network(true), network(false)];
        for port in around(ranges, &[80, 8080], 1, 65535) {
            let ports = json!([{ "containerPort": port, "hostPort": port }]);
            res.push(Probe::container(&["ports"], ports));
            // The API server makes the host port of this.
            let ports = json!([{ "containerPort": port }]);
            res.push(network(true).and(Probe::container(&["ports"], ports)));
        }
        res
    }
}

impl Semantics for HostNetwork {
    fn validate_pod(&self, acc: &mut Vec<FieldError>, psp: &PodSecurityPolicy, pod: &Pod) {
        if !psp.spec.host_network && pod.uses_host("hostNetwork") {
            let detail = "Host network is not allowed to be used";
            acc.push(FieldError::invalid(
                "spec.securityContext.hostNetwork",
                true,
                detail,
            ));
        }
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        let ranges = &psp.spec.host_ports;
        for port in container.host_ports().filter(|it| *it > 0) {
            if !in_ranges(ranges, port) {
                let detail = format!(
                    "Host port {port} is not allowed to be used. Allowed ports: [{}]",
                    list_of(ranges.iter().copied().map(range_text), ",")
                );
                let path = format!("{}.hostPort", container.at);
                acc.push(FieldError::invalid(path, port, &detail));
            }
        }
    }
}

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

fn in_ranges(ranges: &[HostPortRange], port: i64) -> bool {
    ranges
        .iter()
        .any(|it| i64::from(it.min) <= port && port <= i64::from(it.max))
}

fn range_text(range: HostPortRange) -> String {
    if range.min == range.max {
        range.min.to_string()
    } else {
        format!("{}-{}", range.min, range.max)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{check, check_covers, check_parameters, policy};

    fn ports(ports: &[i64]) -> serde_json::Value {
        let ports: Vec<_> = ports.iter().map(|it| json!({ "hostPort": it })).collect();
        json!({ "spec": { "initContainers": [{ "name": "init", "ports": ports }] } })
    }

    #[test]
    fn ports_must_be_in_one_of_the_ranges() {
        let range = |min, max| HostPortRange { min, max };
        let psp = policy(|it| it.host_ports = vec![range(80, 80), range(8000, 9000)]);
        check(&HostNetwork, &psp, ports(&[80, 8000, 9000, 0]), &[]);
        let error = |port| {
            format!(
                "spec.initContainers[0].hostPort: Invalid value: {port}: \
                 Host port {port} is not allowed to be used. Allowed ports: [80,8000-9000]"
            )
        };
        let errors = [error(1), error(81), error(7999)];
        let errors = errors.each_ref().map(String::as_str);
        check(&HostNetwork, &psp, ports(&[1, 81, 7999]), &errors);
    }

    #[test]
    fn no_ranges_allow_no_port_and_a_reversed_range_matches_none() {
        for (ranges, text) in [
            (vec![], ""),
            (vec![HostPortRange { min: 9, max: 1 }], "9-1"),
        ] {
            let error = format!(
                "spec.initContainers[0].hostPort: Invalid value: 5: \
                 Host port 5 is not allowed to be used. Allowed ports: [{text}]"
            );
            let psp = policy(|it| it.host_ports = ranges);
            check(&HostNetwork, &psp, ports(&[5]), &[&error]);
        }
    }

    #[test]
    fn ports_do_not_depend_on_the_host_s_network() {
        let psp = policy(|it| it.host_network = false);
        check(&HostNetwork, &psp, ports(&[80]), &[]);
        let error = "spec.securityContext.hostNetwork: \
            Invalid value: true: Host network is not allowed to be used";
        let pod = json!({ "spec": { "hostNetwork": true } });
        check(&HostNetwork, &psp, pod, &[error]);
    }

    #[test]
    fn a_policy_covers_another_with_narrower_ranges_that_allows_no_more() {
        let of = |host_network, ranges: &[(i32, i32)]| {
            let ranges = ranges.iter().map(|(min, max)| HostPortRange {
                min: *min,
                max: *max,
            });
            policy(|it| {
                it.host_network = host_network;
                it.host_ports = ranges.collect();
            })
        };
        let one = &[(80, 90)][..];
        for (wide, narrow, covers) in [
            ((true, one), (true, one), true),
            ((true, one), (false, one), true),
            ((false, one), (false, one), true),
            ((false, one), (true, one), false),
            ((true, one), (true, &[]), true),
            ((true, &[]), (true, one), false),
            ((true, one), (true, &[(81, 89)]), true),
            ((true, one), (true, &[(79, 90)]), false),
            ((true, one), (true, &[(80, 91)]), false),
            ((true, &[(1, 2), (80, 90)]), (true, one), true),
            ((true, one), (true, &[(80, 90), (1, 2)]), false),
            // No port is in a range that is turned round.
            ((true, &[]), (true, &[(9, 1)]), true),
            ((true, &[]), (true, &[(9, 9)]), false),
        ] {
            let [wide, narrow] = [wide, narrow].map(|(network, ranges)| of(network, ranges));
            check_covers(&HostNetwork, &wide, &narrow, covers);
        }
    }

    #[test]
    fn the_ranges_travel_in_order() {
        let psp = policy(|it| {
            it.host_ports = vec![
                HostPortRange { min: 9, max: 10 },
                HostPortRange { min: 1, max: 2 },
            ];
        });
        let ports = json!([{ "min": 9, "max": 10 }, { "min": 1, "max": 2 }]);
        let expected = json!({ "hostNetwork": true, "hostPorts": ports });
        check_parameters(&HostNetwork, &psp, &expected);
    }
}
