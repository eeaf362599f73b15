//! `seccomp`.

use serde_json::{Map, Value, json};

use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters, split};
use crate::api::policy::{ALL, PodSecurityPolicySpec};

#[derive(Debug)]
pub(crate) struct Seccomp;

impl Translate for Seccomp {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let mut strategy = Map::new();
        strategy.insert("allowedProfileNames".to_owned(), as_set(&allowed(psp)));
        if !psp.seccomp.default.is_empty() {
            strategy.insert("defaultProfileName".to_owned(), json!(psp.seccomp.default));
        }
        parameters([("seccomp", Value::Object(strategy))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        let (outer, inner) = (allowed(wide), allowed(narrow));
        // No list and an empty profile go together, so a list is no wider than none.
        let profiles = has(&outer, ALL)
            || (outer.is_empty() && inner.is_empty())
            || (!outer.is_empty()
                && !inner.is_empty()
                && !has(&inner, ALL)
                && is_subset(&inner, &outer));
        profiles && (wide.seccomp.default.is_empty() || !narrow.seccomp.default.is_empty())
    }
}

/// The profiles that may be set, where `docker/default` and `runtime/default` bring each other.
///
/// Kubernetes 1.24, `pkg/security/podsecuritypolicy/seccomp/strategy.go`: `NewStrategy`.
fn allowed(psp: &PodSecurityPolicySpec) -> Vec<String> {
    let mut res = psp
        .seccomp
        .allowed
        .as_deref()
        .map(split)
        .unwrap_or_default();
    let pair = ["docker/default", "runtime/default"];
    if res.iter().any(|it| pair.contains(&it.as_str())) {
        res.extend(pair.map(str::to_owned));
    }
    res
}
