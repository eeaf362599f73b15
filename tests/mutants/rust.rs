//! Changes to the controls, all of them in one copy of the crate, so that it is built once.
//!
//! What is not changed: the names that a control has, its probes, and what macros are given.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use rayon::prelude::*;
use serde_json::Value;

use crate::{Mutant, Outcome, files, root};
use edits::Edits;

mod edits;

/// What the tests of the copy need.
const COPIED: &[&str] = &[
    "benches",
    "docs",
    "examples",
    "golden",
    "src",
    "templates",
    "tests",
];
/// The variable that switches a change on.
const VARIABLE: &str = "MUTANT";
/// Tests that are asked when those of the control itself notice nothing.
const TESTS: &[&str] = &[
    "conformance",
    "differential",
    "golden",
    "mutators",
    "losses",
];
/// Seconds after which a test is taken to have noticed that something is wrong.
const PATIENCE: &str = "300";

/// Tries all changes to the controls whose file has `filter` in its name.
///
/// # Errors
///
/// When the copy cannot be made or built.
pub(crate) fn run(filter: &str) -> anyhow::Result<Outcome> {
    let folder = root().join("target/mutants/crate");
    let mut refused = BTreeSet::new();
    let (mutants, programs) = loop {
        let mutants = write_copy(&folder, filter, &refused)?;
        match build(&folder)? {
            Built::Programs(programs) => break (mutants, programs),
            Built::Refused(places) => {
                let before = refused.len();
                refused.extend(places);
                if refused.len() == before {
                    bail!("the copy does not compile, whatever is left out");
                }
            }
        }
    };
    println!(
        "{} changes; none at {} places that do not compile",
        mutants.len(),
        refused.len()
    );
    if let Some(name) = noticed_by(&folder, &programs, 0, "")? {
        bail!("without a change {name} must succeed");
    }
    let fates: Vec<(Mutant, Option<String>)> = mutants
        .into_par_iter()
        .enumerate()
        .map(|(index, mutant)| {
            let stem = mutant.file.trim_end_matches(".rs").to_owned();
            let by = noticed_by(&folder, &programs, index + 1, &stem)?;
            Ok((mutant, by))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut outcome = Outcome {
        invalid: refused.len(),
        ..Outcome::default()
    };
    for (mutant, by) in fates {
        match by {
            Some(_) => outcome.killed += 1,
            None => outcome.survived.push(mutant),
        }
    }
    Ok(outcome)
}

/// Writes the crate with all changes; the number of a change is its place in what is returned, from 1.
fn write_copy(
    folder: &Path,
    filter: &str,
    refused: &BTreeSet<(String, usize)>,
) -> anyhow::Result<Vec<Mutant>> {
    fs::create_dir_all(folder)?;
    for name in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(root().join(name), folder.join(name))?;
    }
    for name in COPIED {
        let from = root().join(name);
        let status = Command::new("cp")
            .args(["-r", "-u", "-T"])
            .args([&from, &folder.join(name)])
            .status()?;
        if !status.success() {
            bail!("cannot copy {}", from.display());
        }
    }
    let mut mutants = Vec::new();
    for (file, text) in files("src/controls", "rs") {
        let changed = if file.contains(filter) {
            let skip = |line: usize| refused.contains(&(file.clone(), line));
            let mut edits = Edits::new(&file, &text, &mut mutants, &skip);
            edits.read()?;
            edits.text()
        } else {
            text
        };
        fs::write(folder.join("src/controls").join(&file), changed)?;
    }
    let lib = fs::read_to_string(root().join("src/lib.rs"))?;
    fs::write(folder.join("src/lib.rs"), format!("{lib}{SWITCH}"))?;
    Ok(mutants)
}

/// Tells whether a change is switched on.
const SWITCH: &str = r#"
#[doc(hidden)]
#[allow(clippy::all, missing_docs)]
pub fn mutant(number: usize) -> bool {
    static ON: std::sync::LazyLock<usize> =
        std::sync::LazyLock::new(|| std::env::var("MUTANT").ok().and_then(|it| it.parse().ok()).unwrap_or(0));
    *ON == number
}
"#;

enum Built {
    /// The test programs by name.
    Programs(BTreeMap<String, String>),
    /// Files of `src/controls` and lines that do not compile.
    Refused(Vec<(String, usize)>),
}

fn build(folder: &Path) -> anyhow::Result<Built> {
    let mut command = Command::new("cargo");
    command
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", root().join("target/mutants/build"))
        .args(["test", "--no-run", "--message-format=json", "--lib"]);
    for name in TESTS {
        command.args(["--test", name]);
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    let mut programs = BTreeMap::new();
    let mut refused = Vec::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: Value = serde_json::from_str(line)?;
        // The program itself, which the tests start, has the name of the library.
        if let (Some(true), Some(path), Some(name)) = (
            message["profile"]["test"].as_bool(),
            message["executable"].as_str(),
            message["target"]["name"].as_str(),
        ) {
            programs.insert(name.to_owned(), path.to_owned());
        }
        if message["message"]["level"] == "error" {
            let spans = message["message"]["spans"].as_array();
            for span in spans.into_iter().flatten() {
                let file = span["file_name"].as_str().unwrap_or_default();
                let line = usize::try_from(span["line_start"].as_u64().unwrap_or_default())?;
                if let Some(file) = file.strip_prefix("src/controls/") {
                    // What moves a value is told of, and not the `return` after it that is gone.
                    refused.extend((line..line + 3).map(|it| (file.to_owned(), it)));
                }
            }
        }
    }
    if output.status.success() {
        return Ok(Built::Programs(programs));
    }
    Ok(Built::Refused(refused))
}

/// The first test that fails with the change of this number; those of the control come first.
fn noticed_by(
    folder: &Path,
    programs: &BTreeMap<String, String>,
    number: usize,
    stem: &str,
) -> anyhow::Result<Option<String>> {
    let unit = format!("controls::{stem}");
    let mut trials = vec![("psp2gatekeeper", unit.as_str()), ("conformance", stem)];
    trials.push(("psp2gatekeeper", ""));
    trials.extend(TESTS.iter().map(|it| (*it, "")));
    for (name, filter) in trials {
        let program = programs.get(name).context("it is built")?;
        let status = Command::new("timeout")
            .args([PATIENCE, program.as_str(), filter])
            .current_dir(folder)
            .env(VARIABLE, number.to_string())
            .env_remove("DIFFERENTIAL_CASES")
            .envs(env::vars().filter(|(key, _)| key == "DIFFERENTIAL_SEED"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            return Ok(Some(name.to_owned()));
        }
    }
    Ok(None)
}
