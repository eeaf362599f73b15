//! `migrate`: everything to apply, and a report.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};

use crate::access::{Access, parse_subject};
use crate::advice::advice;
use crate::cli::files::{self, InputArgs};
use crate::cli::out_dir::{self, File, Writer};
use crate::cli::{ExitStatus, Ui, enforcement, page};
use crate::diagnostic::{Diagnostic, Severity};
use crate::diff::workloads::Treatment;
use crate::input::Inventory;
use crate::loss::{Direction, Loss};
use crate::losses;
use crate::manifest::Manifest;
use crate::plan::{Bundle, EnforcementAction, NamespacePattern, PlanOptions, Stages, plan};
use crate::rbac::SubjectKey;
use crate::render::layout::{self, HAND_OVER_NAME, Layout};
use crate::render::{environment, render};
use crate::report::difference::{Against, Counts, DifferenceReport};
use crate::report::matrix::Matrix;
use crate::report::page::Page;
use crate::report::{Report, ReportOptions, report};
use crate::resolve::{self, Grant};
use crate::version::Version;

/// The release of Gatekeeper that the output is for, where nobody says.
pub(crate) const GATEKEEPER: Version = Version::new(3, 23);

/// The first release of Gatekeeper with `mutations.gatekeeper.sh/v1`, which the mutators are.
const OLDEST_GATEKEEPER: Version = Version::new(3, 10);

/// The release of Kubernetes that the output is for, where nobody says.
pub(crate) const KUBERNETES: Version = Version::new(1, 24);

/// How many values of one field mutators fill in, where nobody says: these cost each pod about a tenth of a millisecond.
const MAX_MUTATORS: usize = 100;

/// Write the Gatekeeper manifests that decide as the PodSecurityPolicies did, and a report.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MigrateArgs {
    #[command(flatten)]
    input: InputArgs,

    /// Write a directory with everything to apply and a report, instead of manifests to stdout.
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,

    /// Write to the directory even if it holds something that this program did not write, which stays, or files that were edited,
    /// which are written anew.
    #[arg(long, requires = "out_dir")]
    force: bool,

    /// Write this file, too: the report as one page for a browser, with what becomes of each workload.
    #[arg(long, value_name = "FILE")]
    report_html: Option<PathBuf>,

    #[command(flatten)]
    plan: PlanArgs,

    /// What applies the directory.
    #[arg(long, value_enum, default_value_t = LayoutName::Plain, requires = "out_dir", value_name = "TOOL")]
    layout: LayoutName,

    /// Where the directory is in the repository that Flux reads; by default it is that of `--out-dir`, if that is relative.
    #[arg(long, value_name = "PATH")]
    repository_path: Option<String>,

    /// The GitRepository in the namespace `flux-system` that has the directory.
    #[arg(long, default_value = "flux-system", value_name = "NAME")]
    flux_source: String,

    /// Exit with 0 although Gatekeeper will admit pods that PodSecurityPolicy forbids.
    #[arg(long)]
    allow_looser: bool,

    /// Exit with 1 if there is a warning.
    #[arg(long)]
    strict: bool,
}

impl MigrateArgs {
    /// The path of the page below the output directory, if it is to be there.
    fn page_inside(&self) -> Option<String> {
        let below = self
            .report_html
            .as_ref()?
            .strip_prefix(self.out_dir.as_ref()?);
        let below = below.ok()?.to_str()?;
        (!below.is_empty()).then(|| below.to_owned())
    }

    /// What becomes of the workloads, where a page wants to know it, because that takes longer than all the rest.
    fn treatments(
        &self,
        inventory: &Inventory,
        manifests: &[Manifest],
        losses: &[Loss],
    ) -> anyhow::Result<Vec<Treatment>> {
        if self.report_html.is_none() || inventory.workloads.is_empty() {
            return Ok(Vec::new());
        }
        page::treatments(inventory, manifests, losses, self.plan.kubernetes())
    }

    /// # Errors
    ///
    /// When Flux cannot be told where the directory is.
    fn layout(&self) -> anyhow::Result<Layout> {
        Ok(match self.layout {
            LayoutName::Plain => Layout::Plain,
            LayoutName::Argocd => Layout::ArgoCd,
            LayoutName::Flux => Layout::Flux {
                path: self.path_in_repository()?,
                source: self.flux_source.clone(),
            },
        })
    }

    fn path_in_repository(&self) -> anyhow::Result<String> {
        let directory = self.repository_path.as_ref().map(PathBuf::from);
        let directory = directory
            .or_else(|| self.out_dir.clone())
            .unwrap_or_default();
        let mut parts = Vec::new();
        for it in directory.components() {
            match it {
                Component::CurDir => {}
                Component::Normal(part) => parts.push(part.to_string_lossy()),
                _ => bail!(
                    "`{}` does not tell where the directory is in the repository; say it with --repository-path",
                    directory.display()
                ),
            }
        }
        Ok(parts.join("/"))
    }
}

/// What decides over the manifests, beside the input.
#[derive(Args, Clone, Debug)]
pub(crate) struct PlanArgs {
    /// What Gatekeeper does with a pod that no policy admits.
    #[arg(long, value_enum, default_value_t = Action::Dryrun, value_name = "ACTION")]
    enforcement_action: Action,

    /// Forbid such pods in these namespaces, whatever the enforcement action; may be repeated, and `*` stands in front or at the end.
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    deny: Vec<NamespacePattern>,

    /// Admit such pods in these namespaces with a warning to their author.
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    warn: Vec<NamespacePattern>,

    /// Expand workloads to pods, so that who applies one is told what Gatekeeper will say of its pods.
    #[arg(long, value_enum, value_name = "HOW")]
    expand: Option<Expand>,

    /// Take it that everybody may use every policy, where the input has no RBAC objects.
    #[arg(long, value_enum, value_name = "WHOM")]
    assume_grant: Option<AssumeGrant>,

    #[command(flatten)]
    target: TargetArgs,
}

impl PlanArgs {
    /// Whether everybody may use every policy.
    pub(crate) fn assume_grant(&self) -> Option<AssumeGrant> {
        self.assume_grant
    }

    pub(crate) fn grants(&self, inventory: &Inventory) -> Vec<Grant> {
        match self.assume_grant {
            Some(AssumeGrant::All) => resolve::everybody(),
            None => resolve::grants(inventory),
        }
    }

    /// Plans what to write, and finds in what it differs from PSP.
    ///
    /// # Errors
    ///
    /// When a namespace is to be enforced in two ways.
    pub(crate) fn plan(
        &self,
        inventory: &Inventory,
        grants: &[Grant],
    ) -> anyhow::Result<(Bundle, Vec<Loss>)> {
        let list = |patterns: &[NamespacePattern]| patterns.iter().cloned().collect();
        let stages = Stages::new(list(&self.deny), list(&self.warn))?;
        let options = self.target.options(self.enforcement_action.into());
        let bystanders = self.target.bystanders();
        let access = Access::new(inventory, grants, &bystanders);
        let mut res = plan(inventory, &access, options);
        let losses = losses::find(inventory, &access, &res, options);
        res.stage(&stages, inventory);
        res.expand = self.expand.is_some();
        Ok((res, losses))
    }

    /// Returns what the report tells of these arguments.
    pub(crate) fn report_options<'a>(&self, layout: &'a Layout) -> ReportOptions<'a> {
        ReportOptions {
            enforcement_action: self.enforcement_action.into(),
            layout,
            kubernetes: self.kubernetes(),
        }
    }

    /// Returns the release of Kubernetes that the output is for.
    pub(crate) fn kubernetes(&self) -> Version {
        self.target.kubernetes_version
    }

    /// Returns the inventory with what is assumed about grants.
    fn as_assumed<'a>(&self, inventory: &'a Inventory) -> Cow<'a, Inventory> {
        let mut res = Cow::Borrowed(inventory);
        if self.assume_grant.is_some() {
            resolve::assume_everybody(res.to_mut());
        }
        res
    }
}

/// What the output is written for.
#[derive(Args, Clone, Debug)]
pub(crate) struct TargetArgs {
    /// Generate no mutators: no default is set, and pods that lack one are denied.
    #[arg(long)]
    no_mutators: bool,

    /// Choose defaults without regard to the pods of this subject: `User NAME`, `Group NAME` or `ServiceAccount NAMESPACE/NAME`;
    /// may be repeated.
    ///
    /// Nodes, administrators, users, their groups, and service accounts that create no pods are bystanders already.
    #[arg(long, value_name = "SUBJECT", value_parser = parse_subject)]
    bystander: Vec<SubjectKey>,

    /// Maximum number of distinct defaults for one field; beyond it, only defaults of all namespaces, or of all but some, are set.
    #[arg(long, default_value_t = MAX_MUTATORS, value_name = "NUMBER")]
    max_mutators: usize,

    /// The release of Gatekeeper that the output is for; mutators can be kept to new pods since 3.23.
    #[arg(long, default_value_t = GATEKEEPER, value_name = "VERSION", value_parser = gatekeeper_version)]
    gatekeeper_version: Version,

    /// The release of Kubernetes that the output is for; AppArmor profiles are fields since 1.30.
    #[arg(long, default_value_t = KUBERNETES, value_name = "VERSION")]
    pub(crate) kubernetes_version: Version,

    /// Demand an AppArmor profile where PSP would have set `runtime/default`; by default only privileged containers need one.
    #[arg(long)]
    strict_apparmor: bool,
}

fn gatekeeper_version(text: &str) -> anyhow::Result<Version> {
    let res: Version = text.parse()?;
    anyhow::ensure!(
        res >= OLDEST_GATEKEEPER,
        "Gatekeeper {res} does not know what is written; it must be {OLDEST_GATEKEEPER} or later"
    );
    Ok(res)
}

impl TargetArgs {
    pub(crate) fn options(&self, enforcement_action: EnforcementAction) -> PlanOptions {
        PlanOptions {
            enforcement_action,
            mutators: !self.no_mutators,
            max_mutators: self.max_mutators,
            gatekeeper: self.gatekeeper_version,
            kubernetes: self.kubernetes_version,
            strict_app_armor: self.strict_apparmor,
        }
    }

    /// The subjects whose pods do not decide which defaults are set.
    pub(crate) fn bystanders(&self) -> BTreeSet<SubjectKey> {
        self.bystander.iter().cloned().collect()
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// Record what would be forbidden.
    Dryrun,
    /// Admit the pod and warn its author.
    Warn,
    /// Forbid the pod.
    Deny,
}

impl From<Action> for EnforcementAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Dryrun => Self::Dryrun,
            Action::Warn => Self::Warn,
            Action::Deny => Self::Deny,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Expand {
    /// Warn who applies the workload.
    Warn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LayoutName {
    /// Apply the folders one after the other with kubectl.
    Plain,
    /// One Argo CD Application for the directory, with sync waves.
    Argocd,
    /// A Flux Kustomization for each folder, which depends on the one before.
    Flux,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AssumeGrant {
    /// Everybody may use every policy.
    All,
}

const EXAMPLES: &str = "\
Examples:
  # See what would be written
  psp2gatekeeper migrate -f policies.yaml -f rbac/

  # Write a directory to review, commit and apply
  psp2gatekeeper snapshot --out-dir cluster
  psp2gatekeeper migrate -f cluster --out-dir gatekeeper

  # The same with a page for a browser, which tells what becomes of each workload
  psp2gatekeeper migrate -f cluster --out-dir gatekeeper --report-html gatekeeper/REPORT.html

  # Enforce in two namespaces, and warn in some more
  psp2gatekeeper migrate -f cluster --deny shop,tools --warn 'team-*' --out-dir gatekeeper

  # The same from the cluster of the current context of kubectl
  psp2gatekeeper migrate --live --out-dir gatekeeper

Exit codes: 0 done; 1 with --strict if there is a warning, or without --allow-looser if Gatekeeper will admit what PodSecurityPolicy forbids; 2 could not be done, and nothing was written.";

pub(crate) fn run(args: &MigrateArgs, ui: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    let (inventory, mut diagnostics) = files::load(&args.input, ui)?;
    if let Err(error) = check(&inventory, args.plan.assume_grant) {
        // What was left aside may be what is missing.
        files::tell(&diagnostics, ui)?;
        return Err(error);
    }
    let page = args.page_inside();
    if let (Some(path), None) = (&args.report_html, &page) {
        page::check(path)?;
    }
    let grants = args.plan.grants(&inventory);
    if args.plan.assume_grant.is_none() {
        diagnostics.extend(resolve::diagnostics(&inventory, &grants));
    }
    let (bundle, losses) = args.plan.plan(&inventory, &grants)?;
    diagnostics.extend(bundle.diagnostics.iter().cloned());
    let environment = environment()?;
    let manifests = render(&bundle, &environment)?;
    diagnostics.extend(manifests.iter().filter_map(Manifest::size_warning));
    if let Some(directory) = args.out_dir.as_ref().filter(|it| it.exists()) {
        diagnostics.extend(enforcement::weakened(directory, &manifests));
    }
    diagnostics.sort();
    let layout = args.layout()?;
    let options = args.plan.report_options(&layout);
    let assumed = args.plan.as_assumed(&inventory);
    let advice = advice(&assumed, &bundle, &diagnostics);
    let treatments = args.treatments(&assumed, &manifests, &losses)?;
    let workloads = (!treatments.is_empty()).then(|| Counts::of(&treatments));
    let report = Report {
        workloads,
        ..report(
            &inventory,
            &bundle,
            &losses,
            &manifests,
            options,
            diagnostics,
            advice,
        )
    };
    let mut html = match &args.report_html {
        None => None,
        Some(_) => Some(html(&assumed, &grants, &report, &treatments)?),
    };
    if let Some(directory) = &args.out_dir {
        let mut files = vec![
            File::new("REPORT.md", report.to_markdown(&environment)?),
            File::new(
                out_dir::REPORT,
                format!("{}\n", serde_json::to_string_pretty(&report)?),
            ),
        ];
        let beside = layout::beside(&bundle, &manifests, &layout, &environment)?;
        files.extend(beside.into_iter().map(|(path, text)| File::new(path, text)));
        if report.hand_over.is_some() {
            let text = layout::hand_over(&environment)?;
            files.push(File::new(layout::HAND_OVER, text));
        }
        if let Some(page) = page
            && let Some(html) = html.take()
        {
            files.push(File::new(page, html));
        }
        files.extend(
            manifests
                .into_iter()
                .map(|it| File::new(it.path(), it.text)),
        );
        out_dir::write(directory, Writer::Migrate, &files, args.force)?;
        let workloads = report.workloads.map(|it| format!(" {it}."));
        writeln!(
            ui.stderr,
            "{}{} Read `{}` next.",
            report.summary,
            workloads.unwrap_or_default(),
            directory.join("REPORT.md").display()
        )?;
    } else {
        for Manifest { text, .. } in &manifests {
            write!(ui.stdout, "---\n{text}")?;
        }
        writeln!(ui.stderr, "{}", report.summary)?;
    }
    if let (Some(path), Some(html)) = (&args.report_html, html) {
        page::write(path, &html)?;
    }
    let looser = losses.iter();
    let looser = looser.filter(|it| it.direction() == Direction::Looser);
    let looser: Vec<&Loss> = looser.collect();
    for loss in &looser {
        writeln!(ui.stderr, "{loss}")?;
    }
    files::tell(&report.diagnostics, ui)?;
    let mut res = ExitStatus::Done;
    if !looser.is_empty() && !args.allow_looser {
        writeln!(
            ui.stderr,
            "exit code 1, because Gatekeeper will admit what PodSecurityPolicy forbids: {} of the losses are looser; `--allow-looser` puts up with that",
            looser.len()
        )?;
        res = ExitStatus::Found;
    }
    if args.strict
        && let Some(warnings) = warnings(&report.diagnostics)
    {
        writeln!(ui.stderr, "exit code 1, because of `--strict`: {warnings}")?;
        res = ExitStatus::Found;
    }
    Ok(res)
}

/// How many warnings there are, by code; nothing where there is none.
fn warnings(diagnostics: &[Diagnostic]) -> Option<String> {
    let mut by_code = BTreeMap::<&str, usize>::new();
    for it in diagnostics {
        if it.severity == Severity::Warning {
            *by_code.entry(it.code).or_default() += 1;
        }
    }
    let (all, codes) = (by_code.values().sum::<usize>(), by_code.iter());
    let codes: Vec<String> = codes.map(|(code, n)| format!("{n} {code}")).collect();
    let warnings = if all == 1 { "warning" } else { "warnings" };
    (all > 0).then(|| format!("{all} {warnings}: {}", codes.join(", ")))
}

/// Returns the report as a page, with what becomes of each workload.
fn html(
    inventory: &Inventory,
    grants: &[Grant],
    report: &Report,
    treatments: &[Treatment],
) -> anyhow::Result<String> {
    let page = Page {
        report,
        difference: &DifferenceReport {
            changes: None,
            against: Against::Directory,
            treatments,
            losses: &report.losses,
        },
        matrix: &Matrix::new(inventory, grants),
    };
    Ok(page.to_html(&environment()?)?)
}

/// Checks that there is something to migrate.
///
/// # Errors
///
/// When there is no policy, or nobody who may use one, or PSP no longer decides everywhere.
pub(crate) fn check(
    inventory: &Inventory,
    assume_grant: Option<AssumeGrant>,
) -> anyhow::Result<()> {
    if inventory
        .policies
        .iter()
        .any(|it| it.name == HAND_OVER_NAME)
    {
        bail!(
            "the input has the PodSecurityPolicy `{HAND_OVER_NAME}`, so PSP stands aside already in some namespaces, and what it admits there is not what shall be admitted; use what was read before, such as a snapshot"
        );
    }
    if inventory.policies.is_empty() && inventory.unusable_policies.is_empty() {
        bail!(
            "there is no PodSecurityPolicy in the input; a cluster that has none, with the admission plugin on, forbids every pod{}",
            inventory.where_policies_may_be()
        );
    }
    if assume_grant.is_none() && inventory.roles.is_empty() && inventory.bindings.is_empty() {
        bail!(
            "there is no Role, ClusterRole, RoleBinding or ClusterRoleBinding in the input, so nobody may use a PodSecurityPolicy and every pod would be forbidden; add them with -f, or let everybody use every policy with `--assume-grant all`"
        );
    }
    Ok(())
}

/// Returns what would be written for the inventory.
pub(crate) fn manifests(
    inventory: &Inventory,
    target: &TargetArgs,
) -> anyhow::Result<Vec<Manifest>> {
    let grants = resolve::grants(inventory);
    let bystanders = target.bystanders();
    let access = Access::new(inventory, &grants, &bystanders);
    let bundle = plan(inventory, &access, target.options(EnforcementAction::Deny));
    Ok(render(&bundle, &environment()?)?)
}

/// Returns what would be written for the inventory, and its losses.
pub(crate) fn now(
    inventory: &Inventory,
    grants: &[Grant],
    target: &TargetArgs,
) -> anyhow::Result<(Vec<Manifest>, Vec<Loss>)> {
    let options = target.options(EnforcementAction::Deny);
    let bystanders = target.bystanders();
    let access = Access::new(inventory, grants, &bystanders);
    let bundle = plan(inventory, &access, options);
    let manifests = render(&bundle, &environment()?)?;
    let losses = losses::find(inventory, &access, &bundle, options);
    Ok((manifests, losses))
}
