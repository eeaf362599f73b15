//! Changes our own code in many small ways, and sees whether the tests notice each.
//!
//! `rego` changes the text of the libraries and puts the questions of the tables and others to each changed text.
//! `rust` writes a copy of the crate that holds all changes to `src/controls` at once, each switched on by a variable of the
//! environment, and runs the tests of that.
//! `survivors.yaml` has the changes that mean the same, with the reason; any other that nothing notices is a failure, and so is
//! an entry of it that does not survive.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests read files and may panic; this one tells how it goes on"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

#[path = "../conformance/as_written.rs"]
mod as_written;
#[path = "../golden/case.rs"]
mod case;
mod questions;
#[path = "../golden/recording.rs"]
#[expect(dead_code, reason = "what is recorded is not compared here")]
mod recording;
mod rego;
#[path = "../conformance/rows.rs"]
#[expect(dead_code, reason = "no pod that is stored is compared here")]
mod rows;
mod rust;
#[path = "../golden/verdicts.rs"]
mod verdicts;

/// A small change to a file.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    /// The file, below the folder of its kind.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// What the change replaces.
    pub(crate) before: String,
    /// What it puts there.
    pub(crate) after: String,
}

/// A change that means the same.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Survivor {
    file: String,
    before: String,
    after: String,
    #[expect(dead_code, reason = "for who reads the list")]
    why: String,
}

impl Survivor {
    fn is(&self, it: &Mutant) -> bool {
        (&self.file, &self.before, &self.after) == (&it.file, &it.before, &it.after)
    }
}

/// What became of the changes to one file.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) file: String,
    pub(crate) killed: usize,
    /// Changes that do not compile.
    pub(crate) invalid: usize,
    pub(crate) survived: Vec<Mutant>,
    pub(crate) took: Duration,
}

/// Tells of each file what became of its changes, as soon as it is known.
#[derive(Debug)]
pub(crate) struct Report {
    known: Vec<Survivor>,
    complaints: usize,
}

impl Report {
    fn is_known(&self, mutant: &Mutant) -> bool {
        self.known.iter().any(|it| it.is(mutant))
    }

    pub(crate) fn tell(&mut self, outcome: &Outcome) {
        let (same, survived): (Vec<&Mutant>, Vec<&Mutant>) =
            outcome.survived.iter().partition(|it| self.is_known(it));
        for it in &survived {
            println!(
                "survived: {}:{}: `{}` as `{}`",
                it.file, it.line, it.before, it.after
            );
        }
        let of_file = self.known.iter().filter(|it| it.file == outcome.file);
        let gone: Vec<&Survivor> = of_file
            .filter(|known| !same.iter().any(|it| known.is(it)))
            .collect();
        for it in &gone {
            println!(
                "listed, but noticed or gone: {}: `{}` as `{}`",
                it.file, it.before, it.after
            );
        }
        println!(
            "{}: {} killed, {} mean the same, {} survived; {} more do not compile ({} s)",
            outcome.file,
            outcome.killed,
            same.len(),
            survived.len(),
            outcome.invalid,
            outcome.took.as_secs()
        );
        self.complaints += survived.len() + gone.len();
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (kind, filter) = match arguments.as_slice() {
        [kind] => (kind.as_str(), ""),
        [kind, filter] => (kind.as_str(), filter.as_str()),
        _ => ("", ""),
    };
    let known =
        fs::read_to_string(root().join("tests/mutants/survivors.yaml")).expect("it is there");
    let mut report = Report {
        known: serde_yaml::from_str(&known).expect("it is a list of survivors"),
        complaints: 0,
    };
    match kind {
        "rego" => rego::run(&mut report, filter),
        "rust" => rust::run(&mut report, filter),
        _ => {
            println!("usage: cargo test --test mutants -- rego|rust [PART OF A FILE'S NAME]");
            return ExitCode::from(2);
        }
    }
    .expect("the mutants can be tried");
    ExitCode::from(u8::from(report.complaints > 0))
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of a folder with this ending, by name, and their texts.
pub(crate) fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(root().join(folder)).expect("the folder is there");
    let mut paths: Vec<PathBuf> = entries
        .map(|it| it.expect("the folder can be read").path())
        .filter(|it| it.extension().is_some_and(|it| it == ending))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            (
                name.into_owned(),
                fs::read_to_string(path).expect("the file can be read"),
            )
        })
        .collect()
}
