//! `explain`: the page of a control.

use anyhow::bail;
use clap::Args;

use crate::cli::{ExitStatus, Ui};
use crate::controls::{self, CONTROLS};
use crate::diagnostic::CODES;

/// Tell what PSP did about a control aspect, how Gatekeeper is asked for the same, and what is lost.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// A control such as `run-as-user`, a field such as `runAsUser`, a loss or the code of a diagnostic; without it all of them.
    topic: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  # What can be explained
  psp2gatekeeper explain

  # Everything about the user of containers
  psp2gatekeeper explain run-as-user

Exit codes: 0 done; 2 there is no such topic.";

pub(crate) fn run(args: &ExplainArgs, ui: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    let Some(topic) = &args.topic else {
        writeln!(
            ui.stdout,
            "Controls, with the fields of a PodSecurityPolicy that they own:"
        )?;
        for control in CONTROLS {
            let fields = control.fields().join(", ");
            writeln!(ui.stdout, "  {:26} {fields}", control.name())?;
        }
        writeln!(ui.stdout, "\nDiagnostics:")?;
        for (code, _) in CODES {
            writeln!(ui.stdout, "  {code}")?;
        }
        return Ok(ExitStatus::Done);
    };
    if let Some((code, text)) = CODES.iter().find(|(code, _)| code == topic) {
        writeln!(ui.stdout, "# {code}\n\n{text}")?;
        return Ok(ExitStatus::Done);
    }
    // The name of a loss begins with that of its control.
    let name = topic.split('/').next().unwrap_or_default();
    let page = CONTROLS
        .iter()
        .find(|it| it.name() == name || it.fields().contains(&name))
        .and_then(|it| controls::page(it.name()));
    match page {
        Some(page) => write!(ui.stdout, "{page}")?,
        None => bail!(
            "there is nothing to explain under `{topic}`; `psp2gatekeeper explain` lists the topics"
        ),
    }
    Ok(ExitStatus::Done)
}
