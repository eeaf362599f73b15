//! The root filesystem of containers: `readOnlyRootFilesystem`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! Where the policy says `true`, a container that does not say gets `true`, and one that says `false` is refused.
//! Only the container's own value counts; the pod has none.
//!
//! ## Gatekeeper
//!
//! `readOnlyRootFilesystem` travels as it is; what the plugin would have set must be set.
//! The default becomes an `Assign` for each of the two lists of containers that a new pod has.
//! `templates/rego/lib/read_only_root_filesystem.rego` judges it.
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

/// The control `read_only_root_filesystem`.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnlyRootFilesystem;

impl Control for ReadOnlyRootFilesystem {
    fn name(&self) -> &'static str {
        "read-only-root-filesystem"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["readOnlyRootFilesystem"]
    }

    fn probes(&self, _psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        [Value::Null, true.into(), false.into()]
            .map(|it| Probe::security("readOnlyRootFilesystem", it))
            .to_vec()
    }

    fn places(&self) -> &'static [Place] {
        &[Place::Containers(&["readOnlyRootFilesystem"])]
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &["readOnlyRootFilesystem"]
    }
}

impl Semantics for ReadOnlyRootFilesystem {
    fn mutate_container(&self, psp: &PodSecurityPolicy, pod: &mut Pod, at: ContainerRef) {
        if psp.spec.read_only_root_filesystem
            && let Some(container) = pod.container(at)
            && container.own("readOnlyRootFilesystem").is_none()
        {
            pod.set_container_security(at, "readOnlyRootFilesystem", true.into());
        }
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        if !psp.spec.read_only_root_filesystem {
            return;
        }
        let path = container.security_path("readOnlyRootFilesystem");
        match container
            .own("readOnlyRootFilesystem")
            .and_then(Value::as_bool)
        {
            Some(true) => {}
            Some(false) => {
                let detail = "ReadOnlyRootFilesystem must be set to true";
                acc.push(FieldError::invalid(path, false, detail));
            }
            None => {
                let detail = "ReadOnlyRootFilesystem may not be nil and must be set to true";
                acc.push(FieldError::invalid(path, NULL, detail));
            }
        }
    }
}

impl Translate for ReadOnlyRootFilesystem {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([(
            "readOnlyRootFilesystem",
            json!(psp.read_only_root_filesystem),
        )])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        !wide.read_only_root_filesystem || narrow.read_only_root_filesystem
    }

    fn defaults(&self, psp: &PodSecurityPolicySpec, _kubernetes: Version) -> Vec<DefaultValue> {
        if !psp.read_only_root_filesystem {
            return Vec::new();
        }
        let location = "securityContext.readOnlyRootFilesystem";
        vec![DefaultValue {
            field: "spec.readOnlyRootFilesystem",
            place: Place::Containers(&["readOnlyRootFilesystem"]),
            mutation: Some(Mutation::on_containers(location, true.into())),
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
    fn a_policy_that_wants_it_defaults_it_and_refuses_the_opposite() {
        let psp = policy(|it| it.read_only_root_filesystem = true);
        let set = contexts(&json!({}), &json!({ "readOnlyRootFilesystem": true }));
        let unset = contexts(&json!({}), &json!(null));
        let opposite = contexts(&json!({}), &json!({ "readOnlyRootFilesystem": false }));
        check_mutation(&ReadOnlyRootFilesystem, &psp, unset.clone(), set.clone());
        check_unchanged(&ReadOnlyRootFilesystem, &psp, opposite.clone());
        let path = "spec.containers[0].securityContext.readOnlyRootFilesystem";
        let error =
            format!("{path}: Invalid value: false: ReadOnlyRootFilesystem must be set to true");
        check(&ReadOnlyRootFilesystem, &psp, opposite, &[&error]);
        let error = format!(
            "{path}: Invalid value: \"null\": \
             ReadOnlyRootFilesystem may not be nil and must be set to true"
        );
        check(&ReadOnlyRootFilesystem, &psp, unset, &[&error]);
        check(&ReadOnlyRootFilesystem, &psp, set, &[]);
    }

    #[test]
    fn another_policy_does_nothing() {
        for context in [
            json!(null),
            json!({}),
            json!({ "readOnlyRootFilesystem": false }),
        ] {
            let pod = contexts(&json!({}), &context);
            check_unchanged(&ReadOnlyRootFilesystem, &policy(|_| {}), pod.clone());
            check(&ReadOnlyRootFilesystem, &policy(|_| {}), pod, &[]);
        }
    }

    #[test]
    fn a_policy_covers_another_that_asks_for_no_less() {
        for (wide, narrow, covers) in [
            (false, false, true),
            (false, true, true),
            (true, true, true),
            (true, false, false),
        ] {
            let [wide, narrow] =
                [wide, narrow].map(|value| policy(|it| it.read_only_root_filesystem = value));
            check_covers(&ReadOnlyRootFilesystem, &wide, &narrow, covers);
        }
    }

    #[test]
    fn the_wish_travels_and_is_a_default() {
        let psp = policy(|it| it.read_only_root_filesystem = true);
        let expected = json!({ "readOnlyRootFilesystem": true });
        check_parameters(&ReadOnlyRootFilesystem, &psp, &expected);
        let location = "securityContext.readOnlyRootFilesystem";
        let default = format!(
            "spec.readOnlyRootFilesystem in Containers([\"readOnlyRootFilesystem\"]): \
             Assign on Containers of {location} = true unless {location}"
        );
        check_defaults(&ReadOnlyRootFilesystem, &psp, (1, 24), &[&default]);
        check_defaults(&ReadOnlyRootFilesystem, &policy(|_| {}), (1, 24), &[]);
    }
}
