//! `bake`: what PSP fills in, made explicit in the workloads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use rayon::prelude::*;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::bake::{BakeOptions, BakeResult, Baked, bake, edit, immutable, to_yaml};
use crate::cli::both::Both;
use crate::cli::files::{self, InputArgs};
use crate::cli::out_dir::{self, File, Writer};
use crate::cli::{ExitStatus, Output, Ui, migrate};

use crate::input::{Inventory, Workload};
use crate::plan::EnforcementAction;
use crate::report::baking::BakeReport;
use crate::requests::own_pods;
use crate::resolve;

/// Write what PodSecurityPolicies fill into pods into the workloads themselves, so that they pass with no mutator at all.
///
/// What is printed are strategic-merge patches of everything that pods are made from, and of pods, with the values of the policy
/// that admits the pods today.
/// Each patched workload is asked for again: PodSecurityPolicy must admit its pods without a change, and the constraint of
/// `migrate` as well.
/// What belongs to another workload is left to its owner.
/// Nothing is written that an API server refuses, such as most defaults in a pod for Windows; and what cannot be changed in place,
/// such as a Job that exists, has a note.
///
/// A seccomp profile is written as the annotation that PodSecurityPolicy reads and as the field that later releases read; an AppArmor
/// profile as annotations, and with --kubernetes-version 1.30 or later also as fields.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BakeArgs {
    #[command(flatten)]
    input: InputArgs,

    /// File or directory with the workloads to bake, instead of those of the input, which then says who may use what; may be
    /// repeated.
    #[arg(long, value_name = "PATH")]
    pods: Vec<PathBuf>,

    /// The namespace of workloads whose manifest has none.
    #[arg(short, long, default_value = "default", value_name = "NAMESPACE")]
    namespace: String,

    /// Write the patches into the files of the workloads, whose comments and order stay; what cannot be edited is printed.
    #[arg(long, conflicts_with = "out_dir")]
    write: bool,

    /// Write a directory with a kustomize component that has the patches.
    #[arg(long, value_name = "DIR")]
    out_dir: Option<PathBuf>,

    /// Write to the directory even if it holds something that this program did not write; that stays.
    #[arg(long, requires = "out_dir")]
    force: bool,

    #[command(flatten)]
    target: migrate::TargetArgs,

    /// Take it that everybody may use every policy, where the input has no RBAC objects.
    #[arg(long, value_enum, value_name = "WHOM")]
    assume_grant: Option<migrate::AssumeGrant>,

    /// How to write it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  # What do the workloads of a cluster rely on?
  psp2gatekeeper bake -f cluster

  # Write it into the manifests of a repository, for the policies of that cluster
  psp2gatekeeper bake -f cluster --pods deploy/shop -R -n shop --write

  # As a component for the `components` of a kustomization.yaml
  psp2gatekeeper bake -f cluster --pods deploy/shop --out-dir deploy/baked

Exit codes: 0 done; 1 a workload is not baked, because PodSecurityPolicy or the API server refuses it, or its manifest cannot be edited or has no name; 2 could not be done, and nothing was written.";

pub(crate) fn run(args: &BakeArgs, ui: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    let (mut inventory, diagnostics) = files::load(&args.input, ui)?;
    files::tell(&diagnostics, ui)?;
    migrate::check(&inventory, args.assume_grant)?;
    if args.assume_grant.is_some() {
        resolve::assume_everybody(&mut inventory);
    }
    let both = both(&inventory, &args.target)?;
    let (mut workloads, others) = if args.pods.is_empty() {
        (inventory.workloads.clone(), Vec::new())
    } else {
        let others = inventory.workloads.clone();
        (files::workloads(&args.input, &args.pods, ui)?, others)
    };
    for workload in &mut workloads {
        if workload.object.pointer("/metadata/namespace").is_none() {
            workload.namespace.clone_from(&args.namespace);
        }
    }
    if workloads.is_empty() {
        writeln!(ui.stderr, "there is no workload in the input")?;
    }
    let baked = bake_all(&both, &workloads, &others, &args.target)?;
    let patches: BTreeMap<usize, &Value> = baked
        .iter()
        .enumerate()
        .filter_map(|(position, it)| match &it.result {
            BakeResult::Patched { patch, .. } => Some((position, patch)),
            _ => None,
        })
        .collect();
    let mut report = BakeReport {
        kubernetes: args.target.kubernetes_version,
        baked: &baked,
        left_out: BTreeMap::new(),
        files: Vec::new(),
    };
    if args.write {
        let edits = edit_files(&baked, &patches, &mut report.left_out);
        replace_all(&edits)?;
        let files = edits.iter().map(|(path, _)| path.display().to_string());
        report.files = files.collect();
    } else {
        let nameless = patches
            .keys()
            .filter(|it| baked.get(**it).is_some_and(is_nameless));
        let why = || "it has no name that a patch could have; --write does without".to_owned();
        report.left_out = nameless.map(|it| (*it, why())).collect();
    }
    // What is not written anywhere else goes to stdout.
    let printed =
        |it: &&usize| args.out_dir.is_none() && report.left_out.contains_key(it) == args.write;
    let printed: Vec<String> = patches
        .iter()
        .filter(|(it, _)| printed(it))
        .filter_map(|(it, patch)| Some(annotated(baked.get(*it)?, patch)))
        .collect();
    if let Some(directory) = &args.out_dir {
        let mut files = component(&baked, &patches, &report.left_out);
        report.files = files.iter().map(|it| it.path().to_owned()).collect();
        files.push(File::new(
            out_dir::BAKING,
            format!("{}\n", serde_json::to_string_pretty(&report.to_json())?),
        ));
        out_dir::write(directory, Writer::Bake, &files, args.force)?;
    }
    match args.output {
        Output::Json => {
            let json = serde_json::to_string_pretty(&report.to_json())?;
            writeln!(ui.stdout, "{json}")?;
        }
        Output::Text => {
            for patch in printed {
                write!(ui.stdout, "---\n{patch}")?;
            }
        }
    }
    report.write_text(ui.stderr)?;
    Ok(if report.is_all_baked() {
        ExitStatus::Done
    } else {
        ExitStatus::Found
    })
}

/// PSP and what `migrate` would write now.
fn both<'a>(inventory: &'a Inventory, target: &migrate::TargetArgs) -> anyhow::Result<Both<'a>> {
    let manifests = migrate::manifests(inventory, target)?;
    let kubernetes = target.kubernetes_version;
    Ok(Both::as_if_deny(inventory, &manifests, kubernetes)?)
}

/// Bakes all workloads that belong to no other one, in their order.
fn bake_all<'a>(
    both: &Both<'_>,
    workloads: &'a [Workload],
    others: &[Workload],
    target: &migrate::TargetArgs,
) -> anyhow::Result<Vec<Baked<'a>>> {
    let options = target.options(EnforcementAction::Deny);
    let options = BakeOptions {
        kubernetes: options.kubernetes,
        strict_app_armor: options.strict_app_armor,
    };
    own_pods(workloads, others)
        .into_par_iter()
        .map(|it| bake(both.inventory, &both.psp, both, options, it))
        .collect::<Result<_, _>>()
        .context("an answer of Gatekeeper cannot be known")
}

fn is_nameless(baked: &Baked<'_>) -> bool {
    baked.workload.name.is_empty()
}

/// Edits the files of the workloads; returns the new texts of those that change, and adds to `left_out` what does not.
fn edit_files(
    baked: &[Baked<'_>],
    patches: &BTreeMap<usize, &Value>,
    left_out: &mut BTreeMap<usize, String>,
) -> Vec<(PathBuf, String)> {
    let mut by_file: BTreeMap<&str, Vec<(usize, &Value, &Value)>> = BTreeMap::new();
    for (position, patch) in patches {
        if let Some(Baked { workload, .. }) = baked.get(*position) {
            let of_file = by_file.entry(&workload.location.file).or_default();
            of_file.push((*position, &workload.object, patch));
        }
    }
    let mut res = Vec::new();
    for (file, edits) in by_file {
        let path = Path::new(file);
        let source = match files::read(path) {
            Ok(source) if path.is_file() => source,
            _ => {
                let why = || format!("`{file}` is no file that can be written");
                left_out.extend(edits.iter().map(|it| (it.0, why())));
                continue;
            }
        };
        let pairs: Vec<_> = edits.iter().map(|it| (it.1, it.2)).collect();
        let edited = edit(&source, &pairs);
        for (position, why) in edited.left_out {
            left_out.extend(edits.get(position).map(|it| (it.0, why)));
        }
        if edited.text != source.text {
            res.push((path.to_owned(), edited.text));
        }
    }
    res
}

/// Replaces the content of files; each is written whole beside the old one before the first is replaced.
fn replace_all(edits: &[(PathBuf, String)]) -> anyhow::Result<()> {
    let mut staged = Vec::new();
    for (path, text) in edits {
        staged.push(stage(path, text).with_context(|| could_not_write(path))?);
    }
    for (new, path) in staged {
        new.persist(&path).with_context(|| could_not_write(&path))?;
    }
    Ok(())
}

/// Writes what a file is to hold beside it; returns that, and the file.
fn stage(path: &Path, text: &str) -> anyhow::Result<(NamedTempFile, PathBuf)> {
    // What a symbolic link names, not the link.
    let path = fs::canonicalize(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    fs::set_permissions(new.path(), fs::metadata(&path)?.permissions())?;
    Ok((new, path))
}

fn could_not_write(path: &Path) -> String {
    format!("could not write `{}`", path.display())
}

/// The text of a patch, with a comment where the object cannot be changed in place.
fn annotated(baked: &Baked<'_>, patch: &Value) -> String {
    let note = immutable(&baked.workload.kind).map(|it| format!("# {it}\n"));
    note.unwrap_or_default() + &to_yaml(patch)
}

/// The files of a kustomize component with the patches.
fn component(
    baked: &[Baked<'_>],
    patches: &BTreeMap<usize, &Value>,
    left_out: &BTreeMap<usize, String>,
) -> Vec<File> {
    let mut names = BTreeSet::new();
    let mut res = Vec::new();
    for (position, patch) in patches {
        if let Some(it) = baked.get(*position)
            && !left_out.contains_key(position)
        {
            let name = file_name(it.workload, &mut names);
            res.push(File::new(name, annotated(it, patch)));
        }
    }
    let paths = res.iter().map(|it| json!({ "path": it.path() }));
    let component = json!({
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": paths.collect::<Vec<_>>(),
    });
    res.push(File::new("kustomization.yaml", to_yaml(&component)));
    res
}

/// A path that no workload before has: its namespace, kind and name, without what would lead elsewhere.
fn file_name(workload: &Workload, names: &mut BTreeSet<String>) -> String {
    let plain = |text: &str| -> String {
        let plain = |it: char| it.is_ascii_alphanumeric() || it == '-';
        let chars = text.to_lowercase().chars().collect::<Vec<_>>();
        chars
            .into_iter()
            .map(|it| if plain(it) { it } else { '_' })
            .collect()
    };
    let [namespace, kind, name] =
        [&workload.namespace, &workload.kind, &workload.name].map(|it| plain(it));
    let stem = format!("{namespace}/{kind}-{name}");
    let mut res = format!("{stem}.yaml");
    let mut number = 1;
    while !names.insert(res.clone()) {
        number += 1;
        res = format!("{stem}-{number}.yaml");
    }
    res
}
