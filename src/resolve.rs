//! Which subjects may use which policies, where, and through which bindings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::api::meta::ObjectRef;
use crate::api::policy::{GROUP, RESOURCE, USE_VERB};
use crate::api::rbac::{Binding, PolicyRule, Role, RoleRef, Subject};
use crate::diagnostic::Diagnostic;
use crate::input::Inventory;
use crate::rbac::{
    AUTHENTICATED, CLUSTER_ADMIN, Granted, SERVICE_ACCOUNTS, SubjectKey, effective_bindings,
    effective_roles, granted, role_key,
};

/// A subject that may use policies in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The namespace of the pods; absent where it holds in every namespace.
    pub namespace: Option<String>,
    /// Who.
    pub subject: SubjectKey,
    /// The policies that the subject may use here, all routes together.
    pub policies: Granted,
    /// How they came to it, sorted by binding; empty where the grant is assumed.
    pub routes: Vec<Route>,
}

/// A binding and the role that it binds to, as far as the role grants policies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The RoleBinding or ClusterRoleBinding.
    pub binding: ObjectRef,
    /// The Role or ClusterRole.
    pub role: ObjectRef,
    /// What the role grants.
    pub granted: Granted,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.binding, self.role)
    }
}

impl Grant {
    /// Returns the names of the usable policies among those that exist, in the order in which the plugin tries them.
    pub fn names<'a>(&self, inventory: &'a Inventory) -> Vec<&'a str> {
        inventory
            .policies
            .iter()
            .map(|it| it.name.as_str())
            .filter(|it| self.policies.contains(it))
            .collect()
    }

    /// Whether everybody has it: the groups of all authenticated users or of all service accounts, in every namespace.
    pub fn is_for_everybody(&self) -> bool {
        self.namespace.is_none()
            && matches!(&self.subject, SubjectKey::Group(name) if [AUTHENTICATED, SERVICE_ACCOUNTS].contains(&name.as_str()))
    }

    /// Whether it comes from the bootstrap binding that every cluster has, and from nothing else.
    pub fn is_bootstrap(&self) -> bool {
        !self.routes.is_empty()
            && self
                .routes
                .iter()
                .all(|it| it.binding.namespace.is_none() && it.binding.name == CLUSTER_ADMIN)
    }
}

/// Returns all grants, sorted by namespace (those for every namespace first) and subject.
pub fn grants(inventory: &Inventory) -> Vec<Grant> {
    let roles: BTreeMap<_, _> = effective_roles(inventory)
        .into_iter()
        .map(|role| {
            let granted = granted(&role.rules);
            ((role.namespace, role.name), granted)
        })
        .filter(|(_, granted)| !granted.is_empty())
        .collect();
    let mut routes = BTreeMap::<_, BTreeSet<Route>>::new();
    for binding in effective_bindings(inventory) {
        let Some(key) = role_key(&binding) else {
            continue;
        };
        let Some(granted) = roles.get(&key) else {
            continue;
        };
        for subject in &binding.subjects {
            if let Some(subject) = SubjectKey::new(subject, binding.namespace.as_deref()) {
                routes
                    .entry((binding.namespace.clone(), subject))
                    .or_default()
                    .insert(Route {
                        binding: binding_ref(&binding),
                        role: role_ref(&key),
                        granted: granted.clone(),
                    });
            }
        }
    }
    routes
        .into_iter()
        .map(|((namespace, subject), routes)| Grant {
            namespace,
            subject,
            policies: together(&routes),
            routes: routes.into_iter().collect(),
        })
        .collect()
}

/// Returns the grants of a cluster where everybody may use every policy.
pub fn everybody() -> Vec<Grant> {
    [AUTHENTICATED, SERVICE_ACCOUNTS]
        .map(|group| Grant {
            namespace: None,
            subject: SubjectKey::Group(group.to_owned()),
            policies: Granted::All,
            routes: Vec::new(),
        })
        .to_vec()
}

/// Gives an inventory the RBAC objects by which everybody may use every policy, as [`everybody`] says it in grants.
pub fn assume_everybody(inventory: &mut Inventory) {
    const NAME: &str = "psp2gatekeeper:assume-grant-all";
    let group = |name: &str| Subject {
        kind: "Group".to_owned(),
        name: name.to_owned(),
        ..Subject::default()
    };
    inventory.roles.push(Role {
        namespace: None,
        name: NAME.to_owned(),
        labels: BTreeMap::new(),
        rules: vec![PolicyRule {
            api_groups: Some(vec![GROUP.to_owned()]),
            resources: Some(vec![RESOURCE.to_owned()]),
            verbs: vec![USE_VERB.to_owned()],
            ..PolicyRule::default()
        }],
        aggregation: Vec::new(),
    });
    inventory.bindings.push(Binding {
        namespace: None,
        name: NAME.to_owned(),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: NAME.to_owned(),
        },
        subjects: [AUTHENTICATED, SERVICE_ACCOUNTS].map(group).to_vec(),
    });
}

/// Returns what is odd about who may use what, sorted.
pub fn diagnostics(inventory: &Inventory, grants: &[Grant]) -> Vec<Diagnostic> {
    let mut res = missing_roles(inventory);
    res.extend(missing_policies(inventory, grants));
    res.extend(unused_policies(inventory, grants));
    res.sort();
    res
}

fn missing_roles(inventory: &Inventory) -> Vec<Diagnostic> {
    let roles: BTreeSet<_> = effective_roles(inventory)
        .into_iter()
        .map(
            |Role {
                 namespace, name, ..
             }| (namespace, name),
        )
        .collect();
    inventory
        .bindings
        .iter()
        .filter_map(|binding| Some((binding, role_key(binding)?)))
        // The roles of an API server start like this, and none of them but `cluster-admin` grants policies.
        .filter(|(_, key)| !roles.contains(key) && !key.1.starts_with("system:"))
        .map(|(binding, key)| {
            let message = format!(
                "it refers to {}, which is not in the input, and so grants nothing",
                role_ref(&key)
            );
            Diagnostic::warning("role-not-found", message).about(binding_ref(binding))
        })
        .collect()
}

fn missing_policies(inventory: &Inventory, grants: &[Grant]) -> Vec<Diagnostic> {
    let known: BTreeSet<&str> = inventory
        .policies
        .iter()
        .map(|it| it.name.as_str())
        .chain(
            inventory
                .unusable_policies
                .iter()
                .map(|it| it.name.as_str()),
        )
        .collect();
    let missing: BTreeSet<(&ObjectRef, &str)> = grants
        .iter()
        .flat_map(|it| &it.routes)
        .filter_map(|route| match &route.granted {
            Granted::Named(names) => Some((&route.role, names)),
            Granted::All => None,
        })
        .flat_map(|(role, names)| names.iter().map(move |name| (role, name.as_str())))
        .filter(|(_, name)| !known.contains(name))
        .collect();
    missing
        .into_iter()
        .map(|(role, name)| {
            let message = format!("it grants PodSecurityPolicy {name}, which is not in the input");
            Diagnostic::warning("policy-not-found", message).about(role.clone())
        })
        .collect()
}

fn unused_policies(inventory: &Inventory, grants: &[Grant]) -> Vec<Diagnostic> {
    let mut used = BTreeSet::new();
    for grant in grants.iter().filter(|it| !it.is_bootstrap()) {
        match &grant.policies {
            Granted::All => return Vec::new(),
            Granted::Named(names) => used.extend(names.iter().map(String::as_str)),
        }
    }
    inventory
        .policies
        .iter()
        .filter(|it| !used.contains(it.name.as_str()))
        .map(|it| {
            let message = "nobody but members of system:masters may use it";
            Diagnostic::warning("unused-policy", message)
                .about(ObjectRef::cluster("PodSecurityPolicy", &it.name))
        })
        .collect()
}

fn together(routes: &BTreeSet<Route>) -> Granted {
    let mut names = BTreeSet::new();
    for route in routes {
        match &route.granted {
            Granted::All => return Granted::All,
            Granted::Named(more) => names.extend(more.iter().cloned()),
        }
    }
    Granted::Named(names)
}

fn binding_ref(binding: &Binding) -> ObjectRef {
    match &binding.namespace {
        Some(namespace) => ObjectRef::namespaced("RoleBinding", namespace, &binding.name),
        None => ObjectRef::cluster("ClusterRoleBinding", &binding.name),
    }
}

fn role_ref((namespace, name): &(Option<String>, String)) -> ObjectRef {
    match namespace {
        Some(namespace) => ObjectRef::namespaced("Role", namespace, name),
        None => ObjectRef::cluster("ClusterRole", name),
    }
}
