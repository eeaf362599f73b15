//! Changes our own code in many small ways, and sees whether the tests notice each.
//!
//! `rego` changes the text of the libraries and puts the questions of the tables and others to each changed text.
//! `rust` writes a copy of the crate that holds all changes to `src/controls` at once, each switched on by a variable of the
//! environment, and runs the tests of that.
//! `survivors.yaml` has the changes that mean the same, with the reason; any other that nothing notices is a failure.
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

use serde::Deserialize;

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

/// What became of the mutants.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) killed: usize,
    /// Changes that do not compile.
    pub(crate) invalid: usize,
    pub(crate) survived: Vec<Mutant>,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (kind, filter) = match arguments.as_slice() {
        [kind] => (kind.as_str(), ""),
        [kind, filter] => (kind.as_str(), filter.as_str()),
        _ => ("", ""),
    };
    let outcome = match kind {
        "rego" => rego::run(filter),
        "rust" => rust::run(filter),
        _ => {
            println!("usage: cargo test --test mutants -- rego|rust [PART OF A FILE'S NAME]");
            return ExitCode::from(2);
        }
    };
    report(&outcome.expect("the mutants can be tried"))
}

fn report(outcome: &Outcome) -> ExitCode {
    let known =
        fs::read_to_string(root().join("tests/mutants/survivors.yaml")).expect("it is there");
    let known: Vec<Survivor> = serde_yaml::from_str(&known).expect("it is a list of survivors");
    let (expected, unexpected): (Vec<&Mutant>, Vec<&Mutant>) =
        outcome.survived.iter().partition(|mutant| {
            known.iter().any(|it| {
                (&it.file, &it.before, &it.after) == (&mutant.file, &mutant.before, &mutant.after)
            })
        });
    for it in &unexpected {
        println!(
            "survived: {}:{}: `{}` as `{}`",
            it.file, it.line, it.before, it.after
        );
    }
    println!(
        "{} killed, {} mean the same, {} survived; {} more do not compile",
        outcome.killed,
        expected.len(),
        unexpected.len(),
        outcome.invalid
    );
    ExitCode::from(u8::from(!unexpected.is_empty()))
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
