//! The policies and grants of the constraint: equal policies merged, redundant ones left out.

use std::collections::{BTreeMap, BTreeSet};

use super::bundle::{Grants, PlanOptions};
use crate::api::meta::ObjectRef;
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec};
use crate::controls::translate::Parameters;
use crate::controls::{CONTROLS, apparmor};
use crate::diagnostic::Diagnostic;
use crate::input::Inventory;
use crate::rbac::{Granted, SubjectKey};
use crate::resolve::Grant;

/// The key of grants that hold in every namespace.
const EVERY_NAMESPACE: &str = "*";

/// Above this many policies a subject's list is not searched for redundant ones, which takes the square of it.
const LONGEST_REDUCED: usize = 64;

/// What the constraint says of policies and grants.
#[derive(Debug)]
pub(super) struct Policies {
    /// The policies by name, each with its parameters by field.
    pub(super) kept: BTreeMap<String, Parameters>,
    /// Those that another with the same content stands for, and that other.
    pub(super) merged: BTreeMap<String, String>,
    /// What can be used, by namespace.
    pub(super) grants: BTreeMap<String, Grants>,
    /// What is odd about them.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// Returns what the constraint says of the policies and grants.
pub(super) fn policies(inventory: &Inventory, grants: &[Grant], options: PlanOptions) -> Policies {
    let mut kept = BTreeMap::new();
    let mut representatives = BTreeMap::new();
    let mut merged = BTreeMap::new();
    let mut by_content = BTreeMap::<String, &PodSecurityPolicy>::new();
    for psp in &inventory.policies {
        let parameters = parameters(&psp.spec, options);
        let content = format!("{parameters:?}");
        let first = *by_content.entry(content).or_insert(psp);
        representatives.insert(psp.name.as_str(), first);
        if first.name == psp.name {
            kept.insert(psp.name.clone(), parameters);
        } else {
            merged.insert(psp.name.clone(), first.name.clone());
        }
    }
    let mut redundant = Redundant::default();
    let mut res = BTreeMap::<String, Grants>::new();
    for grant in grants {
        let granted: BTreeMap<&str, &PodSecurityPolicy> = match &grant.policies {
            Granted::All => representatives.clone(),
            Granted::Named(names) => names
                .iter()
                .filter_map(|it| representatives.get_key_value(it.as_str()))
                .map(|(name, psp)| (*name, *psp))
                .collect(),
        };
        let granted: BTreeMap<&str, &PodSecurityPolicy> = granted
            .into_values()
            .map(|it| (it.name.as_str(), it))
            .collect();
        let used = redundant.reduce(granted.into_values().collect());
        let names = if grant.policies == Granted::All && used.len() == kept.len() {
            vec![ALL.to_owned()]
        } else {
            used.iter().map(|it| it.name.clone()).collect()
        };
        if names.is_empty() {
            continue;
        }
        let scope = grant.namespace.as_deref().unwrap_or(EVERY_NAMESPACE);
        let entry = res.entry(scope.to_owned()).or_default();
        match &grant.subject {
            SubjectKey::User(name) => entry.users.insert(name.clone(), names),
            SubjectKey::Group(name) => entry.groups.insert(name.clone(), names),
        };
    }
    let mut diagnostics = redundant.diagnostics();
    diagnostics.extend(open_to_everybody(inventory, grants));
    Policies {
        kept,
        merged,
        grants: res,
        diagnostics,
    }
}

/// The parameters of one policy, of all controls together.
pub(super) fn parameters(spec: &PodSecurityPolicySpec, options: PlanOptions) -> Parameters {
    let all = CONTROLS.iter().flat_map(|it| it.parameters(spec));
    let mut res = all.collect();
    if options.strict_app_armor {
        apparmor::demand_profiles(&mut res);
    }
    res
}

/// Whether every pod that `narrow` accepts as it stands is accepted by `wide` too; a careful no is possible.
fn covers(wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
    CONTROLS.iter().all(|it| it.covers(wide, narrow))
}

/// Policies that need not be tried, because whoever may use them may use a wider one too.
#[derive(Debug, Default)]
struct Redundant {
    /// Answers of [`covers`] by the names of both.
    known: BTreeMap<(String, String), bool>,
    /// What was left out somewhere, and for what.
    left_out: BTreeMap<String, String>,
    /// What stayed somewhere.
    stayed: BTreeSet<String>,
}

impl Redundant {
    /// Returns those of the policies, given in order of name, that no other of them makes redundant.
    ///
    /// One is left out only for another that is still there, so that what remains covers all.
    fn reduce<'a>(&mut self, policies: Vec<&'a PodSecurityPolicy>) -> Vec<&'a PodSecurityPolicy> {
        if policies.len() > LONGEST_REDUCED {
            self.stayed
                .extend(policies.iter().map(|it| it.name.clone()));
            return policies;
        }
        let mut res = policies;
        // From the end, so that of two policies that cover each other the first stays.
        for index in (0..res.len()).rev() {
            let Some(psp) = res.get(index).copied() else {
                continue;
            };
            let wider = res
                .iter()
                .find(|it| it.name != psp.name && self.covers(it, psp));
            if let Some(wider) = wider {
                self.left_out.insert(psp.name.clone(), wider.name.clone());
                res.remove(index);
            }
        }
        self.stayed.extend(res.iter().map(|it| it.name.clone()));
        res
    }

    fn covers(&mut self, wide: &PodSecurityPolicy, narrow: &PodSecurityPolicy) -> bool {
        *self
            .known
            .entry((wide.name.clone(), narrow.name.clone()))
            .or_insert_with(|| covers(&wide.spec, &narrow.spec))
    }

    /// Tells of the policies that were left out everywhere.
    fn diagnostics(&self) -> Vec<Diagnostic> {
        self.left_out
            .iter()
            .filter(|(name, _)| !self.stayed.contains(*name))
            .map(|(name, wider)| {
                let message = format!(
                    "everybody who may use it may use wider policies too, such as {wider}, so it never decides whether a pod is admitted"
                );
                Diagnostic::note("superfluous-policy", message)
                    .about(ObjectRef::cluster("PodSecurityPolicy", name))
            })
            .collect()
    }
}

/// Tells of grants that let everybody run pods that own their node: a faithful migration allows everything.
fn open_to_everybody(inventory: &Inventory, grants: &[Grant]) -> Vec<Diagnostic> {
    grants
        .iter()
        .filter(|it| it.is_for_everybody())
        .flat_map(|grant| {
            inventory
                .policies
                .iter()
                .filter(|psp| grant.policies.contains(&psp.name) && owns_the_node(&psp.spec))
                .map(move |psp| {
                    let through: Vec<_> = grant.routes.iter().map(ToString::to_string).collect();
                    let message = format!(
                        "it allows everything, and everybody may use it, through {}: a faithful migration allows everything too",
                        through.join(", ")
                    );
                    Diagnostic::warning("everything-for-everybody", message)
                        .about(ObjectRef::cluster("PodSecurityPolicy", &psp.name))
                })
        })
        .collect()
}

/// Whether a pod may have full control of its node under the policy.
fn owns_the_node(spec: &PodSecurityPolicySpec) -> bool {
    spec.privileged
        && spec.allow_privilege_escalation
        && spec.volumes.iter().any(|it| it == ALL || it == "hostPath")
        && spec.allowed_host_paths.is_empty()
}
