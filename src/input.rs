//! Texts become an [`Inventory`].
//!
//! What kubectl would send and an API server would store is what is read here: `kubectl` decides what YAML means, the API
//! server of Kubernetes 1.24 which fields there are, what they default to and what it refuses.

mod decode;
mod documents;
mod excerpt;
mod field_errors;
mod inventory;
mod json;
mod locator;
mod metadata;
mod names;
mod node;
mod objects;
mod path;
mod policy;
mod rbac;
mod report;
mod scalar;
#[cfg(test)]
mod tests;
mod validation;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::policy::PodSecurityPolicy;
use crate::api::rbac::{Binding, Role};
use crate::diagnostic::{Diagnostic, Location};

pub(crate) use decode::nearest;
pub use excerpt::render_error;

/// Kinds whose objects hold manifests or name where they come from, or are what other systems have for PSPs; sorted.
const HOLDERS: [&str; 14] = [
    "Application",
    "ApplicationSet",
    "Bundle",
    "ClusterResourceSet",
    "ConfigMap",
    "HelmChart",
    "HelmRelease",
    "Kustomization",
    "ManifestWork",
    "PSPTemplate",
    "PodSecurityPolicyTemplate",
    "PodSecurityPolicyTemplateProjectBinding",
    "SecurityContextConstraints",
    "Template",
];

/// A text to read and what to call it in messages.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file as the user named it, or `-`.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Everything read from the user, parsed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// The PSPs that the plugin can use, sorted bytewise by name: the order in which it tries them.
    pub policies: Vec<PodSecurityPolicy>,
    /// PSPs that an API server stores and the plugin skips, sorted by name.
    pub unusable_policies: Vec<UnusablePolicy>,
    /// Roles and ClusterRoles, sorted by namespace (cluster roles first) and name.
    pub roles: Vec<Role>,
    /// RoleBindings and ClusterRoleBindings, sorted by namespace (cluster role bindings first) and name.
    pub bindings: Vec<Binding>,
    /// The labels of the namespaces given, by name.
    pub namespaces: BTreeMap<String, BTreeMap<String, String>>,
    /// The service accounts given, by namespace and name, whole.
    pub service_accounts: BTreeMap<(String, String), Value>,
    /// Pods and objects with a pod template, in the order of the input.
    pub workloads: Vec<Workload>,
    /// Whether the API server is known to run with the feature gate `ProcMountType`.
    pub proc_mount_type: bool,
    /// How many objects of each kind were read, by kind.
    pub read: BTreeMap<String, usize>,
    /// How many objects were left aside because their kind does not matter here, by kind.
    pub ignored: BTreeMap<String, usize>,
}

impl Inventory {
    /// Whether its API server keeps the proc mount types of pods: the feature gate `ProcMountType` is on.
    ///
    /// Without it no policy is stored with another list than that of `Default`.
    pub fn keeps_proc_mount(&self) -> bool {
        self.proc_mount_type
            || self
                .policies
                .iter()
                .any(|it| it.spec.allowed_proc_mount_types != ["Default"])
    }

    /// Names the kinds that were left aside and may hold what becomes a policy, or stand for one, as the end of a sentence that
    /// there is none; empty where there is no such kind.
    pub(crate) fn where_policies_may_be(&self) -> String {
        let known = self.ignored.keys().filter(|it| {
            HOLDERS.contains(&it.as_str()) || it.to_lowercase().starts_with("podsecuritypolic")
        });
        let kinds: Vec<&str> = known.map(String::as_str).collect();
        if kinds.is_empty() {
            return String::new();
        }
        format!(
            "; of what was left aside, these may hold or stand for one: {}",
            kinds.join(", ")
        )
    }

    /// Returns the namespaces that are in the input, by themselves or because an object is in one or names a service account there.
    pub fn namespace_names(&self) -> BTreeSet<&str> {
        let roles = self.roles.iter().map(|it| &it.namespace);
        let bindings = self.bindings.iter().map(|it| &it.namespace);
        let subjects = self.bindings.iter().flat_map(|it| &it.subjects);
        roles
            .chain(bindings)
            .chain(subjects.map(|it| &it.namespace))
            .flatten()
            .chain(self.namespaces.keys())
            .chain(self.service_accounts.keys().map(|it| &it.0))
            .chain(self.workloads.iter().map(|it| &it.namespace))
            .map(String::as_str)
            .collect()
    }
}

/// A PSP that an API server stores and the plugin skips.
///
/// Kubernetes 1.24, `pkg/security/podsecuritypolicy/factory.go`: a strategy that cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnusablePolicy {
    /// `metadata.name`.
    pub name: String,
    /// The field that makes it so, such as `spec.runAsUser`.
    pub field: String,
    /// Why, in a few words.
    pub reason: String,
}

/// A pod, or an object with a pod template.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The namespace; `default` where the manifest has none.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The whole object.
    pub object: Value,
    /// Where it came from.
    pub location: Location,
}

/// What the input cannot be used for, all of it at once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the input has {} error(s)", .errors.len())]
pub struct LoadError {
    /// At least one, in the order of the input.
    pub errors: Vec<InputError>,
}

/// One thing that is wrong with the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// Where it is.
    pub location: Location,
    /// The byte range in the source that the caret points at.
    pub span: std::ops::Range<usize>,
    /// What is wrong, with the field path and the API server's own reason where there is one.
    pub message: String,
}

/// How to read what the manifests leave open.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Whether the API server ran with the feature gate `ProcMountType`, off by default in Kubernetes 1.24.
    pub proc_mount_type: bool,
}

/// Reads all sources.
///
/// # Errors
///
/// Every text that is ill-formed, every object that an API server refuses or that is there twice with different
/// content; see [`LoadError`].
pub fn load(
    sources: &[Source],
    options: LoadOptions,
) -> Result<(Inventory, Vec<Diagnostic>), LoadError> {
    let mut gathering = inventory::Gathering::new(options);
    let mut errors = Vec::new();
    let mut diagnostics = Vec::new();
    for source in sources {
        let mut report = report::Report::new(source);
        documents::for_each(&source.text, |document| match document {
            Ok(document) => gathering.document(&mut report, &document),
            Err(fault) => report.unreadable(fault),
        });
        let (more_errors, more_diagnostics) = report.finish();
        errors.extend(more_errors);
        diagnostics.extend(more_diagnostics);
    }
    if errors.is_empty() {
        Ok((gathering.finish(), diagnostics))
    } else {
        Err(LoadError { errors })
    }
}

/// Reads all objects of a source, of whatever kind, in their order; lists are opened.
///
/// # Errors
///
/// Every part of the text that is ill-formed.
pub fn objects(source: &Source) -> Result<Vec<Value>, LoadError> {
    let mut report = report::Report::new(source);
    let mut res = Vec::new();
    documents::for_each(&source.text, |document| match document {
        Ok(document) => {
            objects::for_each(&document.root, &mut |object| {
                res.push(object.to_json());
            });
            for fault in document.faults {
                report.fault(fault);
            }
        }
        Err(fault) => report.unreadable(fault),
    });
    let (errors, _) = report.finish();
    if errors.is_empty() {
        Ok(res)
    } else {
        Err(LoadError { errors })
    }
}
