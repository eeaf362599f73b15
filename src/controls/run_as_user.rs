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
//! The default becomes an `Assign` on the pod, whose value a container with its own overrides; a mutator of the container could
//! not see the pod's.
//! `templates/rego/lib/run_as_user.rego` judges it.
//!
//! ## Losses
//!
//! Those of every control that sets a default: `default-not-set`, `default-admits`, `default-of-the-first`, `default-for-all`,
//! `default-of-another-policy`, `default-in-the-way` and `default-on-update`; `psp2gatekeeper explain LOSS` describes each.
//!
//! `default-on-pod` (differs): the default is set on the pod; PSP set it on each container that had none. The effect is the same.
//! Under `MustRunAsNonRoot` the pod gets `runAsNonRoot` even if all its containers have a user.

use serde_json::{Value, json};

use super::defaults::{Caveat, DefaultValue, Mutation, Place};
use super::probe::{HIGHEST_ID, Probe, around};
use super::translate::{Parameters, Translate, id_ranges, parameters, ranges_within};
use super::{Control, FieldError, Semantics, groups::ranges_text};
use crate::api::core::{Container, ContainerRef, Pod};
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec, RunAsUserStrategy};
use crate::loss::LossKind;
use crate::version::Version;

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

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let on_pod = |key: &'static str, value: Value| {
            Probe::pod_security(key, value).and(Probe::security(key, Value::Null))
        };
        let users = match &psp.run_as_user {
            RunAsUserStrategy::MustRunAs(ranges) => {
                ranges.iter().map(|it| (it.min, it.max)).collect()
            }
            RunAsUserStrategy::MustRunAsNonRoot | RunAsUserStrategy::RunAsAny => Vec::new(),
        };
        let users = around(users, &[0, 1, 1000], 0, HIGHEST_ID);
        let mut res =
            vec![on_pod("runAsUser", Value::Null).and(on_pod("runAsNonRoot", Value::Null))];
        for user in &users {
            res.push(Probe::security("runAsUser", *user));
            res.push(on_pod("runAsUser", (*user).into()));
        }
        // The container's own value wins over the pod's.
        if let (Some(first), Some(last)) = (users.first(), users.last()) {
            for (pod, container) in [(*first, *last), (*last, *first)] {
                res.push(
                    Probe::pod_security("runAsUser", pod)
                        .and(Probe::security("runAsUser", container)),
                );
            }
        }
        for non_root in [true, false] {
            for user in [Value::Null, 0.into(), 1000.into()] {
                let user = on_pod("runAsUser", Value::Null).and(Probe::security("runAsUser", user));
                res.push(Probe::security("runAsNonRoot", non_root).and(user.clone()));
                res.push(on_pod("runAsNonRoot", non_root.into()).and(user));
            }
        }
        res
    }

    fn places(&self) -> &'static [Place] {
        &[
            Place::Containers(&["runAsUser"]),
            Place::Containers(&["runAsNonRoot"]),
        ]
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &["runAsUser", "runAsNonRoot"]
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

    fn defaults(&self, psp: &PodSecurityPolicySpec, _kubernetes: Version) -> Vec<DefaultValue> {
        let caveat = |why: &str| Caveat {
            kind: LossKind::DefaultOnPod,
            why: why.to_owned(),
            pod: json!({}),
        };
        let (member, mutation) = match &psp.run_as_user {
            RunAsUserStrategy::MustRunAs(ranges) => {
                let why =
                    "the default user is written on the pod, not on each container that has none";
                let user = ranges.first.min.into();
                let mutation = Mutation::on_pod("securityContext.runAsUser", user);
                (&["runAsUser"], mutation.but(caveat(why)))
            }
            RunAsUserStrategy::MustRunAsNonRoot => {
                let why = "`runAsNonRoot` is written on the pod, even where all containers have a user, not on each container that has neither";
                let mutation = Mutation::on_pod("securityContext.runAsNonRoot", true.into());
                (&["runAsNonRoot"], mutation.but(caveat(why)))
            }
            RunAsUserStrategy::RunAsAny => return Vec::new(),
        };
        vec![DefaultValue {
            field: "spec.runAsUser",
            place: Place::Containers(member),
            mutation: Some(mutation),
        }]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{
        check, check_covers, check_defaults, check_mutation, check_parameters, check_unchanged,
        contexts, policy, ranges,
    };

    fn must() -> PodSecurityPolicy {
        policy(|it| it.run_as_user = RunAsUserStrategy::MustRunAs(ranges(&[(100, 200), (1, 5)])))
    }

    fn non_root() -> PodSecurityPolicy {
        policy(|it| it.run_as_user = RunAsUserStrategy::MustRunAsNonRoot)
    }

    #[test]
    fn the_default_is_the_lower_end_of_the_first_range_on_the_container() {
        let before = contexts(&json!({}), &json!(null));
        let after = contexts(&json!({}), &json!({ "runAsUser": 100 }));
        check_mutation(&RunAsUser, &must(), before, after);
        for user in [json!({ "runAsUser": 3 }), json!({ "runAsUser": 0 })] {
            check_unchanged(&RunAsUser, &must(), contexts(&user, &json!(null)));
            check_unchanged(&RunAsUser, &must(), contexts(&json!({}), &user));
        }
    }

    #[test]
    fn the_user_must_be_in_a_range_ends_included() {
        for user in [1, 5, 100, 200] {
            check(
                &RunAsUser,
                &must(),
                contexts(&json!({ "runAsUser": user }), &json!(null)),
                &[],
            );
        }
        for user in [0, 6, 99, 201] {
            let error = format!(
                "spec.containers[0].securityContext.runAsUser: \
                 Invalid value: {user}: must be in the ranges: [{{100 200}} {{1 5}}]"
            );
            let pod = contexts(&json!({}), &json!({ "runAsUser": user }));
            check(&RunAsUser, &must(), pod, &[&error]);
        }
        let error = "spec.containers[0].securityContext.runAsUser: Required value";
        check(
            &RunAsUser,
            &must(),
            contexts(&json!({}), &json!({})),
            &[error],
        );
    }

    #[test]
    fn the_container_overrides_the_pod() {
        let pod = contexts(&json!({ "runAsUser": 999 }), &json!({ "runAsUser": 150 }));
        check(&RunAsUser, &must(), pod, &[]);
    }

    #[test]
    fn under_must_run_as_non_root_a_container_without_anything_is_marked() {
        let before = contexts(&json!({}), &json!({}));
        let after = contexts(&json!({}), &json!({ "runAsNonRoot": true }));
        check_mutation(&RunAsUser, &non_root(), before, after);
        for context in [
            json!({ "runAsUser": 1000 }),
            json!({ "runAsNonRoot": true }),
        ] {
            check_unchanged(&RunAsUser, &non_root(), contexts(&context, &json!(null)));
            check_unchanged(&RunAsUser, &non_root(), contexts(&json!({}), &context));
            check(
                &RunAsUser,
                &non_root(),
                contexts(&context, &json!(null)),
                &[],
            );
        }
    }

    #[test]
    fn under_must_run_as_non_root_the_first_fault_is_told() {
        for (context, problem) in [
            (json!({}), "runAsNonRoot: Required value: must be true"),
            (
                json!({ "runAsUser": 1000, "runAsNonRoot": false }),
                "runAsNonRoot: Invalid value: false: must be true",
            ),
            (
                json!({ "runAsUser": 0 }),
                "runAsUser: Invalid value: 0: running with the root UID is forbidden",
            ),
        ] {
            let error = format!("spec.containers[0].securityContext.{problem}");
            check(
                &RunAsUser,
                &non_root(),
                contexts(&json!({}), &context),
                &[&error],
            );
        }
    }

    #[test]
    fn a_policy_covers_another_with_narrower_ranges_and_none_of_another_rule() {
        let any = policy(|_| {});
        let must = |ends: &[(i64, i64)]| {
            let strategy = RunAsUserStrategy::MustRunAs(ranges(ends));
            policy(|it| it.run_as_user = strategy)
        };
        let two = must(&[(100, 200), (1, 5)]);
        for (wide, narrow, covers) in [
            (&any, &any, true),
            (&any, &non_root(), true),
            (&any, &two, true),
            (&non_root(), &non_root(), true),
            (&non_root(), &any, false),
            (&two, &any, false),
            (&two, &non_root(), false),
            (&two, &two, true),
            (&two, &must(&[(1, 5)]), true),
            (&two, &must(&[(100, 200), (2, 4)]), true),
            (&two, &must(&[(100, 200), (1, 6)]), false),
            (&two, &must(&[(99, 200)]), false),
            (&two, &must(&[(100, 201)]), false),
        ] {
            check_covers(&RunAsUser, wide, narrow, covers);
        }
        // A user in the ranges passes with `runAsNonRoot: false`, which no probe has on top.
        assert!(!RunAsUser.covers(&non_root().spec, &two.spec));
    }

    #[test]
    fn the_strategy_travels_with_its_ranges_in_order() {
        let two = json!([{ "min": 100, "max": 200 }, { "min": 1, "max": 5 }]);
        for (psp, strategy) in [
            (must(), json!({ "rule": "MustRunAs", "ranges": two })),
            (non_root(), json!({ "rule": "MustRunAsNonRoot" })),
            (policy(|_| {}), json!({ "rule": "RunAsAny" })),
        ] {
            check_parameters(&RunAsUser, &psp, &json!({ "runAsUser": strategy }));
        }
    }

    #[test]
    fn the_default_is_written_on_the_pod() {
        let written = |member: &str, value: &str| {
            let location = format!("securityContext.{member}");
            format!(
                "spec.runAsUser in Containers([\"{member}\"]): Assign on Pod of {location} = {value} \
                 unless {location}; default-on-pod Differs {{}}"
            )
        };
        let user = written("runAsUser", "100");
        check_defaults(&RunAsUser, &must(), (1, 24), &[&user]);
        let mark = written("runAsNonRoot", "true");
        check_defaults(&RunAsUser, &non_root(), (1, 24), &[&mark]);
        check_defaults(&RunAsUser, &policy(|_| {}), (1, 24), &[]);
    }
}
