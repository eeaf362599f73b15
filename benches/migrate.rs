//! How long it takes to migrate a cluster with a policy for each tenant.
//!
//! The bytes are those of the manifests that come of it.
#![expect(clippy::expect_used, reason = "a benchmark may panic")]

use std::collections::BTreeSet;

use divan::Bencher;
use divan::counter::BytesCount;
use psp2gatekeeper::access::Access;
use psp2gatekeeper::input::{self, Inventory, LoadOptions, Source};
use psp2gatekeeper::losses;
use psp2gatekeeper::manifest::Manifest;
use psp2gatekeeper::plan::{EnforcementAction, PlanOptions, plan};
use psp2gatekeeper::render::{environment, render};
use psp2gatekeeper::resolve;
use psp2gatekeeper::version::Version;

#[expect(dead_code, reason = "others take the pods and the requests")]
mod tenants;

/// An ordinary cluster, a large one, and the largest that is known.
const TENANTS: [usize; 3] = [10, 1_000, 3_500];

fn main() {
    divan::main();
}

fn source(tenants: usize) -> [Source; 1] {
    let name = "cluster.yaml".to_owned();
    let text = tenants::cluster(tenants);
    [Source { name, text }]
}

fn load(sources: &[Source]) -> Inventory {
    let options = LoadOptions {
        proc_mount_type: false,
    };
    let (inventory, _) = input::load(sources, options).expect("the input is well-formed");
    inventory
}

fn manifests(inventory: &Inventory) -> Vec<Manifest> {
    let options = PlanOptions {
        enforcement_action: EnforcementAction::Deny,
        mutators: true,
        max_mutators: 100,
        gatekeeper: Version::new(3, 23),
        kubernetes: Version::new(1, 24),
        strict_app_armor: false,
    };
    let grants = resolve::grants(inventory);
    let bystanders = BTreeSet::new();
    let access = Access::new(inventory, &grants, &bystanders);
    let bundle = plan(inventory, &access, options);
    divan::black_box(losses::find(inventory, &access, &bundle, options));
    let environment = environment().expect("the templates are well-formed");
    render(&bundle, &environment).expect("it renders")
}

#[divan::bench(args = tenants::sizes(&TENANTS))]
fn read(bencher: Bencher<'_, '_>, tenants: usize) {
    let sources = source(tenants);
    bencher.bench(|| load(&sources));
}

#[divan::bench(args = tenants::sizes(&TENANTS))]
fn resolve_grants(bencher: Bencher<'_, '_>, tenants: usize) {
    let inventory = load(&source(tenants));
    bencher.bench(|| resolve::grants(&inventory));
}

#[divan::bench(args = tenants::sizes(&TENANTS))]
fn migrate(bencher: Bencher<'_, '_>, tenants: usize) {
    let sources = source(tenants);
    let written = manifests(&load(&sources));
    let bytes: usize = written.iter().map(|it| it.text.len()).sum();
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| manifests(&load(&sources)));
}
