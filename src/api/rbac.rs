//! RBAC objects, brought to `rbac.authorization.k8s.io/v1`.

use std::collections::BTreeMap;

pub use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// The API group of RBAC objects.
pub const RBAC_GROUP: &str = "rbac.authorization.k8s.io";

/// A Role or a ClusterRole.
#[derive(Clone, Debug, PartialEq)]
pub struct Role {
    /// The namespace of a Role; absent for a ClusterRole.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The labels, which aggregating roles select by.
    pub labels: BTreeMap<String, String>,
    /// The rules as the input has them.
    pub rules: Vec<PolicyRule>,
    /// The selectors of an aggregated ClusterRole.
    pub aggregation: Vec<LabelSelector>,
}

/// A RoleBinding or a ClusterRoleBinding.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The namespace of a RoleBinding; absent for a ClusterRoleBinding.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The role.
    pub role_ref: RoleRef,
    /// Whom it binds.
    pub subjects: Vec<Subject>,
}
