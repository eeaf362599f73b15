//! AppArmor profiles: two annotations of the policy.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/apparmor/strategy.go`.
//! A container without a profile, or with an empty one, gets the default, as an annotation of the pod.
//! Without the annotation that lists what is allowed, everything is; with it, each container must have one of the profiles between
//! its commas, taken as they stand.
//! An empty list allows nothing.
//!
//! ## Gatekeeper
//!
//! The annotations travel as `appArmor`, split into names.
//! From Kubernetes 1.30 on a pod says its profile in `appArmorProfile`; the library ranks field and annotation as the API server does.
//! `templates/rego/lib/apparmor.rego` judges it.
//!
//! A container without a profile runs under the runtime's default one, which `runtime/default` names, unless it is privileged.
//! So a policy that would have written `runtime/default`, and allows it, gets the parameter `unsetIsRuntimeDefault`: it accepts a
//! container without any profile that is not privileged.
//! With `--strict-apparmor` the profile must be there.
//!
//! ## Losses
//!
//! `unset-profile` (harmless): a container that is accepted without a profile is stored without the annotation that PSP set. An
//! update is admitted too that PSP denied for the missing annotation.
//! On a node without AppArmor the container runs unconfined; a kubelet there denies a pod with the annotation.
//!
//! Those of every control that sets a default: `default-not-set`, `default-admits`, `default-of-the-first`, `default-for-all`,
//! `default-of-another-policy`, `default-in-the-way` and `default-on-update`; `psp2gatekeeper explain LOSS` describes each.
//!
//! `default-not-set` (stricter): before Kubernetes 1.30 a profile is an annotation whose key contains the name of the container, and
//! no mutator can write such a key.
//! So a `localhost/…` default is not set, nor any default of a privileged container or with `--strict-apparmor`; `bake` sets them.
//! Since 1.30 the profile is a field too: with `--kubernetes-version 1.30` a mutator sets it.
//! Until then a pod that leaves it open is refused, unless its policy takes that for `runtime/default`; `psp2gatekeeper bake` makes
//! the profile explicit in the workloads.
//!
//! `default-on-pod` (differs): since Kubernetes 1.30 the default is a field of the pod, not an annotation for each container.

use serde_json::{Map, Value, json};

use super::defaults::{Caveat, DefaultValue, Mutation, Place};
use super::probe::Probe;
use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters, split};
use super::{Control, FieldError, Semantics, quoted};
use crate::api::apparmor::{FIELD, FIELD_SINCE, annotation_key, field_for};
use crate::api::core::{APPARMOR_CONTAINER_PREFIX, Container, ContainerRef, Pod, RUNTIME_DEFAULT};
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec};
use crate::loss::LossKind;
use crate::version::Version;

/// The member of the parameter `appArmor` by which a container without a profile counts as one with `runtime/default`.
const UNSET_IS_RUNTIME_DEFAULT: &str = "unsetIsRuntimeDefault";

/// What a loss calls the annotation that has the default.
pub const DEFAULT_FIELD: &str =
    "metadata.annotations[apparmor.security.beta.kubernetes.io/defaultProfileName]";

/// The control `apparmor`.
#[derive(Clone, Copy, Debug)]
pub struct AppArmor;

impl Control for AppArmor {
    fn name(&self) -> &'static str {
        "apparmor"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["appArmor"]
    }

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let allowed = psp.app_armor.allowed.as_deref().map(split);
        let usual = ["runtime/default", "unconfined", "localhost/unlisted", ""];
        let profiles = allowed.into_iter().flatten();
        let profiles = profiles
            .chain([psp.app_armor.default.clone()])
            .chain(usual.map(str::to_owned));
        profiles
            .map(Value::from)
            .chain([Value::Null])
            .map(|it| Probe::container_annotation(APPARMOR_CONTAINER_PREFIX, it))
            .collect()
    }

    fn places(&self) -> &'static [Place] {
        &[Place::Annotations(APPARMOR_CONTAINER_PREFIX)]
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &[APPARMOR_CONTAINER_PREFIX, FIELD]
    }
}

impl Semantics for AppArmor {
    fn mutate_container(&self, psp: &PodSecurityPolicy, pod: &mut Pod, at: ContainerRef) {
        let default = &psp.spec.app_armor.default;
        if !default.is_empty()
            && let Some(container) = pod.container(at)
            && container.app_armor_profile().is_empty()
        {
            let key = annotation_key(container.name());
            pod.set_annotation(&key, default);
        }
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        let Some(allowed) = psp.spec.app_armor.allowed.as_deref() else {
            return;
        };
        let key = annotation_key(container.name());
        let path = format!("pod.metadata.annotations[{key}]");
        match container.app_armor_profile() {
            "" => acc.push(FieldError::forbidden(path, "AppArmor profile must be set")),
            profile if allowed.split(',').any(|it| it == profile) => {}
            profile => {
                let allowed = quoted(allowed);
                let detail =
                    format!("{profile} is not an allowed profile. Allowed values: {allowed}");
                acc.push(FieldError::forbidden(path, &detail));
            }
        }
    }
}

impl Translate for AppArmor {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let mut strategy = Map::new();
        if let Some(allowed) = &psp.app_armor.allowed {
            strategy.insert("allowedProfileNames".to_owned(), as_set(&split(allowed)));
        }
        if !psp.app_armor.default.is_empty() {
            strategy.insert(
                "defaultProfileName".to_owned(),
                json!(psp.app_armor.default),
            );
        }
        if unset_is_runtime_default(psp) {
            strategy.insert(UNSET_IS_RUNTIME_DEFAULT.to_owned(), json!(true));
        }
        parameters([("appArmor", Value::Object(strategy))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        let must_be_set = |psp: &PodSecurityPolicySpec| {
            psp.app_armor.allowed.is_some() || !psp.app_armor.default.is_empty()
        };
        let allowed = match (&wide.app_armor.allowed, &narrow.app_armor.allowed) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(outer), Some(inner)) => is_subset(&split(inner), &split(outer)),
        };
        // With and without `--strict-apparmor`: what the one accepts without a profile, the other accepts.
        let takes_unset = !must_be_set(wide)
            || must_be_set(narrow)
                && (unset_is_runtime_default(wide) || !unset_is_runtime_default(narrow));
        allowed && takes_unset
    }

    fn defaults(&self, psp: &PodSecurityPolicySpec, kubernetes: Version) -> Vec<DefaultValue> {
        let default = &psp.app_armor.default;
        if default.is_empty() {
            return Vec::new();
        }
        let field = field_for(default).filter(|_| kubernetes >= FIELD_SINCE);
        let mutation = field.map(|field| {
            let caveat = Caveat {
                kind: LossKind::DefaultOnPod,
                why: "the default is written as a field of the pod, not as an annotation for each container".to_owned(),
                pod: json!({}),
            };
            Mutation::on_pod("securityContext.appArmorProfile", field)
                .but(caveat)
                .but(annotation_alone())
        });
        vec![DefaultValue {
            field: DEFAULT_FIELD,
            place: Place::Annotations(APPARMOR_CONTAINER_PREFIX),
            mutation,
        }]
    }
}

/// What becomes of a pod whose annotation says something else than the field that the mutator writes.
fn annotation_alone() -> Caveat {
    Caveat {
        kind: LossKind::AnnotationAlone,
        why: "the mutator writes the field where the annotation is empty or names another profile, and the API server refuses a pod in which the two differ".to_owned(),
        pod: json!({ "metadata": { "annotations": { annotation_key("app"): "" } } }),
    }
}

/// Whether the policy takes a container without a profile for one with `runtime/default`, unless it is privileged.
///
/// So it does where it would have written that profile and its list has it, or it has no list.
pub fn unset_is_runtime_default(psp: &PodSecurityPolicySpec) -> bool {
    let profiles = &psp.app_armor;
    let allowed = profiles.allowed.as_deref().map(split);
    profiles.default == RUNTIME_DEFAULT && allowed.is_none_or(|it| has(&it, RUNTIME_DEFAULT))
}

/// Has the parameters of a policy demand a profile in every container, as with `--strict-apparmor`.
pub fn demand_profiles(parameters: &mut Parameters) {
    if let Some(Value::Object(strategy)) = parameters.get_mut("appArmor") {
        strategy.remove(UNSET_IS_RUNTIME_DEFAULT);
    }
}

/// Whether the container runs under `runtime/default` because nothing says otherwise.
///
/// It is not privileged, and neither its own field or annotation nor the field of its pod says a profile.
/// An empty annotation says none.
///
/// Kubernetes 1.24, `k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`, `LinuxContainerSecurityContext.apparmor_profile`.
/// Of privileged containers runtimes take no profile for unconfined.
pub fn is_unset(container: &Container<'_>) -> bool {
    container.own("privileged") != Some(&Value::Bool(true))
        && container.effective(FIELD).is_none()
        && container.app_armor_profile().is_empty()
}

/// Writes `runtime/default` as the annotation of each container for which [`is_unset`] says that it means that.
///
/// Pods that then are equal run under the same profiles.
pub fn name_unset_profiles(pod: &mut Pod) {
    for at in pod.container_refs() {
        if let Some(container) = pod.container(at).filter(is_unset) {
            let key = annotation_key(container.name());
            pod.set_annotation(&key, RUNTIME_DEFAULT);
        }
    }
}

#[cfg(test)]
mod tests;
