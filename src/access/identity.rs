//! Who is behind a new pod: its service account and the requesting user.

use super::subject::service_account;
use crate::admission::UserInfo;
use crate::api::workload::{CONTROLLER_NAMESPACE, CONTROLLERS, REPLICA_SET_CONTROLLER};
use crate::rbac::{
    AUTHENTICATED, SERVICE_ACCOUNTS, SubjectKey, authenticated, service_account_user,
};

/// A namespace that stands for all that the input does not name.
pub const ANYWHERE: &str = "default";

/// A service account that nobody binds.
const UNBOUND: &str = "unbound";

/// The user who is not authenticated, and the group.
const ANONYMOUS: &str = "system:anonymous";
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// A kubelet, and the group of all.
const NODE: &str = "system:node:witness";
const NODES: &str = "system:nodes";

/// The service account of a new pod, and the user who creates it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The name of the pod's service account; empty where it has none.
    pub service_account: String,
    /// The requesting user.
    pub requester: UserInfo,
}

impl Identity {
    /// Returns the identities that the subject stands for, with as few other subjects beside it as can be, the likeliest first.
    pub fn all_of(subject: &SubjectKey, namespace: &str) -> Vec<Self> {
        let likeliest = Self::of(subject, namespace);
        let mut res = vec![likeliest.clone()];
        if service_account(subject) != Some((namespace, &likeliest.service_account)) {
            let mut unbound = likeliest.clone();
            UNBOUND.clone_into(&mut unbound.service_account);
            res.push(unbound);
        }
        let kubelet = Self::kubelet();
        if subject.matches(&kubelet.requester) {
            res.push(kubelet);
        }
        if likeliest.is_of_controller() {
            let requester = UserInfo {
                username: ANONYMOUS.to_owned(),
                groups: vec![UNAUTHENTICATED.to_owned()],
            };
            res.push(Self {
                requester,
                ..likeliest
            });
        }
        res
    }

    /// The likeliest identity that the subject stands for, with a new pod in the namespace.
    pub fn of(subject: &SubjectKey, namespace: &str) -> Self {
        let here = format!("{SERVICE_ACCOUNTS}:{namespace}");
        let by_controller = |account: &str| Self::by_controller(REPLICA_SET_CONTROLLER, account);
        let (account, requester) = match subject {
            SubjectKey::Group(group) if *group == SERVICE_ACCOUNTS || *group == here => {
                return by_controller("default");
            }
            SubjectKey::Group(group) if group == UNAUTHENTICATED => {
                let requester = UserInfo {
                    username: ANONYMOUS.to_owned(),
                    groups: vec![group.clone()],
                };
                ("default", requester)
            }
            SubjectKey::Group(group) => ("default", user("somebody", group)),
            SubjectKey::User(name) => match service_account(subject) {
                Some((own, account)) if own == namespace => return by_controller(account),
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

    /// A pod that a controller creates for an owner.
    pub fn by_controller(controller: &str, account: &str) -> Self {
        Self {
            service_account: account.to_owned(),
            requester: authenticated(service_account_user(CONTROLLER_NAMESPACE, controller)),
        }
    }

    /// A pod of an account that one of the controllers creates, for each of them.
    pub fn by_controllers(account: &str) -> impl Iterator<Item = Self> {
        let all = CONTROLLERS.iter();
        all.map(move |it| Self::by_controller(it, account))
    }

    /// A pod of an account that a subject creates, where the subject is a service account of any namespace.
    pub fn by_service_account(subject: &SubjectKey, account: &str) -> Option<Self> {
        let (own, name) = service_account(subject)?;
        Some(Self {
            service_account: account.to_owned(),
            requester: authenticated(service_account_user(own, name)),
        })
    }

    /// A kubelet that creates the mirror pod of a static pod; such a pod has no service account.
    fn kubelet() -> Self {
        Self {
            service_account: String::new(),
            requester: user(NODE, NODES),
        }
    }

    /// The pod's service account as a user, if it has one.
    pub fn account(&self, namespace: &str) -> Option<UserInfo> {
        let name = &self.service_account;
        (!name.is_empty()).then(|| service_account_user(namespace, name))
    }

    /// Whether the subject stands for the service account or the requesting user.
    pub fn is_of(&self, subject: &SubjectKey, namespace: &str) -> bool {
        let account = self.account(namespace);
        let mut users = account.iter().chain([&self.requester]);
        users.any(|it| subject.matches(it))
    }

    /// Whether the pod is created by a controller.
    pub fn is_of_controller(&self) -> bool {
        let requester = SubjectKey::User(self.requester.username.clone());
        service_account(&requester).is_some_and(|(namespace, name)| {
            namespace == CONTROLLER_NAMESPACE && CONTROLLERS.contains(&name)
        })
    }

    /// Whether nobody is authenticated as the requesting user.
    pub fn is_anonymous(&self) -> bool {
        self.requester.username == ANONYMOUS
    }
}

fn user(name: &str, group: &str) -> UserInfo {
    authenticated(UserInfo {
        username: name.to_owned(),
        groups: vec![group.to_owned()],
    })
}
