//! How long it takes to verify the pods of a cluster, equal ones once: the whole command, without the start of a process.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a benchmark writes its input, and may panic"
)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write, sink};
use std::path::Path;

use divan::Bencher;
use divan::counter::ItemsCount;
use psp2gatekeeper::cli::{self, Ui};

#[expect(dead_code, reason = "others take the requests")]
mod tenants;

/// Whatever the number of pods, they are those of so many workloads.
const WORKLOADS: usize = 300;
const TENANTS: usize = 3;

fn main() {
    divan::main();
}

/// Runs the program; a finding is fine.
fn run(arguments: &[&str]) {
    let mut ui = Ui {
        stdout: &mut sink(),
        stderr: &mut sink(),
        color: false,
        color_stdout: false,
        progress: false,
    };
    let arguments = ["psp2gatekeeper"].iter().chain(arguments);
    let code = cli::run(arguments.map(OsString::from), &mut ui);
    assert!(code < 2, "it could not be done");
}

fn write_pods(path: &Path, pods: usize) {
    let mut out = BufWriter::new(File::create(path).expect("a file can be made"));
    tenants::pods(&mut out, pods, WORKLOADS, TENANTS).expect("it can be written");
    out.flush().expect("it can be written");
}

#[divan::bench(args = tenants::sizes(&[1_000, 10_000, 150_000]), sample_count = 3, sample_size = 1)]
fn verify(bencher: Bencher<'_, '_>, pods: usize) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let [cluster, dump] = ["cluster.yaml", "pods.json"].map(|it| directory.path().join(it));
    fs::write(&cluster, tenants::cluster(TENANTS)).expect("it can be written");
    write_pods(&dump, pods);
    let [cluster, dump] = [&cluster, &dump].map(|it| it.display().to_string());
    bencher
        .counter(ItemsCount::new(pods))
        .bench(|| run(&["verify", "-f", &cluster, "--pods", &dump]));
}
