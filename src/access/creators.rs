//! Who creates pods, as far as RBAC and the workloads of the input tell.

use std::collections::{BTreeMap, BTreeSet};

use super::subject::service_account;
use crate::api::rbac::PolicyRule;
use crate::api::workload::{self, CONTROLLER_NAMESPACE, CONTROLLERS};
use crate::input::Inventory;
use crate::rbac::{
    AUTHENTICATED, SERVICE_ACCOUNTS, SubjectKey, effective_bindings, effective_roles, role_key,
};

/// Who creates pods in which namespaces; an absent namespace stands for all.
#[derive(Debug)]
pub struct Creators {
    subjects: BTreeSet<(Option<String>, SubjectKey)>,
    /// The namespaces with a service account that can create pods there.
    homes: BTreeSet<(Option<String>, String)>,
    /// The service accounts that workloads of the input run as, by namespace.
    accounts: BTreeMap<String, BTreeSet<String>>,
}

impl Creators {
    /// Reads who can create pods; a binding to a role that is not in the input may let its subjects do so.
    pub(super) fn new(inventory: &Inventory) -> Self {
        let roles: BTreeMap<_, _> = effective_roles(inventory)
            .into_iter()
            .map(|role| ((role.namespace, role.name), role.rules))
            .collect();
        let mut subjects = BTreeSet::new();
        for binding in effective_bindings(inventory) {
            let may_create = match role_key(&binding).map(|key| roles.get(&key)) {
                None => false,
                Some(None) => true,
                Some(Some(granted)) => granted.iter().any(lets_create_pods),
            };
            let namespace = binding.namespace.as_deref();
            if may_create {
                let keys = binding.subjects.iter();
                let keys = keys.filter_map(|it| SubjectKey::new(it, namespace));
                subjects.extend(keys.map(|it| (binding.namespace.clone(), it)));
            }
        }
        let home = |(scope, subject): &(Option<String>, SubjectKey)| {
            let (home, _) = service_account(subject)?;
            Some((scope.clone(), home.to_owned()))
        };
        let mut accounts = BTreeMap::<String, BTreeSet<String>>::new();
        for it in &inventory.workloads {
            let account = workload::service_account(&it.kind, &it.object);
            let namespace = accounts.entry(it.namespace.clone()).or_default();
            namespace.insert(account.to_owned());
        }
        Self {
            homes: subjects.iter().filter_map(home).collect(),
            subjects,
            accounts,
        }
    }

    /// Whether the subject, or for a group one of its service accounts, can create pods in a namespace; absent means in any.
    pub fn can_create(&self, subject: &SubjectKey, namespace: Option<&str>) -> bool {
        let home = super::subject::home(subject);
        if home.is_some_and(|home| is_controller(subject, home)) {
            return true;
        }
        let mut groups = vec![SubjectKey::Group(AUTHENTICATED.to_owned())];
        groups.extend(home.into_iter().flat_map(|home| {
            let own = format!("{SERVICE_ACCOUNTS}:{home}");
            [SERVICE_ACCOUNTS.to_owned(), own].map(SubjectKey::Group)
        }));
        let is_in = |scope: Option<&str>| {
            let scope = scope.map(str::to_owned);
            let has = |it: &SubjectKey| self.subjects.contains(&(scope.clone(), it.clone()));
            let of_group = || {
                let home = home.filter(|_| matches!(subject, SubjectKey::Group(_)));
                home.is_some_and(|it| self.homes.contains(&(scope.clone(), it.to_owned())))
            };
            has(subject) || of_group() || groups.iter().any(has)
        };
        is_in(None) || (namespace.is_some() && is_in(namespace))
    }

    /// Returns the service accounts that workloads of the input run as in a namespace.
    pub fn accounts(&self, namespace: &str) -> impl Iterator<Item = &str> {
        let accounts = self.accounts.get(namespace).into_iter().flatten();
        accounts.map(String::as_str)
    }

    /// Returns the namespaces with workloads.
    pub fn namespaces(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str)
    }
}

/// Whether the subject, which lives in the namespace, is a controller or a group that has some.
fn is_controller(subject: &SubjectKey, home: &str) -> bool {
    home == CONTROLLER_NAMESPACE
        && service_account(subject).is_none_or(|(_, name)| CONTROLLERS.contains(&name))
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
