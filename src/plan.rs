//! Grants become a [`Bundle`]: what Gatekeeper shall be told, before it is written down.
//!
//! PSP admits a pod when *some* usable policy accepts it; Gatekeeper admits it when *all* constraints hold.
//! So all policies and all grants are parameters of one constraint, and its template looks for one that fits.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use families::{Family, Pattern};
pub use labels::LabelSelector;
pub use mutators::{Mutator, Namespaces};
pub use stages::{NamespacePattern, NamespacePatternError, Overlap, Stages};

use crate::api::meta::ObjectRef;
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec};
use crate::controls::translate::Parameters;
use crate::controls::{CONTROLS, apparmor};
use crate::diagnostic::Diagnostic;
use crate::input::Inventory;
use crate::loss::Loss;
use crate::rbac::{Granted, SubjectKey};
use crate::resolve::Grant;
use crate::version::Version;

use alike::Kinds;
use mutators::Mutators;
use usage::Usage;

mod acting;
mod administrators;
mod alike;
mod asked;
mod bystanders;
mod candidates;
mod circumstances;
mod directed;
mod exceptions;
mod families;
mod labels;
mod losses;
mod mutators;
mod requesters;
mod search;
mod stages;
mod unlike;
mod usage;
mod witness;

/// The kind of the constraints; the ConstraintTemplate's name is the same in lower case.
pub const CONSTRAINT_KIND: &str = "PodSecurityPolicyAdmission";

/// The name of the constraint; that of a list of namespaces has an ending.
const CONSTRAINT_NAME: &str = "pod-security-policies";

/// The key of grants that hold in every namespace.
const EVERY_NAMESPACE: &str = "*";

/// With more policies and grants than this they become [`Tables`].
///
/// Up to here a person can edit the constraint, and a review costs about a millisecond.
const MOST_IN_PARAMETERS: usize = 200;

/// Above this many policies a subject's list is not searched for superfluous ones, which takes the square of it.
const LONGEST_REDUCED: usize = 64;

/// The first release of Gatekeeper whose mutators can be kept to CREATE.
const KNOWS_OPERATIONS: Version = Version::new(3, 23);

/// What Gatekeeper does with a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EnforcementAction {
    /// Nothing but a record in audit and logs.
    Dryrun,
    /// The pod is admitted with a warning to the client.
    Warn,
    /// The pod is forbidden.
    Deny,
}

/// What the caller decides.
#[derive(Clone, Copy, Debug)]
pub struct PlanOptions {
    /// What Gatekeeper does with a violation.
    pub enforcement_action: EnforcementAction,
    /// Whether mutators fill in defaults.
    pub mutators: bool,
    /// With more values of one field than this, only those are filled in that hold in all namespaces but some.
    pub max_mutators: usize,
    /// The release of Gatekeeper that the output runs on.
    pub gatekeeper: Version,
    /// The release of Kubernetes that the output runs on.
    pub kubernetes: Version,
    /// Whether a container must name its AppArmor profile also where PSP would have written `runtime/default`.
    pub strict_app_armor: bool,
}

/// Everything to be rendered.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    /// The constraints, with disjoint namespaces: one, unless [`Bundle::stage`] splits it.
    pub constraints: Vec<Constraint>,
    /// What fills in defaults, sorted by name.
    pub mutators: Vec<Mutator>,
    /// Whether mutators can be kept to CREATE.
    pub mutators_know_operations: bool,
    /// Whether workloads are expanded to pods, to warn who applies them; [`plan`] says no.
    pub expand: bool,
    /// The policies and grants of all constraints, where they are too many to be parameters.
    pub tables: Option<Tables>,
    /// How many policies the template chooses from.
    pub policies_kept: usize,
    /// How many subjects may use policies, counted anew in each namespace.
    pub grants_kept: usize,
    /// The names of the PSPs that it all comes from, sorted.
    pub policies: Vec<String>,
    /// PSPs that are not in a constraint, because another has the same content, and that other.
    pub merged: BTreeMap<String, String>,
    /// What Gatekeeper will do otherwise than the plugin, sorted by PSP, name and field.
    pub losses: Vec<Loss>,
    /// What is odd about the policies.
    pub diagnostics: Vec<Diagnostic>,
}

/// A constraint of [`CONSTRAINT_KIND`].
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// What Gatekeeper does with a violation.
    pub enforcement_action: EnforcementAction,
    /// The namespaces that it matches; all where there are none.
    pub namespaces: BTreeSet<NamespacePattern>,
    /// The namespaces that it leaves out of those.
    pub excluded_namespaces: BTreeSet<NamespacePattern>,
    /// What it says of policies; absent where the bundle has [`Tables`].
    pub parameters: Option<ConstraintParameters>,
}

/// What a constraint says of policies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConstraintParameters {
    /// The policies by name, each with its parameters by field.
    pub policies: BTreeMap<String, Parameters>,
    /// What may be used, by namespace; `*` stands for every namespace.
    pub grants: BTreeMap<String, Grants>,
}

/// Policies and grants as tables of a Rego library.
///
/// Gatekeeper converts the parameters of a constraint for each review, in proportion to their size; a library is compiled once.
#[derive(Clone, Debug, PartialEq)]
pub struct Tables {
    /// Policies that differ in a few values.
    pub families: Vec<Family>,
    /// The other policies, by name.
    pub policies: BTreeMap<String, Parameters>,
    /// What may be used, by namespace; `*` stands for every namespace.
    pub grants: BTreeMap<String, Grants>,
}

/// What may be used in a namespace: names of policies, sorted, by user and by group; the name `*` stands for all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grants {
    /// By the name of the user.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<String, Vec<String>>,
    /// By the name of the group.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
}

impl Grants {
    fn len(&self) -> usize {
        self.users.len() + self.groups.len()
    }
}

/// Plans what to render for an inventory and the grants resolved from it.
pub fn plan(inventory: &Inventory, grants: &[Grant], options: PlanOptions) -> Bundle {
    let mut policies = BTreeMap::new();
    let mut representatives = BTreeMap::new();
    let mut merged = BTreeMap::new();
    let mut kinds = Kinds::default();
    let mut by_content = BTreeMap::<String, &PodSecurityPolicy>::new();
    for psp in &inventory.policies {
        let parameters = parameters(&psp.spec, options);
        kinds.add(&psp.name, &parameters);
        let content = format!("{parameters:?}");
        let first = *by_content.entry(content).or_insert(psp);
        representatives.insert(psp.name.as_str(), first);
        if first.name == psp.name {
            policies.insert(psp.name.clone(), parameters);
        } else {
            merged.insert(psp.name.clone(), first.name.clone());
        }
    }
    let mut superfluous = Superfluous::default();
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
        let used = superfluous.reduce(granted.into_values().collect());
        let names = if grant.policies == Granted::All && used.len() == policies.len() {
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
    let mut diagnostics = superfluous.diagnostics();
    diagnostics.extend(open_to_everybody(inventory, grants));
    let mutators = if options.mutators {
        let (mutators, more) = mutators::mutators(inventory, grants, options);
        diagnostics.extend(more);
        mutators
    } else {
        Mutators::default()
    };
    diagnostics.sort();
    let usage = Usage::new(inventory, grants);
    let kubernetes = options.kubernetes;
    let (mut losses, of_bystanders) = rayon::join(
        || losses::losses(inventory, &usage, &mutators, &kinds, kubernetes),
        || bystanders::losses(inventory, grants, &usage, &mutators, kubernetes),
    );
    losses.extend(of_bystanders);
    losses.extend(exceptions::unasked(inventory, grants, &usage));
    losses.extend(exceptions::reset(
        inventory,
        grants,
        &usage,
        &mutators.whole,
        kubernetes,
    ));
    let mutators = mutators.into_sorted();
    if options.gatekeeper < KNOWS_OPERATIONS {
        losses.extend(exceptions::updates(&mutators));
    }
    losses.sort_by(|a, b| (&a.psp, &a.name, &a.field).cmp(&(&b.psp, &b.name, &b.field)));
    let policies_kept = policies.len();
    let grants_kept = res.values().map(Grants::len).sum();
    let (parameters, tables) = if policies_kept + grants_kept > MOST_IN_PARAMETERS {
        let (families, policies) = families::families(&policies);
        let tables = Tables {
            families,
            policies,
            grants: res,
        };
        (None, Some(tables))
    } else {
        let parameters = ConstraintParameters {
            policies,
            grants: res,
        };
        (Some(parameters), None)
    };
    Bundle {
        constraints: vec![Constraint {
            name: CONSTRAINT_NAME.to_owned(),
            enforcement_action: options.enforcement_action,
            namespaces: BTreeSet::new(),
            excluded_namespaces: BTreeSet::new(),
            parameters,
        }],
        mutators,
        mutators_know_operations: options.gatekeeper >= KNOWS_OPERATIONS,
        expand: false,
        tables,
        policies_kept,
        grants_kept,
        policies: inventory
            .policies
            .iter()
            .map(|it| it.name.clone())
            .collect(),
        merged,
        losses,
        diagnostics,
    }
}

/// The parameters of one policy, of all controls together.
fn parameters(spec: &PodSecurityPolicySpec, options: PlanOptions) -> Parameters {
    let mut res = CONTROLS.iter().flat_map(|it| it.parameters(spec)).collect();
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
struct Superfluous {
    /// Answers of [`covers`] by the names of both.
    known: BTreeMap<(String, String), bool>,
    /// What was left out somewhere, and for what.
    left_out: BTreeMap<String, String>,
    /// What stayed somewhere.
    stayed: BTreeSet<String>,
}

impl Superfluous {
    /// Returns those of the policies, given in order of name, that no other of them makes superfluous.
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
