//! What the user hands over becomes sources, and those an inventory.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{ArgGroup, Args};

use crate::cli::Ui;
use crate::cli::cluster::{Cluster, ClusterArgs, Env, Listing};
use crate::diagnostic::Diagnostic;
use crate::input::{self, Inventory, LoadOptions, Source, Workload};

/// Where PodSecurityPolicies, RBAC objects and workloads come from.
#[derive(Args, Debug)]
#[command(next_help_heading = "Input")]
#[command(group = ArgGroup::new("source").args(SOURCE).required(true).multiple(true))]
pub(crate) struct InputArgs {
    /// File or directory with manifests in YAML or JSON, or `-` for stdin; may be repeated.
    #[arg(short, long, value_name = "PATH", conflicts_with_all = CLUSTER)]
    filename: Vec<PathBuf>,

    /// Look into the subdirectories of a directory, too.
    #[arg(short = 'R', long, conflicts_with_all = CLUSTER)]
    recursive: bool,

    #[command(flatten)]
    cluster: ClusterArgs,

    /// Feature gates that the API server of the cluster was started with; `ProcMountType` is the one that matters.
    #[arg(long, value_name = "GATE=BOOL", value_delimiter = ',', value_parser = feature_gate)]
    feature_gates: Vec<bool>,
}

/// What says where the input comes from.
const SOURCE: [&str; 4] = ["filename", "live", "context", "kubeconfig"];

/// The arguments of [`ClusterArgs`].
const CLUSTER: [&str; 4] = ["live", "context", "kubeconfig", "kubectl"];

impl InputArgs {
    /// Whether the input comes from files.
    pub(crate) fn has_files(&self) -> bool {
        !self.filename.is_empty()
    }

    /// Returns the first file or directory, if the input comes from files.
    pub(crate) fn first_file(&self) -> Option<&Path> {
        self.filename.first().map(PathBuf::as_path)
    }

    /// Returns the cluster that is named, if one is.
    pub(crate) fn cluster(&self) -> Option<Cluster<'_>> {
        Cluster::named(&self.cluster)
    }
}

fn feature_gate(text: &str) -> Result<bool, String> {
    match text.split_once('=') {
        Some(("ProcMountType", "true")) => Ok(true),
        Some(("ProcMountType", "false")) => Ok(false),
        _ => Err("the only gate that matters here is `ProcMountType=true`".to_owned()),
    }
}

/// Reads everything the user hands over.
///
/// # Errors
///
/// When a file or the cluster cannot be read, or the input cannot be used; what is wrong with it goes to stderr first, all of it.
pub(crate) fn load(
    args: &InputArgs,
    ui: &mut Ui<'_>,
) -> anyhow::Result<(Inventory, Vec<Diagnostic>)> {
    let sources = match args.cluster() {
        Some(cluster) if !args.has_files() => of_cluster(cluster)?,
        _ => sources(&args.filename, args.recursive)?,
    };
    load_sources(&sources, args, ui)
}

/// Reads the workloads in more files and directories.
///
/// # Errors
///
/// As of [`load`].
pub(crate) fn workloads(
    args: &InputArgs,
    paths: &[PathBuf],
    ui: &mut Ui<'_>,
) -> anyhow::Result<Vec<Workload>> {
    let (inventory, diagnostics) = load_sources(&sources(paths, args.recursive)?, args, ui)?;
    tell(&diagnostics, ui)?;
    Ok(inventory.workloads)
}

fn load_sources(
    sources: &[Source],
    args: &InputArgs,
    ui: &mut Ui<'_>,
) -> anyhow::Result<(Inventory, Vec<Diagnostic>)> {
    let options = LoadOptions {
        proc_mount_type: args.feature_gates.last().copied().unwrap_or(false),
    };
    input::load(sources, options).or_else(|error| {
        for it in &error.errors {
            let text = sources
                .iter()
                .find(|source| source.name == it.location.file)
                .map_or("", |source| source.text.as_str());
            writeln!(ui.stderr, "{}", input::render_error(it, text))?;
        }
        let kustomization = sources.iter().map(|it| Path::new(&it.name)).find(|it| {
            let stem = it.file_stem().and_then(|it| it.to_str());
            stem.is_some_and(|it| it.eq_ignore_ascii_case("kustomization"))
        });
        if let Some(path) = kustomization {
            writeln!(
                ui.stderr,
                "`{}` is a kustomization, whose patches are no whole objects: give what `kubectl kustomize` makes of it",
                path.display()
            )?;
        }
        bail!("{error}; nothing was written")
    })
}

/// Tells the diagnostics.
///
/// # Errors
///
/// When stderr is gone.
pub(crate) fn tell(diagnostics: &[Diagnostic], ui: &mut Ui<'_>) -> anyhow::Result<()> {
    for it in diagnostics {
        writeln!(ui.stderr, "{it}")?;
    }
    Ok(())
}

/// Reads a cluster, kind by kind.
fn of_cluster(cluster: Cluster<'_>) -> anyhow::Result<Vec<Source>> {
    let kinds = cluster.read(Env::Kept)?.into_iter();
    let source = |it: Listing| Source {
        name: format!("kubectl get {}", it.resource),
        text: it.text,
    };
    Ok(kinds.map(source).collect())
}

fn sources(paths: &[PathBuf], recursive: bool) -> anyhow::Result<Vec<Source>> {
    let mut res = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .context("could not read stdin")?;
            res.push(source("stdin".to_owned(), bytes)?);
        } else if path.is_dir() {
            let mut files = Vec::new();
            find(path, recursive, &mut files)?;
            if files.is_empty() {
                bail!(
                    "there is no `.yaml`, `.yml` or `.json` file in `{}`{}",
                    path.display(),
                    if recursive {
                        ""
                    } else {
                        " itself; `-R` looks into its subdirectories"
                    }
                );
            }
            for file in files {
                res.push(read(&file)?);
            }
        } else {
            res.push(read(path)?);
        }
    }
    Ok(res)
}

fn find(directory: &Path, recursive: bool, acc: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let context = || format!("could not read the directory `{}`", directory.display());
    let mut entries = fs::read_dir(directory)
        .with_context(context)?
        .map(|it| Ok(it?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()
        .with_context(context)?;
    entries.sort();
    for path in entries {
        // As kubectl does, links to directories are not followed, so that nothing is endless or read twice.
        let is_link = fs::symlink_metadata(&path).is_ok_and(|it| it.is_symlink());
        if path.is_dir() {
            if recursive && !is_link {
                find(&path, recursive, acc)?;
            }
        } else if path.exists() && !path.is_file() {
            // A pipe, a socket or a device, which might never end.
        } else if path
            .extension()
            .is_some_and(|it| ["yaml", "yml", "json"].iter().any(|known| it == *known))
        {
            acc.push(path);
        }
    }
    Ok(())
}

/// Reads a file.
///
/// # Errors
///
/// When it cannot be read, or is neither UTF-8 nor UTF-16 with a byte order mark.
pub(crate) fn read(path: &Path) -> anyhow::Result<Source> {
    let bytes = fs::read(path).with_context(|| format!("could not read `{}`", path.display()))?;
    source(path.display().to_string(), bytes)
}

fn source(name: String, bytes: Vec<u8>) -> anyhow::Result<Source> {
    let text = match bytes.as_slice() {
        [0x1f, 0x8b, ..] => {
            bail!("{name}: compressed with gzip; unpack it first, as `gunzip` does")
        }
        [0xff, 0xfe, rest @ ..] => utf16(&name, rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(&name, rest, u16::from_be_bytes)?,
        _ => String::from_utf8(bytes).map_err(|error| {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
            anyhow!("{name}:{}: not UTF-8", text.matches('\n').count() + 1)
        })?,
    };
    Ok(Source { name, text })
}

/// Reads what stands behind a byte order mark of UTF-16, as `PowerShell` writes it.
fn utf16(name: &str, bytes: &[u8], unit: fn([u8; 2]) -> u16) -> anyhow::Result<String> {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|it| unit(*it));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    match text {
        Ok(text) if odd.is_empty() => Ok(text),
        _ => bail!("{name}: begins as UTF-16, and is not UTF-16"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_powershell_are_read() {
        let read = |bytes: &[u8]| source("a".to_owned(), bytes.to_vec()).map(|it| it.text);
        assert_eq!(read(b"\xff\xfea\0\xe9\0").ok().as_deref(), Some("a\u{e9}"));
        assert_eq!(
            read(b"\xfe\xff\0a\xd8\x3d\xde\x00").ok().as_deref(),
            Some("a\u{1f600}")
        );
        assert_eq!(read(b"\xef\xbb\xbfa").ok().as_deref(), Some("\u{feff}a"));
        for (bytes, message) in [
            (&b"\xff\xfea"[..], "a: begins as UTF-16, and is not UTF-16"),
            (
                b"\xff\xfe\x00\xd8",
                "a: begins as UTF-16, and is not UTF-16",
            ),
            (
                b"\x1f\x8b\x08",
                "a: compressed with gzip; unpack it first, as `gunzip` does",
            ),
            (b"a\n\xff", "a:2: not UTF-8"),
        ] {
            let error = read(bytes).err().map(|it| it.to_string());
            assert_eq!(error.as_deref(), Some(message));
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_to_directories_and_what_is_no_file_are_passed_over() {
        use std::os::unix::fs::symlink;
        use std::os::unix::net::UnixListener;

        let root =
            std::env::temp_dir().join(format!("psp2gatekeeper-files-{}", std::process::id()));
        let below = root.join("a");
        fs::create_dir_all(&below).expect("there is room");
        fs::write(below.join("a.yaml"), "").expect("there is room");
        symlink("a.yaml", below.join("b.yaml")).expect("there is room");
        symlink("..", below.join("up")).expect("there is room");
        symlink("..", below.join("up.yaml")).expect("there is room");
        let socket = UnixListener::bind(below.join("s.yaml")).expect("there is room");
        let mut files = Vec::new();
        let found = find(&root, true, &mut files);
        drop(socket);
        fs::remove_dir_all(&root).expect("it is there");
        found.expect("it can be read");
        assert_eq!(files, [below.join("a.yaml"), below.join("b.yaml")]);
    }
}
