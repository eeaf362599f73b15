//! Whether a user may `use` a PodSecurityPolicy in a namespace.
//!
//! Kubernetes 1.24: the plugin asks the API server's authorizer for verb `use` on resource `podsecuritypolicies` in the
//! namespace of the pod, first in API group `policy`, then in `extensions`
//! (`plugin/pkg/admission/security/podsecuritypolicy/admission.go`).
//! RBAC answers it (`plugin/pkg/auth/authorizer/rbac/rbac.go`, `pkg/registry/rbac/validation/rule.go`).
//! RBAC only ever adds, so the two questions are one: does any rule allow it in either group?
//!
//! A cluster holds RBAC objects that nobody wrote a manifest for; [`effective_roles`] and [`effective_bindings`] add them.

use std::collections::{BTreeMap, BTreeSet};

use crate::admission::UserInfo;
use crate::api::policy::{GROUP, LEGACY_GROUP, RESOURCE, USE_VERB};
use crate::api::rbac::{Binding, PolicyRule, Subject};
use crate::input::Inventory;

mod effective;

pub use effective::{CLUSTER_ADMIN, effective_bindings, effective_roles};

/// What stands for everything in a rule.
const ANY: &str = "*";

/// What precedes the namespace and the name of a service account in its user name.
const SERVICE_ACCOUNT_USER: &str = "system:serviceaccount:";

/// The group of every authenticated user, which the identity of a pod's service account lacks.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of everybody who is not authenticated.
const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The user who is not authenticated.
const ANONYMOUS: &str = "system:anonymous";
/// The group of all service accounts.
pub const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
/// The group that may do everything, by the bootstrap ClusterRoleBinding `cluster-admin`.
pub const MASTERS: &str = "system:masters";

/// Which PodSecurityPolicies something grants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granted {
    /// Those of these names; names of policies that do not exist are kept.
    Named(BTreeSet<String>),
    /// All there are.
    All,
}

impl Granted {
    /// Whether the policy is among them.
    pub fn contains(&self, policy: &str) -> bool {
        match self {
            Self::Named(names) => names.contains(policy),
            Self::All => true,
        }
    }

    /// Whether nothing is granted.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Named(names) if names.is_empty())
    }
}

/// Answers whether users may use policies, with the grants of an inventory indexed by user and group.
#[derive(Clone, Debug)]
pub struct Authorizer {
    /// The names of all policies that the plugin can use.
    policies: BTreeSet<String>,
    /// What each role grants; the indices below point here, so that a large role is held once.
    roles: Vec<Granted>,
    /// What is granted in all namespaces.
    cluster: SubjectIndex,
    /// What is granted in one namespace, by namespace.
    namespaces: BTreeMap<String, SubjectIndex>,
}

/// Positions in [`Authorizer::roles`] by the users and groups that have the role.
#[derive(Clone, Debug, Default)]
struct SubjectIndex {
    users: BTreeMap<String, BTreeSet<usize>>,
    groups: BTreeMap<String, BTreeSet<usize>>,
}

impl Authorizer {
    /// Indexes what the RBAC objects of the inventory, and those of every API server, grant.
    pub fn new(inventory: &Inventory) -> Self {
        let mut roles = Vec::new();
        let mut by_ref = BTreeMap::new();
        for role in effective_roles(inventory) {
            let granted = granted(&role.rules);
            if !granted.is_empty() {
                by_ref.insert((role.namespace, role.name), roles.len());
                roles.push(granted);
            }
        }
        let mut cluster = SubjectIndex::default();
        let mut namespaces = BTreeMap::<String, SubjectIndex>::new();
        for binding in effective_bindings(inventory) {
            let Some(role) = role_key(&binding).and_then(|key| by_ref.get(&key)) else {
                continue; // a binding to a missing role grants nothing and harms nothing
            };
            let namespace = binding.namespace.as_deref();
            let index = match namespace {
                Some(namespace) => namespaces.entry(namespace.to_owned()).or_default(),
                None => &mut cluster,
            };
            for subject in &binding.subjects {
                index.add(subject, namespace, *role);
            }
        }
        Self {
            policies: inventory
                .policies
                .iter()
                .map(|it| it.name.clone())
                .collect(),
            roles,
            cluster,
            namespaces,
        }
    }

    /// Whether the user may use the policy in the namespace; the empty namespace stands for cluster-scoped objects.
    pub fn may_use(&self, user: &UserInfo, policy: &str, namespace: &str) -> bool {
        self.grants(user, namespace)
            .any(|granted| granted.contains(policy))
    }

    /// Returns the existing policies that the user may use in the namespace.
    pub fn usable(&self, user: &UserInfo, namespace: &str) -> BTreeSet<&str> {
        let mut res = BTreeSet::new();
        for granted in self.grants(user, namespace) {
            match granted {
                Granted::All => return self.policies.iter().map(String::as_str).collect(),
                Granted::Named(names) => {
                    let existing = names.iter().filter_map(|name| self.policies.get(name));
                    res.extend(existing.map(String::as_str));
                }
            }
        }
        res
    }

    fn grants<'a>(
        &'a self,
        user: &'a UserInfo,
        namespace: &str,
    ) -> impl Iterator<Item = &'a Granted> {
        let indices = [Some(&self.cluster), self.namespaces.get(namespace)];
        indices.into_iter().flatten().flat_map(move |index| {
            let groups = user.groups.iter().filter_map(|it| index.groups.get(it));
            groups
                .chain(index.users.get(&user.username))
                .flatten()
                .filter_map(|role| self.roles.get(*role))
        })
    }
}

impl SubjectIndex {
    fn add(&mut self, subject: &Subject, binding_namespace: Option<&str>, role: usize) {
        let roles = match SubjectKey::new(subject, binding_namespace) {
            Some(SubjectKey::User(name)) => self.users.entry(name).or_default(),
            Some(SubjectKey::Group(name)) => self.groups.entry(name).or_default(),
            None => return,
        };
        roles.insert(role);
    }
}

/// What a subject compares with a user.
///
/// A service account is a user of the name `system:serviceaccount:NAMESPACE:NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKey {
    /// The user of this name.
    User(String),
    /// All users in this group.
    Group(String),
}

impl SubjectKey {
    /// Whether it is the user or a group of the user.
    pub fn matches(&self, user: &UserInfo) -> bool {
        match self {
            Self::User(name) => *name == user.username,
            Self::Group(name) => user.groups.contains(name),
        }
    }

    /// Returns what the subject of a binding compares, or nothing for one that cannot match anybody.
    ///
    /// `binding_namespace` is absent for a ClusterRoleBinding.
    pub fn new(subject: &Subject, binding_namespace: Option<&str>) -> Option<Self> {
        match subject.kind.as_str() {
            "User" => Some(Self::User(subject.name.clone())),
            "Group" => Some(Self::Group(subject.name.clone())),
            "ServiceAccount" => {
                let own = subject.namespace.as_deref().filter(|it| !it.is_empty());
                let namespace = own.or(binding_namespace).filter(|it| !it.is_empty())?;
                Some(Self::User(service_account_name(namespace, &subject.name)))
            }
            _ => None,
        }
    }
}

/// Whether the subject of a binding is the user or a group of the user.
///
/// Kubernetes 1.24, `pkg/registry/rbac/validation/rule.go`: `appliesToUser`.
/// `binding_namespace` is absent for a ClusterRoleBinding; it stands in for the namespace that a service account lacks.
/// The subject's API group does not count, and no name is a pattern.
pub fn subject_matches(
    subject: &Subject,
    user: &UserInfo,
    binding_namespace: Option<&str>,
) -> bool {
    SubjectKey::new(subject, binding_namespace).is_some_and(|it| it.matches(user))
}

/// Whether the rule lets one use the policy, in one of the two API groups that the plugin asks for.
///
/// Kubernetes 1.24, `pkg/apis/rbac/v1/evaluation_helpers.go`.
/// One rule must match all of verb, group, resource and name; comparisons are exact, and `*` is the only pattern.
pub fn rule_allows(rule: &PolicyRule, policy: &str) -> bool {
    is_about_use(rule)
        && match rule.resource_names.as_deref() {
            None | Some([]) => true,
            Some(names) => names.iter().any(|it| it == policy),
        }
}

/// Returns the policies that the rules together let one use.
pub fn granted(rules: &[PolicyRule]) -> Granted {
    let mut res = BTreeSet::new();
    for rule in rules.iter().filter(|it| is_about_use(it)) {
        match rule.resource_names.as_deref() {
            None | Some([]) => return Granted::All,
            Some(names) => res.extend(names.iter().cloned()),
        }
    }
    Granted::Named(res)
}

fn is_about_use(rule: &PolicyRule) -> bool {
    let any_of = |list: Option<&[String]>, wanted: &[&str]| {
        let mut list = list.unwrap_or_default().iter();
        list.any(|it| it == ANY || wanted.contains(&it.as_str()))
    };
    any_of(Some(&rule.verbs), &[USE_VERB])
        && any_of(rule.api_groups.as_deref(), &[GROUP, LEGACY_GROUP])
        && any_of(rule.resources.as_deref(), &[RESOURCE])
}

/// Returns the identity that the plugin makes for the service account of a pod.
///
/// Kubernetes 1.24, `k8s.io/apiserver/pkg/authentication/serviceaccount`: its groups are these two and no other, so that a
/// binding to `system:authenticated` does not reach it.
pub fn service_account_user(namespace: &str, name: &str) -> UserInfo {
    UserInfo {
        username: service_account_name(namespace, name),
        groups: vec![
            SERVICE_ACCOUNTS.to_owned(),
            format!("{SERVICE_ACCOUNTS}:{namespace}"),
        ],
    }
}

fn service_account_name(namespace: &str, name: &str) -> String {
    format!("{SERVICE_ACCOUNT_USER}{namespace}:{name}")
}

/// Returns the namespace and the name of the service account that a user is, if it is one.
pub fn service_account_of(username: &str) -> Option<(&str, &str)> {
    username.strip_prefix(SERVICE_ACCOUNT_USER)?.split_once(':')
}

/// Returns the user as the API server authenticates one: in one more group.
pub fn authenticated(mut user: UserInfo) -> UserInfo {
    if !user.groups.iter().any(|it| it == AUTHENTICATED) {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}

/// Returns the user that an API server makes of a name and groups to impersonate, as `kubectl --as NAME --as-group GROUP` sends them.
///
/// Kubernetes 1.24, `staging/src/k8s.io/apiserver/pkg/endpoints/filters/impersonation.go`: a service account without groups
/// is in its own two, `system:anonymous` is in `system:unauthenticated`, and everybody else in `system:authenticated`,
/// unless one of these two groups is given.
pub fn impersonated(username: &str, groups: &[String]) -> UserInfo {
    let account = service_account_of(username).filter(is_service_account);
    let mut user = match account {
        Some((namespace, name)) if groups.is_empty() => service_account_user(namespace, name),
        _ => UserInfo {
            username: username.to_owned(),
            groups: groups.to_vec(),
        },
    };
    let has = |group: &str| user.groups.iter().any(|it| it == group);
    let unauthenticated = has(UNAUTHENTICATED);
    let added = if username == ANONYMOUS {
        (!unauthenticated).then_some(UNAUTHENTICATED)
    } else {
        (!unauthenticated && !has(AUTHENTICATED)).then_some(AUTHENTICATED)
    };
    user.groups.extend(added.map(str::to_owned));
    user
}

/// Whether a service account can have this namespace and name.
///
/// Kubernetes 1.24, `k8s.io/apiserver/pkg/authentication/serviceaccount/util.go`: `SplitUsername`.
fn is_service_account((namespace, name): &(&str, &str)) -> bool {
    let label = |it: &str| {
        let inner = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        !it.is_empty() && it.chars().all(inner) && !it.starts_with('-') && !it.ends_with('-')
    };
    namespace.len() <= 63 && label(namespace) && name.len() <= 253 && name.split('.').all(label)
}

/// Returns the namespace and name of the role that a binding refers to, or nothing where it cannot refer to any.
///
/// Kubernetes 1.24, `pkg/registry/rbac/validation/rule.go`: `GetRoleReferenceRules`.
/// A ClusterRoleBinding cannot refer to a Role; the API group of the reference does not count.
pub fn role_key(binding: &Binding) -> Option<(Option<String>, String)> {
    let name = binding.role_ref.name.clone();
    match binding.role_ref.kind.as_str() {
        "Role" => Some((Some(binding.namespace.clone()?), name)),
        "ClusterRole" => Some((None, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
