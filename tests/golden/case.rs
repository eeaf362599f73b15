//! A case as it is written down.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::Failed;
use psp2gatekeeper::input::{Inventory, LoadOptions, Source, load};
use serde::Deserialize;

/// `case.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// What the case shows, in a sentence.
    title: String,
    /// Why it is there: what would go wrong unnoticed without it.
    why: String,
    /// What the program is called with, in the folder; `--out-dir output` is added.
    arguments: Vec<String>,
    /// What it ends with.
    #[serde(default)]
    exit_code: i32,
    /// Whether the recording has the Rego too, which is the same in every case.
    #[serde(default)]
    with_rego: bool,
}

/// A folder of `golden/`.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) folder: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) exit_code: i32,
    pub(crate) with_rego: bool,
}

impl Case {
    pub(crate) fn read(folder: &Path) -> Result<Self, Failed> {
        let text = fs::read_to_string(folder.join("case.yaml"))?;
        let description: Description = serde_yaml::from_str(&text)?;
        if description.title.is_empty() || description.why.is_empty() {
            return Err("case.yaml must say what the case shows and why it is there".into());
        }
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let known = [
                "case.yaml",
                "input",
                "assumed",
                "pods",
                "verdicts.yaml",
                "output",
                "stderr.txt",
            ];
            if !known.iter().any(|it| name == *it) {
                return Err(format!("{} does not belong in a case", name.display()).into());
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            arguments: description.arguments,
            exit_code: description.exit_code,
            with_rego: description.with_rego,
        })
    }

    /// The cluster as it was meant: the input, and what the arguments say of it.
    pub(crate) fn cluster(&self) -> Result<Inventory, Failed> {
        let mut sources = Vec::new();
        for folder in ["input", "assumed"] {
            let files = files_below(&self.folder.join(folder))?;
            sources.extend(files.into_iter().map(|(name, text)| Source { name, text }));
        }
        Ok(load(&sources, self.load_options())?.0)
    }

    /// How the arguments have the input read.
    pub(crate) fn load_options(&self) -> LoadOptions {
        LoadOptions {
            proc_mount_type: self.arguments.iter().any(|it| it == "ProcMountType=true"),
        }
    }
}

/// The files in a directory and its subdirectories, by path below it; none if it is not there.
pub(crate) fn files_below(directory: &Path) -> Result<BTreeMap<String, String>, Failed> {
    let mut res = BTreeMap::new();
    if !directory.exists() {
        return Ok(res);
    }
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            for (below, text) in files_below(&entry.path())? {
                res.insert(format!("{name}/{below}"), text);
            }
        } else {
            res.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(res)
}
