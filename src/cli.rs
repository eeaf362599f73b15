//! The command line: arguments, files, terminal, exit codes.
//!
//! Nothing else in this crate touches the world.
#![expect(
    clippy::disallowed_methods,
    reason = "this is where the world is touched"
)]

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

mod bake;
mod both;
mod cluster;
mod completion;
mod diff;
mod enforcement;
mod explain;
mod files;
mod man;
mod migrate;
mod objects;
mod out_dir;
mod page;
mod resolve;
mod review;
mod snapshot;
mod verify;

/// How a command ended that could be carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done.
    Done,
    /// Done, and it found what it looks for.
    Found,
}

/// Moves a Kubernetes cluster from PodSecurityPolicy to OPA Gatekeeper.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    /// When to color what is written to a terminal.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 1 done, and the command found what it looks for, as its own help says; 2 could not be done.";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

/// How a command writes what it has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people.
    Text,
    /// JSON, for machines.
    Json,
}

/// The same of a command that CI systems run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CiOutput {
    /// For people.
    Text,
    /// JSON, for machines.
    Json,
    /// A test report in JUnit's XML, for CI systems.
    Junit,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

#[derive(Debug, Subcommand)]
enum Command {
    Migrate(migrate::MigrateArgs),
    Diff(diff::DiffArgs),
    Bake(bake::BakeArgs),
    Explain(explain::ExplainArgs),
    Review(review::ReviewArgs),
    Resolve(resolve::ResolveArgs),
    Verify(verify::VerifyArgs),
    Snapshot(snapshot::SnapshotArgs),
    #[command(alias = "completions")]
    Completion(completion::CompletionArgs),
    Man(man::ManArgs),
}

/// The name of the program.
const NAME: &str = "psp2gatekeeper";
/// The name by which kubectl finds it, and how kubectl's users call it then.
const PLUGIN: (&str, &str) = ("kubectl-psp2gatekeeper", "kubectl psp2gatekeeper");

/// The two streams, one for the product and one for the rest.
#[expect(missing_debug_implementations, reason = "streams have nothing to show")]
pub struct Ui<'a> {
    /// Where the product goes.
    pub stdout: &'a mut dyn Write,
    /// Where everything else goes.
    pub stderr: &'a mut dyn Write,
    /// Whether messages may be colored.
    pub color: bool,
    /// Whether the product may be colored.
    pub color_stdout: bool,
    /// Whether somebody looks at stderr who wants to see that it goes on.
    pub progress: bool,
}

/// Runs the program with the arguments and streams of the process.
pub fn main() -> ExitCode {
    let may_color = std::env::var_os("NO_COLOR").is_none();
    let mut ui = Ui {
        stdout: &mut io::BufWriter::new(io::stdout().lock()),
        stderr: &mut io::stderr().lock(),
        color: may_color && io::stderr().is_terminal(),
        color_stdout: may_color && io::stdout().is_terminal(),
        progress: io::stderr().is_terminal(),
    };
    ExitCode::from(run(std::env::args_os(), &mut ui))
}

/// Runs the program; returns its exit code.
///
/// The first argument is the name of the program.
pub fn run(args: impl IntoIterator<Item = OsString>, ui: &mut Ui<'_>) -> u8 {
    let cli = match parse(args) {
        Ok(cli) => cli,
        Err(error) => {
            let wanted = !error.use_stderr();
            let text = if ui.color {
                error.render().ansi().to_string()
            } else {
                error.render().to_string()
            };
            let stream = if wanted {
                &mut ui.stdout
            } else {
                &mut ui.stderr
            };
            // Nobody is left to be told that this failed.
            let _ = stream.write_all(text.as_bytes());
            let _ = ui.stdout.flush();
            return if wanted { 0 } else { 2 };
        }
    };
    match cli.color {
        Color::Auto => {}
        Color::Always => (ui.color, ui.color_stdout) = (true, true),
        Color::Never => (ui.color, ui.color_stdout) = (false, false),
    }
    let res = match &cli.command {
        Command::Migrate(args) => migrate::run(args, ui),
        Command::Diff(args) => diff::run(args, ui),
        Command::Bake(args) => bake::run(args, ui),
        Command::Explain(args) => explain::run(args, ui),
        Command::Review(args) => review::run(args, ui),
        Command::Resolve(args) => resolve::run(args, ui),
        Command::Snapshot(args) => snapshot::run(args, ui),
        Command::Verify(args) => verify::run(args, ui),
        Command::Completion(args) => completion::run(args, ui),
        Command::Man(args) => man::run(args, ui),
    };
    let res = res.and_then(|status| {
        ui.stdout.flush().context("could not write to stdout")?;
        Ok(status)
    });
    match res {
        Ok(ExitStatus::Done) => 0,
        Ok(ExitStatus::Found) => 1,
        Err(error) if is_broken_pipe(&error) => 0,
        Err(error) => {
            let _ = writeln!(ui.stderr, "error: {error:#}");
            2
        }
    }
}

/// The command line as the program is called by its own name.
fn command() -> clap::Command {
    Cli::command().name(NAME)
}

/// Reads the arguments, the first of which is the name of the program.
fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let called = args.first().map(Path::new).and_then(Path::file_stem);
    let mut command = if called == Some(OsStr::new(PLUGIN.0)) {
        as_plugin(command())
    } else {
        command()
    };
    let mut matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|it| it.format(&mut command))
}

/// The command line as kubectl's users see it: usage and examples begin with `kubectl`.
fn as_plugin(command: clap::Command) -> clap::Command {
    let (own, plugin) = (format!("  {NAME} "), format!("  {} ", PLUGIN.1));
    command.bin_name(PLUGIN.1).mut_subcommands(|it| {
        let examples = it.get_after_help().map(ToString::to_string);
        it.after_help(examples.unwrap_or_default().replace(&own, &plugin))
    })
}

/// A reader that has seen enough is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|it| it.downcast_ref::<io::Error>())
        .any(|it| it.kind() == io::ErrorKind::BrokenPipe)
}
