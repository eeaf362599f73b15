//! Linux capabilities: `allowedCapabilities`, `defaultAddCapabilities`, `requiredDropCapabilities`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/capabilities/capabilities.go`.
//! A container gets the default capabilities that it does not drop and drops those that it must; if that adds anything, both lists
//! are written anew, sorted and each capability once, else they are left as they are.
//! What a container adds must be in the allowed or the default list, and what it must drop must be in its `drop`, literally:
//! `ALL` drops nothing but `ALL`.
//! `*` among the allowed capabilities skips both checks.
//! Names are compared as they are, and only the container's own value counts.
//!
//! ## Gatekeeper
//!
//! The three lists travel as sorted lists; what the plugin would have added or dropped must be there.
//! Both defaults become a `ModifySet` for each of the two lists of containers that a new pod has.
//! The one that adds acts where a container says nothing about capabilities, because it cannot see what the container drops; by
//! its name it comes before the one that drops.
//! `templates/rego/lib/capabilities.rego` judges it.
//!
//! ## Losses
//!
//! Those of every control that sets a default: `default-not-set`, `default-admits`, `default-of-the-first`, `default-for-all`,
//! `default-of-another-policy`, `default-in-the-way` and `default-on-update`; `psp2gatekeeper explain LOSS` describes each.
//!
//! `default-only-without-capabilities` (stricter): a container that adds or drops any capability gets no default ones.
//!
//! `lists-not-rewritten` (differs): a mutator appends the capabilities that are missing; PSP rewrote both lists, sorted and without
//! duplicates.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::defaults::{Caveat, DefaultValue, Mutation, Place};
use super::probe::Probe;
use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters};
use super::{Control, FieldError, NULL, Semantics, list_of, quoted};
use crate::api::core::{Container, ContainerRef, Pod, strings};
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec};
use crate::loss::LossKind;
use crate::version::Version;

/// The control `capabilities`.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities;

impl Control for Capabilities {
    fn name(&self) -> &'static str {
        "capabilities"
    }

    fn fields(&self) -> &'static [&'static str] {
        &[
            "allowedCapabilities",
            "defaultAddCapabilities",
            "requiredDropCapabilities",
        ]
    }

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let add = |names: &[&String]| {
            let names: BTreeSet<_> = psp
                .default_add_capabilities
                .iter()
                .chain(names.to_vec())
                .collect();
            Probe::container(&["securityContext", "capabilities", "add"], json!(names))
        };
        let drop = |names: &[&str]| {
            Probe::container(&["securityContext", "capabilities", "drop"], json!(names))
        };
        let mut names: BTreeSet<String> = KNOWN.iter().map(|it| (*it).to_owned()).collect();
        names.extend(psp.allowed_capabilities.iter().cloned());
        names.extend(psp.required_drop_capabilities.iter().cloned());
        let mut res: Vec<Probe> = names.iter().map(|it| add(&[it])).collect();
        res.push(Probe::security("capabilities", Value::Null));
        res.push(Probe::security("capabilities", json!({})));
        let required: Vec<&str> = psp
            .required_drop_capabilities
            .iter()
            .map(String::as_str)
            .collect();
        let defaults = psp.default_add_capabilities.iter().map(String::as_str);
        res.extend([
            drop(&[]),
            drop(&["ALL"]),
            drop(&["NET_RAW"]),
            drop(&required),
        ]);
        // One required name missing at a time, and one default name dropped.
        for missing in &required {
            let rest: Vec<&str> = required
                .iter()
                .copied()
                .filter(|it| it != missing)
                .collect();
            res.push(drop(&rest));
        }
        for dropped in defaults {
            let names: Vec<&str> = required.iter().copied().chain([dropped]).collect();
            res.push(
                Probe::container(&["securityContext", "capabilities", "add"], Value::Null)
                    .and(drop(&names)),
            );
        }
        res
    }

    fn places(&self) -> &'static [Place] {
        &[
            Place::Containers(&["capabilities", "add"]),
            Place::Containers(&["capabilities", "drop"]),
        ]
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &["capabilities"]
    }
}

impl Semantics for Capabilities {
    fn mutate_container(&self, psp: &PodSecurityPolicy, pod: &mut Pod, at: ContainerRef) {
        let Some(container) = pod.container(at) else {
            return;
        };
        let own = container.own("capabilities");
        let add = set_of(list(own, "add"));
        let drop = set_of(list(own, "drop"));
        let defaults = psp.spec.default_add_capabilities.iter().map(String::as_str);
        let defaults = defaults.filter(|it| !drop.contains(it));
        let required = psp
            .spec
            .required_drop_capabilities
            .iter()
            .map(String::as_str);
        let new_add: BTreeSet<&str> = add.iter().copied().chain(defaults).collect();
        let new_drop: BTreeSet<&str> = drop.iter().copied().chain(required).collect();
        if new_add.len() == add.len() && new_drop.len() == drop.len() {
            return;
        }
        let mut value = Map::new();
        for (key, names) in [("add", new_add), ("drop", new_drop)] {
            if !names.is_empty() {
                value.insert(key.to_owned(), names.into_iter().collect());
            }
        }
        pod.set_container_security(at, "capabilities", value.into());
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        let spec = &psp.spec;
        let path = container.security_path("capabilities");
        let own = container.own("capabilities");
        if own.is_none() {
            if !spec.default_add_capabilities.is_empty()
                || !spec.required_drop_capabilities.is_empty()
            {
                let detail = "required capabilities are not set on the securityContext";
                acc.push(FieldError::invalid(path, NULL, detail));
            }
            return;
        }
        if spec.allowed_capabilities.iter().any(|it| it == ALL) {
            return;
        }
        let lists = [&spec.default_add_capabilities, &spec.allowed_capabilities];
        let may_add: BTreeSet<&str> = lists.into_iter().flatten().map(String::as_str).collect();
        for name in list(own, "add").unwrap_or_default() {
            if !may_add.contains(name) {
                let path = format!("{path}.add");
                let detail = "capability may not be added";
                acc.push(FieldError::invalid(path, quoted(name), detail));
            }
        }
        let dropped = list(own, "drop");
        for name in &spec.required_drop_capabilities {
            if !set_of(dropped.clone()).contains(name.as_str()) {
                let detail = format!("{name} is required to be dropped but was not found");
                let value = list_text(dropped.as_deref());
                acc.push(FieldError::invalid(format!("{path}.drop"), value, &detail));
            }
        }
    }
}

impl Translate for Capabilities {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([
            ("allowedCapabilities", as_set(&psp.allowed_capabilities)),
            (
                "defaultAddCapabilities",
                as_set(&psp.default_add_capabilities),
            ),
            (
                "requiredDropCapabilities",
                as_set(&psp.required_drop_capabilities),
            ),
        ])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        let may_add = |psp: &PodSecurityPolicySpec| {
            [
                psp.allowed_capabilities.clone(),
                psp.default_add_capabilities.clone(),
            ]
            .concat()
        };
        (has(&wide.allowed_capabilities, ALL)
            || (!has(&narrow.allowed_capabilities, ALL)
                && is_subset(&may_add(narrow), &may_add(wide))))
            && is_subset(
                &wide.default_add_capabilities,
                &narrow.default_add_capabilities,
            )
            && is_subset(
                &wide.required_drop_capabilities,
                &narrow.required_drop_capabilities,
            )
    }

    fn defaults(&self, psp: &PodSecurityPolicySpec, _kubernetes: Version) -> Vec<DefaultValue> {
        let mut res = Vec::new();
        if !psp.default_add_capabilities.is_empty() {
            let caveat = Caveat {
                kind: LossKind::DefaultOnlyWithoutCapabilities,
                why: "a container that says anything about capabilities gets no default ones, because Gatekeeper cannot spare those that it drops".to_owned(),
                pod: json!({
                    "spec": { "containers": [{ "securityContext": { "capabilities": {} } }] },
                }),
            };
            let names = as_set(&psp.default_add_capabilities);
            let mutation = Mutation {
                unless: Some("securityContext.capabilities"),
                ..Mutation::in_list("securityContext.capabilities.add", names)
            };
            res.push(DefaultValue {
                field: "spec.defaultAddCapabilities",
                place: Place::Containers(&["capabilities", "add"]),
                mutation: Some(mutation.but(caveat)),
            });
        }
        if !psp.required_drop_capabilities.is_empty() {
            let names = as_set(&psp.required_drop_capabilities);
            let caveat = Caveat {
                kind: LossKind::ListsNotRewritten,
                why: "what is required is added to the end of the list, where the plugin wrote the lists of added and dropped capabilities anew, sorted and each capability once".to_owned(),
                pod: json!({
                    "spec": { "containers": [{
                        "securityContext": { "capabilities": { "drop": ["KILL", "KILL"] } },
                    }] },
                }),
            };
            let mutation =
                Mutation::in_list("securityContext.capabilities.drop", names).but(caveat);
            res.push(DefaultValue {
                field: "spec.requiredDropCapabilities",
                place: Place::Containers(&["capabilities", "drop"]),
                mutation: Some(mutation),
            });
        }
        res
    }
}

/// The capabilities of Linux, and what stands for all of them.
const KNOWN: [&str; 42] = [
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
];

/// One of the two lists of `capabilities`; absent and empty differ in messages.
fn list<'a>(capabilities: Option<&'a Value>, key: &str) -> Option<Vec<&'a str>> {
    let list = capabilities?.get(key).filter(|it| !it.is_null());
    list.map(|it| strings(Some(it)))
}

fn set_of(list: Option<Vec<&str>>) -> BTreeSet<&str> {
    list.into_iter().flatten().collect()
}

/// Returns the list as Go prints it.
fn list_text(list: Option<&[&str]>) -> String {
    match list {
        None => "[]core.Capability(nil)".to_owned(),
        Some(list) => {
            let names = list.iter().map(|it| quoted(it));
            format!("[]core.Capability{{{}}}", list_of(names, ", "))
        }
    }
}

#[cfg(test)]
mod tests;
