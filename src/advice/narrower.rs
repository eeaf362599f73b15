//! Narrower policies that the recorded pods would pass all the same.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::Wider;
use crate::api::core::{Pod, strings};
use crate::api::policy::{
    HostPortRange, PodSecurityPolicy, PodSecurityPolicySpec, RunAsUserStrategy,
};
use crate::psp::is_valid;

/// A field, the policy with a narrower value in it, and that value in words.
type Candidate = (&'static str, PodSecurityPolicySpec, String);

/// Returns the fields that could be narrower, each for itself, for pods that the policy admits; they are given as stored.
///
/// The model of the plugin judges: a value is enough if every pod passes as it stands.
pub(super) fn narrower(psp: &PodSecurityPolicy, pods: &[&Pod]) -> Vec<Wider> {
    if pods.is_empty() {
        return Vec::new();
    }
    let passes = |spec: &PodSecurityPolicySpec| {
        let narrow = PodSecurityPolicy {
            spec: spec.clone(),
            ..psp.clone()
        };
        pods.par_iter().all(|it| is_valid(&narrow, it))
    };
    let candidates = candidates(&psp.spec, pods).into_iter();
    let narrower = candidates.filter(|(_, spec, _)| *spec != psp.spec && passes(spec));
    let mut res: Vec<Wider> = narrower
        .map(|(field, _, enough)| Wider {
            policy: psp.name.clone(),
            field,
            enough,
            pods: pods.len(),
        })
        .collect();
    res.sort();
    res
}

fn candidates(spec: &PodSecurityPolicySpec, pods: &[&Pod]) -> Vec<Candidate> {
    let mut res = Vec::new();
    let mut add = |field, narrow: &dyn Fn(&mut PodSecurityPolicySpec), enough: String| {
        let mut spec = spec.clone();
        narrow(&mut spec);
        res.push((field, spec, enough));
    };
    let no = || "false".to_owned();
    add("spec.privileged", &|it| it.privileged = false, no());
    add("spec.hostNetwork", &|it| it.host_network = false, no());
    add("spec.hostPID", &|it| it.host_pid = false, no());
    add("spec.hostIPC", &|it| it.host_ipc = false, no());
    add(
        "spec.allowPrivilegeEscalation",
        &|it| it.allow_privilege_escalation = false,
        no(),
    );
    add(
        "spec.readOnlyRootFilesystem",
        &|it| it.read_only_root_filesystem = true,
        "true".to_owned(),
    );
    if spec.run_as_user == RunAsUserStrategy::RunAsAny {
        let strategy = RunAsUserStrategy::MustRunAsNonRoot;
        add(
            "spec.runAsUser",
            &|it| it.run_as_user = strategy.clone(),
            "MustRunAsNonRoot".to_owned(),
        );
    }
    let ports = host_ports(pods);
    let allowed: i64 = spec
        .host_ports
        .iter()
        .map(|it| i64::from(it.max) - i64::from(it.min) + 1)
        .sum();
    if i64::try_from(ports.len()).is_ok_and(|it| it < allowed) {
        let ranges: Vec<HostPortRange> = ports
            .iter()
            .map(|it| HostPortRange { min: *it, max: *it })
            .collect();
        add(
            "spec.hostPorts",
            &|it| it.host_ports.clone_from(&ranges),
            list(&ports),
        );
    }
    let sources: BTreeSet<&str> = pods
        .iter()
        .flat_map(|it| it.volumes())
        .flat_map(|it| it.sources().collect::<Vec<_>>())
        .collect();
    if spec
        .volumes
        .iter()
        .any(|it| it == "*" || !sources.contains(it.as_str()))
    {
        let volumes: Vec<String> = sources.iter().map(ToString::to_string).collect();
        add(
            "spec.volumes",
            &|it| it.volumes.clone_from(&volumes),
            list(&sources),
        );
    }
    let added: BTreeSet<&str> = pods
        .iter()
        .flat_map(|pod| pod.containers())
        .flat_map(|it| strings(it.own("capabilities").and_then(|it| it.get("add"))))
        .filter(|it| !spec.default_add_capabilities.iter().any(|own| own == it))
        .collect();
    if spec
        .allowed_capabilities
        .iter()
        .any(|it| !added.contains(it.as_str()))
    {
        let names: Vec<String> = added.iter().map(ToString::to_string).collect();
        add(
            "spec.allowedCapabilities",
            &|it| it.allowed_capabilities.clone_from(&names),
            list(&added),
        );
    }
    if !spec.allowed_unsafe_sysctls.is_empty() {
        add(
            "spec.allowedUnsafeSysctls",
            &|it| it.allowed_unsafe_sysctls.clear(),
            NONE.to_owned(),
        );
    }
    res
}

const NONE: &str = "none";

fn host_ports(pods: &[&Pod]) -> BTreeSet<i32> {
    let containers = pods.iter().flat_map(|pod| pod.containers());
    let ports = containers.flat_map(|it| it.host_ports().collect::<Vec<_>>());
    ports
        .filter(|it| *it != 0)
        .filter_map(|it| i32::try_from(it).ok())
        .collect()
}

fn list<T: ToString>(values: &BTreeSet<T>) -> String {
    match values.len() {
        0 => NONE.to_owned(),
        _ => values
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}
