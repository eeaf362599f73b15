//! `diff`: what would change, in manifests and for whom.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use clap::Args;
use clap::builder::Resettable::Reset;

use crate::advice::advice;
use crate::cli::files::{self, InputArgs};
use crate::cli::{CiOutput, ExitStatus, Ui, migrate, out_dir, page};
use crate::diff::{Change, diff, diff_live};
use crate::manifest::Manifest;
use crate::render::layout::Layout;
use crate::render::{environment, render};
use crate::report::ci;
use crate::report::difference::{Against, Detail, DifferenceReport};
use crate::report::matrix::Matrix;
use crate::report::page::Page;
use crate::report::{Report, report};
use crate::resolve;

/// Show what would change before anything is applied: manifests, and which pods would be admitted or forbidden.
///
/// Manifests are those that `migrate` would write now with the same options, against those of a directory, or else against what
/// the cluster runs that --live, --context or --kubeconfig names; -f beside them says where the policies come from instead.
/// The pods are those of the workloads in the input, asked for as their controllers do: once of PSP and once of the manifests
/// that would be written, as if every constraint denied.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
// Files and a cluster go together here: policies from the one, what runs from the other.
#[command(
    mut_arg("filename", |it| it.conflicts_with(Reset)),
    mut_arg("recursive", |it| it.conflicts_with(Reset))
)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    input: InputArgs,

    /// Compare with what stands in this directory, which an earlier `migrate` wrote, edited by hand or not.
    #[arg(long, alias = "manifests", value_name = "DIR")]
    out_dir: Option<PathBuf>,

    #[command(flatten)]
    plan: migrate::PlanArgs,

    /// Exit with 0 even if there is a difference.
    #[arg(long)]
    exit_zero: bool,

    /// Name the objects that change and count the workloads, without their details.
    #[arg(long)]
    summary: bool,

    /// Write this file, too: one page for a browser, with all that `migrate` and this command have to say.
    #[arg(long, value_name = "FILE")]
    report_html: Option<PathBuf>,

    /// How to write it.
    #[arg(short, long, value_enum, default_value_t = CiOutput::Text)]
    output: CiOutput,
}

const EXAMPLES: &str = "\
Examples:
  # What would change if `migrate` wrote that directory again?
  psp2gatekeeper diff -f cluster --out-dir gatekeeper

  # What would change in the cluster, and after its upgrade, with the policies of a snapshot?
  psp2gatekeeper diff --live
  psp2gatekeeper diff --live -f cluster

  # Which of the workloads would Gatekeeper forbid?
  psp2gatekeeper diff -f cluster -f workloads.yaml

  # As a page for a browser
  psp2gatekeeper diff -f cluster --report-html changes.html

  # In a pipeline, which may go on
  psp2gatekeeper diff -f cluster -o junit --exit-zero > diff.xml

  # With another program; it gets two directories, as of `kubectl diff`
  KUBECTL_EXTERNAL_DIFF=meld psp2gatekeeper diff -f cluster --out-dir gatekeeper

Exit codes: 0 done, and there is no difference; 1 there is one; 2 could not be done.";

/// The variable that names a program to show differences with.
const EXTERNAL_DIFF: &str = "KUBECTL_EXTERNAL_DIFF";

pub(crate) fn run(args: &DiffArgs, ui: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    if let (Some(directory), Some(_), true) =
        (&args.out_dir, args.input.cluster(), args.input.has_files())
    {
        bail!(
            "what would be written is compared with `{}` or with a cluster, and the policies come from files: one of the three is too much",
            directory.display()
        );
    }
    let (mut inventory, mut diagnostics) = files::load(&args.input, ui)?;
    files::tell(&diagnostics, ui)?;
    let assume_grant = args.plan.assume_grant();
    migrate::check(&inventory, assume_grant)?;
    let grants = args.plan.grants(&inventory);
    let (bundle, losses) = args.plan.plan(&inventory, &grants)?;
    let manifests = render(&bundle, &environment()?)?;
    let changes = changes(args, &manifests, ui)?;
    if assume_grant.is_some() {
        resolve::assume_everybody(&mut inventory);
    }
    let against = match &args.out_dir {
        Some(_) => Against::Directory,
        None => Against::Cluster,
    };
    let treatments = page::treatments(&inventory, &manifests, &losses, args.plan.kubernetes())?;
    let difference = DifferenceReport {
        changes: changes.as_deref(),
        against,
        treatments: &treatments,
        losses: &losses,
    };
    if treatments.is_empty() {
        writeln!(
            ui.stderr,
            "there is no workload in the input, so nothing tells what would change for whom"
        )?;
    }
    if let Some(path) = &args.report_html {
        if assume_grant.is_none() {
            diagnostics.extend(resolve::diagnostics(&inventory, &grants));
        }
        diagnostics.extend(bundle.diagnostics.iter().cloned());
        diagnostics.extend(manifests.iter().filter_map(Manifest::size_warning));
        diagnostics.sort();
        let advice = advice(&inventory, &bundle, &diagnostics);
        let options = args.plan.report_options(&Layout::Plain);
        let page = Page {
            report: &Report {
                workloads: (!treatments.is_empty()).then(|| difference.counts()),
                ..report(
                    &inventory,
                    &bundle,
                    &losses,
                    &manifests,
                    options,
                    diagnostics,
                    advice,
                )
            },
            difference: &difference,
            matrix: &Matrix::new(&inventory, &grants),
        };
        page::write(path, &page.to_html(&environment()?)?)?;
    }
    match args.output {
        CiOutput::Json => {
            writeln!(
                ui.stdout,
                "{}",
                serde_json::to_string_pretty(&difference.to_json())?
            )?;
        }
        CiOutput::Junit => {
            let cases = difference.cases(&compared_with(args));
            writeln!(ui.stdout, "{}", ci::junit("diff", &cases)?.trim_end())?;
        }
        CiOutput::Sarif => {
            let log = ci::sarif(&difference.cases(&compared_with(args)));
            writeln!(ui.stdout, "{}", serde_json::to_string_pretty(&log)?)?;
        }
        CiOutput::Text if args.summary => difference.write_text(ui.stdout, Detail::Summary)?,
        CiOutput::Text => {
            let external = std::env::var(EXTERNAL_DIFF).unwrap_or_default();
            let detail = if external.trim().is_empty() {
                Detail::Full {
                    color: ui.color_stdout,
                }
            } else {
                let changes = difference.changes.unwrap_or_default();
                show_with(&external, changes, against, ui)?;
                Detail::Listed
            };
            difference.write_text(ui.stdout, detail)?;
        }
    }
    Ok(if difference.differs() && !args.exit_zero {
        ExitStatus::Found
    } else {
        ExitStatus::Done
    })
}

/// Compares what would be written with the directory or the cluster that is named, if one is.
fn changes(
    args: &DiffArgs,
    manifests: &[Manifest],
    ui: &mut Ui<'_>,
) -> anyhow::Result<Option<Vec<Change>>> {
    let changes = match (&args.out_dir, args.input.cluster()) {
        (Some(directory), _) if !directory.exists() => {
            writeln!(
                ui.stderr,
                "`{}` does not exist, so every object is new",
                directory.display()
            )?;
            diff(&[], manifests)?
        }
        (Some(directory), _) => diff(&out_dir::read(directory)?, manifests)
            .with_context(|| format!("`{}`", directory.display()))?,
        (None, Some(cluster)) => {
            let live = cluster.written()?;
            if live.is_none() {
                writeln!(
                    ui.stderr,
                    "the cluster serves no ConstraintTemplates, so Gatekeeper is not there and every object is new"
                )?;
            }
            diff_live(&live.unwrap_or_default(), manifests).context("what the cluster runs")?
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(changes))
}

/// Where objects are to be looked for.
fn compared_with(args: &DiffArgs) -> String {
    let directory = args.out_dir.as_ref();
    directory.map_or_else(|| "cluster".to_owned(), |it| it.display().to_string())
}

/// Lets another program show the changes: it gets a directory with the old texts and one with the new, as of `kubectl diff`.
///
/// # Errors
///
/// When it cannot be started, or ends with anything but 0 and 1.
fn show_with(
    command: &str,
    changes: &[Change],
    against: Against,
    ui: &mut Ui<'_>,
) -> anyhow::Result<()> {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default();
    let context = || format!("{EXTERNAL_DIFF}: could not run `{program}`");
    let sides = against.sides().map(|side| {
        let prefix = format!("{side}-");
        tempfile::Builder::new().prefix(&prefix).tempdir()
    });
    let [old_side, new_side] = sides;
    let (old_side, new_side) = (
        old_side.with_context(context)?,
        new_side.with_context(context)?,
    );
    for change in changes {
        let (old, new) = change.texts();
        for (directory, text) in [(&old_side, old), (&new_side, new)] {
            if !text.is_empty() {
                fs::write(directory.path().join(change.file_name()), text).with_context(context)?;
            }
        }
    }
    // What was written so far comes before what the program writes.
    ui.stdout.flush()?;
    let status = Command::new(program)
        // As kubectl does, so that a value that works there works here.
        .args(words.filter(|it| is_plain(it)))
        .args([old_side.path(), new_side.path()])
        .stdin(Stdio::inherit())
        .status()
        .with_context(context)?;
    if !matches!(status.code(), Some(0 | 1)) {
        bail!("{EXTERNAL_DIFF}: `{program}` failed: {status}");
    }
    Ok(())
}

/// Whether kubectl passes an argument on: letters, digits, `-` and `=` alone.
fn is_plain(argument: &str) -> bool {
    argument
        .chars()
        .all(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | '='))
}
