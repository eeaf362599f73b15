//! `verify`: whether the output decides as the PSPs did, and where not.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::admission::AdmissionRequest;
use crate::api::core::Pod;
use crate::cli::both::{self, Both};
use crate::cli::files::{self, InputArgs};
use crate::cli::{CiOutput, ExitStatus, Ui, enforcement, migrate, objects, out_dir};
use crate::gatekeeper::ReviewError;
use crate::input::Inventory;
use crate::loss::Loss;
use crate::manifest::Manifest;
use crate::psp::PspAdmission;
use crate::report::ci;
use crate::report::verification::VerificationReport;
use crate::requests::{Foreign, OwnPod, Requests, own_pod};
use crate::resolve;
use crate::verify::Verifier;
use recorded::Recorded;

mod recorded;
mod save;

/// Ask PSP and the output the same questions, and account for every difference.
///
/// Requests come from the pods and workloads of the input, from both sides of every boundary that a policy draws, crossed with
/// who may use it, and from a generator.
/// A difference is either explained by a declared loss, or it is a finding.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    input: InputArgs,

    /// File with more pods and workloads in YAML, JSON or JSON lines, or `-` for stdin; may be repeated, and JSON may be large.
    #[arg(long, value_name = "PATH")]
    pods: Vec<PathBuf>,

    /// Make up so many requests more.
    #[arg(long, default_value_t = 0, value_name = "N")]
    requests: u64,

    /// What the made-up requests depend on; the same seed makes the same ones.
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,

    /// Judge by what stands in this directory, edited by hand or not, instead of what `migrate` would write now.
    #[arg(long, alias = "out-dir", value_name = "DIR")]
    manifests: Option<PathBuf>,

    /// Judge without this file of the directory; may be repeated.
    #[arg(long, requires = "manifests", value_name = "FILE")]
    skip: Vec<String>,

    /// Whether constraints that only warn or record count as if they denied; by default they do not in a directory.
    #[arg(long, value_enum, value_name = "HOW")]
    enforcement_action: Option<Enforcement>,

    /// Write each finding to this new directory, with a suite for `gator verify`.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,

    #[command(flatten)]
    target: migrate::TargetArgs,

    /// Take it that everybody may use every policy, where the input has no RBAC objects.
    #[arg(long, value_enum, value_name = "WHOM")]
    assume_grant: Option<migrate::AssumeGrant>,

    /// How to write it.
    #[arg(short, long, value_enum, default_value_t = CiOutput::Text)]
    output: CiOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Enforcement {
    /// Every violation forbids the pod.
    Deny,
    /// Only a violation of a constraint that denies does.
    AsIs,
}

const EXAMPLES: &str = "\
Examples:
  # Would the output decide as the PodSecurityPolicies do?
  psp2gatekeeper verify -f cluster

  # Does this directory, which people have edited, for the pods that run?
  kubectl get pods -A -o json > pods.json
  psp2gatekeeper verify -f cluster --pods pods.json --manifests gatekeeper \\
    --enforcement-action deny

  # In a pipeline, for code scanning
  psp2gatekeeper verify -f cluster --manifests gatekeeper --enforcement-action deny \\
    -o sarif > verify.sarif

  # A million more questions, and what is found as files
  psp2gatekeeper verify -f cluster --requests 1000000 --seed 7 --save findings

Exit codes: 0 every difference is declared; 1 there is a finding; 2 could not be done, or something cannot be evaluated.";

/// So many pods of the user's are what made-up requests start from.
const MOST_OWN: usize = 200;

pub(crate) fn run(args: &VerifyArgs, ui: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    let (mut inventory, diagnostics) = files::load(&args.input, ui)?;
    files::tell(&diagnostics, ui)?;
    migrate::check(&inventory, args.assume_grant)?;
    if args.assume_grant.is_some() {
        resolve::assume_everybody(&mut inventory);
    }
    let grants = resolve::grants(&inventory);
    let (now, losses) = migrate::now(&inventory, &grants, &args.target)?;
    let mut judged = Vec::new();
    let manifests = match &args.manifests {
        Some(directory) => {
            let mut manifests = out_dir::read(directory)?;
            for file in &args.skip {
                let before = manifests.len();
                manifests.retain(|it| it.name != *file);
                if manifests.len() == before {
                    bail!("there is no file `{file}` in `{}`", directory.display());
                }
                judged.push(format!("`{file}` was left out: what it does is not known."));
            }
            manifests
        }
        None => now.clone(),
    };
    // Which files there are is no part of what they say.
    let said = manifests
        .iter()
        .filter(|it| !it.name.ends_with("kustomization.yaml"));
    let texts = said.map(|it| it.text.as_str());
    let foreign = Foreign::new(texts, now.iter().map(|it| it.text.as_str()));
    let as_if_deny = match args.enforcement_action {
        Some(how) => how == Enforcement::Deny,
        None => args.manifests.is_none(),
    };
    judged.push(what_is_judged(args, as_if_deny));
    let prepare = |manifests: &[Manifest]| {
        both::gatekeeper(&inventory, manifests, args.target.kubernetes_version)
    };
    let both = Both {
        inventory: &inventory,
        psp: PspAdmission::new(&inventory),
        gatekeeper: prepare(&manifests).context("the manifests cannot be judged")?,
        now: match &args.manifests {
            Some(_) => Some(prepare(&now)?),
            None => None,
        },
        as_if_deny,
    };
    if !as_if_deny && !enforcement::denies(&manifests) {
        writeln!(
            ui.stderr,
            "nothing in what is judged denies, so everything that PodSecurityPolicy forbids will count as admitted; `--enforcement-action deny` judges it as if every constraint denied"
        )?;
    }
    let requests = Requests::new(&inventory, &grants, &foreign);
    let mut asking = Asking {
        verifier: Verifier::new(&both, &losses),
        progress: ui.progress.then(Progress::new),
        stderr: &mut *ui.stderr,
    };
    let asked = ask(args, &inventory, &both, &requests, &losses, &mut asking);
    let asked = asked.and_then(|(own, recorded)| {
        asking.all(requests.generated(own, args.requests, args.seed))?;
        Ok(recorded)
    });
    asking.clear()?;
    let recorded = asked?;
    let verification = asking.verifier.finish().context(UNKNOWN)?;
    if let Some(directory) = &args.save
        && !verification.findings.is_empty()
    {
        save::save(directory, &verification.findings, &both, &manifests)?;
    }
    let report = VerificationReport {
        verification: &verification,
        losses: &losses,
        judged,
        recorded_agreed: recorded.agreed,
        recorded: recorded.finish(),
    };
    match args.output {
        CiOutput::Text => report.write_text(ui.stdout)?,
        CiOutput::Json => writeln!(
            ui.stdout,
            "{}",
            serde_json::to_string_pretty(&report.to_json())?
        )?,
        CiOutput::Junit => {
            let cases = report.cases(&where_to_look(args));
            writeln!(ui.stdout, "{}", ci::junit("verify", &cases)?.trim_end())?;
        }
        CiOutput::Sarif => {
            let log = ci::sarif(&report.cases(&where_to_look(args)));
            writeln!(ui.stdout, "{}", serde_json::to_string_pretty(&log)?)?;
        }
    }
    Ok(if verification.unexplained > 0 {
        ExitStatus::Found
    } else {
        ExitStatus::Done
    })
}

const UNKNOWN: &str = "an answer of Gatekeeper cannot be known";

/// Asks what does not need a generator; returns some of the user's pods and what was recorded about them.
fn ask(
    args: &VerifyArgs,
    inventory: &Inventory,
    both: &Both<'_>,
    requests: &Requests<'_>,
    losses: &[Loss],
    asking: &mut Asking<'_, '_, '_>,
) -> anyhow::Result<(Vec<Pod>, Recorded)> {
    let mut own = Vec::new();
    let mut recorded = Recorded::default();
    let mut known = BTreeSet::new();
    let mut about = |pod: &OwnPod, asking: &mut Asking<'_, '_, '_>| {
        recorded.add(both, pod);
        if !known.insert(pod.fingerprint()) {
            return Ok(());
        }
        if own.len() < MOST_OWN {
            own.push(pod.request.pod.clone());
        }
        asking.all(requests.about(pod).into_iter())
    };
    asking.all(losses.iter().map(|it| AdmissionRequest {
        uid: format!("the witness of {} of {}", it.name(), it.psp),
        ..it.witness.clone()
    }))?;
    for workload in &inventory.workloads {
        if let Some(pod) = own_pod(&workload.object) {
            about(&pod, asking)?;
        }
    }
    for path in &args.pods {
        objects::for_each(path, |object| match own_pod(&object) {
            Some(pod) => about(&pod, asking),
            None => Ok(()),
        })?;
    }
    asking.all(requests.about_policies())?;
    Ok((own, recorded))
}

/// The directory that is judged, else where the policies come from.
fn where_to_look(args: &VerifyArgs) -> String {
    let directory = args.manifests.as_deref().or(args.input.first_file());
    directory.map_or_else(|| "cluster".to_owned(), |it| it.display().to_string())
}

fn what_is_judged(args: &VerifyArgs, as_if_deny: bool) -> String {
    let what = match &args.manifests {
        Some(directory) => format!("what stands in `{}`", directory.display()),
        None => "what `migrate` would write now".to_owned(),
    };
    let how = if as_if_deny {
        "as if every constraint denied"
    } else {
        "with each constraint's own enforcement action, so that `dryrun` and `warn` forbid nothing"
    };
    format!("Judged was {what}, {how}.")
}

/// Puts requests and shows that it goes on, where somebody looks.
struct Asking<'v, 'b, 'u> {
    verifier: Verifier<'v, Both<'b>>,
    progress: Option<Progress>,
    stderr: &'u mut dyn Write,
}

impl Asking<'_, '_, '_> {
    fn all(&mut self, requests: impl Iterator<Item = AdmissionRequest>) -> anyhow::Result<()> {
        for request in requests {
            self.verifier
                .add(request)
                .map_err(|it: ReviewError| anyhow::Error::new(it).context(UNKNOWN))?;
            if self.progress.as_mut().is_some_and(Progress::is_due) {
                let asked = self.verifier.asked();
                write!(
                    self.stderr,
                    "{CLEAR_LINE}{asked} requests put to both so far"
                )?;
                self.stderr.flush()?;
            }
        }
        Ok(())
    }

    /// Takes the line away that shows how far it is.
    fn clear(&mut self) -> anyhow::Result<()> {
        if self.progress.is_some() {
            write!(self.stderr, "{CLEAR_LINE}")?;
        }
        Ok(())
    }
}

/// Has a terminal go back to the start of the line and forget what stands there.
const CLEAR_LINE: &str = "\r\x1b[K";

/// Says when there is something to show again.
struct Progress {
    next: Instant,
}

impl Progress {
    const FIRST: Duration = Duration::from_secs(1);
    const EVERY: Duration = Duration::from_millis(500);

    fn new() -> Self {
        Self {
            next: Instant::now() + Self::FIRST,
        }
    }

    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = now >= self.next;
        if due {
            self.next = now + Self::EVERY;
        }
        due
    }
}
