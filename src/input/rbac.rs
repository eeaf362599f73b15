//! Roles and bindings, brought to `rbac.authorization.k8s.io/v1`.
//!
//! An authorizer asks nobody whether they are valid, so nothing here is refused that can be decoded; what cannot mean what
//! it says gets a warning.

use k8s_openapi::api::rbac::v1::AggregationRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::api::meta::ObjectRef;
use crate::api::policy::{ALL, GROUP, LEGACY_GROUP, RESOURCE, USE_VERB};
use crate::api::rbac::{Binding, PolicyRule, Role, RoleRef, Subject};
use crate::diagnostic::Diagnostic;

use super::decode::{Mismatch, decode};
use super::node::Node;
use super::objects::Object;
use super::path::Path;
use super::report::Report;

const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

#[derive(Default, Deserialize)]
#[serde(default)]
struct RoleObject {
    #[serde(rename = "apiVersion")]
    _api_version: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    metadata: ObjectMeta,
    rules: Vec<PolicyRule>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ClusterRoleObject {
    #[serde(rename = "apiVersion")]
    _api_version: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    metadata: ObjectMeta,
    rules: Vec<PolicyRule>,
    aggregation_rule: Option<AggregationRule>,
}

#[derive(Default, Deserialize)]
#[serde(
    rename_all = "camelCase",
    default,
    bound = "S: Default + Deserialize<'de>"
)]
struct BindingObject<S> {
    #[serde(rename = "apiVersion")]
    _api_version: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    metadata: ObjectMeta,
    subjects: Vec<S>,
    role_ref: RoleRef,
}

/// A subject before v1beta1, where `apiVersion` stood for the group.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SubjectV1alpha1 {
    kind: String,
    api_version: String,
    name: String,
    namespace: Option<String>,
}

impl From<SubjectV1alpha1> for Subject {
    /// `pkg/apis/rbac/v1alpha1/conversion.go`: the user `*` stood for everybody who is authenticated.
    fn from(subject: SubjectV1alpha1) -> Self {
        let SubjectV1alpha1 {
            mut kind,
            api_version,
            mut name,
            namespace,
        } = subject;
        let api_group = match kind.as_str() {
            "ServiceAccount" => "",
            "User" | "Group" => RBAC_GROUP,
            _ => api_version.split_once('/').map_or("", |(group, _)| group),
        };
        if kind == "User" && name == "*" {
            "Group".clone_into(&mut kind);
            "system:authenticated".clone_into(&mut name);
        }
        Self {
            api_group: (!api_group.is_empty()).then(|| api_group.to_owned()),
            kind,
            name,
            namespace,
        }
    }
}

/// Reads a Role, or without a namespace a ClusterRole.
///
/// # Errors
///
/// What cannot be decoded.
pub(super) fn role(
    report: &mut Report<'_>,
    node: &Node<'_>,
    object: &ObjectRef,
) -> Result<Role, Mismatch> {
    let (metadata, rules, aggregation, unknown) = if object.namespace.is_some() {
        let (role, unknown) = decode::<RoleObject>(node)?;
        (role.metadata, role.rules, None, unknown)
    } else {
        let (role, unknown) = decode::<ClusterRoleObject>(node)?;
        (role.metadata, role.rules, role.aggregation_rule, unknown)
    };
    report.unknown_fields(object, unknown);
    let path = Path::root("rules");
    for (index, rule) in rules.iter().enumerate() {
        warn_about_rule(report, node, object, &path.index(index), rule);
    }
    Ok(Role {
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        labels: metadata.labels.unwrap_or_default(),
        rules,
        aggregation: aggregation
            .and_then(|it| it.cluster_role_selectors)
            .unwrap_or_default(),
    })
}

/// Reads a RoleBinding, or without a namespace a ClusterRoleBinding.
///
/// # Errors
///
/// What cannot be decoded.
pub(super) fn binding(
    report: &mut Report<'_>,
    object: &Object<'_, '_>,
    reference: &ObjectRef,
) -> Result<Binding, Mismatch> {
    let node = object.node;
    let (mut role_ref, mut subjects, unknown) = if object.api_version.ends_with("/v1alpha1") {
        let (binding, unknown) = decode::<BindingObject<SubjectV1alpha1>>(node)?;
        (
            binding.role_ref,
            binding.subjects.into_iter().map(Subject::from).collect(),
            unknown,
        )
    } else {
        let (binding, unknown) = decode::<BindingObject<Subject>>(node)?;
        (binding.role_ref, binding.subjects, unknown)
    };
    report.unknown_fields(reference, unknown);
    // `pkg/apis/rbac/v1/defaults.go`.
    if role_ref.api_group.is_empty() {
        RBAC_GROUP.clone_into(&mut role_ref.api_group);
    }
    let path = Path::root("subjects");
    for (index, subject) in subjects.iter_mut().enumerate() {
        if subject.api_group.as_deref().is_none_or(str::is_empty)
            && matches!(subject.kind.as_str(), "User" | "Group")
        {
            subject.api_group = Some(RBAC_GROUP.to_owned());
        }
        warn_about_subject(report, node, reference, &path.index(index), subject);
    }
    warn_about_role_ref(report, node, reference, &role_ref);
    Ok(Binding {
        namespace: reference.namespace.clone(),
        name: reference.name.clone(),
        role_ref,
        subjects,
    })
}

/// Warns where a rule seems to be about PodSecurityPolicies and grants nothing on them.
///
/// Kubernetes 1.24, `pkg/apis/rbac/v1/evaluation_helpers.go`: all comparisons are exact, and patterns are not known.
fn warn_about_rule(
    report: &mut Report<'_>,
    node: &Node<'_>,
    object: &ObjectRef,
    path: &Path<'_>,
    rule: &PolicyRule,
) {
    let resources = rule.resources.as_deref().unwrap_or_default();
    let groups = rule.api_groups.as_deref().unwrap_or_default();
    let about_policies = |it: &String| it.to_lowercase().starts_with("podsecuritypolic");
    let Some(resource) = resources.iter().position(about_policies) else {
        return;
    };
    let grants_resource = resources.iter().any(|it| it == RESOURCE || it == ALL);
    let mut warn = |at: &Path<'_>, message: String| {
        let diagnostic = Diagnostic::warning("rule-never-matches", message).about(object.clone());
        report.diagnostic(&node.locate(at), diagnostic.field(at.to_string()));
    };
    if !grants_resource {
        let name = resources.get(resource).map_or("", String::as_str);
        let message = format!(
            "`{name}` is not the resource `{RESOURCE}`, so the rule grants nothing on policies"
        );
        warn(&path.field("resources").index(resource), message);
    }
    if !groups
        .iter()
        .any(|it| [GROUP, LEGACY_GROUP, ALL].contains(&it.as_str()))
    {
        let message = format!(
            "none of the groups is `{GROUP}` or `{LEGACY_GROUP}`, so the rule grants nothing on policies"
        );
        warn(&path.field("apiGroups"), message);
    }
    if !rule.verbs.iter().any(|it| it == USE_VERB || it == ALL)
        && let Some(verb) = rule
            .verbs
            .iter()
            .position(|it| it.eq_ignore_ascii_case(USE_VERB))
    {
        let message = format!("verbs are case-sensitive, so this is not the verb `{USE_VERB}`");
        warn(&path.field("verbs").index(verb), message);
    }
    let names = rule.resource_names.as_deref().unwrap_or_default();
    if let Some(name) = names.iter().position(|it| it.contains('*')) {
        let message = "resource names are not patterns, so this matches no policy".to_owned();
        warn(&path.field("resourceNames").index(name), message);
    }
}

/// Warns where nobody can be the subject.
///
/// Kubernetes 1.24, `pkg/registry/rbac/validation/rule.go`, `appliesToUser`.
fn warn_about_subject(
    report: &mut Report<'_>,
    node: &Node<'_>,
    object: &ObjectRef,
    path: &Path<'_>,
    subject: &Subject,
) {
    let has_namespace = subject
        .namespace
        .as_deref()
        .is_some_and(|it| !it.is_empty());
    let (at, message) = match subject.kind.as_str() {
        "ServiceAccount" if !has_namespace && object.namespace.is_none() => (
            *path,
            "a service account without a namespace in a ClusterRoleBinding is nobody".to_owned(),
        ),
        "ServiceAccount" | "User" | "Group" => return,
        kind => (
            path.field("kind"),
            format!(
                "`{kind}` is not one of `User`, `Group` and `ServiceAccount`, so the subject is nobody"
            ),
        ),
    };
    let diagnostic = Diagnostic::warning("subject-never-matches", message).about(object.clone());
    report.diagnostic(&node.locate(&at), diagnostic.field(at.to_string()));
}

/// Warns where the reference cannot lead to a role.
fn warn_about_role_ref(
    report: &mut Report<'_>,
    node: &Node<'_>,
    object: &ObjectRef,
    role_ref: &RoleRef,
) {
    let message = match (role_ref.kind.as_str(), &object.namespace) {
        ("ClusterRole", _) | ("Role", Some(_)) => return,
        ("Role", None) => {
            "a ClusterRoleBinding cannot refer to a Role, so it grants nothing".to_owned()
        }
        (kind, _) => {
            format!("`{kind}` is neither `Role` nor `ClusterRole`, so the binding grants nothing")
        }
    };
    let path = Path::root("roleRef");
    let path = path.field("kind");
    let diagnostic = Diagnostic::warning("role-ref-never-resolves", message).about(object.clone());
    report.diagnostic(&node.locate(&path), diagnostic.field(path.to_string()));
}
