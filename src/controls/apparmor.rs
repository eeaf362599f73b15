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
//! Those of every control that fills something in: `default-not-set`, `default-of-the-first`, `default-for-all`,
//! `default-of-another-policy`, `default-in-the-way` and `default-on-update`; `psp2gatekeeper explain` tells what each is.
//!
//! `default-not-set` (stricter): before Kubernetes 1.30 a profile is an annotation whose key has the name of the container, and no
//! mutator can write such a key.
//! Since then it is a field too, so that `--kubernetes-version 1.30` adds the mutator, where policies do not differ in what they
//! fill in and the default is one that the field can say.
//! Until then a pod that leaves it open is refused; `psp2gatekeeper bake` makes the profile explicit in the workloads.
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

/// The parameter.
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
            Mutation::on_pod("securityContext.appArmorProfile", field).but(caveat)
        });
        vec![DefaultValue {
            field: DEFAULT_FIELD,
            place: Place::Annotations(APPARMOR_CONTAINER_PREFIX),
            mutation,
        }]
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

/// Takes `runtime/default` out of containers that are not privileged, so that pods that run under the same profiles are equal.
///
/// A container's field stays where the pod's field would take its place.
pub fn forget_unset_profiles(pod: &mut Pod) {
    let default = field_for(RUNTIME_DEFAULT);
    let of_pod = pod.security(FIELD).is_some();
    for at in pod.container_refs() {
        let Some(container) = pod.container(at) else {
            continue;
        };
        if container.own("privileged") == Some(&Value::Bool(true)) {
            continue;
        }
        let key = annotation_key(container.name());
        let is_default = container.app_armor_profile() == RUNTIME_DEFAULT;
        let by_field = !of_pod && container.own(FIELD) == default.as_ref();
        if is_default {
            pod.remove(&["metadata", "annotations", &key]);
        }
        if by_field {
            pod.remove_in_container(at, &["securityContext", FIELD]);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::controls::testing::{
        check, check_covers, check_defaults, check_mutation, check_parameters, check_unchanged,
        policy,
    };

    const KEY: &str = "container.apparmor.security.beta.kubernetes.io/app";

    fn profiles(allowed: Option<&str>, default: &str) -> PodSecurityPolicy {
        policy(|it| {
            it.app_armor.allowed = allowed.map(ToOwned::to_owned);
            default.clone_into(&mut it.app_armor.default);
        })
    }

    fn annotated(profile: &str) -> Value {
        json!({
            "metadata": { "annotations": { KEY: profile } },
            "spec": { "containers": [{ "name": "app" }] },
        })
    }

    fn bare() -> Value {
        json!({ "spec": { "containers": [{ "name": "app" }] } })
    }

    #[test]
    fn the_default_replaces_an_absent_or_empty_profile() {
        let psp = profiles(None, "runtime/default");
        let mut after = annotated("runtime/default");
        check_mutation(&AppArmor, &psp, annotated(""), after.clone());
        check_unchanged(&AppArmor, &psp, annotated("unconfined"));
        check_unchanged(&AppArmor, &profiles(None, ""), bare());
        after["spec"] = bare()["spec"].clone();
        check_mutation(&AppArmor, &psp, bare(), after);
    }

    #[test]
    fn without_a_list_everything_is_allowed() {
        check(
            &AppArmor,
            &profiles(None, ""),
            annotated("localhost/x"),
            &[],
        );
        check(&AppArmor, &profiles(None, ""), bare(), &[]);
    }

    #[test]
    fn with_a_list_each_container_needs_one_of_its_profiles_as_they_stand() {
        let psp = profiles(Some("runtime/default, localhost/x"), "");
        let path = format!("pod.metadata.annotations[{KEY}]");
        check(&AppArmor, &psp, annotated("runtime/default"), &[]);
        let unset = format!("{path}: Forbidden: AppArmor profile must be set");
        check(&AppArmor, &psp, bare(), &[&unset]);
        check(&AppArmor, &psp, annotated(""), &[&unset]);
        let blank = format!(
            "{path}: Forbidden: localhost/x is not an allowed profile. \
             Allowed values: \"runtime/default, localhost/x\""
        );
        check(&AppArmor, &psp, annotated("localhost/x"), &[&blank]);
        let star = format!(
            "{path}: Forbidden: unconfined is not an allowed profile. Allowed values: \"*\""
        );
        check(
            &AppArmor,
            &profiles(Some("*"), ""),
            annotated("unconfined"),
            &[&star],
        );
    }

    #[test]
    fn an_empty_list_allows_nothing() {
        let psp = profiles(Some(""), "");
        let path = format!("pod.metadata.annotations[{KEY}]");
        let unset = format!("{path}: Forbidden: AppArmor profile must be set");
        check(&AppArmor, &psp, bare(), &[&unset]);
    }

    #[test]
    fn a_policy_covers_another_whose_profiles_it_allows() {
        for (wide, narrow, covers) in [
            (None, None, true),
            (None, Some("runtime/default"), true),
            (Some("runtime/default"), None, false),
            (Some("runtime/default"), Some("runtime/default"), true),
            (Some("runtime/default,unconfined"), Some("unconfined"), true),
            (
                Some("unconfined"),
                Some("runtime/default,unconfined"),
                false,
            ),
        ] {
            check_covers(
                &AppArmor,
                &profiles(wide, ""),
                &profiles(narrow, ""),
                covers,
            );
        }
    }

    #[test]
    fn a_policy_that_leaves_a_profile_open_is_not_covered_by_one_that_fills_it_in() {
        let default = "runtime/default";
        for (wide, narrow, covers) in [
            ((None, ""), (None, default), true),
            ((None, default), (None, default), true),
            ((None, default), (None, ""), false),
            ((None, default), (Some(default), ""), true),
            ((Some(default), ""), (None, default), false),
            ((Some(default), default), (Some(default), ""), true),
        ] {
            let [wide, narrow] = [wide, narrow].map(|(allowed, it)| profiles(allowed, it));
            check_covers(&AppArmor, &wide, &narrow, covers);
        }
    }

    #[test]
    fn what_is_listed_travels_sorted_and_what_is_absent_does_not() {
        let psp = profiles(Some("unconfined,localhost/x"), "localhost/x");
        let strategy = json!({
            "allowedProfileNames": ["localhost/x", "unconfined"],
            "defaultProfileName": "localhost/x",
        });
        check_parameters(&AppArmor, &psp, &json!({ "appArmor": strategy }));
        check_parameters(&AppArmor, &profiles(None, ""), &json!({ "appArmor": {} }));
    }

    #[test]
    fn the_default_can_be_written_since_there_is_a_field() {
        let written = |field: &str, value: Value| {
            let (annotation, prefix) = ("apparmor.security.beta.kubernetes.io", "container");
            format!(
                "metadata.annotations[{annotation}/defaultProfileName] \
                 in Annotations(\"{prefix}.{annotation}/\"): Assign on Pod of {field} = {value} \
                 unless {field}; default-on-pod Differs {{}}"
            )
        };
        let field = "securityContext.appArmorProfile";
        for (default, value) in [
            ("runtime/default", json!({ "type": "RuntimeDefault" })),
            ("unconfined", json!({ "type": "Unconfined" })),
            (
                "localhost/x",
                json!({ "type": "Localhost", "localhostProfile": "x" }),
            ),
        ] {
            let psp = profiles(None, default);
            check_defaults(&AppArmor, &psp, (1, 30), &[&written(field, value)]);
        }
        let nothing = "metadata.annotations[apparmor.security.beta.kubernetes.io/defaultProfileName] \
            in Annotations(\"container.apparmor.security.beta.kubernetes.io/\"): nothing";
        check_defaults(
            &AppArmor,
            &profiles(None, "unconfined"),
            (1, 29),
            &[nothing],
        );
        check_defaults(&AppArmor, &profiles(None, "odd"), (1, 30), &[nothing]);
        check_defaults(&AppArmor, &profiles(None, ""), (1, 30), &[]);
    }
}
