//! The pods that mutators are chosen by, namespace by namespace.
//!
//! First the workloads of the input; then probes for pods to come, of each service account and whoever creates pods there; then the
//! pods of those who do not count but should pass where it costs nobody anything: nodes, administrators, people, and service accounts
//! that create no pods.

use std::collections::{BTreeMap, BTreeSet};

use super::candidates::Candidates;
use crate::access::{Access, Identity, home, service_account};
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::api::workload::REPLICA_SET_CONTROLLER;
use crate::input::{Inventory, Workload};
use crate::plan::labels::{PodLabels, labels_of, selector_keys};
use crate::rbac::{SERVICE_ACCOUNTS, SubjectKey, service_account_user};
use crate::requests::{OwnPod, own_pods, prepare};
use crate::witness::budget::{MOST_SAMPLED, MOST_USED};
use crate::witness::memo::{self, Memo};
use crate::witness::{reshape, samples};

/// Whose pod it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Whose {
    /// A workload of the input, by kind and name.
    Workload(String),
    /// Somebody who creates pods in the namespace.
    Creator,
    /// Somebody who does not count.
    Bystander,
}

/// A pod, who creates it, and what PSP does with it.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub(super) whose: Whose,
    /// How many service accounts it stands for.
    pub(super) weight: usize,
    pub(super) identity: Identity,
    /// The pod without name and labels, so that what is asked about equal ones is asked once.
    pub(super) pod: Pod,
    /// A number that stands for the pod and for what is usable.
    pub(super) number: u64,
    pub(super) name: String,
    pub(super) generate_name: String,
    pub(super) usable: Vec<&'a PodSecurityPolicy>,
    /// The policy by which PSP admits the pod, and the pod that is stored then; absent where PSP denies it.
    pub(super) admitted: Option<(&'a PodSecurityPolicy, Pod)>,
    pub(super) labels: PodLabels,
    pub(super) selector: BTreeSet<String>,
}

/// The workloads of the input, by namespace.
pub(super) type Workloads<'a> = BTreeMap<&'a str, Vec<(&'a Workload, OwnPod)>>;

/// Returns the workloads, without those that belong to another.
pub(super) fn workloads(inventory: &Inventory) -> Workloads<'_> {
    let mut res = Workloads::new();
    for (workload, mut pod) in own_pods(&inventory.workloads, &[]) {
        pod.request.namespace.clone_from(&workload.namespace);
        pod.request = prepare(inventory, pod.request);
        let namespace = res.entry(workload.namespace.as_str()).or_default();
        namespace.push((workload, pod));
    }
    res
}

/// What the pods of a namespace are made from.
pub(super) struct Sources<'s, 'a> {
    pub(super) inventory: &'a Inventory,
    pub(super) access: &'s Access<'a>,
    pub(super) candidates: &'s Candidates<'a>,
    pub(super) workloads: &'s Workloads<'a>,
}

impl<'a> Sources<'_, 'a> {
    /// The pods of a namespace; absent stands for all that the input does not name.
    pub(super) fn items(&self, memo: &Memo, namespace: Option<&str>) -> Vec<Item<'a>> {
        let name = namespace.unwrap_or(ELSEWHERE);
        let mut res = Vec::new();
        let workloads = namespace.and_then(|it| self.workloads.get(it));
        for it in workloads.into_iter().flatten() {
            res.extend(self.of_workload(memo, name, it));
        }
        let mut known = BTreeSet::new();
        for (usable, (identity, weight)) in self.creators(name, namespace) {
            known.insert(names(&usable));
            res.extend(self.probes(memo, &Whose::Creator, weight, &identity, &usable));
        }
        for subject in self.access.subjects(name) {
            if self.access.has_very_many(subject, name) {
                continue;
            }
            let identity = Identity::of(subject, name);
            let usable = self.access.usable(&identity, name);
            if !self.access.is_exempt(&identity, name) && known.insert(names(&usable)) {
                res.extend(self.probes(memo, &Whose::Bystander, 1, &identity, &usable));
            }
        }
        res
    }

    fn of_workload(
        &self,
        memo: &Memo,
        namespace: &str,
        (workload, pod): &(&'a Workload, OwnPod),
    ) -> Option<Item<'a>> {
        let request = &pod.request;
        let identity = Identity {
            service_account: request.pod.service_account_name().to_owned(),
            requester: request.user_info.clone(),
        };
        if self.access.is_exempt(&identity, namespace) {
            return None;
        }
        let whose = Whose::Workload(format!("{} {}", workload.kind, workload.name));
        let usable = self.access.usable(&identity, namespace);
        let mut res = item(memo, whose, 1, &identity, &usable, request.pod.clone())?;
        res.selector = selector_keys(&workload.object);
        Some(res)
    }

    /// Who creates pods in the namespace, once for the same usable policies, and for how many service accounts that stands.
    fn creators(
        &self,
        name: &str,
        namespace: Option<&str>,
    ) -> Vec<(Vec<&'a PodSecurityPolicy>, (Identity, usize))> {
        let access = self.access;
        let accounts = self.accounts(name, namespace);
        let mut res = BTreeMap::<Vec<&str>, (Vec<&PodSecurityPolicy>, (Identity, usize))>::new();
        let mut add = |identity: Identity, weight: usize| {
            let usable = access.usable_without_bystanders(&identity, name);
            if usable.is_empty() || usable.len() > MOST_USED || access.is_exempt(&identity, name) {
                return;
            }
            let entry = res.entry(names(&usable));
            entry.or_insert((usable, (identity, 0))).1.1 += weight;
        };
        for account in &accounts {
            add(Identity::by_controller(REPLICA_SET_CONTROLLER, account), 1);
        }
        let subjects: BTreeSet<&SubjectKey> = access.subjects(name).collect();
        for account in &accounts {
            for identity in Identity::by_controllers(account) {
                let requester = SubjectKey::User(identity.requester.username.clone());
                if subjects.contains(&requester) {
                    add(identity, 0);
                }
            }
            let creators = subjects.iter().filter_map(|it| {
                let creates = access.creators().can_create(it, namespace);
                let account = creates.then(|| as_account(it)).flatten()?;
                Identity::by_service_account(&account, "")
            });
            for creator in creators.filter(|it| !it.is_of_controller()) {
                let service_account = account.clone();
                add(
                    Identity {
                        service_account,
                        ..creator
                    },
                    0,
                );
            }
        }
        res.into_values().collect()
    }

    /// The service accounts of a namespace, with one that nobody names.
    fn accounts(&self, name: &str, namespace: Option<&str>) -> BTreeSet<String> {
        let mut res = BTreeSet::from(["default", UNNAMED].map(str::to_owned));
        let Some(namespace) = namespace else {
            return res;
        };
        res.extend(
            self.access
                .creators()
                .accounts(namespace)
                .map(str::to_owned),
        );
        let subjects = self.access.subjects(name);
        let own = subjects.filter_map(service_account);
        let own = own.filter(|(home, _)| *home == namespace);
        res.extend(own.map(|(_, account)| account.to_owned()));
        let from = (namespace.to_owned(), String::new());
        let listed = self.inventory.service_accounts.range(from..);
        let listed = listed.take_while(|((home, _), _)| home == namespace);
        res.extend(listed.map(|((_, account), _)| account.clone()));
        res
    }

    /// Pods that set nothing, that set something, and that set what their policies want.
    fn probes(
        &self,
        memo: &Memo,
        whose: &Whose,
        weight: usize,
        identity: &Identity,
        usable: &[&'a PodSecurityPolicy],
    ) -> Vec<Item<'a>> {
        if usable.is_empty() || usable.len() > MOST_USED {
            return Vec::new();
        }
        // Without a default there is nothing to choose.
        if usable
            .iter()
            .all(|it| self.candidates.of(&it.name).is_empty())
            && *whose == Whose::Bystander
        {
            return Vec::new();
        }
        let mut pods = vec![samples::bare(), samples::bare_with_context()];
        if let [psp] = usable {
            pods.push(samples::least(psp));
            // Only an API server can refuse what one policy sets, beside what makes a container privileged.
            pods.extend(samples::pods(psp).nth(1).filter(|_| psp.spec.privileged));
        }
        for psp in usable
            .iter()
            .take(MOST_SAMPLED)
            .filter(|_| usable.len() > 1)
        {
            pods.push(reshape::admitted(psp, &samples::least(psp)));
            pods.extend(samples::pods(psp).take(2));
        }
        let mut known = BTreeSet::new();
        pods.retain(|it| known.insert(memo::hash(it)));
        pods.into_iter()
            .filter_map(|pod| item(memo, whose.clone(), weight, identity, usable, pod))
            .collect()
    }
}

/// A namespace that stands for those without a name.
///
/// It must have no grants of its own.
const ELSEWHERE: &str = "psp2gatekeeper-elsewhere";

/// A service account that nobody names.
const UNNAMED: &str = "unnamed";

/// What PSP does with a pod; nothing where the API server refuses it by itself, or refuses what PSP made of it.
fn item<'a>(
    memo: &Memo,
    whose: Whose,
    weight: usize,
    identity: &Identity,
    usable: &[&'a PodSecurityPolicy],
    mut pod: Pod,
) -> Option<Item<'a>> {
    let labels = labels_of(&pod);
    let [name, generate_name] = [pod.name(), pod.generate_name()].map(str::to_owned);
    for key in ["name", "generateName", "labels"] {
        pod.remove(&["metadata", key]);
    }
    let admitted = memo.choice(usable, &pod).map(|(psp, _)| {
        let stored = reshape::admitted(psp, &pod);
        (psp, stored)
    });
    let is_decided = match &admitted {
        Some((_, stored)) => !memo.is_undecided(stored),
        None => !memo.is_undecided(&pod),
    };
    is_decided.then(|| Item {
        whose,
        weight,
        identity: identity.clone(),
        number: memo::of(&(memo::hash(&pod), names(usable))),
        labels,
        name,
        generate_name,
        pod,
        usable: usable.to_vec(),
        admitted,
        selector: BTreeSet::new(),
    })
}

fn names<'a>(usable: &[&'a PodSecurityPolicy]) -> Vec<&'a str> {
    usable.iter().map(|it| it.name.as_str()).collect()
}

/// A service account that the subject stands for, if it is about service accounts of one namespace.
fn as_account(subject: &SubjectKey) -> Option<SubjectKey> {
    match subject {
        SubjectKey::User(_) => service_account(subject).map(|_| subject.clone()),
        SubjectKey::Group(group) if group == SERVICE_ACCOUNTS => None,
        SubjectKey::Group(_) => {
            let user = service_account_user(home(subject)?, UNNAMED);
            Some(SubjectKey::User(user.username))
        }
    }
}
