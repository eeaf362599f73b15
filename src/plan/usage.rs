//! Who may use which policies where, indexed both ways.

use std::collections::{BTreeMap, BTreeSet};

use super::exceptions::{OWN_NAMESPACE, ignored_namespaces, is_gatekeeper};
use crate::admission::UserInfo;
use crate::api::policy::PodSecurityPolicy;
use crate::input::Inventory;
use crate::rbac::{
    AUTHENTICATED, CLUSTER_ADMIN, Granted, SERVICE_ACCOUNTS, SubjectKey, service_account_user,
};
use crate::resolve::Grant;

/// The controller that creates pods for others, which stands for all of them.
const CONTROLLER: (&str, &str) = ("kube-system", "replicaset-controller");

/// A service account that nobody binds.
const UNBOUND: &str = "unbound";

/// Who is not authenticated, and the group.
const ANONYMOUS: &str = "system:anonymous";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// A kubelet, and the group of all.
const NODE: &str = "system:node:witness";
const NODES: &str = "system:nodes";

/// What precedes the namespace and name of a service account in its user name.
const SERVICE_ACCOUNT_USER: &str = "system:serviceaccount:";

/// The namespace of a grant, absent where it holds everywhere.
pub(super) type Scope<'a> = Option<&'a str>;

/// Subjects by the scopes in which they, and nobody else, may use a policy.
pub(super) type Users<'a> = BTreeMap<BTreeSet<&'a SubjectKey>, BTreeSet<Scope<'a>>>;

/// The grants, indexed by subject and by policy.
#[derive(Debug)]
pub(super) struct Usage<'a> {
    policies: BTreeMap<&'a str, &'a PodSecurityPolicy>,
    by_subject: BTreeMap<(Scope<'a>, &'a SubjectKey), &'a Grant>,
    /// Without administrators.
    by_scope: BTreeMap<Scope<'a>, BTreeSet<&'a SubjectKey>>,
    /// Without those of administrators.
    by_policy: BTreeMap<&'a str, BTreeMap<Scope<'a>, BTreeSet<&'a SubjectKey>>>,
    administrators: Users<'a>,
    /// Those that Gatekeeper leaves alone.
    ignored: BTreeSet<&'a str>,
}

impl<'a> Usage<'a> {
    pub(super) fn new(inventory: &'a Inventory, grants: &'a [Grant]) -> Self {
        let policies: BTreeMap<_, _> = inventory
            .policies
            .iter()
            .map(|it| (it.name.as_str(), it))
            .collect();
        let mut by_scope = BTreeMap::new();
        let mut by_policy = BTreeMap::<_, BTreeMap<_, BTreeSet<_>>>::new();
        for grant in grants.iter().filter(|it| !is_for_administrators(it)) {
            let scope = grant.namespace.as_deref();
            by_scope
                .entry(scope)
                .or_insert_with(BTreeSet::new)
                .insert(&grant.subject);
            for name in names(&policies, &grant.policies) {
                let scopes = by_policy.entry(name).or_default();
                scopes.entry(scope).or_default().insert(&grant.subject);
            }
        }
        let by_subject = grants
            .iter()
            .map(|it| ((it.namespace.as_deref(), &it.subject), it))
            .collect();
        let mut administrators = BTreeMap::<_, BTreeSet<_>>::new();
        for grant in grants.iter().filter(|it| is_for_administrators(it)) {
            let scope = grant.namespace.as_deref();
            administrators
                .entry(scope)
                .or_default()
                .insert(&grant.subject);
        }
        Self {
            policies,
            by_subject,
            by_scope,
            by_policy,
            administrators: by_subjects(&administrators),
            ignored: ignored_namespaces(inventory).collect(),
        }
    }

    /// The namespaces with grants of their own.
    pub(super) fn bound(&self) -> impl Iterator<Item = &'a str> {
        self.by_scope.keys().copied().flatten()
    }

    /// Those who may use something in the namespace, administrators aside; first those who may by grants of its own.
    pub(super) fn subjects<'b>(
        &'b self,
        namespace: &'b str,
    ) -> impl Iterator<Item = &'a SubjectKey> + 'b {
        let scopes = [Some(namespace), None].into_iter();
        let all = scopes.filter_map(|it| self.by_scope.get(&it)).flatten();
        all.copied()
    }

    /// Whether Gatekeeper is not asked about new pods of theirs there.
    pub(super) fn is_exempt(&self, identity: &Identity, namespace: &str) -> bool {
        namespace == OWN_NAMESPACE
            || self.ignored.contains(namespace)
            || is_gatekeeper(&identity.requester.username)
    }

    /// Who may use a policy, administrators aside.
    pub(super) fn users(&self, policy: &str) -> Users<'a> {
        self.by_policy
            .get(policy)
            .map(by_subjects)
            .unwrap_or_default()
    }

    /// Who may use every policy.
    pub(super) fn administrators(&self) -> Users<'a> {
        self.administrators.clone()
    }

    /// Those who may use something in the namespace, administrators included, together with those who may use the same.
    pub(super) fn alike(&self, namespace: &'a str) -> Vec<BTreeSet<&'a SubjectKey>> {
        let administrators = self.administrators.keys().flatten().copied();
        let mut res = BTreeMap::<_, BTreeSet<_>>::new();
        for subject in self.subjects(namespace).chain(administrators) {
            let usable = self.usable(&Identity::of(subject, namespace), namespace);
            let names: Vec<&str> = usable.iter().map(|it| it.name.as_str()).collect();
            res.entry(names).or_default().insert(subject);
        }
        res.into_values().collect()
    }

    /// The policies that a pod may have, in the order in which the plugin tries them.
    pub(super) fn usable(
        &self,
        identity: &Identity,
        namespace: &str,
    ) -> Vec<&'a PodSecurityPolicy> {
        let account = identity.account(namespace);
        let mut res = BTreeMap::new();
        for user in account.iter().chain([&identity.requester]) {
            let groups = user.groups.iter().cloned().map(SubjectKey::Group);
            for key in groups.chain([SubjectKey::User(user.username.clone())]) {
                for scope in [None, Some(namespace)] {
                    if let Some(grant) = self.by_subject.get(&(scope, &key)) {
                        let names = names(&self.policies, &grant.policies);
                        res.extend(names.filter_map(|it| Some((it, *self.policies.get(it)?))));
                    }
                }
            }
        }
        res.into_values().collect()
    }
}

/// Puts together the scopes of the same subjects.
pub(super) fn by_subjects<'a>(scopes: &BTreeMap<Scope<'a>, BTreeSet<&'a SubjectKey>>) -> Users<'a> {
    let mut res = Users::new();
    for (scope, subjects) in scopes {
        res.entry(subjects.clone()).or_default().insert(*scope);
    }
    res
}

/// The names of the policies granted, as far as they exist.
fn names<'a>(
    policies: &BTreeMap<&'a str, &'a PodSecurityPolicy>,
    granted: &Granted,
) -> impl Iterator<Item = &'a str> {
    let (all, named) = match granted {
        Granted::All => (Some(policies.keys().copied()), None),
        Granted::Named(names) => {
            let existing = names
                .iter()
                .filter_map(|it| policies.get_key_value(it.as_str()))
                .map(|(name, _)| *name);
            (None, Some(existing))
        }
    };
    all.into_iter()
        .flatten()
        .chain(named.into_iter().flatten())
        .collect::<Vec<_>>()
        .into_iter()
}

/// Whether the grant is that of people who may do everything, by the ClusterRole `cluster-admin` and nothing else.
pub(super) fn is_for_administrators(grant: &Grant) -> bool {
    !grant.is_for_everybody()
        && !grant.routes.is_empty()
        && grant
            .routes
            .iter()
            .all(|it| it.role.namespace.is_none() && it.role.name == CLUSTER_ADMIN)
}

/// The namespace and name of a service account, if the user is one.
pub(super) fn service_account(subject: &SubjectKey) -> Option<(&str, &str)> {
    match subject {
        SubjectKey::User(name) => name.strip_prefix(SERVICE_ACCOUNT_USER)?.split_once(':'),
        SubjectKey::Group(_) => None,
    }
}

/// The one namespace whose pods may run as the subject.
pub(super) fn home(subject: &SubjectKey) -> Option<&str> {
    match subject {
        SubjectKey::User(_) => service_account(subject).map(|(namespace, _)| namespace),
        SubjectKey::Group(name) => name.strip_prefix(SERVICE_ACCOUNTS)?.strip_prefix(':'),
    }
}

/// How a subject is called in a loss.
pub(super) fn subject_text(subject: &SubjectKey) -> String {
    match (service_account(subject), subject) {
        (Some((namespace, name)), _) => format!("ServiceAccount {namespace}/{name}"),
        (None, SubjectKey::User(name)) => format!("User {name}"),
        (None, SubjectKey::Group(name)) => format!("Group {name}"),
    }
}

/// Who is behind a new pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Identity {
    /// The name of the pod's service account; empty where it has none.
    pub(super) service_account: String,
    /// Who creates it.
    pub(super) requester: UserInfo,
}

impl Identity {
    /// Those that the subject stands for, with as few other subjects beside it as can be, the likeliest first.
    pub(super) fn all_of(subject: &SubjectKey, namespace: &str) -> Vec<Self> {
        let likeliest = Self::of(subject, namespace);
        let mut res = vec![likeliest.clone()];
        if service_account(subject) != Some((namespace, &likeliest.service_account)) {
            let mut unbound = likeliest.clone();
            UNBOUND.clone_into(&mut unbound.service_account);
            res.push(unbound);
        }
        if likeliest.requester == controller() {
            let requester = UserInfo {
                username: ANONYMOUS.to_owned(),
                groups: vec![UNAUTHENTICATED.to_owned()],
            };
            res.push(Self {
                requester,
                ..likeliest
            });
        }
        let kubelet = Self::kubelet();
        if subject.matches(&kubelet.requester) {
            res.push(kubelet);
        }
        res
    }

    /// A kubelet that tells the API server of a pod which it runs by itself; such a pod has no service account.
    fn kubelet() -> Self {
        Self {
            service_account: String::new(),
            requester: user(NODE, NODES),
        }
    }

    /// A service account that creates a pod which runs as another of its namespace.
    pub(super) fn creating(subject: &SubjectKey, namespace: &str, account: &str) -> Option<Self> {
        let (own, name) = service_account(subject)?;
        (own == namespace && name != account).then(|| Self {
            service_account: account.to_owned(),
            requester: authenticated(service_account_user(own, name)),
        })
    }

    /// The pod's service account as a user, if it has one.
    fn account(&self, namespace: &str) -> Option<UserInfo> {
        let name = &self.service_account;
        (!name.is_empty()).then(|| service_account_user(namespace, name))
    }

    /// Whether the subject stands for the service account or the requester.
    pub(super) fn is_of(&self, subject: &SubjectKey, namespace: &str) -> bool {
        let account = self.account(namespace);
        let mut users = account.iter().chain([&self.requester]);
        users.any(|it| subject.matches(it))
    }

    /// Somebody that the subject stands for, with a new pod in the namespace.
    pub(super) fn of(subject: &SubjectKey, namespace: &str) -> Self {
        let here = format!("{SERVICE_ACCOUNTS}:{namespace}");
        let (account, requester) = match subject {
            SubjectKey::Group(group) if *group == SERVICE_ACCOUNTS || *group == here => {
                ("default", controller())
            }
            SubjectKey::Group(group) => ("default", user("somebody", group)),
            SubjectKey::User(name) => match service_account(subject) {
                Some((own, account)) if own == namespace => (account, controller()),
                Some((own, account)) => {
                    ("default", authenticated(service_account_user(own, account)))
                }
                None => ("default", user(name, AUTHENTICATED)),
            },
        };
        Self {
            service_account: account.to_owned(),
            requester,
        }
    }
}

fn controller() -> UserInfo {
    let (namespace, name) = CONTROLLER;
    authenticated(service_account_user(namespace, name))
}

fn user(name: &str, group: &str) -> UserInfo {
    let user = UserInfo {
        username: name.to_owned(),
        groups: vec![group.to_owned()],
    };
    authenticated(user)
}

/// The user as the API server authenticates one, who is in one more group.
fn authenticated(mut user: UserInfo) -> UserInfo {
    if !user.groups.iter().any(|it| it == AUTHENTICATED) {
        user.groups.push(AUTHENTICATED.to_owned());
    }
    user
}
