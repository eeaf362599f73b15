//! Roles and bindings, brought to `rbac.authorization.k8s.io/v1`.
//!
//! What an API server refuses is an error; what it stores and cannot mean what it says gets a warning.

mod validation;

use k8s_openapi::api::rbac::v1::AggregationRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::api::meta::ObjectRef;
use crate::api::policy::{ALL, GROUP, LEGACY_GROUP, RESOURCE, USE_VERB};
use crate::api::rbac::{Binding, PolicyRule, RBAC_GROUP, Role, RoleRef, Subject};
use crate::diagnostic::Diagnostic;

use super::decode::{Mismatch, decode};
use super::field_errors::FieldErrors;
use super::node::Node;
use super::objects::Object;
use super::path::Path;
use super::report::Report;

/// Groups that an API server puts users into, none of which is a user.
const GROUPS: [&str; 4] = [
    "system:authenticated",
    "system:masters",
    "system:serviceaccounts",
    "system:unauthenticated",
];

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
/// Nothing comes back if an API server would refuse it, then the report says why.
///
/// # Errors
///
/// What cannot be decoded.
pub(super) fn role(
    report: &mut Report<'_>,
    node: &Node<'_>,
    object: &ObjectRef,
) -> Result<Option<Role>, Mismatch> {
    let (metadata, rules, aggregation, unknown) = if object.namespace.is_some() {
        let (role, unknown) = decode::<RoleObject>(node)?;
        (role.metadata, role.rules, None, unknown)
    } else {
        let (role, unknown) = decode::<ClusterRoleObject>(node)?;
        (role.metadata, role.rules, role.aggregation_rule, unknown)
    };
    report.unknown_fields(object, unknown);
    let namespace = object.namespace.as_deref();
    let mut errors = FieldErrors::new(node);
    validation::role(
        &mut errors,
        &metadata,
        namespace,
        &rules,
        aggregation.as_ref(),
    );
    if report.invalid(object, errors) {
        return Ok(None);
    }
    let path = Path::root("rules");
    for (index, rule) in rules.iter().enumerate() {
        warn_about_rule(report, node, object, &path.index(index), rule);
    }
    Ok(Some(Role {
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        labels: metadata.labels.unwrap_or_default(),
        rules,
        aggregation: aggregation
            .and_then(|it| it.cluster_role_selectors)
            .unwrap_or_default(),
    }))
}

/// Reads a RoleBinding, or without a namespace a ClusterRoleBinding.
///
/// Nothing comes back if an API server would refuse it, then the report says why.
///
/// # Errors
///
/// What cannot be decoded.
pub(super) fn binding(
    report: &mut Report<'_>,
    object: &Object<'_, '_>,
    reference: &ObjectRef,
) -> Result<Option<Binding>, Mismatch> {
    let node = object.node;
    let (metadata, mut role_ref, mut subjects, unknown) =
        if object.api_version.ends_with("/v1alpha1") {
            let (binding, unknown) = decode::<BindingObject<SubjectV1alpha1>>(node)?;
            (
                binding.metadata,
                binding.role_ref,
                binding.subjects.into_iter().map(Subject::from).collect(),
                unknown,
            )
        } else {
            let (binding, unknown) = decode::<BindingObject<Subject>>(node)?;
            (
                binding.metadata,
                binding.role_ref,
                binding.subjects,
                unknown,
            )
        };
    report.unknown_fields(reference, unknown);
    // `pkg/apis/rbac/v1/defaults.go`.
    if role_ref.api_group.is_empty() {
        RBAC_GROUP.clone_into(&mut role_ref.api_group);
    }
    for subject in &mut subjects {
        if subject.api_group.as_deref().is_none_or(str::is_empty)
            && matches!(subject.kind.as_str(), "User" | "Group")
        {
            subject.api_group = Some(RBAC_GROUP.to_owned());
        }
    }
    let namespace = reference.namespace.as_deref();
    let mut errors = FieldErrors::new(node);
    validation::binding(&mut errors, &metadata, namespace, &role_ref, &subjects);
    if report.invalid(reference, errors) {
        return Ok(None);
    }
    let path = Path::root("subjects");
    for (index, subject) in subjects.iter().enumerate() {
        warn_about_subject(report, node, reference, &path.index(index), subject);
    }
    Ok(Some(Binding {
        namespace: reference.namespace.clone(),
        name: reference.name.clone(),
        role_ref,
        subjects,
    }))
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
    let about_policies = |it: &String| {
        let name = it.to_lowercase();
        name.starts_with("podsecuritypolic") || ["psp", "psps"].contains(&name.as_str())
    };
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
    let near = |it: &String| ["use", "uses", "used"].contains(&it.to_lowercase().as_str());
    if !rule.verbs.iter().any(|it| it == USE_VERB || it == ALL)
        && let Some(verb) = rule.verbs.iter().position(near)
    {
        let message = match rule.verbs.get(verb) {
            Some(it) if !it.eq_ignore_ascii_case(USE_VERB) => {
                format!(
                    "`{it}` is not the verb `{USE_VERB}`, so the rule grants no use of policies"
                )
            }
            _ => format!("verbs are case-sensitive, so this is not the verb `{USE_VERB}`"),
        };
        warn(&path.field("verbs").index(verb), message);
    }
    let names = rule.resource_names.as_deref().unwrap_or_default();
    if let Some(name) = names.iter().position(|it| it.contains('*')) {
        let message = "resource names are not patterns, so this matches no policy".to_owned();
        warn(&path.field("resourceNames").index(name), message);
    }
}

/// Warns where nobody can be the subject, though an API server stores it.
///
/// Kubernetes 1.24, `pkg/registry/rbac/validation/rule.go`, `appliesToUser`: names are compared as they stand.
fn warn_about_subject(
    report: &mut Report<'_>,
    node: &Node<'_>,
    object: &ObjectRef,
    path: &Path<'_>,
    subject: &Subject,
) {
    let name = &subject.name;
    let account = name.starts_with("system:serviceaccount:");
    let has_namespace = subject
        .namespace
        .as_deref()
        .is_some_and(|it| !it.is_empty());
    let message = match subject.kind.as_str() {
        "ServiceAccount" if !has_namespace && object.namespace.is_none() => {
            "a service account without a namespace in a ClusterRoleBinding is nobody".to_owned()
        }
        "User" | "Group" if name.contains('*') => {
            format!("names of subjects are not patterns, so `{name}` is nobody")
        }
        "User"
            if GROUPS.contains(&name.as_str()) || name.starts_with("system:serviceaccounts:") =>
        {
            format!("`{name}` is a group and no user, so the subject is nobody")
        }
        "Group" if account => {
            format!("`{name}` is a service account and no group, so the subject is nobody")
        }
        _ => return,
    };
    let at = path.field("name");
    let diagnostic = Diagnostic::warning("subject-never-matches", message).about(object.clone());
    report.diagnostic(&node.locate(&at), diagnostic.field(at.to_string()));
}
