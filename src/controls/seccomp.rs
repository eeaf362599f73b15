//! Seccomp profiles: two annotations of the policy.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/seccomp/strategy.go`.
//! A pod without the annotation gets it: what the field of the pod says, and where there is no field, the default.
//! The profile of the pod and that of each container are judged, fields included, by the list between the commas of the annotation,
//! taken as it stands: `*` allows everything, `runtime/default` and `docker/default` allow each other.
//! Without a list no profile may be set; with one, a profile must be.
//! The default does not count as allowed.
//!
//! ## Gatekeeper
//!
//! The annotations travel as `seccomp`, split into names, `docker/default` and `runtime/default` together.
//! The library reads fields and annotations.
//! Up to Kubernetes 1.26 the API server keeps the two together; later releases look at the field alone, so on a new pod the library
//! does not count an annotation that brought no field, nor lets an annotation hide a field that says something else.
//! On UPDATE a pod is refused that lost the annotation and kept the field, because the plugin would have had to write it again.
//! `templates/rego/lib/seccomp.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::{Map, Value, json};

use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters, split};
use super::{Control, FieldError, Semantics};
use crate::api::core::{
    Container, DOCKER_DEFAULT, Pod, RUNTIME_DEFAULT, SECCOMP_CONTAINER_PREFIX, SECCOMP_POD,
};
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `seccomp`.
#[derive(Clone, Copy, Debug)]
pub struct Seccomp;

impl Control for Seccomp {
    fn name(&self) -> &'static str {
        "seccomp"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["seccomp"]
    }
}

impl Semantics for Seccomp {
    fn mutate_pod(&self, psp: &PodSecurityPolicy, pod: &mut Pod) {
        let profile = match pod.seccomp_profile() {
            profile if profile.is_empty() && pod.security("seccompProfile").is_none() => {
                psp.spec.seccomp.default.clone()
            }
            profile => profile,
        };
        if !profile.is_empty() {
            pod.set_annotation(SECCOMP_POD, &profile);
        }
    }

    fn validate_pod(&self, acc: &mut Vec<FieldError>, psp: &PodSecurityPolicy, pod: &Pod) {
        validate(acc, psp, SECCOMP_POD, &pod.seccomp_profile());
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        let key = format!("{SECCOMP_CONTAINER_PREFIX}{}", container.name());
        validate(acc, psp, &key, &container.seccomp_profile());
    }
}

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

fn validate(acc: &mut Vec<FieldError>, psp: &PodSecurityPolicy, key: &str, profile: &str) {
    let raw = psp.spec.seccomp.allowed.as_deref();
    let listed: Vec<&str> = raw.into_iter().flat_map(|it| it.split(',')).collect();
    if listed.contains(&ALL) {
        return;
    }
    let path = format!("pod.metadata.annotations[{key}]");
    if listed.is_empty() {
        if !profile.is_empty() {
            acc.push(FieldError::forbidden(path, "seccomp may not be set"));
        }
    } else if !is_listed(&listed, profile) {
        let detail = format!(
            "{profile} is not an allowed seccomp profile. Valid values are {}",
            raw.unwrap_or_default()
        );
        acc.push(FieldError::forbidden(path, &detail));
    }
}

fn is_listed(listed: &[&str], profile: &str) -> bool {
    let runtime = [RUNTIME_DEFAULT, DOCKER_DEFAULT];
    listed.contains(&profile)
        || (runtime.contains(&profile) && listed.iter().any(|it| runtime.contains(it)))
}
