//! Whole runs: what is written for the cases in `golden/`, byte for byte, and how it decides.
//!
//! Two kinds of expectation stand in a case, and `golden/README.md` tells them apart: `output/` and `stderr.txt` are recorded,
//! `verdicts.yaml` is written by hand.
//! `UPDATE_GOLDEN=1 cargo test --test golden` records anew; nothing here writes verdicts.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests read files, and may panic and print"
)]

mod case;
mod recording;
mod verdicts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use case::Case;
use recording::Recording;

/// Records what comes out instead of comparing it.
const UPDATE: &str = "UPDATE_GOLDEN";

fn main() -> ExitCode {
    let update = std::env::var_os(UPDATE).is_some();
    if update && std::env::var_os("CI").is_some() {
        eprintln!("{UPDATE} is not for CI: it would bless whatever comes out");
        return ExitCode::FAILURE;
    }
    let mut trials: Vec<Trial> = folders()
        .into_iter()
        .map(|folder| {
            let name = folder.file_name().expect("a folder has a name");
            let name = name.to_string_lossy().into_owned();
            Trial::test(name, move || check(&folder, update))
        })
        .collect();
    trials.push(Trial::test("the_recording_tells_files_apart", || {
        recording::tells_files_apart()
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The folders of all cases, sorted.
fn folders() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut res: Vec<PathBuf> = std::fs::read_dir(root)
        .expect("golden/ is there")
        .map(|it| it.expect("golden/ can be read").path())
        .filter(|it| it.is_dir())
        .collect();
    res.sort();
    res
}

fn check(folder: &Path, update: bool) -> Result<(), Failed> {
    let case = Case::read(folder)?;
    let recording = Recording::of(&case)?;
    if update {
        recording.write(folder)?;
    } else {
        recording.compare(&Recording::read(folder)?)?;
    }
    verdicts::check(&case, &recording.written)
}
