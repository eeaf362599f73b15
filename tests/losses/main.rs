//! Every declared loss has a witness, and the witness shows the loss: the two worlds differ about it in the declared direction.
//!
//! What the API server alone shows is left to the conformance tests.
#![expect(clippy::expect_used, reason = "tests may panic")]

use std::collections::BTreeSet;

use psp2gatekeeper::api::core::Pod;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::{self, Inventory, LoadOptions, Source};
use psp2gatekeeper::loss::{Direction, Loss};
use psp2gatekeeper::plan::{EnforcementAction, PlanOptions, plan};
use psp2gatekeeper::psp::{PSP_ANNOTATION, PspAdmission};
use psp2gatekeeper::render::{environment, render};
use psp2gatekeeper::resolve;
use psp2gatekeeper::review::review;
use psp2gatekeeper::version::Version;

/// Whether only an API server shows the loss: by what it lets nobody change, or by a field that is younger than Kubernetes 1.24.
///
/// The conformance tests ask the real one.
fn is_shown_by_api_server(loss: &Loss) -> bool {
    loss.name.ends_with("/default-on-update") || loss.name == "apparmor/default-on-pod"
}

const LATEST: PlanOptions = PlanOptions {
    enforcement_action: EnforcementAction::Deny,
    mutators: true,
    max_mutators: 100,
    gatekeeper: Version::new(3, 23),
    kubernetes: Version::new(1, 24),
};

fn inventory() -> Inventory {
    let source = Source {
        name: "cluster.yaml".to_owned(),
        text: include_str!("cluster.yaml").to_owned(),
    };
    let options = LoadOptions {
        proc_mount_type: false,
    };
    let (inventory, _) = input::load(&[source], options).expect("the input is well-formed");
    inventory
}

/// Checks the witness of each loss, and that these are the losses: by PSP, name and namespaces.
#[track_caller]
fn check(options: PlanOptions, expected: &[(&str, &str, &str)]) {
    let inventory = inventory();
    let bundle = plan(&inventory, &resolve::grants(&inventory), options);
    let environment = environment().expect("the templates are well-formed");
    let manifests = render(&bundle, &environment).expect("it renders");
    let psp = PspAdmission::new(&inventory);
    let gatekeeper =
        GatekeeperAdmission::from_manifests(&manifests, &inventory.namespaces).expect("it loads");
    for loss in &bundle.losses {
        if !is_shown_by_api_server(loss) {
            let actual = direction(&psp, &gatekeeper, loss);
            assert_eq!(actual, Some(loss.direction), "{loss}: {:#?}", loss.witness);
        }
    }
    let actual: BTreeSet<String> = bundle
        .losses
        .iter()
        .map(|it| {
            format!(
                "{} {} {} {}",
                it.psp,
                it.name,
                it.direction,
                it.namespaces.join(",")
            )
        })
        .collect();
    let expected: BTreeSet<String> = expected
        .iter()
        .map(|(psp, losses, namespaces)| format!("{psp} {losses} {namespaces}"))
        .collect();
    let [unexpected, missing] = [&actual - &expected, &expected - &actual];
    assert!(
        unexpected.is_empty() && missing.is_empty(),
        "unexpected: {unexpected:#?}\nmissing: {missing:#?}"
    );
}

fn direction(
    psp: &PspAdmission<'_>,
    gatekeeper: &GatekeeperAdmission,
    loss: &Loss,
) -> Option<Direction> {
    let review = review(psp, gatekeeper, loss.witness.clone()).expect("it can be answered");
    if review.psp.allowed && loss.psp != "*" {
        assert_eq!(review.psp.policy, loss.psp, "{loss}");
    }
    let [before, after] = [review.psp.pod.clone(), review.gatekeeper.pod.clone()].map(bare);
    let is_stored = |allowed: bool, refusal: &Option<String>| allowed && refusal.is_none();
    match (
        is_stored(review.psp.allowed, &review.psp.api_server),
        is_stored(review.gatekeeper.allowed, &review.gatekeeper.api_server),
    ) {
        (false, true) => Some(Direction::Looser),
        (true, false) => Some(Direction::Stricter),
        (true, true) => (before != after).then_some(Direction::Differs),
        (false, false) => None,
    }
}

/// The pod without what the plugin notes on it.
fn bare(mut pod: Pod) -> Pod {
    pod.remove(&["metadata", "annotations", PSP_ANNOTATION]);
    if pod
        .get(&["metadata", "annotations"])
        .is_some_and(|it| *it == serde_json::json!({}))
    {
        pod.remove(&["metadata", "annotations"]);
    }
    pod
}

/// What no mutator changes, because policies differ, or because it is not about defaults.
const ALWAYS: &[(&str, &str, &str)] = &[
    ("*", "gatekeeper/namespace-ignored looser", "left-alone"),
    // Administrators may use `hardened` there.
    (
        "*",
        "gatekeeper/namespace-ignored-default differs",
        "left-alone",
    ),
    ("*", "gatekeeper/own-request looser", "*"),
    ("*", "gatekeeper/own-request-default differs", "*"),
    // `web` and `agent` are for different service accounts of one namespace.
    (
        "agent",
        "read-only-root-filesystem/default-not-set stricter",
        "shop",
    ),
    ("web", "run-as-user/default-not-set stricter", "shop"),
    // Those that lack the label which stands for `web`, and those of `agent`, which has no workload.
    (
        "agent",
        "read-only-root-filesystem/default-not-set stricter",
        "fair",
    ),
    ("web", "run-as-user/default-not-set stricter", "fair"),
    // Bob may use `second` too, which fills in nothing, but comes later.
    ("first", "groups/default-of-the-first differs", "play"),
    // Administrators may use `second` and `privileged`, which come later.
    ("first", "groups/default-of-the-first differs", "*"),
    ("hardened", "apparmor/default-of-the-first differs", "*"),
    ("hardened", "capabilities/default-of-the-first differs", "*"),
    ("hardened", "groups/default-of-the-first differs", "*"),
    (
        "hardened",
        "privilege-escalation/default-of-the-first differs",
        "*",
    ),
    (
        "hardened",
        "read-only-root-filesystem/default-of-the-first differs",
        "*",
    ),
    ("hardened", "run-as-user/default-of-the-first differs", "*"),
    (
        "hardened",
        "runtime-class/default-of-the-first differs",
        "*",
    ),
    ("hardened", "selinux/default-of-the-first differs", "*"),
];

/// What mutators do otherwise than the plugin, on every release.
const BY_MUTATORS: &[(&str, &str, &str)] = &[
    (
        "hardened",
        "capabilities/default-only-without-capabilities stricter",
        "hardened",
    ),
    (
        "hardened",
        "capabilities/lists-not-rewritten differs",
        "hardened",
    ),
    ("hardened", "groups/default-on-pod differs", "hardened"),
    ("hardened", "run-as-user/default-on-pod differs", "hardened"),
    ("hardened", "seccomp/annotation-alone stricter", "hardened"),
    (
        "hardened",
        "seccomp/default-by-its-new-name differs",
        "hardened",
    ),
    // Administrators, who could have a pod without these.
    ("agent", "capabilities/default-for-all differs", "hardened"),
    ("agent", "groups/default-for-all differs", "hardened"),
    (
        "agent",
        "privilege-escalation/default-for-all differs",
        "hardened",
    ),
    ("agent", "run-as-user/default-for-all differs", "hardened"),
    ("agent", "runtime-class/default-for-all differs", "hardened"),
    ("agent", "seccomp/default-for-all differs", "hardened"),
    ("agent", "selinux/default-for-all differs", "hardened"),
    (
        "privileged",
        "privilege-escalation/default-in-the-way stricter",
        "hardened",
    ),
    (
        "privileged",
        "read-only-root-filesystem/default-for-all differs",
        "hardened",
    ),
];

/// What a mutator does that acts on a label.
const BY_LABEL: &[(&str, &str, &str)] = &[
    ("web", "run-as-user/default-on-pod differs", "fair"),
    // Who has the label and is not `web`: `agent`, and administrators.
    ("agent", "run-as-user/default-for-all differs", "fair"),
    ("hardened", "run-as-user/default-for-all differs", "fair"),
];

const APPARMOR_NOT_SET: (&str, &str, &str) =
    ("hardened", "apparmor/default-not-set stricter", "hardened");

#[test]
fn without_mutators_every_default_is_a_loss() {
    let options = PlanOptions {
        mutators: false,
        ..LATEST
    };
    let defaults = [
        APPARMOR_NOT_SET,
        (
            "hardened",
            "capabilities/default-not-set stricter",
            "hardened",
        ),
        ("hardened", "groups/default-not-set stricter", "hardened"),
        (
            "hardened",
            "privilege-escalation/default-not-set stricter",
            "hardened",
        ),
        (
            "hardened",
            "read-only-root-filesystem/default-not-set stricter",
            "hardened",
        ),
        (
            "hardened",
            "run-as-user/default-not-set stricter",
            "hardened",
        ),
        (
            "hardened",
            "runtime-class/default-not-set stricter",
            "hardened",
        ),
        ("hardened", "seccomp/default-not-set stricter", "hardened"),
        ("hardened", "selinux/default-not-set stricter", "hardened"),
    ];
    check(options, &[ALWAYS, &defaults].concat());
}

#[test]
fn with_mutators_the_losses_that_remain_are_shown() {
    check(
        LATEST,
        &[ALWAYS, BY_MUTATORS, BY_LABEL, &[APPARMOR_NOT_SET]].concat(),
    );
}

#[test]
fn before_gatekeeper_3_23_updates_of_old_pods_are_refused() {
    let options = PlanOptions {
        gatekeeper: Version::new(3, 22),
        ..LATEST
    };
    let updates = [
        (
            "hardened",
            "capabilities/default-on-update stricter",
            "hardened",
        ),
        ("hardened", "groups/default-on-update stricter", "hardened"),
        (
            "hardened",
            "privilege-escalation/default-on-update stricter",
            "hardened",
        ),
        (
            "hardened",
            "read-only-root-filesystem/default-on-update stricter",
            "hardened",
        ),
        (
            "hardened",
            "run-as-user/default-on-update stricter",
            "hardened",
        ),
        ("web", "run-as-user/default-on-update stricter", "fair"),
        (
            "hardened",
            "runtime-class/default-on-update stricter",
            "hardened",
        ),
        ("hardened", "seccomp/default-on-update stricter", "hardened"),
        ("hardened", "selinux/default-on-update stricter", "hardened"),
    ];
    check(
        options,
        &[ALWAYS, BY_MUTATORS, BY_LABEL, &[APPARMOR_NOT_SET], &updates].concat(),
    );
}

#[test]
fn since_kubernetes_1_30_apparmor_profiles_are_fields() {
    let options = PlanOptions {
        kubernetes: Version::new(1, 30),
        ..LATEST
    };
    let mut expected = [ALWAYS, BY_MUTATORS, BY_LABEL].concat();
    expected.push(("hardened", "apparmor/default-on-pod differs", "hardened"));
    check(options, &expected);
}
