//! Who asks for pods, and where.

use std::collections::{BTreeMap, BTreeSet};

use super::Foreign;
use crate::admission::{AdmissionRequest, UserInfo};
use crate::api::core::Pod;
use crate::input::Inventory;
use crate::rbac::{AUTHENTICATED, Granted, SERVICE_ACCOUNTS, SubjectKey, service_account_of};
use crate::resolve::Grant;

/// A namespace that no manifest names.
pub(super) const UNKNOWN_NAMESPACE: &str = "some-namespace";
/// A service account that no manifest names.
const UNKNOWN_ACCOUNT: &str = "some-account";
/// A user that no manifest names.
const STRANGER: &str = "somebody";

/// The two identities of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Person {
    /// Who asks.
    pub(super) requester: UserInfo,
    /// The service account of the pod, and the one namespace where it matters.
    pub(super) account: Option<(String, String)>,
}

impl Person {
    /// Somebody who is authenticated, and no more.
    pub(super) fn stranger() -> Self {
        Self::requester(STRANGER, &[AUTHENTICATED])
    }

    fn requester(username: &str, groups: &[&str]) -> Self {
        Self {
            requester: UserInfo {
                username: username.to_owned(),
                groups: groups.iter().map(|it| (*it).to_owned()).collect(),
            },
            account: None,
        }
    }

    /// A member of a group.
    fn member(group: &str) -> Self {
        match group {
            AUTHENTICATED => Self::stranger(),
            "system:unauthenticated" => Self::requester("system:anonymous", &[group]),
            _ => Self::requester(STRANGER, &[group, AUTHENTICATED]),
        }
    }

    /// A pod of a service account that a stranger asks for.
    fn account(namespace: &str, name: &str) -> Self {
        Self {
            account: Some((namespace.to_owned(), name.to_owned())),
            ..Self::stranger()
        }
    }

    /// Those who have what a subject has: as the one who asks, and as the service account of the pod.
    fn of(subject: &SubjectKey, namespaces: &BTreeSet<String>) -> Vec<Self> {
        match subject {
            SubjectKey::User(user) => {
                let Some((namespace, name)) = service_account_of(user) else {
                    return vec![Self::requester(user, &[AUTHENTICATED])];
                };
                let own = format!("{SERVICE_ACCOUNTS}:{namespace}");
                vec![
                    Self::account(namespace, name),
                    Self::requester(user, &[SERVICE_ACCOUNTS, &own, AUTHENTICATED]),
                ]
            }
            SubjectKey::Group(group) => {
                let mut res = vec![Self::member(group)];
                if group == SERVICE_ACCOUNTS {
                    let all = namespaces.iter();
                    res.extend(all.map(|it| Self::account(it, UNKNOWN_ACCOUNT)));
                } else if let Some(namespace) = group.strip_prefix("system:serviceaccounts:") {
                    res.push(Self::account(namespace, UNKNOWN_ACCOUNT));
                }
                res
            }
        }
    }

    /// Asks for the creation of a pod in a namespace.
    pub(super) fn asks(&self, namespace: &str, pod: &Pod, origin: String) -> AdmissionRequest {
        let mut pod = pod.clone();
        let account = match &self.account {
            Some((home, name)) if home == namespace => name,
            _ => UNKNOWN_ACCOUNT,
        };
        pod.set(&["spec", "serviceAccountName"], account.into());
        AdmissionRequest {
            uid: origin,
            namespace: namespace.to_owned(),
            user_info: self.requester.clone(),
            pod,
            ..AdmissionRequest::default()
        }
    }

    /// Whether the person can be somewhere: a service account is at home or nowhere.
    pub(super) fn can_be_in(&self, namespace: &str) -> bool {
        self.account
            .as_ref()
            .is_none_or(|(home, _)| home == namespace)
    }
}

/// Everybody and every place worth asking about.
#[derive(Debug)]
pub(super) struct Cast {
    /// Sorted, each once.
    pub(super) people: Vec<Person>,
    /// Sorted, each once.
    pub(super) namespaces: Vec<String>,
    /// For each policy by name, in whose hands it is: a service account and a requester, as far as there are.
    holders: BTreeMap<String, Vec<(Person, String)>>,
}

impl Cast {
    pub(super) fn new(inventory: &Inventory, grants: &[Grant], foreign: &Foreign) -> Self {
        let mut namespaces: BTreeSet<String> = inventory.namespaces.keys().cloned().collect();
        namespaces.extend(inventory.workloads.iter().map(|it| it.namespace.clone()));
        namespaces.extend(inventory.service_accounts.keys().map(|it| it.0.clone()));
        namespaces.extend(grants.iter().filter_map(|it| it.namespace.clone()));
        namespaces.extend(["default", "kube-system", UNKNOWN_NAMESPACE].map(str::to_owned));
        let mut people = BTreeSet::from([Person::stranger()]);
        for group in ["system:unauthenticated", "system:nodes", SERVICE_ACCOUNTS] {
            people.insert(Person::member(group));
        }
        for grant in grants {
            people.extend(Person::of(&grant.subject, &namespaces));
        }
        let holders = holders(inventory, grants, &namespaces);
        for word in &foreign.words {
            people.extend(Person::of(&SubjectKey::User(word.clone()), &namespaces));
            people.extend(Person::of(&SubjectKey::Group(word.clone()), &namespaces));
        }
        let is_label = |it: &&String| {
            it.len() <= 63
                && it
                    .bytes()
                    .all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
        };
        namespaces.extend(foreign.words.iter().filter(is_label).cloned());
        Self {
            people: people.into_iter().collect(),
            namespaces: namespaces.into_iter().collect(),
            holders,
        }
    }

    /// Those in whose hands the policy is and the namespace where; at most a service account and a requester.
    pub(super) fn holders(&self, policy: &str) -> &[(Person, String)] {
        self.holders
            .get(policy)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

/// Returns those who hold each policy, and of all that do those who hold the least else.
fn holders(
    inventory: &Inventory,
    grants: &[Grant],
    namespaces: &BTreeSet<String>,
) -> BTreeMap<String, Vec<(Person, String)>> {
    let mut by_size: Vec<&Grant> = grants.iter().collect();
    by_size.sort_by_key(|it| match &it.policies {
        Granted::Named(names) => names.len(),
        Granted::All => usize::MAX,
    });
    let mut res = BTreeMap::<String, Vec<(Person, String)>>::new();
    for grant in by_size {
        let names = grant.names(inventory);
        let lacking = |name: &&str| res.get(*name).is_none_or(|it| it.len() < 2);
        if !names.iter().any(lacking) {
            continue;
        }
        for (person, namespace) in hands(grant, namespaces) {
            for name in &names {
                let known = res.entry((*name).to_owned()).or_default();
                if known
                    .iter()
                    .all(|(it, _)| it.account.is_some() != person.account.is_some())
                {
                    known.push((person.clone(), namespace.clone()));
                }
            }
        }
    }
    res
}

/// Those who have the grant, each in one namespace where it holds.
pub(super) fn hands(grant: &Grant, namespaces: &BTreeSet<String>) -> Vec<(Person, String)> {
    let one = grant
        .namespace
        .clone()
        .or_else(|| namespaces.first().cloned());
    let one = one.unwrap_or_else(|| UNKNOWN_NAMESPACE.to_owned());
    Person::of(&grant.subject, namespaces)
        .into_iter()
        .filter_map(|person| match (&person.account, &grant.namespace) {
            (Some((home, _)), Some(namespace)) if home != namespace => None,
            (Some((home, _)), _) => Some((person.clone(), home.clone())),
            (None, _) => Some((person, one.clone())),
        })
        .collect()
}
