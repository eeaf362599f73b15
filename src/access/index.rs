//! The grants, indexed by subject and by namespace.

use std::collections::{BTreeMap, BTreeSet};

use super::creators::Creators;
use super::exemptions::{OWN_ACCOUNT, OWN_NAMESPACE, ignored_namespaces};
use super::identity::Identity;
use super::subject::home;
use crate::api::policy::PodSecurityPolicy;
use crate::input::Inventory;
use crate::rbac::{Granted, SubjectKey};
use crate::resolve::Grant;

/// With more usable policies than this, trying them all takes long.
pub const MOST_USED: usize = 32;

/// The namespace of a grant, absent where it holds everywhere.
pub type Scope<'a> = Option<&'a str>;

/// The grants of a cluster, indexed both ways.
#[derive(Debug)]
pub struct Access<'a> {
    grants: &'a [Grant],
    policies: BTreeMap<&'a str, &'a PodSecurityPolicy>,
    by_subject: BTreeMap<(Scope<'a>, &'a SubjectKey), &'a Grant>,
    by_scope: BTreeMap<Scope<'a>, BTreeSet<&'a SubjectKey>>,
    ignored: BTreeSet<&'a str>,
    bystanders: &'a BTreeSet<SubjectKey>,
    creators: Creators,
}

impl<'a> Access<'a> {
    /// Indexes the grants; those of `bystanders` do not count where defaults are chosen.
    pub fn new(
        inventory: &'a Inventory,
        grants: &'a [Grant],
        bystanders: &'a BTreeSet<SubjectKey>,
    ) -> Self {
        let policies = inventory.policies.iter();
        let mut by_scope = BTreeMap::<_, BTreeSet<_>>::new();
        for grant in grants {
            let subjects = by_scope.entry(grant.namespace.as_deref()).or_default();
            subjects.insert(&grant.subject);
        }
        let by_subject = grants.iter();
        let by_subject = by_subject.map(|it| ((it.namespace.as_deref(), &it.subject), it));
        Self {
            grants,
            policies: policies.map(|it| (it.name.as_str(), it)).collect(),
            by_subject: by_subject.collect(),
            by_scope,
            ignored: ignored_namespaces(inventory).collect(),
            bystanders,
            creators: Creators::new(inventory),
        }
    }

    /// All grants, sorted by namespace (those for every namespace first) and subject.
    pub fn grants(&self) -> &'a [Grant] {
        self.grants
    }

    /// Who creates pods.
    pub fn creators(&self) -> &Creators {
        &self.creators
    }

    /// The policies, in the order in which PSP tries them.
    pub fn policies(&self) -> impl Iterator<Item = &'a PodSecurityPolicy> {
        self.policies.values().copied()
    }

    /// The namespaces with grants of their own.
    pub fn bound(&self) -> impl Iterator<Item = &'a str> {
        self.by_scope.keys().copied().flatten()
    }

    /// The namespaces in which something can be otherwise than in all that the input does not name: those with grants, with
    /// service accounts that have any, and with workloads; without those that are exempt.
    pub fn named(&self) -> BTreeSet<&str> {
        let homes = self.grants.iter().filter_map(|it| home(&it.subject));
        let all = self.bound().chain(homes).chain(self.creators.namespaces());
        all.filter(|it| !self.is_ignored(it)).collect()
    }

    /// Whether Gatekeeper is not asked about the namespace.
    pub fn is_ignored(&self, namespace: &str) -> bool {
        namespace == OWN_NAMESPACE || self.ignored.contains(namespace)
    }

    /// The subjects that have grants in the scope, and only those.
    pub fn subjects_of<'b>(
        &'b self,
        scope: Scope<'b>,
    ) -> impl Iterator<Item = &'a SubjectKey> + 'b {
        let subjects = self.by_scope.get(&scope).into_iter().flatten();
        subjects.copied()
    }

    /// The subjects that have grants in the namespace; first those by grants of its own.
    pub fn subjects<'b>(&'b self, namespace: &'b str) -> impl Iterator<Item = &'a SubjectKey> + 'b {
        let own = self.subjects_of(Some(namespace));
        own.chain(self.subjects_of(None))
    }

    /// Whether Gatekeeper is not asked about new pods of the identity.
    pub fn is_exempt(&self, identity: &Identity, namespace: &str) -> bool {
        self.is_ignored(namespace) || identity.requester.username == OWN_ACCOUNT
    }

    /// The subjects, those together that have the same grants in the same scopes.
    ///
    /// A subject with different grants in several scopes is there several times.
    pub fn holders(&self) -> Vec<(BTreeSet<&'a SubjectKey>, BTreeSet<Scope<'a>>)> {
        let mut scopes = BTreeMap::<_, BTreeSet<Scope<'a>>>::new();
        for grant in self.grants {
            let key = (&grant.subject, &grant.policies);
            let of_subject = scopes.entry(key).or_default();
            of_subject.insert(grant.namespace.as_deref());
        }
        let mut res = BTreeMap::<_, BTreeSet<&'a SubjectKey>>::new();
        for ((subject, policies), scopes) in scopes {
            let subjects = res.entry((policies, scopes)).or_default();
            subjects.insert(subject);
        }
        let res = res.into_iter();
        res.map(|((_, scopes), subjects)| (subjects, scopes))
            .collect()
    }

    /// The policies that a pod can have, in the order in which PSP tries them.
    pub fn usable(&self, identity: &Identity, namespace: &str) -> Vec<&'a PodSecurityPolicy> {
        self.usable_by(identity, namespace, |_| true)
    }

    /// The same without what bystanders bring.
    pub fn usable_without_bystanders(
        &self,
        identity: &Identity,
        namespace: &str,
    ) -> Vec<&'a PodSecurityPolicy> {
        self.usable_by(identity, namespace, |it| !self.bystanders.contains(it))
    }

    fn usable_by(
        &self,
        identity: &Identity,
        namespace: &str,
        counts: impl Fn(&SubjectKey) -> bool,
    ) -> Vec<&'a PodSecurityPolicy> {
        let mut res = BTreeMap::new();
        for grant in self.grants_of(identity, namespace) {
            if !counts(&grant.subject) {
                continue;
            }
            match &grant.policies {
                Granted::All => return self.policies.values().copied().collect(),
                Granted::Named(names) => {
                    let existing = names.iter();
                    res.extend(existing.filter_map(|it| self.policies.get_key_value(it.as_str())));
                }
            }
        }
        res.into_values().copied().collect()
    }

    /// Whether a grant of the subject alone is of so many policies that trying them all takes long.
    pub fn has_very_many(&self, subject: &SubjectKey, namespace: &str) -> bool {
        let grants = [None, Some(namespace)].map(|scope| self.by_subject.get(&(scope, subject)));
        grants.into_iter().flatten().any(|it| match &it.policies {
            Granted::All => self.policies.len() > MOST_USED,
            Granted::Named(names) => names.len() > MOST_USED,
        })
    }

    /// The grants that an identity has in a namespace.
    pub fn grants_of(&self, identity: &Identity, namespace: &str) -> Vec<&'a Grant> {
        let account = identity.account(namespace);
        let mut res = Vec::new();
        for user in account.iter().chain([&identity.requester]) {
            let groups = user.groups.iter().cloned().map(SubjectKey::Group);
            for key in groups.chain([SubjectKey::User(user.username.clone())]) {
                for scope in [None, Some(namespace)] {
                    res.extend(self.by_subject.get(&(scope, &key)).copied());
                }
            }
        }
        res
    }
}
