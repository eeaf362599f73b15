//! `man`: the manual pages.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::cli::{ExitStatus, Ui, command};

/// Write the manual pages: one of the program and one of each command.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ManArgs {
    /// The directory to write them to; pages of the same name are replaced and nothing else is touched.
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  # For yourself
  psp2gatekeeper man --out-dir ~/.local/share/man/man1
  man psp2gatekeeper-migrate

Exit codes: 0 done; 2 the directory cannot be written to.";

pub(crate) fn run(args: &ManArgs, _: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    let directory = &args.out_dir;
    let context = || format!("could not write `{}`", directory.display());
    fs::create_dir_all(directory).with_context(context)?;
    clap_mangen::generate_to(command(), directory).with_context(context)?;
    Ok(ExitStatus::Done)
}
