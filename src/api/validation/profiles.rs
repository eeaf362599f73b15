//! What is refused of the profiles of seccomp and AppArmor, in annotations and fields.

use serde_json::Value;

use super::{FORBIDDEN, INVALID, REQUIRED, Refusal};
use crate::api::apparmor;
use crate::api::core::{
    APPARMOR_CONTAINER_PREFIX, Container, DOCKER_DEFAULT, LOCALHOST_PREFIX, Pod, RUNTIME_DEFAULT,
    SECCOMP_CONTAINER_PREFIX, SECCOMP_POD, UNCONFINED,
};
use crate::version::Version;

/// The member of a security context with the seccomp profile.
pub(super) const SECCOMP: &str = "seccompProfile";
/// The member of a security context with the AppArmor profile.
pub(super) const APPARMOR: &str = apparmor::FIELD;

const LOCALHOST_PROFILE: &str = "localhostProfile";

/// Returns the first annotation of a profile that is none, or of a container that the pod does not have.
///
/// Kubernetes 1.24 to 1.37: `ValidateSeccompPodAnnotations`, `ValidateAppArmorPodAnnotations`.
/// The API server names several in any order; here they are in that of their keys.
pub(super) fn refused_annotation(pod: &Pod) -> Option<Refusal> {
    let annotations = pod.get(&["metadata", "annotations"])?.as_object()?;
    let text = |value: &'_ Value| value.as_str().map(ToOwned::to_owned);
    let seccomp = |(key, value): (&String, &Value)| {
        if key != SECCOMP_POD && !key.starts_with(SECCOMP_CONTAINER_PREFIX) {
            return None;
        }
        let path = format!("metadata.annotations.{key}");
        match text(value)?.as_str() {
            RUNTIME_DEFAULT | DOCKER_DEFAULT | UNCONFINED => None,
            profile => match profile.strip_prefix(LOCALHOST_PREFIX) {
                Some(name) => leads_elsewhere(path, name),
                None => Some(invalid(path, profile, "must be a valid seccomp profile")),
            },
        }
    };
    let app_armor = |(key, value): (&String, &Value)| {
        let container = key.strip_prefix(APPARMOR_CONTAINER_PREFIX)?;
        let path = format!("metadata.annotations[{key}]");
        if !pod.containers().any(|it| it.name() == container) {
            return Some(invalid(path, container, "container not found"));
        }
        let profile = text(value)?;
        let is_profile = matches!(profile.as_str(), "" | RUNTIME_DEFAULT | UNCONFINED)
            || profile.starts_with(LOCALHOST_PREFIX);
        let detail = || format!("invalid AppArmor profile name: {profile:?}");
        (!is_profile).then(|| invalid(path, &profile, &detail()))
    };
    let mut all = annotations.iter();
    all.clone()
        .find_map(seccomp)
        .or_else(|| all.find_map(app_armor))
}

/// Returns what is wrong with a seccomp field.
///
/// Kubernetes 1.24 to 1.37: `validateSeccompProfileField`.
pub(super) fn ill_formed_seccomp((path, profile): (String, &Value)) -> Option<Refusal> {
    let name = member(profile, LOCALHOST_PROFILE);
    ill_formed_type(
        &path,
        profile,
        "type is required when seccompProfile is set",
    )
    .or_else(|| {
        let path = format!("{path}.{LOCALHOST_PROFILE}");
        match (is_localhost(profile), name) {
            (true, None) => {
                let detail = "must be set when seccomp type is Localhost";
                Some(Refusal::new(path, REQUIRED.to_owned(), detail))
            }
            (true, Some(name)) => leads_elsewhere(path, name),
            (false, Some(_)) => {
                let detail = "can only be set when seccomp type is Localhost";
                Some(Refusal::new(path, INVALID.to_owned(), detail))
            }
            (false, None) => None,
        }
    })
}

/// Returns what is wrong with an AppArmor field, of which earlier releases know nothing.
///
/// Kubernetes 1.30 to 1.37: `ValidateAppArmorProfileField`.
pub(super) fn ill_formed_app_armor(
    (path, profile): (String, &Value),
    kubernetes: Version,
) -> Option<Refusal> {
    if kubernetes < apparmor::FIELD_SINCE {
        return None;
    }
    let name = member(profile, LOCALHOST_PROFILE);
    ill_formed_type(
        &path,
        profile,
        "type is required when appArmorProfile is set",
    )
    .or_else(|| {
        let path = format!("{path}.{LOCALHOST_PROFILE}");
        match (is_localhost(profile), name) {
            (true, Some(name)) if name.trim() != name => {
                Some(invalid(path, name, "must not be padded with whitespace"))
            }
            (true, None | Some("")) => {
                let detail = "must be set when AppArmor type is Localhost";
                Some(Refusal::new(path, REQUIRED.to_owned(), detail))
            }
            (false, Some(name)) => {
                let detail = "can only be set when AppArmor type is Localhost";
                Some(invalid(path, name, detail))
            }
            (true, Some(_)) | (false, None) => None,
        }
    })
}

/// Returns the first seccomp field, of the pod and then of its containers, whose annotation says something else.
///
/// Kubernetes 1.24 to 1.37: `validateSeccompAnnotationsAndFieldsMatch`; a type that is none matches all.
pub(super) fn contradictory_seccomp(pod: &Pod) -> Option<Refusal> {
    let contradiction = |path: String, key: &str, field: Option<&Value>| {
        let (annotation, field) = (pod.annotation(key)?, field?);
        let wrong = contradiction(annotation, field, &[RUNTIME_DEFAULT, DOCKER_DEFAULT])?;
        Some(wrong.told(&path, "seccomp"))
    };
    let path = format!("spec.securityContext.{SECCOMP}");
    contradiction(path, SECCOMP_POD, pod.security(SECCOMP)).or_else(|| {
        pod.containers().find_map(|it| {
            let key = format!("{SECCOMP_CONTAINER_PREFIX}{}", it.name());
            contradiction(it.security_path(SECCOMP), &key, it.own(SECCOMP))
        })
    })
}

/// Returns the first container whose AppArmor annotation says something else than its field, which may be the pod's.
///
/// Kubernetes 1.30 to 1.37: `validateAppArmorAnnotationsAndFieldsMatchOnCreate`; pods for Windows are left alone.
pub(super) fn contradictory_app_armor(pod: &Pod, kubernetes: Version) -> Option<Refusal> {
    let is_for_windows = pod
        .get(&["spec", "os", "name"])
        .is_some_and(|it| it == "windows");
    if kubernetes < apparmor::FIELD_SINCE || is_for_windows {
        return None;
    }
    let contradiction = |it: Container<'_>| {
        let field = it.effective(APPARMOR)?;
        let annotation = pod.annotation(&apparmor::annotation_key(it.name()))?;
        let wrong = contradiction(annotation, field, &[RUNTIME_DEFAULT])?;
        Some(wrong.told(&it.security_path(APPARMOR), "apparmor"))
    };
    pod.containers().find_map(contradiction)
}

/// What an annotation and a field do not agree in.
enum Contradiction {
    Type,
    Name,
}

impl Contradiction {
    fn told(&self, path: &str, of: &str) -> Refusal {
        let (member, what) = match self {
            Self::Type => ("type", "type"),
            Self::Name => (LOCALHOST_PROFILE, "profile"),
        };
        Refusal::new(
            format!("{path}.{member}"),
            FORBIDDEN.to_owned(),
            &format!("{of} {what} in annotation and field must match"),
        )
    }
}

/// How an annotation contradicts a field, where `defaults` are the names for the profile of the runtime.
fn contradiction(annotation: &str, field: &Value, defaults: &[&str]) -> Option<Contradiction> {
    let is_type = match member(field, "type")? {
        "Unconfined" => annotation == UNCONFINED,
        "RuntimeDefault" => defaults.contains(&annotation),
        "Localhost" => match annotation.strip_prefix(LOCALHOST_PREFIX) {
            None => false,
            name if name == member(field, LOCALHOST_PROFILE) => true,
            Some(_) => return Some(Contradiction::Name),
        },
        _ => true,
    };
    (!is_type).then_some(Contradiction::Type)
}

fn ill_formed_type(path: &str, profile: &Value, required: &str) -> Option<Refusal> {
    let path = format!("{path}.type");
    match member(profile, "type").unwrap_or_default() {
        "Localhost" | "RuntimeDefault" | "Unconfined" => None,
        "" => Some(Refusal::new(path, REQUIRED.to_owned(), required)),
        other => Some(Refusal::new(
            path,
            format!("Unsupported value: {other:?}"),
            "supported values: \"Localhost\", \"RuntimeDefault\", \"Unconfined\"",
        )),
    }
}

/// Why the name of a seccomp profile is no path below the folder of profiles.
fn leads_elsewhere(path: String, name: &str) -> Option<Refusal> {
    if name.starts_with('/') {
        return Some(invalid(path, name, "must be a relative path"));
    }
    let leaves = name.split('/').any(|it| it == "..");
    leaves.then(|| invalid(path, name, "must not contain '..'"))
}

fn invalid(path: String, value: &str, detail: &str) -> Refusal {
    Refusal::new(path, format!("{INVALID}: {value:?}"), detail)
}

fn is_localhost(profile: &Value) -> bool {
    member(profile, "type") == Some("Localhost")
}

fn member<'a>(profile: &'a Value, key: &str) -> Option<&'a str> {
    profile.get(key)?.as_str()
}
