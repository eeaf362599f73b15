//! The page that `--report-html` asks for.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use rayon::prelude::*;

use crate::cli::both::Both;
use crate::diff::workloads::{Treatment, treat};
use crate::input::Inventory;
use crate::loss::Loss;
use crate::manifest::Manifest;
use crate::requests::own_pods;
use crate::version::Version;

/// Checks, before anything is written, that there can be a page.
///
/// # Errors
///
/// When its directory does not exist, or a directory has its name.
pub(super) fn check(path: &Path) -> anyhow::Result<()> {
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    if parent.is_some_and(|it| !it.is_dir()) {
        bail!(
            "could not write `{}`: there is no such directory",
            path.display()
        );
    }
    if path.is_dir() {
        bail!("could not write `{}`: it is a directory", path.display());
    }
    Ok(())
}

/// Writes the page; a file that is there is replaced.
///
/// # Errors
///
/// When it cannot be written.
pub(super) fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("could not write `{}`", path.display()))
}

/// Asks both about all pods of the input, Gatekeeper on that release of Kubernetes.
///
/// # Errors
///
/// When the manifests cannot be judged.
pub(super) fn treatments(
    inventory: &Inventory,
    manifests: &[Manifest],
    losses: &[Loss],
    kubernetes: Version,
) -> anyhow::Result<Vec<Treatment>> {
    let both = Both::as_if_deny(inventory, manifests, kubernetes)?;
    own_pods(&inventory.workloads, &[])
        .into_par_iter()
        .map(|it| treat(&both.psp, &both, losses, it))
        .collect::<Result<_, _>>()
        .context("an answer of Gatekeeper cannot be known")
}
