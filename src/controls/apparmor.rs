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
//! ## Losses
//!
//! None.

use serde_json::{Map, Value, json};

use super::translate::{Parameters, Translate, as_set, is_subset, parameters, split};
use super::{Control, FieldError, Semantics, quoted};
use crate::api::core::{APPARMOR_CONTAINER_PREFIX, Container, ContainerRef, Pod};
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec};

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
}

impl Semantics for AppArmor {
    fn mutate_container(&self, psp: &PodSecurityPolicy, pod: &mut Pod, at: ContainerRef) {
        let default = &psp.spec.app_armor.default;
        if !default.is_empty()
            && let Some(container) = pod.container(at)
            && container.app_armor_profile().is_empty()
        {
            let key = format!("{APPARMOR_CONTAINER_PREFIX}{}", container.name());
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
        let key = format!("{APPARMOR_CONTAINER_PREFIX}{}", container.name());
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
        allowed && (!must_be_set(wide) || must_be_set(narrow))
    }
}
