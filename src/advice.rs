//! What could be simpler or narrower, judged by the workloads of the input.
//!
//! Nothing here changes what is written: the output decides as the policies do.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::Serialize;

use crate::admission::AdmissionRequest;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::diagnostic::Diagnostic;

use crate::input::Inventory;
use crate::plan::Bundle;
use crate::psp::PspAdmission;
use crate::requests::{own_pods, prepare};
use crate::standards::{Level, violations};
use narrower::narrower;

mod beyond;
mod narrower;

/// Everything that is advised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// How many pods of workloads it rests on: those that PSP admits.
    pub pods: usize,
    /// Policies that are not needed, by reason; each is named once, for the first reason.
    pub needless: Vec<Needless>,
    /// Fields of policies that are wider than any pod needs that the policy admits, sorted by policy and field.
    pub wider: Vec<Wider>,
    /// Which Pod Security Standard would do, by namespace.
    pub standards: Vec<Standard>,
}

impl Advice {
    /// Whether nothing is advised.
    pub fn is_empty(&self) -> bool {
        self.needless.is_empty() && self.wider.is_empty() && self.standards.is_empty()
    }
}

/// Policies that are not needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Needless {
    /// Why.
    pub reason: Reason,
    /// Their names, sorted.
    pub policies: BTreeSet<String>,
}

/// Why a policy is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Nobody can use it, or nobody but administrators may.
    NobodyUses,
    /// Another policy is equal but for its name.
    EqualToAnother,
    /// Whoever may use it may use a wider one too, so it never decides whether a pod is admitted; it may fill in defaults.
    NeverDecides,
    /// It admits no pod of the input.
    AdmitsNoPod,
}

/// A field of a policy that is wider than needed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Wider {
    /// The policy.
    pub policy: String,
    /// The field, such as `spec.privileged`.
    pub field: &'static str,
    /// A value that every pod passes that the policy admits, in words.
    pub enough: String,
    /// How many pods that are.
    pub pods: usize,
}

/// Which Pod Security Standard would do in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Standard {
    /// The namespace.
    pub namespace: String,
    /// The strictest level that forbids no pod that runs there; absent where that is `privileged`.
    pub enough: Option<Level>,
    /// How many pods PSP admits there.
    pub pods: usize,
    /// What the next stricter level has against them; empty where there is none.
    pub stricter_forbids: Vec<Against>,
    /// What the policies that admit them allow and the level does not, by policy; empty where it is `privileged`.
    pub policies_allow_more: BTreeMap<String, Vec<&'static str>>,
}

/// What a level has against pods.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Against {
    /// The fields that the check looks at.
    pub check: &'static str,
    /// How many pods fail it.
    pub pods: usize,
    /// The first of them.
    pub first: String,
}

/// A pod that a policy admits.
struct Admitted<'a> {
    name: String,
    namespace: &'a str,
    policy: String,
    /// As a client sends it.
    asked: Pod,
    /// As it would be stored.
    stored: Pod,
}

/// Advises on the policies of an inventory, which the bundle was planned for.
///
/// `diagnostics` are those about the inventory and the plan.
pub fn advice(inventory: &Inventory, bundle: &Bundle, diagnostics: &[Diagnostic]) -> Advice {
    let admitted = admitted(inventory);
    let mut by_policy = BTreeMap::<&str, Vec<&Pod>>::new();
    for it in &admitted {
        by_policy.entry(&it.policy).or_default().push(&it.stored);
    }
    let wider = inventory.policies.iter().flat_map(|psp| {
        let pods = by_policy
            .get(psp.name.as_str())
            .map(Vec::as_slice)
            .unwrap_or_default();
        narrower(psp, pods)
    });
    Advice {
        pods: admitted.len(),
        needless: needless(inventory, bundle, diagnostics, &by_policy),
        wider: wider.collect(),
        standards: standards(inventory, &admitted),
    }
}

/// Asks the plugin about the pods of all workloads; returns those that a policy admits.
fn admitted(inventory: &Inventory) -> Vec<Admitted<'_>> {
    let psp = PspAdmission::new(inventory);
    let workloads = own_pods(&inventory.workloads, &[]).into_par_iter();
    let admitted = workloads.filter_map(|(workload, pod)| {
        let asked: AdmissionRequest = prepare(inventory, pod.request);
        let review = psp.review(&asked);
        let policy = review
            .admit
            .policy()
            .filter(|_| review.is_allowed())?
            .to_owned();
        Some(Admitted {
            name: format!("{} {}/{}", workload.kind, workload.namespace, workload.name),
            namespace: &workload.namespace,
            policy,
            asked: asked.pod,
            stored: review.pod,
        })
    });
    admitted.collect()
}

fn needless(
    inventory: &Inventory,
    bundle: &Bundle,
    diagnostics: &[Diagnostic],
    by_policy: &BTreeMap<&str, Vec<&Pod>>,
) -> Vec<Needless> {
    let about = |code: &'static str| {
        let own = diagnostics.iter().filter(move |it| it.code == code);
        own.filter_map(|it| it.object.as_ref())
            .map(|it| it.name.as_str())
    };
    let mut res = BTreeMap::<Reason, BTreeSet<String>>::new();
    let mut known = BTreeSet::new();
    let mut add = |reason, name: &str| {
        if known.insert(name.to_owned()) {
            res.entry(reason).or_default().insert(name.to_owned());
        }
    };
    for it in &inventory.unusable_policies {
        add(Reason::NobodyUses, &it.name);
    }
    about("unused-policy").for_each(|it| add(Reason::NobodyUses, it));
    bundle
        .merged
        .keys()
        .for_each(|it| add(Reason::EqualToAnother, it));
    about("superfluous-policy").for_each(|it| add(Reason::NeverDecides, it));
    if !by_policy.is_empty() {
        let names = inventory.policies.iter().map(|it| it.name.as_str());
        names
            .filter(|it| !by_policy.contains_key(it))
            .for_each(|it| add(Reason::AdmitsNoPod, it));
    }
    res.into_iter()
        .map(|(reason, policies)| Needless { reason, policies })
        .collect()
}

fn standards(inventory: &Inventory, admitted: &[Admitted<'_>]) -> Vec<Standard> {
    let policies: BTreeMap<&str, &PodSecurityPolicy> = inventory
        .policies
        .iter()
        .map(|it| (it.name.as_str(), it))
        .collect();
    let mut by_namespace = BTreeMap::<&str, Vec<&Admitted<'_>>>::new();
    for it in admitted {
        by_namespace.entry(it.namespace).or_default().push(it);
    }
    let standard = |(namespace, pods): (&str, Vec<&Admitted<'_>>)| {
        let baseline = against(Level::Baseline, &pods);
        let restricted = against(Level::Restricted, &pods);
        let (enough, stricter_forbids) = match (baseline.is_empty(), restricted.is_empty()) {
            (_, true) => (Some(Level::Restricted), Vec::new()),
            (true, false) => (Some(Level::Baseline), restricted),
            (false, false) => (None, baseline),
        };
        let used: BTreeSet<&str> = pods.iter().map(|it| it.policy.as_str()).collect();
        let beyond = enough.into_iter().flat_map(|level| {
            let policies = used.iter().filter_map(|it| policies.get(it));
            policies.map(move |it| (it.name.clone(), beyond::beyond(level, &it.spec)))
        });
        Standard {
            namespace: namespace.to_owned(),
            enough,
            pods: pods.len(),
            stricter_forbids,
            policies_allow_more: beyond.filter(|(_, fields)| !fields.is_empty()).collect(),
        }
    };
    by_namespace.into_iter().map(standard).collect()
}

/// What a level has against pods as clients send them, since nothing fills in what a policy did.
fn against(level: Level, pods: &[&Admitted<'_>]) -> Vec<Against> {
    let mut res = BTreeMap::<&str, Against>::new();
    for pod in pods {
        for check in violations(level, &pod.asked) {
            let entry = res.entry(check).or_insert_with(|| Against {
                check,
                pods: 0,
                first: pod.name.clone(),
            });
            entry.pods += 1;
        }
    }
    res.into_values().collect()
}
