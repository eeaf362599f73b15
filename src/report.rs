//! What was read, what it became, and what to do next: for people and for machines.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;

use difference::Counts;
use losses::{Summaries, some_of};

use crate::advice::Advice;
use crate::controls::defaults::Level;
use crate::diagnostic::Diagnostic;
use crate::input::Inventory;
use crate::loss::Loss;
use crate::manifest::Manifest;
use crate::plan::{Bundle, EnforcementAction, Mutator, NamespacePattern, Namespaces};
use crate::rbac::CLUSTER_ADMIN;
use crate::render::RenderError;
use crate::render::layout::Layout;
use crate::version::Version;

pub mod baking;
pub mod ci;
mod clean_up;
pub mod difference;
mod losses;
pub mod matrix;
pub mod page;
mod steps;
pub mod verification;

pub use clean_up::{CleanUp, RoleCleanUp};
pub use losses::{Ledger, write_remedies};
pub use steps::{HandOver, NamespaceReport, Step};

/// The version of the JSON that is written for machines.
pub const API_VERSION: &str = "psp2gatekeeper/v1";

/// The report of a migration.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version of this form.
    pub api_version: &'static str,
    /// Always `Report`.
    pub kind: &'static str,
    /// One sentence.
    pub summary: String,
    /// How many objects of each kind were read.
    pub read: BTreeMap<String, usize>,
    /// How many objects were left aside, by kind.
    pub ignored: BTreeMap<String, usize>,
    /// What becomes of the workloads of the input if every constraint denies; absent where nobody asked, or there is none.
    pub workloads: Option<Counts>,
    /// Whether the input had the ClusterRole `cluster-admin`, which is assumed otherwise.
    pub cluster_admin_given: bool,
    /// What Gatekeeper does with a violation, but in the namespaces of the stages.
    pub enforcement_action: EnforcementAction,
    /// Namespaces that are enforced otherwise than the rest.
    pub stages: Vec<StageReport>,
    /// What became of each PSP, sorted by name.
    pub policies: Vec<PolicyReport>,
    /// What was written, in the order in which it must be applied.
    pub objects: Vec<ObjectReport>,
    /// The defaults that mutators set, sorted by name of the mutator.
    pub defaults: Vec<DefaultReport>,
    /// What is not equivalent, sorted by PSP; also what nobody of the input meets who creates pods.
    pub losses: Vec<Loss>,
    /// How many fields of PodSecurityPolicies are how far from equivalent, by the losses that somebody meets who creates pods.
    pub ledger: Ledger,
    /// What could be simpler or narrower.
    pub advice: Advice,
    /// What is odd about the input, sorted: warnings first.
    pub diagnostics: Vec<Diagnostic>,
    /// How the output comes into the cluster, in order.
    pub steps: Vec<Step>,
    /// How PodSecurityPolicy goes; absent where the release of Kubernetes has none.
    pub hand_over: Option<HandOver>,
    /// What is to be deleted then.
    pub clean_up: CleanUp,
    /// The release of Kubernetes that the output is for.
    #[serde(skip)]
    pub kubernetes: Version,
}

/// What became of a PSP.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReport {
    /// Its name.
    pub name: String,
    /// The PSP of the same content that stands for it.
    pub same_as: Option<String>,
    /// Why nobody can use it.
    pub unusable: Option<String>,
}

/// Namespaces with a constraint of their own.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StageReport {
    /// The name of the constraint.
    pub constraint: String,
    /// What Gatekeeper does with a violation there.
    pub enforcement_action: EnforcementAction,
    /// The namespaces, sorted.
    pub namespaces: BTreeSet<NamespacePattern>,
}

/// A default that a mutator sets.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DefaultReport {
    /// The name of the mutator; where it writes on containers there is one for each of the two lists.
    pub mutator: String,
    /// The field of the PSPs.
    pub field: String,
    /// The field of the pod or container.
    pub location: String,
    /// What is written.
    pub value: serde_json::Value,
    /// Where, sorted; `*` stands for all.
    pub namespaces: BTreeSet<String>,
    /// Where not, sorted, of all; empty where they are named.
    pub excluded_namespaces: BTreeSet<String>,
    /// In which pods there, as kubectl reads a selector of labels; in all where it is absent.
    pub labels: Option<String>,
    /// The PSPs whose default it is, sorted.
    pub policies: Vec<String>,
}

/// An object that was written.
#[derive(Clone, Debug, Serialize)]
pub struct ObjectReport {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its file, below the output directory.
    pub file: String,
}

/// What decides over the report, beside what it reports.
#[derive(Clone, Copy, Debug)]
pub struct ReportOptions<'a> {
    /// What Gatekeeper does with a violation in namespaces without a constraint of their own.
    pub enforcement_action: EnforcementAction,
    /// What applies the output.
    pub layout: &'a Layout,
    /// The release of Kubernetes that the output is for.
    pub kubernetes: Version,
}

/// The first release of Kubernetes without PodSecurityPolicy.
const WITHOUT_PSP: Version = Version::new(1, 25);

/// Reports a migration, without what becomes of the workloads of the input.
pub fn report(
    inventory: &Inventory,
    bundle: &Bundle,
    losses: &[Loss],
    manifests: &[Manifest],
    options: ReportOptions<'_>,
    diagnostics: Vec<Diagnostic>,
    advice: Advice,
) -> Report {
    let enforcement_action = options.enforcement_action;
    let mut policies: Vec<PolicyReport> = bundle
        .policies
        .iter()
        .map(|name| PolicyReport {
            name: name.clone(),
            same_as: bundle.merged.get(name).cloned(),
            unusable: None,
        })
        .collect();
    policies.extend(inventory.unusable_policies.iter().map(|it| PolicyReport {
        name: it.name.clone(),
        same_as: None,
        unusable: Some(format!("{}: {}", it.field, it.reason)),
    }));
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    let objects: Vec<ObjectReport> = manifests
        .iter()
        .map(|it| ObjectReport {
            kind: it.kind.clone(),
            name: it.name.clone(),
            file: it.path(),
        })
        .collect();
    let stages: Vec<StageReport> = bundle
        .constraints
        .iter()
        .filter(|it| !it.namespaces.is_empty())
        .map(|it| StageReport {
            constraint: it.name.clone(),
            enforcement_action: it.enforcement_action,
            namespaces: it.namespaces.clone(),
        })
        .collect();
    let hand_over = (options.kubernetes < WITHOUT_PSP).then(|| {
        let names = inventory.namespace_names();
        steps::hand_over(names.into_iter(), &stages, enforcement_action)
    });
    Report {
        api_version: API_VERSION,
        kind: "Report",
        summary: summary(inventory, bundle),
        read: inventory.read.clone(),
        ignored: inventory.ignored.clone(),
        workloads: None,
        cluster_admin_given: inventory
            .roles
            .iter()
            .any(|it| it.namespace.is_none() && it.name == CLUSTER_ADMIN),
        enforcement_action,
        stages,
        policies,
        objects,
        defaults: bundle.mutators.iter().map(default).collect(),
        losses: losses.to_vec(),
        ledger: Ledger::new(losses),
        advice,
        diagnostics,
        steps: steps::steps(bundle, losses, options),
        hand_over,
        clean_up: clean_up::clean_up(inventory),
        kubernetes: options.kubernetes,
    }
}

impl Report {
    /// The report in Markdown.
    ///
    /// # Errors
    ///
    /// When the template asks for what it is not given.
    pub fn to_markdown(&self, environment: &Environment<'_>) -> Result<String, RenderError> {
        let remarks: Vec<String> = self.diagnostics.iter().map(ToString::to_string).collect();
        let template = environment.get_template("report.md.j2")?;
        let losses = Summaries::of(&self.losses);
        let ledger_text = self.ledger.to_string();
        let workloads_text = self.workloads.map(|it| it.to_string());
        let advised = !self.advice.is_empty();
        Ok(template.render(context! {
            remarks,
            advised,
            by_direction => Serde(losses.by_direction()),
            loss_summaries => losses.any(),
            met => losses.met.len(),
            met_losses => Serde(&losses.met),
            unmet => losses.unmet.len(),
            unmet_losses => Serde(&losses.unmet),
            labels => self.labels(),
            ledger_text,
            workloads_text,
            reaches => self.reaches(),
            ..Value::from(Serde(self))
        })?)
    }

    /// The namespaces of each default, in words.
    fn reaches(&self) -> Vec<String> {
        self.defaults.iter().map(DefaultReport::reach).collect()
    }

    /// The labels that mutators act on, as kubectl reads them; nothing where there are none.
    fn labels(&self) -> String {
        some_of(
            &self
                .defaults
                .iter()
                .filter_map(|it| it.labels.clone())
                .collect(),
        )
    }
}

impl DefaultReport {
    /// The namespaces in words.
    fn reach(&self) -> String {
        match (self.namespaces.contains("*"), &self.excluded_namespaces) {
            (false, _) => some_of(&self.namespaces),
            (true, but) if but.is_empty() => "all".to_owned(),
            (true, but) => format!("all but {}", some_of(but)),
        }
    }
}

fn default(mutator: &Mutator) -> DefaultReport {
    let mutation = &mutator.mutation;
    let place = match mutation.level {
        Level::Pod => "",
        Level::Containers => "containers and initContainers: ",
    };
    let (namespaces, excluded_namespaces) = match &mutator.namespaces {
        Namespaces::Only(names) => (names.clone(), BTreeSet::new()),
        Namespaces::AllBut(names) => (BTreeSet::from(["*".to_owned()]), names.clone()),
    };
    DefaultReport {
        mutator: mutator.name.clone(),
        field: mutator.field.to_owned(),
        location: format!("{place}{}", mutation.location),
        value: mutation.value.clone(),
        namespaces,
        excluded_namespaces,
        labels: (!mutator.pods.is_all()).then(|| mutator.pods.to_string()),
        policies: mutator.policies.iter().cloned().collect(),
    }
}

fn summary(inventory: &Inventory, bundle: &Bundle) -> String {
    format!(
        "{} became {} in {}, with {}.",
        count(
            inventory.policies.len() + inventory.unusable_policies.len(),
            "PodSecurityPolicy",
            "PodSecurityPolicies"
        ),
        count(bundle.policies_kept, "policy", "policies"),
        count(bundle.constraints.len(), "constraint", "constraints"),
        count(bundle.grants_kept, "grant", "grants"),
    )
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
