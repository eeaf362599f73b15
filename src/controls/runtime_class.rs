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
//! The strategy travels as `runtimeClass`, and is absent where the PSP has none.
//! The default becomes an `Assign`; the API server runs its `RuntimeClass` plugin once more after a webhook has changed a pod.
//! `templates/rego/lib/runtime_class.rego` judges it.
//!
//! ## Losses
//!
//! Those of every control that sets a default: `default-not-set`, `default-admits`, `default-of-the-first`, `default-for-all`,
//! `default-of-another-policy`, `default-in-the-way` and `default-on-update`; `psp2gatekeeper explain LOSS` describes each.

use serde_json::{Map, Value, json};

use super::defaults::{DefaultValue, Mutation, Place};
use super::probe::Probe;
use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters};
use super::{Control, FieldError, Semantics, quoted};
use crate::api::core::Pod;
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec};
use crate::version::Version;

/// The control `runtime_class`.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeClass;

impl Control for RuntimeClass {
    fn name(&self) -> &'static str {
        "runtime-class"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["runtimeClass"]
    }

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let strategy = psp.runtime_class.as_ref();
        let named = strategy
            .into_iter()
            .flat_map(|it| it.allowed.iter().chain(&it.default));
        named
            .map(String::as_str)
            .filter(|it| *it != ALL)
            .chain(["unlisted"])
            .map(Value::from)
            .chain([Value::Null])
            .map(|it| Probe::pod(&["spec", "runtimeClassName"], it))
            .collect()
    }

    fn places(&self) -> &'static [Place] {
        &[Place::Pod(&["spec", "runtimeClassName"])]
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &["runtimeClassName"]
    }
}

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

impl Translate for RuntimeClass {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let Some(strategy) = &psp.runtime_class else {
            return Parameters::new();
        };
        let mut res = Map::new();
        res.insert(
            "allowedRuntimeClassNames".to_owned(),
            as_set(&strategy.allowed),
        );
        if let Some(default) = &strategy.default {
            res.insert("defaultRuntimeClassName".to_owned(), json!(default));
        }
        parameters([("runtimeClass", Value::Object(res))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        let Some(outer) = &wide.runtime_class else {
            return true;
        };
        let Some(inner) = &narrow.runtime_class else {
            return false;
        };
        (has(&outer.allowed, ALL)
            || (!has(&inner.allowed, ALL) && is_subset(&inner.allowed, &outer.allowed)))
            && (outer.default.is_none() || inner.default.is_some())
    }

    fn defaults(&self, psp: &PodSecurityPolicySpec, _kubernetes: Version) -> Vec<DefaultValue> {
        let strategy = psp.runtime_class.as_ref();
        let default = strategy.and_then(|it| it.default.as_deref());
        let defaults = default.map(|class| DefaultValue {
            field: "spec.runtimeClass",
            place: Place::Pod(&["spec", "runtimeClassName"]),
            mutation: Some(Mutation::on_pod("runtimeClassName", class.into())),
        });
        defaults.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::policy::RuntimeClassStrategy;
    use crate::controls::testing::{
        check, check_covers, check_defaults, check_mutation, check_parameters, check_unchanged,
        owned, policy,
    };

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

    #[test]
    fn a_policy_covers_another_whose_classes_it_allows() {
        let none = policy(|_| {});
        let star = classes(&["*"], None);
        let one = classes(&["a"], None);
        let default = classes(&["a"], Some("a"));
        for (wide, narrow, covers) in [
            (&none, &none, true),
            (&none, &one, true),
            (&one, &none, false),
            (&star, &star, true),
            (&star, &one, true),
            (&one, &star, false),
            (&one, &one, true),
            (&classes(&["a", "b"], None), &one, true),
            (&one, &classes(&["a", "b"], None), false),
            (&one, &default, true),
            (&default, &default, true),
            (&default, &one, false),
            (&classes(&["*"], Some("a")), &star, false),
        ] {
            check_covers(&RuntimeClass, wide, narrow, covers);
        }
    }

    #[test]
    fn the_strategy_travels_with_its_default() {
        let psp = classes(&["b", "a"], Some("a"));
        let strategy = json!({
            "allowedRuntimeClassNames": ["a", "b"],
            "defaultRuntimeClassName": "a",
        });
        check_parameters(&RuntimeClass, &psp, &json!({ "runtimeClass": strategy }));
        let strategy = json!({ "allowedRuntimeClassNames": ["a"] });
        let expected = json!({ "runtimeClass": strategy });
        check_parameters(&RuntimeClass, &classes(&["a"], None), &expected);
        check_parameters(&RuntimeClass, &policy(|_| {}), &json!({}));
        let default = "spec.runtimeClass in Pod([\"spec\", \"runtimeClassName\"]): \
            Assign on Pod of runtimeClassName = \"a\" unless runtimeClassName";
        check_defaults(&RuntimeClass, &psp, (1, 24), &[default]);
        check_defaults(&RuntimeClass, &classes(&["a"], None), (1, 24), &[]);
        check_defaults(&RuntimeClass, &policy(|_| {}), (1, 24), &[]);
    }
}
