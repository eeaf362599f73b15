//! The runtime class: `runtimeClass`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! Without `runtimeClass` everything is allowed.
//! Else a pod without a class gets the default if there is one, and a class, if set, must be in the list, or the list has `*`; an
//! empty list allows none.
//! The default does not count as allowed.
//!
//! ## Gatekeeper
//!
//! Judged by `templates/rego/lib/runtime_class.rego`.
//!
//! ## Losses
//!
//! None.

use serde_json::Value;

use super::{FieldError, Semantics, quoted};
use crate::api::core::Pod;
use crate::api::policy::{ALL, PodSecurityPolicy};

/// The control `runtime_class`.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeClass;

impl Semantics for RuntimeClass {
    fn mutate_pod(&self, psp: &PodSecurityPolicy, pod: &mut Pod) {
        let strategy = psp.spec.runtime_class.as_ref();
        if let Some(default) = strategy.and_then(|it| it.default.as_deref())
            && pod.get(&["spec", "runtimeClassName"]).is_none()
        {
            pod.set(&["spec", "runtimeClassName"], default.into());
        }
    }

    fn validate_pod(&self, acc: &mut Vec<FieldError>, psp: &PodSecurityPolicy, pod: &Pod) {
        let class = pod
            .get(&["spec", "runtimeClassName"])
            .and_then(Value::as_str);
        if let Some(strategy) = &psp.spec.runtime_class
            && let Some(class) = class
            && !strategy.allowed.iter().any(|it| it == ALL || it == class)
        {
            acc.push(FieldError::invalid(
                "spec.runtimeClassName",
                quoted(class),
                "",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::policy::RuntimeClassStrategy;
    use crate::controls::testing::{check, check_mutation, check_unchanged, owned, policy};

    fn classes(allowed: &[&str], default: Option<&str>) -> PodSecurityPolicy {
        policy(|it| {
            it.runtime_class = Some(RuntimeClassStrategy {
                allowed: owned(allowed),
                default: default.map(ToOwned::to_owned),
            });
        })
    }

    fn pod(class: &str) -> Value {
        json!({ "spec": { "runtimeClassName": class } })
    }

    #[test]
    fn a_pod_without_class_gets_the_default() {
        let psp = classes(&["a"], Some("a"));
        check_mutation(&RuntimeClass, &psp, json!({ "spec": {} }), pod("a"));
        check_unchanged(&RuntimeClass, &psp, pod(""));
        check_unchanged(&RuntimeClass, &classes(&["a"], None), json!({ "spec": {} }));
        check_unchanged(&RuntimeClass, &policy(|_| {}), json!({ "spec": {} }));
    }

    #[test]
    fn a_class_must_be_listed_and_none_need_not() {
        check(&RuntimeClass, &classes(&["a"], None), pod("a"), &[]);
        check(&RuntimeClass, &classes(&["*"], None), pod("b"), &[]);
        check(&RuntimeClass, &policy(|_| {}), pod("b"), &[]);
        check(
            &RuntimeClass,
            &classes(&[], None),
            json!({ "spec": {} }),
            &[],
        );
        let error = "spec.runtimeClassName: Invalid value: \"b\"";
        check(&RuntimeClass, &classes(&["a"], None), pod("b"), &[error]);
        check(&RuntimeClass, &classes(&[], Some("b")), pod("b"), &[error]);
    }
}
