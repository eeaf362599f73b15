//! `snapshot`: everything that the other commands need, from a live cluster into files.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::Value;

use crate::cli::cluster::{Cluster, ClusterArgs, Env};
use crate::cli::out_dir::{self, File, Writer};
use crate::cli::{ExitStatus, Ui};
use crate::report::API_VERSION;

/// Read everything that the other commands need from a live cluster into files, which they take with -f.
///
/// PodSecurityPolicies vanish with the upgrade to Kubernetes 1.25.
/// The values of environment variables are redacted, and what was last applied and the status are left out; other places,
/// such as the arguments of containers, are kept as they are, so look before you pass the files on.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SnapshotArgs {
    #[command(flatten)]
    cluster: ClusterArgs,

    /// The directory to write; all of it or nothing is written.
    #[arg(long, value_name = "DIR")]
    out_dir: PathBuf,

    /// Write to the directory even if it holds something that no snapshot wrote, which stays, or files that were edited, which are
    /// written anew.
    #[arg(long)]
    force: bool,

    /// Keep the values of environment variables.
    #[arg(long)]
    keep_env: bool,
}

const EXAMPLES: &str = "\
Examples:
  # Before the upgrade, from the current context of kubectl
  psp2gatekeeper snapshot --out-dir cluster

  # At any time after, even without the cluster
  psp2gatekeeper migrate -f cluster --out-dir gatekeeper
  psp2gatekeeper verify -f cluster

Exit codes: 0 done; 2 could not be done, and nothing was written.";

/// What tells of a snapshot.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    api_version: &'static str,
    kind: &'static str,
    /// As the API server tells it.
    server_version: Value,
    /// The time that a client in the cluster wrote down last, seconds before the end of the reading.
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_lease_renewal: Option<String>,
    /// Whether the values of environment variables were redacted.
    env_redacted: bool,
    files: Vec<Written>,
}

#[derive(Serialize)]
struct Written {
    file: String,
    objects: usize,
}

pub(crate) fn run(args: &SnapshotArgs, ui: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    // A cluster is not read for nothing.
    out_dir::check(&args.out_dir, Writer::Snapshot, args.force)?;
    let cluster = Cluster::new(&args.cluster);
    let server_version = cluster.version()?;
    let env = if args.keep_env {
        Env::Kept
    } else {
        Env::Redacted
    };
    let listings = cluster.read(env)?;
    let newest_lease_renewal = cluster.newest_lease();
    if newest_lease_renewal.is_none() {
        writeln!(
            ui.stderr,
            "no lease of the cluster can be read, so `{}` does not tell the time",
            out_dir::SNAPSHOT
        )?;
    }
    let mut snapshot = Snapshot {
        api_version: API_VERSION,
        kind: "Snapshot",
        server_version,
        newest_lease_renewal,
        env_redacted: env == Env::Redacted,
        files: Vec::new(),
    };
    let mut files = Vec::new();
    let mut objects = 0;
    for listing in listings {
        let file = format!("{}.json", listing.resource);
        snapshot.files.push(Written {
            file: file.clone(),
            objects: listing.count,
        });
        objects += listing.count;
        files.push(File::new(file, listing.text));
    }
    let text = serde_json::to_string_pretty(&snapshot)?;
    files.push(File::new(out_dir::SNAPSHOT, format!("{text}\n")));
    out_dir::write(&args.out_dir, Writer::Snapshot, &files, args.force)?;
    writeln!(
        ui.stderr,
        "{objects} objects are in `{0}` now; hand them over with `-f {0}`.",
        args.out_dir.display()
    )?;
    Ok(ExitStatus::Done)
}
