//! Policies and pods that nobody thought of, put to both: the model of the admission plugin, and the Rego as it is rendered.
//!
//! Both must accept or refuse a pod as it stands.
//! Where a policy takes a container without an AppArmor profile for one with `runtime/default`, the model is asked about the pod in
//! which that is written out; with `--strict-apparmor` about the pod as it stands, always.
//! What they differ about is shrunk and printed as a row for `tests/conformance/`, where it is kept with the right answer.
//! `DIFFERENTIAL_CASES` asks about that many policies instead of a few, `DIFFERENTIAL_SEED` about others.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests read the environment to be told how long they may take, and may panic"
)]

use std::env;

use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use psp2gatekeeper::admission::AdmissionRequest;
use psp2gatekeeper::controls::apparmor::{name_unset_profiles, unset_is_runtime_default};
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::Inventory;
use psp2gatekeeper::manifest::Manifest;
use psp2gatekeeper::psp::PspAdmission;
use rows::{Row, inventory, judge, manifests, strict_manifests};
use serde_json::{Value, json};
use strategies::Case;

#[path = "conformance/rows.rs"]
#[expect(dead_code, reason = "nothing is written here that becomes of a pod")]
mod rows;
#[path = "differential/strategies.rs"]
mod strategies;
mod support;

/// Policies that are rendered into one constraint, small enough for the policies to stand in its parameters.
const BATCH: usize = 45;
/// So many stand in tables of the template instead.
const TABLES: usize = 225;
/// Policies that are asked about by default.
const CASES: usize = 2 * BATCH;

#[test]
fn the_model_and_the_rego_agree() {
    let cases = number("DIFFERENTIAL_CASES").unwrap_or(CASES);
    let (mut asked, mut admitted, mut by_unset) = (0, 0, 0);
    for batch in 0..cases.div_ceil(BATCH) {
        let tally = differences(batch, BATCH);
        asked += tally.asked;
        admitted += tally.admitted;
        by_unset += tally.by_unset;
    }
    let share = admitted * 100 / asked.max(1);
    println!("{asked} pods, {share} % of them admitted");
    assert!(
        (15..=85).contains(&share),
        "{admitted} of {asked} pods are admitted: such pods tell little"
    );
    assert!(by_unset > 0, "no pod is admitted for what no profile means");
}

#[test]
fn the_model_and_the_rego_agree_where_policies_stand_in_tables() {
    let tables = number("DIFFERENTIAL_CASES").map_or(1, |it| it.div_ceil(TABLES));
    for batch in 0..tables {
        differences(1_000_000 + batch, TABLES);
    }
}

/// What was asked.
#[derive(Debug, Default)]
struct Tally {
    asked: usize,
    admitted: usize,
    /// How many are admitted only because a container without an AppArmor profile has `runtime/default`.
    by_unset: usize,
}

fn number(variable: &str) -> Option<usize> {
    let text = env::var(variable).ok()?;
    Some(text.parse().expect("the variable holds a number"))
}

/// Asks about one batch of policies, and panics with the smallest row that the two answer differently.
fn differences(batch: usize, size: usize) -> Tally {
    let mut runner = runner(batch);
    let strategy = strategies::case();
    let mut trees = Vec::new();
    let mut refused = 0;
    while trees.len() < size {
        let tree = strategy.new_tree(&mut runner).expect("a case can be made");
        // What an API server would not store is none of ours.
        if inventory(&tree.current().policy().cluster("case")).is_ok() {
            trees.push(tree);
        } else {
            refused += 1;
            assert!(refused < 10 * size, "hardly a policy is well-formed");
        }
    }
    let cases: Vec<Case> = trees.iter().map(ValueTree::current).collect();
    let cluster = Cluster::new(&cases).expect("each policy was accepted by itself");
    let mut tally = Tally::default();
    for (index, (case, tree)) in cases.iter().zip(trees).enumerate() {
        let Err(difference) = cluster.ask(index, case, &mut tally) else {
            continue;
        };
        let alone = |case: Case| match Cluster::new(std::slice::from_ref(&case)) {
            Ok(cluster) => cluster
                .ask(0, &case, &mut Tally::default())
                .map_err(TestCaseError::fail),
            Err(_) => Err(TestCaseError::reject("an API server would not store it")),
        };
        match runner.run_one(tree, alone) {
            Err(TestError::Fail(why, case)) => panic!("{why}:\n{}", case.as_row()),
            _ => panic!(
                "{difference}, among other policies alone:\n{}",
                case.as_row()
            ),
        }
    }
    tally
}

/// Gives the same cases for the same batch and seed.
fn runner(batch: usize) -> TestRunner {
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 2000,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let mut seed = [0; 32];
    let numbers = [batch, number("DIFFERENTIAL_SEED").unwrap_or_default()];
    for (place, number) in seed.chunks_mut(16).zip(numbers) {
        place[..8].copy_from_slice(&(number as u64).to_le_bytes());
    }
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}

/// A namespace for each case, with its policy; rendered together, and known to the model one by one, because the feature
/// gate `ProcMountType` is told by the policies.
struct Cluster {
    inventories: Vec<Inventory>,
    gatekeeper: GatekeeperAdmission,
    /// The same with `--strict-apparmor`.
    strict: GatekeeperAdmission,
}

impl Cluster {
    fn new(cases: &[Case]) -> anyhow::Result<Self> {
        let objects: Vec<Vec<Value>> = cases
            .iter()
            .enumerate()
            .map(|(index, case)| case.policy().cluster(&namespace(index)))
            .collect();
        let inventories: Result<_, _> = objects.iter().map(|it| inventory(it)).collect();
        let all = inventory(&objects.concat())?;
        let load = |manifests: &[Manifest]| {
            GatekeeperAdmission::from_manifests(manifests, &all.namespaces)
        };
        Ok(Self {
            inventories: inventories?,
            gatekeeper: load(&manifests(&all)?)?,
            strict: load(&strict_manifests(&all)?)?,
        })
    }

    /// Puts the pods of a case to both, up to the first difference.
    fn ask(&self, index: usize, case: &Case, tally: &mut Tally) -> Result<(), String> {
        let inventory = &self.inventories[index];
        let psp = PspAdmission::new(inventory);
        let policies = &inventory.policies;
        let takes_unset = policies.iter().any(|it| unset_is_runtime_default(&it.spec));
        for row in case.rows() {
            let request = row.request(&namespace(index), inventory);
            let mut named = request.clone();
            if takes_unset {
                name_unset_profiles(&mut named.pod);
            }
            let compare = |gatekeeper: &GatekeeperAdmission, modelled: &AdmissionRequest| {
                let phase = psp.validate_only(modelled);
                let objections = judge(gatekeeper, &request, row.proc_mount_type())
                    .map_err(|it| it.to_string())?;
                if phase.is_allowed() != objections.is_empty() {
                    return Err(format!(
                        "the model says {phase:?}, the Rego objects to {objections:?}"
                    ));
                }
                Ok(phase.is_allowed())
            };
            let admitted = compare(&self.gatekeeper, &named)?;
            // The parameters of other policies are the same.
            let as_it_stands = if takes_unset {
                compare(&self.strict, &request)?
            } else {
                admitted
            };
            tally.asked += 1;
            tally.admitted += usize::from(as_it_stands);
            tally.by_unset += usize::from(admitted && !as_it_stands);
        }
        Ok(())
    }
}

fn namespace(index: usize) -> String {
    format!("case-{index}")
}

impl Case {
    fn policy(&self) -> Row {
        Row {
            psp: self.psp.clone(),
            ..Row::default()
        }
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        self.pods.iter().map(|pod| Row {
            pod: pod.clone(),
            ..self.policy()
        })
    }

    /// The case as it stands in a table.
    fn as_row(&self) -> String {
        let rows: Vec<Value> = self
            .pods
            .iter()
            .map(|pod| json!({"note": "found by the differential test", "psp": self.psp, "pod": pod}))
            .collect();
        serde_json::to_string(&rows).unwrap_or_default()
    }
}
