//! The groups of pods and containers: `runAsGroup`, `supplementalGroups`, `fsGroup`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/group` and `provider.go`.
//! All three have the same strategies.
//! Under `MustRunAs` an absent value becomes the lower end of the first range, and every group must be in one of the ranges.
//! Under `MayRunAs` only what is set is judged.
//! `runAsGroup` is judged by the effective security context of each container and written on the container; the others are the
//! pod's.
//! An empty list of supplemental groups counts as set: it is not defaulted, and then refused.
//! The path of an error about `runAsGroup` ends at the security context.
//!
//! ## Gatekeeper
//!
//! The strategies travel under the names of the fields.
//! Each default becomes an `Assign` on the pod.
//! An explicit empty list of supplemental groups is not in what a webhook is shown, so that it gets the default, too.
//! `templates/rego/lib/groups.rego` judges it.
//!
//! ## Losses
//!
//! Those of every control that sets a default: `default-not-set`, `default-admits`, `default-of-the-first`, `default-for-all`,
//! `default-of-another-policy`, `default-in-the-way` and `default-on-update`; `psp2gatekeeper explain LOSS` describes each.
//!
//! `default-on-pod` (differs): the default of `runAsGroup` is set on the pod; PSP set it on each container that had none. The effect
//! is the same.

use serde_json::{Value, json};

use super::defaults::{Caveat, DefaultValue, Mutation, Place};
use super::probe::{HIGHEST_ID, Probe, around};
use super::translate::{Parameters, Translate, id_ranges, parameters, ranges_within};
use super::{Control, FieldError, Semantics, list_of};
use crate::api::core::{Container, ContainerRef, Pod};
use crate::api::policy::{GroupStrategy, IdRanges, PodSecurityPolicy, PodSecurityPolicySpec};
use crate::loss::LossKind;
use crate::version::Version;

/// The control `groups`.
#[derive(Clone, Copy, Debug)]
pub struct Groups;

impl Control for Groups {
    fn name(&self) -> &'static str {
        "groups"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["runAsGroup", "supplementalGroups", "fsGroup"]
    }

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let mut res = vec![
            Probe::pod_security("runAsGroup", Value::Null)
                .and(Probe::security("runAsGroup", Value::Null)),
            Probe::pod_security("fsGroup", Value::Null),
            Probe::pod_security("supplementalGroups", Value::Null),
        ];
        for group in boundaries(&psp.run_as_group) {
            res.push(Probe::security("runAsGroup", group));
            res.push(
                Probe::pod_security("runAsGroup", group)
                    .and(Probe::security("runAsGroup", Value::Null)),
            );
        }
        for group in boundaries(&psp.fs_group) {
            res.push(Probe::pod_security("fsGroup", group));
        }
        let groups = boundaries(&psp.supplemental_groups);
        for group in &groups {
            res.push(Probe::pod_security("supplementalGroups", json!([group])));
        }
        res.push(Probe::pod_security("supplementalGroups", json!(groups)));
        res
    }

    fn places(&self) -> &'static [Place] {
        &[
            Place::Containers(&["runAsGroup"]),
            Place::Pod(&["spec", "securityContext", "supplementalGroups"]),
            Place::Pod(&["spec", "securityContext", "fsGroup"]),
        ]
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &["runAsGroup", "supplementalGroups", "fsGroup"]
    }
}

impl Semantics for Groups {
    fn mutate_pod(&self, psp: &PodSecurityPolicy, pod: &mut Pod) {
        if let GroupStrategy::MustRunAs(ranges) = &psp.spec.supplemental_groups
            && pod.security("supplementalGroups").is_none()
        {
            pod.set_security("supplementalGroups", json!([ranges.first.min]));
        }
        if let GroupStrategy::MustRunAs(ranges) = &psp.spec.fs_group
            && pod.security("fsGroup").is_none()
        {
            pod.set_security("fsGroup", ranges.first.min.into());
        }
    }

    fn mutate_container(&self, psp: &PodSecurityPolicy, pod: &mut Pod, at: ContainerRef) {
        if let GroupStrategy::MustRunAs(ranges) = &psp.spec.run_as_group
            && let Some(container) = pod.container(at)
            && container.effective("runAsGroup").is_none()
        {
            pod.set_container_security(at, "runAsGroup", ranges.first.min.into());
        }
    }

    fn validate_pod(&self, acc: &mut Vec<FieldError>, psp: &PodSecurityPolicy, pod: &Pod) {
        let fs_group = pod.security("fsGroup").and_then(Value::as_i64);
        let path = "spec.securityContext.fsGroup";
        validate(
            acc,
            path,
            &psp.spec.fs_group,
            fs_group.map(|it| vec![it]).as_deref(),
        );

        let groups = pod.security("supplementalGroups").and_then(Value::as_array);
        let groups = groups.map(|it| it.iter().filter_map(Value::as_i64).collect::<Vec<_>>());
        let path = "spec.securityContext.supplementalGroups";
        validate(acc, path, &psp.spec.supplemental_groups, groups.as_deref());
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        let group = container.effective("runAsGroup").and_then(Value::as_i64);
        let path = container.security_path("");
        validate(
            acc,
            &path,
            &psp.spec.run_as_group,
            group.map(|it| vec![it]).as_deref(),
        );
    }
}

impl Translate for Groups {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([
            ("runAsGroup", strategy(&psp.run_as_group)),
            ("supplementalGroups", strategy(&psp.supplemental_groups)),
            ("fsGroup", strategy(&psp.fs_group)),
        ])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        strategy_covers(&wide.run_as_group, &narrow.run_as_group)
            && strategy_covers(&wide.supplemental_groups, &narrow.supplemental_groups)
            && strategy_covers(&wide.fs_group, &narrow.fs_group)
    }

    fn defaults(&self, psp: &PodSecurityPolicySpec, _kubernetes: Version) -> Vec<DefaultValue> {
        let mut res = Vec::new();
        if let GroupStrategy::MustRunAs(ranges) = &psp.run_as_group {
            let caveat = Caveat {
                kind: LossKind::DefaultOnPod,
                why: "the default group is written on the pod, not on each container that has none"
                    .to_owned(),
                pod: json!({}),
            };
            let mutation =
                Mutation::on_pod("securityContext.runAsGroup", ranges.first.min.into()).but(caveat);
            res.push(DefaultValue {
                field: "spec.runAsGroup",
                place: Place::Containers(&["runAsGroup"]),
                mutation: Some(mutation),
            });
        }
        if let GroupStrategy::MustRunAs(ranges) = &psp.supplemental_groups {
            let groups = json!([ranges.first.min]);
            res.push(DefaultValue {
                field: "spec.supplementalGroups",
                place: Place::Pod(&["spec", "securityContext", "supplementalGroups"]),
                mutation: Some(Mutation::on_pod(
                    "securityContext.supplementalGroups",
                    groups,
                )),
            });
        }
        if let GroupStrategy::MustRunAs(ranges) = &psp.fs_group {
            let group = ranges.first.min.into();
            res.push(DefaultValue {
                field: "spec.fsGroup",
                place: Place::Pod(&["spec", "securityContext", "fsGroup"]),
                mutation: Some(Mutation::on_pod("securityContext.fsGroup", group)),
            });
        }
        res
    }
}

fn strategy(strategy: &GroupStrategy) -> Value {
    match strategy {
        GroupStrategy::MustRunAs(ranges) => {
            json!({ "rule": "MustRunAs", "ranges": id_ranges(ranges) })
        }
        GroupStrategy::MayRunAs(ranges) => {
            json!({ "rule": "MayRunAs", "ranges": id_ranges(ranges) })
        }
        GroupStrategy::RunAsAny => json!({ "rule": "RunAsAny" }),
    }
}

fn strategy_covers(wide: &GroupStrategy, narrow: &GroupStrategy) -> bool {
    match (wide, narrow) {
        (GroupStrategy::RunAsAny, _) => true,
        (
            GroupStrategy::MayRunAs(outer),
            GroupStrategy::MayRunAs(inner) | GroupStrategy::MustRunAs(inner),
        )
        | (GroupStrategy::MustRunAs(outer), GroupStrategy::MustRunAs(inner)) => {
            ranges_within(inner, outer)
        }
        _ => false,
    }
}

/// Returns the ranges as Go prints them.
pub(super) fn ranges_text(ranges: &IdRanges) -> String {
    let items = ranges.iter().map(|it| format!("{{{} {}}}", it.min, it.max));
    format!("[{}]", list_of(items, " "))
}

fn validate(
    acc: &mut Vec<FieldError>,
    path: &str,
    strategy: &GroupStrategy,
    groups: Option<&[i64]>,
) {
    let ranges = match strategy {
        GroupStrategy::RunAsAny => return,
        GroupStrategy::MustRunAs(ranges) | GroupStrategy::MayRunAs(ranges) => ranges,
    };
    let must = matches!(strategy, GroupStrategy::MustRunAs(_));
    let value = match groups {
        None => "[]int64(nil)".to_owned(),
        Some(groups) => format!("[]int64{{{}}}", list_of(groups, ", ")),
    };
    let groups = groups.unwrap_or_default();
    if must && groups.is_empty() {
        let detail = "unable to validate empty groups against required ranges";
        acc.push(FieldError::invalid(path, &value, detail));
    }
    for group in groups {
        if !ranges.iter().any(|it| it.min <= *group && *group <= it.max) {
            let detail = format!(
                "group {group} must be in the ranges: {}",
                ranges_text(ranges)
            );
            acc.push(FieldError::invalid(path, &value, &detail));
        }
    }
}

/// Groups on both sides of what the strategy allows.
fn boundaries(strategy: &GroupStrategy) -> Vec<i64> {
    let ranges = match strategy {
        GroupStrategy::MustRunAs(ranges) | GroupStrategy::MayRunAs(ranges) => {
            ranges.iter().map(|it| (it.min, it.max)).collect()
        }
        GroupStrategy::RunAsAny => Vec::new(),
    };
    around(ranges, &[0, 1, 1000], 0, HIGHEST_ID)
}

#[cfg(test)]
mod tests;
