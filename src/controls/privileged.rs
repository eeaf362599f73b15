//! Privileged containers: `privileged`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! A container with `privileged: true` is refused unless the policy says `privileged: true`.
//! Nothing is defaulted; absent and `false` pass.
//!
//! ## Gatekeeper
//!
//! `privileged` travels as it is.
//! `templates/rego/lib/privileged.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::{Value, json};

use super::probe::Probe;
use super::translate::{Parameters, Translate, parameters};
use super::{Control, FieldError, Semantics};
use crate::api::core::Container;
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `privileged`.
#[derive(Clone, Copy, Debug)]
pub struct Privileged;

impl Control for Privileged {
    fn name(&self) -> &'static str {
        "privileged"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["privileged"]
    }

    fn probes(&self, _psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        // An API server refuses a privileged container that may not gain privileges.
        let gains = |it: Value| Probe::security("allowPrivilegeEscalation", it);
        vec![
            Probe::security("privileged", true).and(gains(true.into())),
            Probe::security("privileged", true).and(gains(Value::Null)),
            Probe::security("privileged", false),
            Probe::security("privileged", Value::Null),
        ]
    }
}

impl Semantics for Privileged {
    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        if !psp.spec.privileged && container.own("privileged") == Some(&Value::Bool(true)) {
            let path = container.security_path("privileged");
            let detail = "Privileged containers are not allowed";
            acc.push(FieldError::invalid(path, true, detail));
        }
    }
}

impl Translate for Privileged {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([("privileged", json!(psp.privileged))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.privileged || !narrow.privileged
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{check, check_covers, check_parameters, contexts, policy};

    #[test]
    fn only_a_policy_that_says_so_allows_privileged_containers() {
        let may = policy(|it| it.privileged = true);
        let may_not = policy(|it| it.privileged = false);
        let privileged = contexts(&json!(null), &json!({ "privileged": true }));
        let error = "spec.containers[0].securityContext.privileged: \
            Invalid value: true: Privileged containers are not allowed";
        check(&Privileged, &may, privileged.clone(), &[]);
        check(&Privileged, &may_not, privileged, &[error]);
        for context in [json!(null), json!({}), json!({ "privileged": false })] {
            check(&Privileged, &may_not, contexts(&json!(null), &context), &[]);
        }
    }

    #[test]
    fn init_and_ephemeral_containers_count_as_well() {
        let containers = json!([{ "name": "a", "securityContext": { "privileged": true } }]);
        let pod = json!({ "spec": {
            "initContainers": containers,
            "ephemeralContainers": containers,
        } });
        let problem = "Invalid value: true: Privileged containers are not allowed";
        check(
            &Privileged,
            &policy(|it| it.privileged = false),
            pod,
            &[
                &format!("spec.initContainers[0].securityContext.privileged: {problem}"),
                &format!("spec.ephemeralContainers[0].securityContext.privileged: {problem}"),
            ],
        );
    }

    #[test]
    fn a_policy_covers_another_that_allows_no_more() {
        for (wide, narrow, covers) in [
            (true, true, true),
            (true, false, true),
            (false, false, true),
            (false, true, false),
        ] {
            let [wide, narrow] = [wide, narrow].map(|value| policy(|it| it.privileged = value));
            check_covers(&Privileged, &wide, &narrow, covers);
        }
    }

    #[test]
    fn the_permission_travels_as_it_is() {
        for value in [true, false] {
            let psp = policy(|it| it.privileged = value);
            check_parameters(&Privileged, &psp, &json!({ "privileged": value }));
        }
    }
}
