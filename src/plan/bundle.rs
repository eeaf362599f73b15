//! What Gatekeeper shall be told, before it is written down.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::mutator::{Mutator, UnsetDefault};
use super::namespace_pattern::NamespacePattern;
use super::tables::Family;
use crate::controls::translate::Parameters;
use crate::diagnostic::Diagnostic;
use crate::version::Version;

/// The kind of the constraints; the ConstraintTemplate's name is the same in lower case.
pub const CONSTRAINT_KIND: &str = "PodSecurityPolicyAdmission";

/// What Gatekeeper does with a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EnforcementAction {
    /// Nothing but a record in audit and logs.
    Dryrun,
    /// The pod is admitted with a warning to the client.
    Warn,
    /// The pod is forbidden.
    Deny,
}

/// What the caller decides.
#[derive(Clone, Copy, Debug)]
pub struct PlanOptions {
    /// What Gatekeeper does with a violation.
    pub enforcement_action: EnforcementAction,
    /// Whether mutators set defaults.
    pub mutators: bool,
    /// With more values of one field than this, only those are set that hold in all namespaces but some.
    pub max_mutators: usize,
    /// Whether the constraint demands an AppArmor profile where PSP would have set `runtime/default`.
    pub strict_app_armor: bool,
    /// The release of Gatekeeper that the output runs on.
    pub gatekeeper: Version,
    /// The release of Kubernetes that the output runs on.
    pub kubernetes: Version,
}

/// Everything to be rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The constraints, with disjoint namespaces: one, unless [`Bundle::stage`] splits it.
    pub constraints: Vec<Constraint>,
    /// What sets defaults, sorted by name.
    pub mutators: Vec<Mutator>,
    /// Whether mutators can be kept to CREATE.
    pub mutators_know_operations: bool,
    /// Whether workloads are expanded to pods, to warn who applies them; [`plan`](super::plan()) says no.
    pub expand: bool,
    /// The policies and grants of all constraints, where they are too many to be parameters.
    pub tables: Option<Tables>,
    /// How many policies the template chooses from.
    pub policies_kept: usize,
    /// How many subjects may use policies, counted anew in each namespace.
    pub grants_kept: usize,
    /// The names of the PSPs that it all comes from, sorted.
    pub policies: Vec<String>,
    /// PSPs that are not in a constraint, because another has the same content, and that other.
    pub merged: BTreeMap<String, String>,
    /// The defaults that no mutator sets, sorted, each with the cause.
    pub unset: Vec<UnsetDefault>,
    /// What is odd about the policies.
    pub diagnostics: Vec<Diagnostic>,
}

/// A constraint of [`CONSTRAINT_KIND`].
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// What Gatekeeper does with a violation.
    pub enforcement_action: EnforcementAction,
    /// The namespaces that it matches; all where there are none.
    pub namespaces: BTreeSet<NamespacePattern>,
    /// The namespaces that it leaves out of those.
    pub excluded_namespaces: BTreeSet<NamespacePattern>,
    /// What it says of policies; absent where the bundle has [`Tables`].
    pub parameters: Option<ConstraintParameters>,
}

/// What a constraint says of policies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConstraintParameters {
    /// The policies by name, each with its parameters by field.
    pub policies: BTreeMap<String, Parameters>,
    /// What may be used, by namespace; `*` stands for every namespace.
    pub grants: BTreeMap<String, Grants>,
}

/// Policies and grants as tables of a Rego library.
///
/// Gatekeeper converts the parameters of a constraint for each review, in proportion to their size; a library is compiled once.
#[derive(Clone, Debug, PartialEq)]
pub struct Tables {
    /// Policies that differ in a few values.
    pub families: Vec<Family>,
    /// The other policies, by name.
    pub policies: BTreeMap<String, Parameters>,
    /// What may be used, by namespace; `*` stands for every namespace.
    pub grants: BTreeMap<String, Grants>,
}

/// What may be used in a namespace: names of policies, sorted, by user and by group; the name `*` stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grants {
    /// By the name of the user.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, Vec<String>>,
    /// By the name of the group.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
}

impl Grants {
    /// How many subjects have something.
    pub(super) fn len(&self) -> usize {
        self.users.len() + self.groups.len()
    }
}
