//! Which policies may decide over the new pods of a namespace, as far as mutators are concerned.

use std::collections::{BTreeMap, BTreeSet};

use super::exceptions::OWN_NAMESPACE;
use super::requesters::Requesters;
use super::usage::{home, is_for_administrators, service_account};
use crate::input::Inventory;
use crate::rbac::{Granted, SubjectKey, service_account_user};
use crate::resolve::Grant;

/// The policies that may decide over a new pod, without those of [`is_bystander`].
#[derive(Default)]
pub(super) struct Candidates<'a> {
    /// In every namespace, for every pod.
    pub(super) everywhere: BTreeSet<&'a str>,
    /// What is added to that in a namespace, for every namespace that has anything of its own.
    pub(super) namespaces: BTreeMap<&'a str, Local<'a>>,
}

/// The policies of a namespace.
#[derive(Default)]
pub(super) struct Local<'a> {
    /// For every pod.
    pub(super) base: BTreeSet<&'a str>,
    /// For the pods of a service account that creates none.
    pub(super) accounts: BTreeMap<&'a SubjectKey, BTreeSet<&'a str>>,
}

impl<'a> Local<'a> {
    pub(super) fn policies(&self) -> impl Iterator<Item = &&'a str> {
        self.base.iter().chain(self.accounts.values().flatten())
    }

    /// For the pods of a service account alone.
    pub(super) fn own(&self, namespace: &str, account: &str) -> BTreeSet<&'a str> {
        let key = SubjectKey::User(service_account_user(namespace, account).username);
        self.accounts.get(&key).cloned().unwrap_or_default()
    }
}

impl<'a> Candidates<'a> {
    pub(super) fn new(inventory: &'a Inventory, grants: &'a [Grant]) -> Self {
        let mut res = Self::default();
        let requesters = Requesters::new(inventory);
        let policies: BTreeSet<&str> = inventory
            .policies
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        let scopes: BTreeSet<&str> = grants
            .iter()
            .filter_map(|it| it.namespace.as_deref())
            .collect();
        for grant in grants {
            let granted: Vec<&str> = match &grant.policies {
                Granted::All => policies.iter().copied().collect(),
                Granted::Named(names) => names
                    .iter()
                    .filter_map(|it| policies.get(it.as_str()).copied())
                    .collect(),
            };
            let scope = grant.namespace.as_deref();
            if scope.is_none() && !is_bystander(grant, None, &requesters) {
                res.everywhere.extend(granted);
                continue;
            }
            let namespaces = match scope {
                Some(namespace) => vec![namespace],
                // It may be none in a few namespaces.
                None => scopes.iter().copied().chain(home(&grant.subject)).collect(),
            };
            // No mutator acts where Gatekeeper itself runs.
            let asked = namespaces.into_iter().filter(|it| *it != OWN_NAMESPACE);
            for namespace in asked {
                if is_bystander(grant, Some(namespace), &requesters) {
                    continue;
                }
                let local = res.namespaces.entry(namespace).or_default();
                if creates_none(&grant.subject, &requesters) == Some(namespace) {
                    local
                        .accounts
                        .entry(&grant.subject)
                        .or_default()
                        .extend(&granted);
                } else {
                    local.base.extend(&granted);
                }
            }
        }
        res
    }
}

/// Whether the grant is one of those that must not keep pods from their default, in a namespace or, absent, in any.
///
/// It is when its subject is not whom pods of the namespace run as, and who creates a pod by it is an administrator, or a
/// service account of another namespace that RBAC lets create none.
/// What becomes of their pods is told as losses.
pub(super) fn is_bystander(
    grant: &Grant,
    namespace: Option<&str>,
    requesters: &Requesters,
) -> bool {
    let home = home(&grant.subject);
    if home.is_some() && home == namespace {
        return false;
    }
    is_for_administrators(grant)
        || home.is_some_and(|home| !requesters.may_create(&grant.subject, home, namespace))
}

/// The namespace of a service account that RBAC lets create no pod there.
pub(super) fn creates_none<'a>(
    subject: &'a SubjectKey,
    requesters: &Requesters,
) -> Option<&'a str> {
    let (home, _) = service_account(subject)?;
    (!requesters.may_create(subject, home, Some(home))).then_some(home)
}
