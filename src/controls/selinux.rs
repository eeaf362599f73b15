//! The SELinux context: `seLinux`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/selinux` and `provider.go`.
//! Under `MustRunAs` a pod without a context gets the policy's, on the pod; containers inherit it.
//! The pod's context and the effective context of each container, as a whole, must then be the policy's in all four members; an
//! empty member demands an empty one.
//! Two levels are the same if they differ only in the order of categories.
//!
//! ## Gatekeeper
//!
//! The strategy travels as `seLinux`, with all four members.
//! The default becomes an `Assign` on the pod.
//! `templates/rego/lib/selinux.rego` judges it.
//!
//! ## Losses
//!
//! Those of every control that sets a default: `default-not-set`, `default-admits`, `default-of-the-first`, `default-for-all`,
//! `default-of-another-policy`, `default-in-the-way` and `default-on-update`; `psp2gatekeeper explain LOSS` describes each.

use serde_json::{Map, Value, json};

use super::defaults::{DefaultValue, Mutation, Place};
use super::probe::Probe;
use super::translate::{Parameters, Translate, parameters};
use super::{Control, FieldError, Semantics, quoted};
use crate::api::core::{Container, Pod};
use crate::api::policy::{
    PodSecurityPolicy, PodSecurityPolicySpec, SeLinuxOptions, SeLinuxStrategy,
};
use crate::version::Version;

/// The control `selinux`.
#[derive(Clone, Copy, Debug)]
pub struct SeLinux;

impl Control for SeLinux {
    fn name(&self) -> &'static str {
        "selinux"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["seLinux"]
    }

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let required = match &psp.se_linux {
            SeLinuxStrategy::MustRunAs(options) => options.clone(),
            SeLinuxStrategy::RunAsAny => SeLinuxOptions::default(),
        };
        let mut contexts = vec![to_json(&required)];
        for key in ["user", "role", "type", "level"] {
            for value in [Value::Null, "unlisted".into()] {
                let mut context = to_json(&required);
                if let Some(members) = context.as_object_mut() {
                    members.insert(key.to_owned(), value);
                    members.retain(|_, it| !it.is_null());
                }
                contexts.push(context);
            }
        }
        if let Some((sensitivity, categories)) = required.level.split_once(':') {
            let mut categories: Vec<&str> = categories.split(',').collect();
            categories.reverse();
            let level = format!("{sensitivity}:{}", categories.join(","));
            contexts.push(to_json(&SeLinuxOptions { level, ..required }));
        }
        let none = Probe::security("seLinuxOptions", Value::Null);
        let mut res = vec![Probe::pod_security("seLinuxOptions", Value::Null).and(none.clone())];
        for context in contexts {
            res.push(Probe::security("seLinuxOptions", context.clone()));
            res.push(Probe::pod_security("seLinuxOptions", context).and(none.clone()));
        }
        res
    }

    fn places(&self) -> &'static [Place] {
        &[Place::Pod(&["spec", "securityContext", "seLinuxOptions"])]
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &["seLinuxOptions"]
    }
}

impl Semantics for SeLinux {
    fn mutate_pod(&self, psp: &PodSecurityPolicy, pod: &mut Pod) {
        if let SeLinuxStrategy::MustRunAs(options) = &psp.spec.se_linux
            && pod.security("seLinuxOptions").is_none()
        {
            pod.set_security("seLinuxOptions", to_json(options));
        }
    }

    fn validate_pod(&self, acc: &mut Vec<FieldError>, psp: &PodSecurityPolicy, pod: &Pod) {
        let path = "spec.securityContext.seLinuxOptions";
        validate(
            acc,
            path,
            &psp.spec.se_linux,
            pod.security("seLinuxOptions"),
        );
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        let path = container.security_path("seLinuxOptions");
        validate(
            acc,
            &path,
            &psp.spec.se_linux,
            container.effective("seLinuxOptions"),
        );
    }
}

impl Translate for SeLinux {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let strategy = match &psp.se_linux {
            SeLinuxStrategy::RunAsAny => json!({ "rule": "RunAsAny" }),
            SeLinuxStrategy::MustRunAs(options) => json!({
                "rule": "MustRunAs",
                "seLinuxOptions": {
                    "user": options.user,
                    "role": options.role,
                    "type": options.type_,
                    "level": options.level,
                },
            }),
        };
        parameters([("seLinux", strategy)])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.se_linux == SeLinuxStrategy::RunAsAny || wide.se_linux == narrow.se_linux
    }

    fn defaults(&self, psp: &PodSecurityPolicySpec, _kubernetes: Version) -> Vec<DefaultValue> {
        let SeLinuxStrategy::MustRunAs(options) = &psp.se_linux else {
            return Vec::new();
        };
        let members = [
            ("level", &options.level),
            ("role", &options.role),
            ("type", &options.type_),
            ("user", &options.user),
        ];
        let set = members.into_iter().filter(|(_, value)| !value.is_empty());
        let options: Map<String, Value> = set
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .collect();
        vec![DefaultValue {
            field: "spec.seLinux",
            place: Place::Pod(&["spec", "securityContext", "seLinuxOptions"]),
            mutation: Some(Mutation::on_pod(
                "securityContext.seLinuxOptions",
                options.into(),
            )),
        }]
    }
}

fn validate(
    acc: &mut Vec<FieldError>,
    path: &str,
    strategy: &SeLinuxStrategy,
    actual: Option<&Value>,
) {
    let SeLinuxStrategy::MustRunAs(expected) = strategy else {
        return;
    };
    let Some(actual) = actual else {
        acc.push(FieldError::required(path, ""));
        return;
    };
    let text = |key: &str| actual.get(key).and_then(Value::as_str).unwrap_or_default();
    for (key, expected, equal) in [
        (
            "level",
            &expected.level,
            same_level(&expected.level, text("level")),
        ),
        ("role", &expected.role, expected.role == text("role")),
        ("type", &expected.type_, expected.type_ == text("type")),
        ("user", &expected.user, expected.user == text("user")),
    ] {
        if !equal {
            let field = format!("{path}.{key}");
            let detail = format!("must be {expected}");
            acc.push(FieldError::invalid(field, quoted(text(key)), &detail));
        }
    }
}

fn same_level(expected: &str, actual: &str) -> bool {
    let sorted = |categories: &str| {
        let mut categories: Vec<String> = categories.split(',').map(ToOwned::to_owned).collect();
        categories.sort_unstable();
        categories
    };
    expected == actual
        || match (expected.split_once(':'), actual.split_once(':')) {
            (Some((left, expected)), Some((right, actual))) => {
                left == right && sorted(expected) == sorted(actual)
            }
            _ => false,
        }
}

fn to_json(options: &SeLinuxOptions) -> Value {
    let members = [
        ("user", &options.user),
        ("role", &options.role),
        ("type", &options.type_),
        ("level", &options.level),
    ];
    let members = members.into_iter().filter(|(_, value)| !value.is_empty());
    let members: Map<String, Value> = members
        .map(|(key, value)| (key.to_owned(), value.as_str().into()))
        .collect();
    members.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{
        check, check_covers, check_defaults, check_mutation, check_parameters, check_unchanged,
        contexts, policy,
    };

    fn must(user: &str, role: &str, type_: &str, level: &str) -> PodSecurityPolicy {
        let options = SeLinuxOptions {
            user: user.to_owned(),
            role: role.to_owned(),
            type_: type_.to_owned(),
            level: level.to_owned(),
        };
        policy(|it| it.se_linux = SeLinuxStrategy::MustRunAs(options))
    }

    fn options(options: &Value) -> Value {
        json!({ "seLinuxOptions": options })
    }

    #[test]
    fn the_default_is_written_on_the_pod_alone() {
        let psp = must("u", "r", "t", "");
        let after = options(&json!({ "user": "u", "role": "r", "type": "t" }));
        let after = contexts(&after, &json!(null));
        check_mutation(
            &SeLinux,
            &psp,
            contexts(&json!({}), &json!(null)),
            after.clone(),
        );
        check(&SeLinux, &psp, after, &[]);
        check_unchanged(&SeLinux, &psp, contexts(&options(&json!({})), &json!(null)));
    }

    #[test]
    fn categories_may_be_in_any_order() {
        for (expected, actual, same) in [
            ("s0:c0,c6", "s0:c6,c0", true),
            ("s0", "s0", true),
            ("s0", "s0:c0", false),
            ("s0:c0", "s1:c0", false),
            ("s0:c0,c0", "s0:c0", false),
            ("s0:c0.c2", "s0:c0,c1,c2", false),
            ("s0-s1:c0,c1", "s0-s1:c1,c0", true),
        ] {
            assert_eq!(same_level(expected, actual), same, "{expected} {actual}");
        }
    }

    #[test]
    fn all_four_members_must_be_the_policy_s() {
        let pod = options(&json!({ "level": "s1", "role": "y", "type": "z", "user": "w" }));
        let pod = contexts(&pod, &options(&json!({ "level": "s0" })));
        let path = "spec.securityContext.seLinuxOptions";
        let errors = [
            format!("{path}.level: Invalid value: \"s1\": must be s0"),
            format!("{path}.role: Invalid value: \"y\": must be "),
            format!("{path}.type: Invalid value: \"z\": must be "),
            format!("{path}.user: Invalid value: \"w\": must be "),
        ];
        check(
            &SeLinux,
            &must("", "", "", "s0"),
            pod,
            &errors.each_ref().map(String::as_str),
        );
    }

    #[test]
    fn a_container_is_judged_by_its_own_context_as_a_whole() {
        let psp = must("u", "", "", "s0");
        let right = options(&json!({ "user": "u", "level": "s0" }));
        let wrong = options(&json!({ "level": "s0" }));
        let error = "spec.containers[0].securityContext.seLinuxOptions.user: \
            Invalid value: \"\": must be u";
        check(&SeLinux, &psp, contexts(&right, &wrong), &[error]);
        check(&SeLinux, &psp, contexts(&right, &json!({})), &[]);
    }

    #[test]
    fn a_context_must_be_there() {
        let errors = [
            "spec.securityContext.seLinuxOptions: Required value",
            "spec.containers[0].securityContext.seLinuxOptions: Required value",
        ];
        check(
            &SeLinux,
            &must("", "", "", ""),
            contexts(&json!({}), &json!({})),
            &errors,
        );
        check(
            &SeLinux,
            &policy(|_| {}),
            contexts(&json!({}), &json!({})),
            &[],
        );
    }

    #[test]
    fn a_policy_covers_another_of_the_same_context_and_any_covers_all() {
        let any = policy(|_| {});
        let one = must("u", "r", "t", "s0");
        for (wide, narrow, covers) in [
            (&any, &any, true),
            (&any, &one, true),
            (&one, &one, true),
            (&one, &any, false),
            (&one, &must("u", "r", "t", "s1"), false),
        ] {
            check_covers(&SeLinux, wide, narrow, covers);
        }
    }

    #[test]
    fn each_member_is_told_with_its_own_value() {
        let pod = options(&json!({ "user": "w", "role": "y", "type": "z", "level": "s1" }));
        let paths = ["spec.securityContext", "spec.containers[0].securityContext"];
        let errors: Vec<String> = paths
            .into_iter()
            .flat_map(|path| {
                [
                    ("level", "s1", "s0"),
                    ("role", "y", "r"),
                    ("type", "z", "t"),
                    ("user", "w", "u"),
                ]
                .map(|(key, actual, expected)| {
                    format!(
                        "{path}.seLinuxOptions.{key}: Invalid value: \"{actual}\": must be {expected}"
                    )
                })
            })
            .collect();
        let errors: Vec<&str> = errors.iter().map(String::as_str).collect();
        let pod = contexts(&pod, &json!({}));
        check(&SeLinux, &must("u", "r", "t", "s0"), pod, &errors);
    }

    #[test]
    fn all_members_travel_and_those_that_say_something_are_defaults() {
        let written = |value: &Value| {
            let location = "securityContext.seLinuxOptions";
            format!(
                "spec.seLinux in Pod([\"spec\", \"securityContext\", \"seLinuxOptions\"]): \
                 Assign on Pod of {location} = {value} unless {location}"
            )
        };
        for (psp, all, said) in [
            (
                must("u", "r", "t", "s0"),
                json!({ "user": "u", "role": "r", "type": "t", "level": "s0" }),
                json!({ "level": "s0", "role": "r", "type": "t", "user": "u" }),
            ),
            (
                must("", "r", "", ""),
                json!({ "user": "", "role": "r", "type": "", "level": "" }),
                json!({ "role": "r" }),
            ),
        ] {
            let strategy = json!({ "rule": "MustRunAs", "seLinuxOptions": all });
            check_parameters(&SeLinux, &psp, &json!({ "seLinux": strategy }));
            check_defaults(&SeLinux, &psp, (1, 24), &[&written(&said)]);
        }
        let expected = json!({ "seLinux": { "rule": "RunAsAny" } });
        check_parameters(&SeLinux, &policy(|_| {}), &expected);
        check_defaults(&SeLinux, &policy(|_| {}), (1, 24), &[]);
    }
}
