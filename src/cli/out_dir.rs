//! The output directory: all of it or nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::manifest::{Folder, Manifest};
use crate::render::layout::BESIDE;

/// The file that lists what was written, so that a later run knows what is its own.
pub(crate) const REPORT: &str = "report.json";

/// The same of a snapshot.
pub(crate) const SNAPSHOT: &str = "snapshot.json";

/// The same of patches for workloads.
pub(crate) const BAKING: &str = "baking.json";
/// The file with the SHA-256 of those that were written and that people may edit, as `sha256sum` writes it.
const DIGESTS: &str = "SHA256SUMS";

/// A file to write, below the output directory.
#[derive(Debug)]
pub(crate) struct File {
    path: String,
    text: String,
}

impl File {
    /// Where it goes, relative to the output directory.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn new(path: impl Into<String>, text: String) -> Self {
        Self {
            path: path.into(),
            text,
        }
    }
}

/// Who writes a directory, as the file tells that lists what was written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Writer {
    /// `migrate`, in [`REPORT`].
    Migrate,
    /// `snapshot`, in [`SNAPSHOT`].
    Snapshot,
    /// `bake`, in [`BAKING`].
    Bake,
}

/// The part of an earlier report or snapshot that says what it wrote.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Earlier {
    api_version: String,
    kind: String,
    #[serde(alias = "files")]
    objects: Vec<EarlierObject>,
}

#[derive(Deserialize)]
struct EarlierObject {
    file: String,
}

/// Makes the directory hold these files and no other that an earlier run of the same writer wrote.
///
/// # Errors
///
/// When it holds files that no such run wrote, or that were edited since, and `force` is not given, or cannot be written; then it
/// is as before.
pub(crate) fn write(
    directory: &Path,
    writer: Writer,
    files: &[File],
    force: bool,
) -> anyhow::Result<()> {
    let directory = &fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let foreign = check(directory, writer, force)?;
    let edited = edited_files(directory, files);
    if !edited.is_empty() && !force {
        bail!(
            "`{}` holds {} that somebody edited since this program wrote it: {}; `psp2gatekeeper diff --out-dir` shows what would change, and --force writes all anew",
            directory.display(),
            files_in_words(edited.len()),
            some_of(&edited)
        );
    }
    let parent = match directory.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => bail!("`{}` cannot be written to", directory.display()),
    };
    let context = || format!("could not write `{}`", directory.display());
    fs::create_dir_all(parent).with_context(context)?;
    // Beside the directory, because a rename does not cross file systems.
    let staging = tempfile::Builder::new()
        .prefix(".psp2gatekeeper-")
        .tempdir_in(parent)
        .with_context(context)?;
    let new = staging.path().join("new");
    fs::create_dir(&new).with_context(context)?;
    for path in &foreign {
        let target = new.join(path);
        create_parent(&target).with_context(context)?;
        fs::copy(directory.join(path), target).with_context(context)?;
    }
    for file in files {
        let target = new.join(&file.path);
        create_parent(&target).with_context(context)?;
        fs::write(target, &file.text).with_context(context)?;
    }
    fs::write(new.join(DIGESTS), digests(files)).with_context(context)?;
    if let Ok(metadata) = fs::metadata(directory) {
        fs::set_permissions(&new, metadata.permissions()).with_context(context)?;
    }
    swap(directory, &new, &staging.path().join("old")).with_context(context)
}

/// Checks that a directory may be written to; returns the files in it that no earlier run of the writer wrote.
///
/// # Errors
///
/// When it is a file or cannot be read, or holds such files and `force` is not given.
pub(crate) fn check(
    directory: &Path,
    writer: Writer,
    force: bool,
) -> anyhow::Result<BTreeSet<PathBuf>> {
    let foreign = foreign_files(directory, writer)?;
    if !foreign.is_empty() && !force {
        bail!(
            "`{}` holds {} that this program did not write, such as {}; choose another directory, or keep them there with --force",
            directory.display(),
            files_in_words(foreign.len()),
            some_of(&foreign)
        );
    }
    Ok(foreign)
}

/// Reads the manifests that stand in a directory, whoever wrote them, without what is beside them for tools.
///
/// # Errors
///
/// When it cannot be read, or holds none.
pub(crate) fn read(directory: &Path) -> anyhow::Result<Vec<Manifest>> {
    let context = || format!("could not read the directory `{}`", directory.display());
    let mut paths = BTreeSet::new();
    walk(directory, Path::new(""), &mut paths).with_context(context)?;
    let mut res = Vec::new();
    for path in paths {
        let is_yaml = path
            .extension()
            .is_some_and(|it| it == "yaml" || it == "yml");
        let is_beside = BESIDE.iter().any(|it| path == Path::new(it));
        if is_yaml && !is_beside {
            res.push(Manifest {
                folder: Folder::Templates,
                kind: "file".to_owned(),
                name: path.display().to_string(),
                text: fs::read_to_string(directory.join(path)).with_context(context)?,
            });
        }
    }
    if res.is_empty() {
        bail!("there is no manifest in `{}`", directory.display());
    }
    Ok(res)
}

fn swap(directory: &Path, new: &Path, old: &Path) -> io::Result<()> {
    if !directory.exists() {
        return fs::rename(new, directory);
    }
    fs::rename(directory, old)?;
    fs::rename(new, directory).inspect_err(|_| {
        // It was renamed a moment ago; if it cannot be renamed back, the first error says more than a second would.
        let _ = fs::rename(old, directory);
    })
}

fn create_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn files_in_words(number: usize) -> String {
    match number {
        1 => "a file".to_owned(),
        _ => format!("{number} files"),
    }
}

/// The first of the paths, for people.
fn some_of(paths: &BTreeSet<PathBuf>) -> String {
    const SHOWN: usize = 5;
    let shown = paths.iter().take(SHOWN);
    let mut res: Vec<String> = shown.map(|it| format!("`{}`", it.display())).collect();
    if paths.len() > SHOWN {
        res.push(format!("{} more", paths.len() - SHOWN));
    }
    res.join(", ")
}

/// The content of [`DIGESTS`].
fn digests(files: &[File]) -> String {
    let lines: BTreeSet<(&str, String)> = files
        .iter()
        // What lists the files is no place for edits.
        .filter(|it| ![REPORT, SNAPSHOT].contains(&it.path.as_str()))
        .map(|it| (it.path.as_str(), digest(it.text.as_bytes())))
        .collect();
    let lines: Vec<String> = lines
        .into_iter()
        .map(|(path, digest)| format!("{digest}  {path}\n"))
        .collect();
    lines.concat()
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let digits: Vec<String> = digest.iter().map(|it| format!("{it:02x}")).collect();
    digits.concat()
}

/// The digests and paths of [`DIGESTS`].
fn digested(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|it| it.split_once("  "))
}

/// Returns the files that are neither what an earlier run wrote nor what is to be written, relative to the directory.
///
/// A file that is gone is no loss, and where nobody kept digests nothing is known.
fn edited_files(directory: &Path, files: &[File]) -> BTreeSet<PathBuf> {
    let text = fs::read_to_string(directory.join(DIGESTS)).unwrap_or_default();
    let is_edited = |(then, path): &(&str, &str)| {
        let Ok(bytes) = fs::read(directory.join(path)) else {
            return false;
        };
        let is_new = |it: &File| it.path == *path && it.text.as_bytes() == bytes;
        digest(&bytes) != *then && !files.iter().any(is_new)
    };
    digested(&text)
        .filter(is_edited)
        .map(|(_, path)| PathBuf::from(path))
        .collect()
}

/// Returns the files in the directory that no earlier run wrote, relative to it and sorted.
fn foreign_files(directory: &Path, writer: Writer) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut res = BTreeSet::new();
    if !directory.exists() {
        return Ok(res);
    }
    walk(directory, Path::new(""), &mut res)
        .with_context(|| format!("could not read the directory `{}`", directory.display()))?;
    for path in earlier_files(directory, writer) {
        res.remove(&path);
    }
    Ok(res)
}

/// Returns what an earlier run wrote; nothing where there was none.
fn earlier_files(directory: &Path, writer: Writer) -> Vec<PathBuf> {
    let (index, kind) = match writer {
        Writer::Migrate => (REPORT, "Report"),
        Writer::Snapshot => (SNAPSHOT, "Snapshot"),
        Writer::Bake => (BAKING, "Baking"),
    };
    let Some(earlier) = fs::read(directory.join(index))
        .ok()
        .and_then(|it| serde_json::from_slice::<Earlier>(&it).ok())
        .filter(|it| it.kind == kind && it.api_version.starts_with("psp2gatekeeper/"))
    else {
        return Vec::new();
    };
    let mut res: Vec<String> = earlier.objects.into_iter().map(|it| it.file).collect();
    res.push(index.to_owned());
    res.push(DIGESTS.to_owned());
    if matches!(writer, Writer::Migrate) {
        res.extend(BESIDE.map(str::to_owned));
        res.push("REPORT.md".to_owned());
        res.extend(Folder::ALL.map(|it| format!("{}/kustomization.yaml", it.name())));
    }
    // Pages are there too, where somebody asked for one.
    let text = fs::read_to_string(directory.join(DIGESTS)).unwrap_or_default();
    res.extend(digested(&text).map(|(_, path)| path.to_owned()));
    res.into_iter().map(PathBuf::from).collect()
}

fn walk(root: &Path, below: &Path, acc: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            walk(root, &path, acc)?;
        } else {
            acc.insert(path);
        }
    }
    Ok(())
}
