//! Changes to the controls, all of them in one copy of the crate, so that it is built once.
//!
//! What is not changed: the names that a control has, its probes, and what macros are given.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};
use rayon::prelude::*;
use serde_json::Value;

use crate::{Mutant, Outcome, Report, files, root};
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
/// Tests that are asked beside those in the control's own file.
const TESTS: &[&str] = &["conformance", "golden", "mutators", "losses"];
/// Seconds after which a test is taken to have noticed that something is wrong.
const PATIENCE: &str = "300";

/// Tries all changes to the controls whose file has `filter` in its name.
///
/// # Errors
///
/// When the copy cannot be made or built.
pub(crate) fn run(report: &mut Report, filter: &str) -> anyhow::Result<()> {
    let folder = root().join("target/mutants/crate");
    let mut refused = BTreeSet::new();
    let (mutants, programs) = loop {
        let mutants = write_copy(&folder, filter, &refused)?;
        match build(&folder)? {
            Built::Programs(programs) => break (mutants, programs),
            Built::Refused(places) => {
                let before = refused.len();
                refused.extend(places.iter().flat_map(|it| &it.numbers));
                if refused.len() == before {
                    refused.extend(near(&mutants, &places));
                }
                if refused.len() == before {
                    bail!("the copy does not compile, whatever is left out");
                }
            }
        }
    };
    if let Some(name) = noticed_by(&folder, &programs, 0, &trials(""))? {
        bail!("without a change {name} must succeed");
    }
    let mut by_file: BTreeMap<String, Vec<(usize, Mutant)>> = BTreeMap::new();
    for (index, mutant) in mutants.into_iter().enumerate() {
        let of_file = by_file.entry(mutant.file.clone()).or_default();
        of_file.push((index + 1, mutant));
    }
    for (file, mutants) in by_file {
        let start = Instant::now();
        let (mutants, invalid): (Vec<_>, Vec<_>) =
            mutants.into_iter().partition(|it| !refused.contains(&it.0));
        let stem = file.trim_end_matches(".rs");
        let fates: Vec<(Mutant, Option<&str>)> = mutants
            .into_par_iter()
            .map(|(number, mutant)| {
                let by = noticed_by(&folder, &programs, number, &trials(stem))?;
                Ok((mutant, by))
            })
            .collect::<anyhow::Result<_>>()?;
        let (killed, survived): (Vec<_>, Vec<_>) =
            fates.into_iter().partition(|(_, by)| by.is_some());
        report.tell(&Outcome {
            killed: killed.len(),
            invalid: invalid.len(),
            survived: survived.into_iter().map(|it| it.0).collect(),
            took: start.elapsed(),
            file,
        });
    }
    Ok(())
}

/// Writes the crate with all changes that are not refused; the number of a change is its place in what is returned, from 1.
fn write_copy(
    folder: &Path,
    filter: &str,
    refused: &BTreeSet<usize>,
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
            let mut edits = Edits::new(&file, &text, &mut mutants, refused);
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
    /// What does not compile.
    Refused(Vec<Place>),
}

/// The error of a value that is used after it was moved: its place is not the change's.
const MOVED: &str = "E0382";

/// A place in a file of `src/controls` that a message of the compiler points at.
struct Place {
    file: String,
    line: usize,
    /// The changes at the place, if it is what the message is about.
    numbers: Vec<usize>,
}

/// The changes near the places: what moves a value is told of, and not the `return` after it that is gone.
fn near(mutants: &[Mutant], places: &[Place]) -> Vec<usize> {
    let is_near = |it: &Mutant| {
        places
            .iter()
            .any(|place| place.file == it.file && (place.line..place.line + 3).contains(&it.line))
    };
    let numbers = (1..).zip(mutants).filter(|(_, it)| is_near(it));
    numbers.map(|(number, _)| number).collect()
}

/// The numbers of the switches in the range, or else of the one that precedes it most closely.
fn switches(text: &str, range: Range<usize>) -> Vec<usize> {
    const SWITCH: &str = "crate::mutant(";
    let number = |after: &str| after.split_once(')')?.0.parse().ok();
    let inside = text.get(range.clone()).unwrap_or_default();
    let mut res: Vec<usize> = inside.split(SWITCH).skip(1).filter_map(number).collect();
    if res.is_empty() {
        let before = text.get(..range.start).unwrap_or_default();
        res.extend(before.rsplit_once(SWITCH).and_then(|it| number(it.1)));
    }
    res
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
                if let Some(name) = file.strip_prefix("src/controls/") {
                    let [start, end] = ["byte_start", "byte_end"]
                        .map(|it| usize::try_from(span[it].as_u64().unwrap_or_default()));
                    let text = fs::read_to_string(folder.join(file))?;
                    let is_told =
                        span["is_primary"] == true && message["message"]["code"]["code"] != MOVED;
                    let numbers = is_told.then_some(switches(&text, start?..end?));
                    refused.push(Place {
                        file: name.to_owned(),
                        line,
                        numbers: numbers.unwrap_or_default(),
                    });
                }
            }
        }
    }
    if output.status.success() {
        return Ok(Built::Programs(programs));
    }
    Ok(Built::Refused(refused))
}

/// The test programs to run with what part of them, the fastest first.
///
/// They are those of the control itself, so that a change is noticed where it is made; what has no table is asked of all.
fn trials(stem: &str) -> Vec<(&'static str, &str)> {
    let has_table = root()
        .join(format!("tests/conformance/{stem}.yaml"))
        .exists();
    let own = if has_table { stem } else { "" };
    vec![
        ("psp2gatekeeper", "controls::"),
        ("mutators", ""),
        ("golden", own),
        ("conformance", own),
        ("psp2gatekeeper", ""),
        ("losses", ""),
    ]
}

/// The first test program that fails with the change of this number.
fn noticed_by<'a>(
    folder: &Path,
    programs: &BTreeMap<String, String>,
    number: usize,
    trials: &[(&'a str, &str)],
) -> anyhow::Result<Option<&'a str>> {
    for (name, filter) in trials {
        let program = programs.get(*name).context("it is built")?;
        let status = Command::new("timeout")
            .args([PATIENCE, program.as_str(), filter])
            .current_dir(folder)
            .env(VARIABLE, number.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            return Ok(Some(*name));
        }
    }
    Ok(None)
}
