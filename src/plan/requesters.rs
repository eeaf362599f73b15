//! Who can be the one that creates a pod, as far as RBAC tells.

use std::collections::{BTreeMap, BTreeSet};

use super::usage::service_account;
use crate::api::rbac::PolicyRule;
use crate::input::Inventory;
use crate::rbac::{
    AUTHENTICATED, SERVICE_ACCOUNTS, SubjectKey, effective_bindings, effective_roles, role_key,
};

/// The namespace of the service accounts that create pods for others, and their names.
///
/// Kubernetes 1.24, `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/controller_policy.go`: those that may create pods.
/// Their roles and bindings are often not in the input, because every API server has them.
const CONTROLLERS: (&str, &[&str]) = (
    "kube-system",
    &[
        "daemon-set-controller",
        "job-controller",
        "persistent-volume-binder",
        "replicaset-controller",
        "replication-controller",
        "statefulset-controller",
    ],
);

/// Who may create pods in which namespaces; an absent namespace stands for all.
#[derive(Debug)]
pub(super) struct Requesters {
    subjects: BTreeSet<(Option<String>, SubjectKey)>,
    /// The namespaces whose service accounts may, one of them at least.
    homes: BTreeSet<(Option<String>, String)>,
}

impl Requesters {
    /// A binding to a role that is not in the input may let its subjects create pods.
    pub(super) fn new(inventory: &Inventory) -> Self {
        let roles: BTreeMap<_, _> = effective_roles(inventory)
            .into_iter()
            .map(|role| ((role.namespace, role.name), role.rules))
            .collect();
        let mut res = BTreeSet::new();
        for binding in effective_bindings(inventory) {
            let may_create = match role_key(&binding).map(|key| roles.get(&key)) {
                None => false,
                Some(None) => true,
                Some(Some(granted)) => granted.iter().any(lets_create_pods),
            };
            let namespace = binding.namespace.as_deref();
            if may_create {
                let subjects = binding.subjects.iter();
                let keys = subjects.filter_map(|it| SubjectKey::new(it, namespace));
                res.extend(keys.map(|it| (binding.namespace.clone(), it)));
            }
        }
        let home = |(scope, subject): &(Option<String>, SubjectKey)| {
            let (home, _) = service_account(subject)?;
            Some((scope.clone(), home.to_owned()))
        };
        Self {
            homes: res.iter().filter_map(home).collect(),
            subjects: res,
        }
    }

    /// Whether the subject, which lives in a namespace, may be who creates a pod in another; absent means in any.
    pub(super) fn may_create(
        &self,
        subject: &SubjectKey,
        home: &str,
        namespace: Option<&str>,
    ) -> bool {
        let own_group = format!("{SERVICE_ACCOUNTS}:{home}");
        let groups = [AUTHENTICATED, SERVICE_ACCOUNTS, &own_group];
        let groups = groups.map(|it| SubjectKey::Group(it.to_owned()));
        let is_in = |scope: Option<&str>| {
            let scope = scope.map(str::to_owned);
            let has = |it: &SubjectKey| self.subjects.contains(&(scope.clone(), it.clone()));
            let own = match subject {
                SubjectKey::User(_) => has(subject),
                SubjectKey::Group(_) => self.homes.contains(&(scope.clone(), home.to_owned())),
            };
            own || groups.iter().any(has)
        };
        is_controller(subject, home) || is_in(None) || (namespace.is_some() && is_in(namespace))
    }
}

/// Whether the subject, which lives in the namespace, is a controller or a group that has some.
fn is_controller(subject: &SubjectKey, home: &str) -> bool {
    let (namespace, names) = CONTROLLERS;
    home == namespace && service_account(subject).is_none_or(|(_, name)| names.contains(&name))
}

fn lets_create_pods(rule: &PolicyRule) -> bool {
    let has = |list: Option<&[String]>, wanted: &str| {
        list.unwrap_or_default()
            .iter()
            .any(|it| it == "*" || it == wanted)
    };
    // A name cannot be asked for when an object is created, so that a rule with names grants nothing.
    let any_name = rule
        .resource_names
        .as_deref()
        .unwrap_or_default()
        .is_empty();
    any_name
        && has(Some(&rule.verbs), "create")
        && has(rule.api_groups.as_deref(), "")
        && has(rule.resources.as_deref(), "pods")
}
