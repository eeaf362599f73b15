//! Gaining privileges: `allowPrivilegeEscalation`, `defaultAllowPrivilegeEscalation`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! A container that does not say gets the policy's default, and where there is none, `false` if the policy does not allow it.
//! Where the policy does not allow it, everything but `false` is refused.
//! Only the container's own value counts; the pod has none.
//!
//! ## Gatekeeper
//!
//! Both fields travel as they are; what the plugin would have set must be set.
//! The default becomes an `Assign` for each of the two lists of containers that a new pod has.
//! `templates/rego/lib/privilege_escalation.rego` judges it.
//!
//! ## Losses
//!
//! Those of every control that sets a default: `default-not-set`, `default-admits`, `default-of-the-first`, `default-for-all`,
//! `default-of-another-policy`, `default-in-the-way` and `default-on-update`; `psp2gatekeeper explain LOSS` describes each.

use serde_json::{Value, json};

use super::defaults::{DefaultValue, Mutation, Place};
use super::probe::Probe;
use super::translate::{Parameters, Translate, parameters};
use super::{Control, FieldError, NULL, Semantics};
use crate::api::core::{Container, ContainerRef, Pod};
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec};
use crate::version::Version;

/// The control `privilege_escalation`.
#[derive(Clone, Copy, Debug)]
pub struct PrivilegeEscalation;

impl Control for PrivilegeEscalation {
    fn name(&self) -> &'static str {
        "privilege-escalation"
    }

    fn fields(&self) -> &'static [&'static str] {
        &[
            "allowPrivilegeEscalation",
            "defaultAllowPrivilegeEscalation",
        ]
    }

    fn probes(&self, _psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        [Value::Null, true.into(), false.into()]
            .map(|it| Probe::security("allowPrivilegeEscalation", it))
            .to_vec()
    }

    fn places(&self) -> &'static [Place] {
        &[Place::Containers(&["allowPrivilegeEscalation"])]
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &["allowPrivilegeEscalation"]
    }
}

impl Semantics for PrivilegeEscalation {
    fn mutate_container(&self, psp: &PodSecurityPolicy, pod: &mut Pod, at: ContainerRef) {
        let forbidden = (!psp.spec.allow_privilege_escalation).then_some(false);
        if let Some(default) = psp.spec.default_allow_privilege_escalation.or(forbidden)
            && let Some(container) = pod.container(at)
            && container.own("allowPrivilegeEscalation").is_none()
        {
            pod.set_container_security(at, "allowPrivilegeEscalation", default.into());
        }
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        if psp.spec.allow_privilege_escalation {
            return;
        }
        let value = container
            .own("allowPrivilegeEscalation")
            .and_then(Value::as_bool);
        if value != Some(false) {
            let path = container.security_path("allowPrivilegeEscalation");
            let value = if value.is_some() { "true" } else { NULL };
            let detail = "Allowing privilege escalation for containers is not allowed";
            acc.push(FieldError::invalid(path, value, detail));
        }
    }
}

impl Translate for PrivilegeEscalation {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let mut res = parameters([(
            "allowPrivilegeEscalation",
            json!(psp.allow_privilege_escalation),
        )]);
        if let Some(default) = psp.default_allow_privilege_escalation {
            res.insert("defaultAllowPrivilegeEscalation", json!(default));
        }
        res
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        let must_be_set = |psp: &PodSecurityPolicySpec| {
            !psp.allow_privilege_escalation || psp.default_allow_privilege_escalation.is_some()
        };
        (wide.allow_privilege_escalation || !narrow.allow_privilege_escalation)
            && (!must_be_set(wide) || must_be_set(narrow))
    }

    fn defaults(&self, psp: &PodSecurityPolicySpec, _kubernetes: Version) -> Vec<DefaultValue> {
        let (field, value) = match psp.default_allow_privilege_escalation {
            Some(value) => ("spec.defaultAllowPrivilegeEscalation", value),
            None if !psp.allow_privilege_escalation => ("spec.allowPrivilegeEscalation", false),
            None => return Vec::new(),
        };
        let location = "securityContext.allowPrivilegeEscalation";
        vec![DefaultValue {
            field,
            place: Place::Containers(&["allowPrivilegeEscalation"]),
            mutation: Some(Mutation::on_containers(location, value.into())),
        }]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{
        check, check_covers, check_defaults, check_mutation, check_parameters, check_unchanged,
        contexts, policy,
    };

    #[test]
    fn an_absent_value_becomes_the_default_or_what_is_not_allowed() {
        for (allow, default, expected) in [
            (true, None, None),
            (true, Some(false), Some(false)),
            (true, Some(true), Some(true)),
            (false, None, Some(false)),
            (false, Some(false), Some(false)),
            (false, Some(true), Some(true)),
        ] {
            let psp = policy(|it| {
                it.allow_privilege_escalation = allow;
                it.default_allow_privilege_escalation = default;
            });
            let before = contexts(&json!({}), &json!(null));
            let context = expected.map(|it| json!({ "allowPrivilegeEscalation": it }));
            let after = contexts(&json!({}), &json!(context));
            check_mutation(&PrivilegeEscalation, &psp, before, after);
            for set in [true, false] {
                let context = json!({ "allowPrivilegeEscalation": set });
                check_unchanged(&PrivilegeEscalation, &psp, contexts(&json!({}), &context));
            }
        }
    }

    #[test]
    fn where_it_is_not_allowed_everything_but_false_is_refused() {
        let psp = policy(|it| it.allow_privilege_escalation = false);
        for (context, value) in [
            (json!({ "allowPrivilegeEscalation": true }), Some("true")),
            (json!({}), Some("\"null\"")),
            (json!({ "allowPrivilegeEscalation": false }), None),
        ] {
            let error = value.map(|it| {
                format!(
                    "spec.containers[0].securityContext.allowPrivilegeEscalation: Invalid value: {it}: \
                     Allowing privilege escalation for containers is not allowed"
                )
            });
            let errors: Vec<&str> = error.as_deref().into_iter().collect();
            check(
                &PrivilegeEscalation,
                &psp,
                contexts(&json!({}), &context),
                &errors,
            );
        }
    }

    #[test]
    fn a_policy_covers_another_that_allows_no_more_and_leaves_as_little_open() {
        let of = |allow, default| {
            policy(|it| {
                it.allow_privilege_escalation = allow;
                it.default_allow_privilege_escalation = default;
            })
        };
        let open = of(true, None);
        let set = of(true, Some(true));
        let unset = of(true, Some(false));
        let forbidden = of(false, None);
        for (wide, narrow, covers) in [
            (&open, &open, true),
            (&open, &set, true),
            (&open, &forbidden, true),
            (&set, &set, true),
            (&set, &unset, true),
            (&set, &forbidden, true),
            (&set, &open, false),
            (&forbidden, &forbidden, true),
            (&forbidden, &of(false, Some(false)), true),
            (&forbidden, &open, false),
            (&forbidden, &set, false),
        ] {
            check_covers(&PrivilegeEscalation, wide, narrow, covers);
        }
    }

    #[test]
    fn a_default_that_is_there_travels_and_comes_before_what_is_not_allowed() {
        let of = |allow, default| {
            policy(|it| {
                it.allow_privilege_escalation = allow;
                it.default_allow_privilege_escalation = default;
            })
        };
        let written = |field: &str, value: bool| {
            let location = "securityContext.allowPrivilegeEscalation";
            format!(
                "spec.{field} in Containers([\"allowPrivilegeEscalation\"]): \
                 Assign on Containers of {location} = {value} unless {location}"
            )
        };
        let psp = of(true, None);
        check_parameters(
            &PrivilegeEscalation,
            &psp,
            &json!({ "allowPrivilegeEscalation": true }),
        );
        check_defaults(&PrivilegeEscalation, &psp, (1, 24), &[]);
        let psp = of(false, None);
        let default = written("allowPrivilegeEscalation", false);
        check_defaults(&PrivilegeEscalation, &psp, (1, 24), &[&default]);
        let psp = of(false, Some(true));
        let expected = json!({
            "allowPrivilegeEscalation": false,
            "defaultAllowPrivilegeEscalation": true,
        });
        check_parameters(&PrivilegeEscalation, &psp, &expected);
        let default = written("defaultAllowPrivilegeEscalation", true);
        check_defaults(&PrivilegeEscalation, &psp, (1, 24), &[&default]);
    }
}
