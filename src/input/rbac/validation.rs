//! What an API server refuses of roles and bindings.
//!
//! Kubernetes 1.24, `pkg/apis/rbac/validation/validation.go`.

use k8s_openapi::api::rbac::v1::AggregationRule;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::super::field_errors::{FieldErrors, go_list, invalid, quoted, required, unsupported};
use super::super::metadata;
use super::super::names;
use super::super::path::Path;
use crate::api::rbac::{PolicyRule, RBAC_GROUP, RoleRef, Subject};

/// `ValidateRole` and `ValidateClusterRole`.
pub(super) fn role(
    errors: &mut FieldErrors<'_>,
    metadata: &ObjectMeta,
    namespace: Option<&str>,
    rules: &[PolicyRule],
    aggregation: Option<&AggregationRule>,
) {
    object_meta(errors, metadata, namespace);
    let path = Path::root("rules");
    for (index, it) in rules.iter().enumerate() {
        rule(errors, &path.index(index), it, namespace.is_some());
    }
    let selectors = aggregation.map(|it| it.cluster_role_selectors.as_deref());
    if let Some(None | Some([])) = selectors {
        let path = Path::root("aggregationRule");
        let detail = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.add(&path.field("clusterRoleSelectors"), required(detail));
    }
}

/// `ValidateRoleBinding` and `ValidateClusterRoleBinding`; defaults are filled in already.
pub(super) fn binding(
    errors: &mut FieldErrors<'_>,
    metadata: &ObjectMeta,
    namespace: Option<&str>,
    role_ref: &RoleRef,
    subjects: &[Subject],
) {
    object_meta(errors, metadata, namespace);
    let path = Path::root("roleRef");
    if role_ref.api_group != RBAC_GROUP {
        let reason = unsupported(&role_ref.api_group, &[RBAC_GROUP]);
        errors.add(&path.field("apiGroup"), reason);
    }
    let kinds: &[&str] = match namespace {
        Some(_) => &["Role", "ClusterRole"],
        None => &["ClusterRole"],
    };
    if !kinds.contains(&&*role_ref.kind) {
        errors.add(&path.field("kind"), unsupported(&role_ref.kind, kinds));
    }
    let name = path.field("name");
    if role_ref.name.is_empty() {
        errors.add(&name, required(""));
    }
    for fault in names::path_segment(&role_ref.name) {
        errors.add(&name, invalid(quoted(&role_ref.name), fault));
    }
    let path = Path::root("subjects");
    for (index, it) in subjects.iter().enumerate() {
        subject(errors, &path.index(index), it);
    }
}

fn object_meta(errors: &mut FieldErrors<'_>, metadata: &ObjectMeta, namespace: Option<&str>) {
    metadata::metadata(errors, metadata, names::path_segment);
    if let Some(namespace) = namespace {
        let path = Path::root("metadata");
        for fault in names::dns_label(namespace) {
            let reason = invalid(quoted(namespace), fault);
            errors.add(&path.field("namespace"), reason);
        }
    }
}

/// `ValidatePolicyRule`.
fn rule(errors: &mut FieldErrors<'_>, path: &Path<'_>, rule: &PolicyRule, namespaced: bool) {
    let is_empty = |list: &Option<Vec<String>>| list.as_ref().is_none_or(Vec::is_empty);
    let mut needs = |field: &str, detail: &str| errors.add(&path.field(field), required(detail));
    if rule.verbs.is_empty() {
        needs("verbs", "verbs must contain at least one value");
    }
    if is_empty(&rule.non_resource_urls) {
        if is_empty(&rule.api_groups) {
            let detail = "resource rules must supply at least one api group";
            needs("apiGroups", detail);
        }
        if is_empty(&rule.resources) {
            let detail = "resource rules must supply at least one resource";
            needs("resources", detail);
        }
        return;
    }
    let urls = rule.non_resource_urls.as_deref().unwrap_or_default();
    let urls = go_list("string", urls);
    let mut refuse = |detail: &str| {
        errors.add(&path.field("nonResourceURLs"), invalid(&urls, detail));
    };
    if namespaced {
        refuse("namespaced rules cannot apply to non-resource URLs");
    }
    let regular = [&rule.api_groups, &rule.resources, &rule.resource_names];
    if !regular.into_iter().all(is_empty) {
        refuse("rules cannot apply to both regular resources and non-resource URLs");
    }
}

/// `ValidateRoleBindingSubject`; a service account without a namespace in a ClusterRoleBinding is a warning, because manifests
/// that are published have such.
fn subject(errors: &mut FieldErrors<'_>, path: &Path<'_>, subject: &Subject) {
    let name = path.field("name");
    if subject.name.is_empty() {
        errors.add(&name, required(""));
    }
    let group = subject.api_group.as_deref().unwrap_or_default();
    let own_group = match subject.kind.as_str() {
        "ServiceAccount" => {
            if !subject.name.is_empty() {
                for fault in names::dns_subdomain(&subject.name) {
                    errors.add(&name, invalid(quoted(&subject.name), fault));
                }
            }
            ""
        }
        "User" | "Group" => RBAC_GROUP,
        kind => {
            let reason = unsupported(kind, &["ServiceAccount", "User", "Group"]);
            errors.add(&path.field("kind"), reason);
            return;
        }
    };
    if group != own_group {
        errors.add(&path.field("apiGroup"), unsupported(group, &[own_group]));
    }
}
