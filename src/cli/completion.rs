//! `completion`: what lets a shell complete the command line.

use clap::Args;
use clap_complete::{Shell, generate};

use crate::cli::{ExitStatus, NAME, Ui, command};

/// Write the script that lets a shell complete commands and options.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  # In this shell alone
  source <(psp2gatekeeper completion bash)

  # In every new one
  psp2gatekeeper completion bash > ~/.local/share/bash-completion/completions/psp2gatekeeper
  psp2gatekeeper completion fish > ~/.config/fish/completions/psp2gatekeeper.fish

  # In every new zsh, from a directory of $fpath
  psp2gatekeeper completion zsh > \"${fpath[1]}/_psp2gatekeeper\"

Exit codes: 0 done; 2 there is no script for such a shell.";

pub(crate) fn run(args: &CompletionArgs, ui: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    // A closed pipe is no failure for us, and would be for the generator.
    let mut script = Vec::new();
    generate(args.shell, &mut command(), NAME, &mut script);
    ui.stdout.write_all(&script)?;
    Ok(ExitStatus::Done)
}
