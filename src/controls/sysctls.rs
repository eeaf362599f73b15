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

use serde_json::{Value, json};

use super::probe::Probe;
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

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let patterns = psp
            .forbidden_sysctls
            .iter()
            .chain(&psp.allowed_unsafe_sysctls);
        let mut names: Vec<String> = SAFE.map(str::to_owned).to_vec();
        names.extend(["kernel.msgmax", "net.core.somaxconn"].map(str::to_owned));
        for pattern in patterns {
            let stem = pattern.trim_end_matches(['*', '.']);
            names.extend([stem.to_owned(), format!("{stem}.x"), format!("{stem}x")]);
        }
        names.sort();
        names.dedup();
        names
            .into_iter()
            .filter(|it| !it.is_empty())
            .map(|it| Probe::pod_security("sysctls", json!([{ "name": it, "value": "1" }])))
            .collect()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{
        check, check_covers, check_parameters, contexts, owned, policy,
    };

    #[track_caller]
    fn check_sysctl(forbidden: &[&str], unsafe_: &[&str], name: &str, problem: Option<&str>) {
        let psp = policy(|it| {
            it.forbidden_sysctls = owned(forbidden);
            it.allowed_unsafe_sysctls = owned(unsafe_);
        });
        let pod = contexts(
            &json!({ "sysctls": [{ "name": name, "value": "1" }] }),
            &json!(null),
        );
        let error =
            problem.map(|it| format!("pod.spec.securityContext.sysctls[0]: Forbidden: {it}"));
        let errors: Vec<&str> = error.as_deref().into_iter().collect();
        check(&Sysctls, &psp, pod, &errors);
    }

    #[test]
    fn safe_sysctls_are_allowed_unless_forbidden() {
        let name = "net.ipv4.ip_unprivileged_port_start";
        check_sysctl(&[], &[], name, None);
        let problem = format!("sysctl \"{name}\" is not allowed");
        check_sysctl(&["*"], &["*"], name, Some(&problem));
    }

    #[test]
    fn other_sysctls_must_be_allowed() {
        let problem = "unsafe sysctl \"kernel.msgmax\" is not allowed";
        check_sysctl(&[], &[], "kernel.msgmax", Some(problem));
        check_sysctl(&[], &["kernel.msg*"], "kernel.msgmax", None);
        let problem = "sysctl \"kernel.msgmnb\" is not allowed";
        check_sysctl(
            &["kernel.msgmnb"],
            &["kernel.msg*"],
            "kernel.msgmnb",
            Some(problem),
        );
    }

    #[test]
    fn a_star_stands_for_what_follows_the_prefix() {
        check_sysctl(&[], &["a.*"], "a.b", None);
        check_sysctl(
            &[],
            &["a.*"],
            "a",
            Some("unsafe sysctl \"a\" is not allowed"),
        );
        check_sysctl(
            &[],
            &["a"],
            "a.b",
            Some("unsafe sysctl \"a.b\" is not allowed"),
        );
    }

    #[test]
    fn a_policy_covers_another_that_forbids_more_and_allows_less() {
        for (wide, narrow, covers) in [
            ([&[][..], &[][..]], [&[][..], &[][..]], true),
            ([&[], &["*"]], [&[], &["a.b"]], true),
            ([&[], &["a.b"]], [&[], &["*"]], false),
            ([&[], &["a.b", "a.c"]], [&[], &["a.c"]], true),
            ([&[], &["a.c"]], [&[], &["a.b", "a.c"]], false),
            ([&["a.b"], &["*"]], [&[], &["*"]], false),
            ([&[], &["*"]], [&["a.b"], &["*"]], true),
            ([&["a.b"], &["*"]], [&["a.b", "a.c"], &["*"]], true),
            ([&["a.b", "a.c"], &["*"]], [&["a.b"], &["*"]], false),
        ] {
            let [wide, narrow] = [wide, narrow].map(|[forbidden, unsafe_]| {
                policy(|it| {
                    it.forbidden_sysctls = owned(forbidden);
                    it.allowed_unsafe_sysctls = owned(unsafe_);
                })
            });
            check_covers(&Sysctls, &wide, &narrow, covers);
        }
    }

    #[test]
    fn the_lists_travel_sorted_and_each_once() {
        let psp = policy(|it| {
            it.allowed_unsafe_sysctls = owned(&["b", "a", "b"]);
            it.forbidden_sysctls = owned(&["d", "c"]);
        });
        let expected = json!({
            "allowedUnsafeSysctls": ["a", "b"],
            "forbiddenSysctls": ["c", "d"],
        });
        check_parameters(&Sysctls, &psp, &expected);
    }
}
