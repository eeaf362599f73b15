//! `runtime_class`.

use serde_json::{Map, Value, json};

use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters};
use crate::api::policy::{ALL, PodSecurityPolicySpec};

#[derive(Debug)]
pub(crate) struct RuntimeClass;

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
}
