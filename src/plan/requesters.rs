//! Who can be the one that creates a pod, as far as RBAC tells.

use std::collections::{BTreeMap, BTreeSet};

use super::usage::service_account;
use crate::api::rbac::PolicyRule;
use crate::input::Inventory;
use crate::rbac::{
    AUTHENTICATED, SERVICE_ACCOUNTS, SubjectKey, effective_bindings, effective_roles, role_key,
};

/// Where the controllers run that create pods for others.
const CONTROLLERS: &str = "kube-system";

/// Who may create pods in which namespaces; an absent namespace stands for all.
#[derive(Debug)]
pub(super) struct Requesters(BTreeSet<(Option<String>, SubjectKey)>);

impl Requesters {
    /// A binding to a role that is not in the input may let its subjects create pods.
    pub(super) fn new(inventory: &Inventory) -> Self {
        let roles: BTreeMap<_, _> = effective_roles(inventory)
            .into_iter()
            .map(|role| ((role.namespace, role.name), role.rules))
            .collect();
        let mut res = BTreeSet::new();
        for binding in effective_bindings(inventory) {
            let rules = role_key(&binding).map(|key| roles.get(&key));
            let may_create = match rules {
                None => false,
                Some(None) => true,
                Some(Some(rules)) => rules.iter().any(lets_create_pods),
            };
            let namespace = binding.namespace.as_deref();
            if may_create {
                let subjects = binding.subjects.iter();
                let keys = subjects.filter_map(|it| SubjectKey::new(it, namespace));
                res.extend(keys.map(|it| (binding.namespace.clone(), it)));
            }
        }
        Self(res)
    }

    /// Whether the subject, which lives in a namespace, may be who creates a pod in another; absent means in any.
    pub(super) fn may_create(
        &self,
        subject: &SubjectKey,
        home: &str,
        namespace: Option<&str>,
    ) -> bool {
        let mut groups = vec![
            AUTHENTICATED.to_owned(),
            SERVICE_ACCOUNTS.to_owned(),
            format!("{SERVICE_ACCOUNTS}:{home}"),
        ];
        groups.sort();
        let is_one = |candidate: &SubjectKey| match candidate {
            SubjectKey::Group(name) => groups.contains(name),
            SubjectKey::User(_) => match subject {
                SubjectKey::User(_) => candidate == subject,
                SubjectKey::Group(_) => {
                    service_account(candidate).is_some_and(|(own, _)| own == home)
                }
            },
        };
        home == CONTROLLERS
            || self.0.iter().any(|(scope, candidate)| {
                (scope.is_none() || scope.as_deref() == namespace) && is_one(candidate)
            })
    }
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
