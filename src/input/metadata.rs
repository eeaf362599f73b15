//! What an API server demands of the metadata of PodSecurityPolicies, roles and bindings.
//!
//! Kubernetes 1.24, `apimachinery/pkg/api/validation/objectmeta.go`.
//! A namespace is no error: the API server takes it away from objects that have none.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::field_errors::{FieldErrors, go_list, invalid, quoted, required, too_long};
use super::names;
use super::path::Path;

/// How many bytes the annotations of an object may have, keys and values together.
const ANNOTATION_BYTES: usize = 256 << 10;

/// Checks all but the managed fields, which only an API server writes, and the namespace.
///
/// `name_faults` tells what is wrong with a name.
pub(super) fn metadata(
    errors: &mut FieldErrors<'_>,
    metadata: &ObjectMeta,
    name_faults: fn(&str) -> Vec<String>,
) {
    let path = Path::root("metadata");
    let name_path = path.field("name");
    match metadata.name.as_deref().unwrap_or_default() {
        "" => errors.add(&name_path, required("name or generateName is required")),
        name => all(errors, &name_path, &name_path, name, name_faults(name)),
    }
    if let Some(generation) = metadata.generation.filter(|it| *it < 0) {
        let reason = invalid(generation, "must be greater than or equal to 0");
        errors.add(&path.field("generation"), reason);
    }
    let labels = path.field("labels");
    for (key, value) in metadata.labels.iter().flatten() {
        all(
            errors,
            &labels.key(key),
            &labels,
            key,
            names::qualified_name(key),
        );
        all(
            errors,
            &labels.key(key),
            &labels,
            value,
            names::label_value(value),
        );
    }
    annotations(errors, &path, metadata.annotations.as_ref());
    owners(
        errors,
        &path,
        metadata.owner_references.as_deref().unwrap_or_default(),
    );
    let names = metadata.finalizers.as_deref().unwrap_or_default();
    finalizers(errors, &path.field("finalizers"), names);
}

/// Also `pkg/apis/core/validation/validation.go`, `validateKubeFinalizerName`.
fn finalizers(errors: &mut FieldErrors<'_>, path: &Path<'_>, finalizers: &[String]) {
    let standard = ["kubernetes", "orphan", "foregroundDeletion"];
    for (index, finalizer) in finalizers.iter().enumerate() {
        let at = path.index(index);
        all(
            errors,
            &at,
            path,
            finalizer,
            names::qualified_name(finalizer),
        );
        if !finalizer.contains('/') && !standard.contains(&finalizer.as_str()) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.add(&at, invalid(quoted(finalizer), detail));
        }
    }
    let has = |name: &str| finalizers.iter().any(|it| it == name);
    if has("orphan") && has("foregroundDeletion") {
        let detail = "finalizer foregroundDeletion and orphan cannot be both set";
        errors.add(path, invalid(go_list("string", finalizers), detail));
    }
}

fn annotations(
    errors: &mut FieldErrors<'_>,
    path: &Path<'_>,
    annotations: Option<&BTreeMap<String, String>>,
) {
    let path = path.field("annotations");
    let mut bytes = 0;
    for (key, value) in annotations.into_iter().flatten() {
        all(
            errors,
            &path.key(key),
            &path,
            key,
            names::qualified_name(&key.to_lowercase()),
        );
        bytes += key.len() + value.len();
    }
    if bytes > ANNOTATION_BYTES {
        errors.add(&path, too_long(ANNOTATION_BYTES));
    }
}

fn owners(errors: &mut FieldErrors<'_>, path: &Path<'_>, owners: &[OwnerReference]) {
    let path = path.field("ownerReferences");
    let mut controller = None;
    for (index, owner) in owners.iter().enumerate() {
        let at = path.index(index);
        let version = match owner.api_version.split_once('/') {
            Some((_, version)) => version,
            None => &owner.api_version,
        };
        let fields = [
            (
                "apiVersion",
                &*owner.api_version,
                version,
                "version must not be empty",
            ),
            ("kind", &owner.kind, &owner.kind, "kind must not be empty"),
            ("name", &owner.name, &owner.name, "name must not be empty"),
            ("uid", &owner.uid, &owner.uid, "uid must not be empty"),
        ];
        for (field, value, needed, detail) in fields {
            if needed.is_empty() {
                errors.add_as(
                    &at.field(field),
                    path.field(field),
                    invalid(quoted(value), detail),
                );
            }
        }
        if owner.controller == Some(true)
            && let Some(other) = controller.replace(&owner.name)
        {
            let detail = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {other} and {}",
                owner.name
            );
            // The API server prints all owners here, with addresses of its memory.
            errors.add_as(&at.field("controller"), path, invalid(true, detail));
        }
    }
}

fn all(
    errors: &mut FieldErrors<'_>,
    at: &Path<'_>,
    name: &Path<'_>,
    value: &str,
    faults: Vec<String>,
) {
    for fault in faults {
        errors.add_as(at, name, invalid(quoted(value), fault));
    }
}
