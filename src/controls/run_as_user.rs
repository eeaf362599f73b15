//! The user of containers: `runAsUser`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/user` and `provider.go`.
//! What counts is the effective security context of each container: its own value, else the pod's.
//! Under `MustRunAs` a container without a user gets the lower end of the first range, and the user must be in one of the ranges.
//! Under `MustRunAsNonRoot` a container with neither a user nor `runAsNonRoot` gets `runAsNonRoot: true`; `runAsNonRoot: false` and
//! user 0 are refused.
//! Defaults are written on the container; a user that only the pod has is not judged where all containers override it.
//!
//! ## Gatekeeper
//!
//! The strategy travels as `runAsUser`.
//! `templates/rego/lib/run_as_user.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::{Value, json};

use super::translate::{Parameters, Translate, id_ranges, parameters, ranges_within};
use super::{Control, FieldError, Semantics, groups::ranges_text};
use crate::api::core::{Container, ContainerRef, Pod};
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec, RunAsUserStrategy};

/// The control `run_as_user`.
#[derive(Clone, Copy, Debug)]
pub struct RunAsUser;

impl Control for RunAsUser {
    fn name(&self) -> &'static str {
        "run-as-user"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["runAsUser"]
    }
}

impl Semantics for RunAsUser {
    fn mutate_container(&self, psp: &PodSecurityPolicy, pod: &mut Pod, at: ContainerRef) {
        let Some(container) = pod.container(at) else {
            return;
        };
        if container.effective("runAsUser").is_some() {
            return;
        }
        match &psp.spec.run_as_user {
            RunAsUserStrategy::MustRunAs(ranges) => {
                pod.set_container_security(at, "runAsUser", ranges.first.min.into());
            }
            RunAsUserStrategy::MustRunAsNonRoot
                if container.effective("runAsNonRoot").is_none() =>
            {
                pod.set_container_security(at, "runAsNonRoot", true.into());
            }
            RunAsUserStrategy::MustRunAsNonRoot | RunAsUserStrategy::RunAsAny => {}
        }
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        let user = container.effective("runAsUser").and_then(Value::as_i64);
        let user_path = container.security_path("runAsUser");
        match &psp.spec.run_as_user {
            RunAsUserStrategy::MustRunAs(ranges) => match user {
                None => acc.push(FieldError::required(user_path, "")),
                Some(user) if ranges.iter().any(|it| it.min <= user && user <= it.max) => {}
                Some(user) => {
                    let detail = format!("must be in the ranges: {}", ranges_text(ranges));
                    acc.push(FieldError::invalid(user_path, user, &detail));
                }
            },
            RunAsUserStrategy::MustRunAsNonRoot => {
                let non_root = container.effective("runAsNonRoot").and_then(Value::as_bool);
                let non_root_path = container.security_path("runAsNonRoot");
                let detail = "must be true";
                match (non_root, user) {
                    (None, None) => acc.push(FieldError::required(non_root_path, detail)),
                    (Some(false), _) => {
                        acc.push(FieldError::invalid(non_root_path, false, detail));
                    }
                    (_, Some(0)) => {
                        let detail = "running with the root UID is forbidden";
                        acc.push(FieldError::invalid(user_path, 0, detail));
                    }
                    _ => {}
                }
            }
            RunAsUserStrategy::RunAsAny => {}
        }
    }
}

impl Translate for RunAsUser {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let strategy = match &psp.run_as_user {
            RunAsUserStrategy::MustRunAs(ranges) => {
                json!({ "rule": "MustRunAs", "ranges": id_ranges(ranges) })
            }
            RunAsUserStrategy::MustRunAsNonRoot => json!({ "rule": "MustRunAsNonRoot" }),
            RunAsUserStrategy::RunAsAny => json!({ "rule": "RunAsAny" }),
        };
        parameters([("runAsUser", strategy)])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        match (&wide.run_as_user, &narrow.run_as_user) {
            (RunAsUserStrategy::RunAsAny, _)
            | (RunAsUserStrategy::MustRunAsNonRoot, RunAsUserStrategy::MustRunAsNonRoot) => true,
            (RunAsUserStrategy::MustRunAs(outer), RunAsUserStrategy::MustRunAs(inner)) => {
                ranges_within(inner, outer)
            }
            // A user within ranges passes even with `runAsNonRoot: false`, which `MustRunAsNonRoot` refuses.
            _ => false,
        }
    }
}
