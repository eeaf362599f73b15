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
//! The default becomes an `Assign` on the field of the pod, from which the API server makes the annotation up to Kubernetes 1.26.
//! A mutator of the annotation would act on updates, too, and make old pods acceptable.
//! Up to Kubernetes 1.26 the API server keeps the two together; later releases look at the field alone, so on a new pod the library
//! does not count an annotation that brought no field, nor lets an annotation hide a field that says something else.
//! On UPDATE a pod is refused that lost the annotation and kept the field, because the plugin would have had to write it again.
//! `templates/rego/lib/seccomp.rego` judges it.
//!
//! ## Losses
//!
//! Those of every control that sets a default: `default-not-set`, `default-admits`, `default-of-the-first`, `default-for-all`,
//! `default-of-another-policy`, `default-in-the-way` and `default-on-update`; `psp2gatekeeper explain LOSS` describes each.
//!
//! `annotation-alone` (stricter): a pod that names another profile by its annotation alone gets the default in its field, and the API
//! server denies a pod whose annotation and field differ.
//!
//! `default-by-its-new-name` (differs): the annotation is `runtime/default`, where PSP set `docker/default`.
//!
//! `default-of-the-first` (differs), of all controls: every policy would set the annotation on a pod whose profile is a field alone.
//! So PSP took the first by name, although a later one would have set nothing else.

use serde_json::{Map, Value, json};

use super::defaults::{Caveat, DefaultValue, Mutation, Place};
use super::probe::Probe;
use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters, split};
use super::{Control, FieldError, Semantics};
use crate::api::core::{
    Container, DOCKER_DEFAULT, Pod, RUNTIME_DEFAULT, SECCOMP_CONTAINER_PREFIX, SECCOMP_POD,
    UNCONFINED, seccomp_field_for,
};
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec};
use crate::loss::LossKind;
use crate::version::Version;

/// The annotation of the policy that names the default, as the field of a default.
const SECCOMP_DEFAULT_FIELD: &str =
    "metadata.annotations[seccomp.security.alpha.kubernetes.io/defaultProfileName]";

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

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let allowed = psp.seccomp.allowed.as_deref().map(split);
        let usual = [
            RUNTIME_DEFAULT,
            DOCKER_DEFAULT,
            UNCONFINED,
            "localhost/unlisted",
        ];
        let mut profiles: Vec<String> = allowed.into_iter().flatten().collect();
        profiles.push(psp.seccomp.default.clone());
        profiles.extend(usual.map(str::to_owned));
        profiles.sort();
        profiles.dedup();
        profiles.retain(|it| !it.is_empty() && it != ALL);
        // No profile anywhere, so that the one that a probe gives is the only one.
        let none = Probe::annotation(SECCOMP_POD, Value::Null)
            .and(Probe::pod_security("seccompProfile", Value::Null))
            .and(Probe::container_annotation(
                SECCOMP_CONTAINER_PREFIX,
                Value::Null,
            ))
            .and(Probe::security("seccompProfile", Value::Null));
        let mut res = vec![none.clone()];
        for profile in profiles {
            let annotation = Value::from(profile.as_str());
            res.push(Probe::container_annotation(
                SECCOMP_CONTAINER_PREFIX,
                annotation.clone(),
            ));
            res.push(none.clone().and(Probe::annotation(SECCOMP_POD, annotation)));
            if let Some(field) = seccomp_field_for(&profile) {
                res.push(Probe::security("seccompProfile", field.clone()));
                res.push(
                    none.clone()
                        .and(Probe::pod_security("seccompProfile", field)),
                );
            }
        }
        res
    }

    fn places(&self) -> &'static [Place] {
        &[Place::Pod(&["metadata", "annotations", SECCOMP_POD])]
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &[SECCOMP_POD, "seccompProfile"]
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

    fn defaults(&self, psp: &PodSecurityPolicySpec, _kubernetes: Version) -> Vec<DefaultValue> {
        let default = &psp.seccomp.default;
        if default.is_empty() {
            return Vec::new();
        }
        let mutation = seccomp_field_for(default).map(|field| {
            let mut res = Mutation::on_pod("securityContext.seccompProfile", field.clone());
            let other = allowed(psp)
                .into_iter()
                .flat_map(|it| match it.as_str() {
                    ALL => vec![UNCONFINED.to_owned(), RUNTIME_DEFAULT.to_owned()],
                    _ => vec![it],
                })
                .find(|it| seccomp_field_for(it).is_some_and(|it| it != field));
            if let Some(other) = other {
                res = res.but(annotation_alone(&other));
            }
            if default == DOCKER_DEFAULT {
                res = res.but(Caveat {
                    kind: LossKind::DefaultByItsNewName,
                    why: "the default is written as a field, to which the API server adds the annotation `runtime/default`, where the plugin wrote `docker/default`".to_owned(),
                    pod: json!({}),
                });
            }
            res
        });
        vec![DefaultValue {
            field: SECCOMP_DEFAULT_FIELD,
            place: Place::Pod(&["metadata", "annotations", SECCOMP_POD]),
            mutation,
        }]
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

/// What becomes of a pod whose profile is an annotation alone, where the mutator sees no field and writes one.
fn annotation_alone(profile: &str) -> Caveat {
    Caveat {
        kind: LossKind::AnnotationAlone,
        why: "a pod that names another profile by its annotation alone gets the default as its field, and the API server refuses a pod whose annotation and field differ".to_owned(),
        pod: json!({ "metadata": { "annotations": { SECCOMP_POD: profile } } }),
    }
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

#[cfg(test)]
mod tests;
