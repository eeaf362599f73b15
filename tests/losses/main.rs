//! Every declared loss has a witness, and the witness shows the loss: the two worlds differ about it in the declared direction.
//!
//! What the API server alone shows is left to the conformance tests.
#![expect(clippy::expect_used, reason = "tests may panic")]

use std::collections::BTreeSet;

use psp2gatekeeper::api::core::Pod;
use psp2gatekeeper::controls::apparmor::name_unset_profiles;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::{self, Inventory, LoadOptions, Source};
use psp2gatekeeper::loss::{Direction, Loss, LossKind};
use psp2gatekeeper::plan::{EnforcementAction, PlanOptions};
use psp2gatekeeper::psp::{PSP_ANNOTATION, PspAdmission};
use psp2gatekeeper::render::{environment, render};
use psp2gatekeeper::review::review;
use psp2gatekeeper::version::Version;

#[path = "../support/mod.rs"]
mod support;

/// Whether only an API server shows the loss: by what it lets nobody change.
///
/// The conformance tests ask the real one.
fn is_shown_by_api_server(loss: &Loss) -> bool {
    loss.kind == LossKind::DefaultOnUpdate
}

const LATEST: PlanOptions = PlanOptions {
    enforcement_action: EnforcementAction::Deny,
    mutators: true,
    max_mutators: 100,
    gatekeeper: Version::new(3, 23),
    kubernetes: Version::new(1, 24),
    strict_app_armor: true,
};

fn inventory(text: &str) -> Inventory {
    let source = Source {
        name: "cluster.yaml".to_owned(),
        text: text.to_owned(),
    };
    let options = LoadOptions {
        proc_mount_type: false,
    };
    let (inventory, _) = input::load(&[source], options).expect("the input is well-formed");
    inventory
}

/// The losses of a cluster, each with a witness that shows it.
#[track_caller]
fn losses(text: &str, options: PlanOptions) -> Vec<Loss> {
    let inventory = inventory(text);
    let (bundle, losses) = support::planned(&inventory, options);
    let environment = environment().expect("the templates are well-formed");
    let manifests = render(&bundle, &environment).expect("it renders");
    let psp = PspAdmission::new(&inventory);
    let gatekeeper =
        GatekeeperAdmission::from_manifests(&manifests, &inventory.namespaces).expect("it loads");
    let gatekeeper = gatekeeper.on(options.kubernetes);
    for loss in &losses {
        if !is_shown_by_api_server(loss) {
            let actual = direction(&psp, &gatekeeper, loss);
            assert_eq!(
                actual,
                Some(loss.direction()),
                "{loss}: {:#?}",
                loss.witness
            );
        }
    }
    losses
}

/// Checks the witness of each loss, and that these are the losses: by PSP, name and namespaces.
#[track_caller]
fn check(options: PlanOptions, expected: &[(&str, &str, &str)]) {
    let losses = losses(include_str!("cluster.yaml"), options);
    let actual: BTreeSet<String> = losses
        .iter()
        .map(|it| {
            format!(
                "{} {} {} {}",
                it.psp,
                it.name(),
                it.direction(),
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
        // A policy accepts the pod as it is stored; without an AppArmor profile it has that of the runtime.
        (false, true) => {
            let mut stored = review.request.clone();
            stored.pod = review.gatekeeper.pod.clone();
            name_unset_profiles(&mut stored.pod);
            Some(if psp.validate_only(&stored).is_allowed() {
                Direction::Harmless
            } else {
                Direction::Looser
            })
        }
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
    ("*", "proc-mount/reset-by-api-server harmless", "*"),
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
    // They may name another profile of seccomp, by its annotation alone.
    (
        "privileged",
        "seccomp/default-in-the-way stricter",
        "hardened",
    ),
    // No mutator fills in what `hardened` does, and with what mutators do fill in `privileged` accepts the pod.
    (
        "hardened",
        "apparmor/default-of-another-policy differs",
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
    // There a mutator fills in the profile for all.
    expected.retain(|it| it.1 != "apparmor/default-of-another-policy differs");
    expected.push(("hardened", "apparmor/default-on-pod differs", "hardened"));
    // Administrators, who could have a pod without.
    expected.push(("agent", "apparmor/default-for-all differs", "hardened"));
    check(options, &expected);
}

/// A policy that fills in a group, with more fields.
fn policy(name: &str, fs_group: u32, more: &str) -> String {
    format!(
        r"
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {{name: {name}}}
spec:
  runAsUser: {{rule: RunAsAny}}
  supplementalGroups: {{rule: RunAsAny}}
  fsGroup: {{rule: MustRunAs, ranges: [{{min: {fs_group}, max: {fs_group}}}]}}
  seLinux: {{rule: RunAsAny}}
  volumes: [secret]
  {more}
"
    )
}

/// Lets somebody use policies, which are given by name.
fn binding(name: &str, kind: &str, subject: &str, policies: &str) -> String {
    format!(
        r#"
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {name}}}
rules: [{{apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use], resourceNames: [{policies}]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}
subjects: [{{kind: {kind}, name: "{subject}"}}]
"#
    )
}

fn of<'a>(losses: &'a [Loss], name: &str, subject: &str) -> Vec<&'a Loss> {
    let is_of = |it: &&Loss| it.name() == name && it.subjects.iter().any(|it| it == subject);
    losses.iter().filter(is_of).collect()
}

#[test]
fn a_static_pod_has_no_service_account_that_helps_it() {
    let text = [
        policy("narrow", 1, ""),
        policy("open", 1, "").replace(
            "{rule: MustRunAs, ranges: [{min: 1, max: 1}]}",
            "{rule: RunAsAny}",
        ),
        binding("narrow", "Group", "system:authenticated", "narrow"),
        binding("open", "Group", "system:serviceaccounts", "open"),
    ];
    let losses = losses(&text.concat(), LATEST);
    let found = of(
        &losses,
        "groups/default-not-set",
        "Group system:authenticated",
    );
    let [loss] = found.as_slice() else {
        panic!("{losses:#?}");
    };
    assert_eq!(loss.psp, "narrow");
    assert_eq!(loss.witness.user_info.groups[0], "system:nodes");
    assert_eq!(loss.witness.pod.service_account_name(), "");
}

#[test]
fn a_policy_for_which_no_pod_comes_to_mind_is_told_with_another() {
    let text = [
        policy("a", 1, ""),
        // As wide as the first, so that it is never chosen.
        policy("b", 1, ""),
        policy("c", 1, "hostIPC: true"),
        binding("all", "User", "alice", "a, b, c"),
        binding("other", "User", "bob", "other"),
        policy("other", 2, ""),
    ];
    let losses = losses(&text.concat(), LATEST);
    let found = of(&losses, "groups/default-not-set", "User alice");
    let about: Vec<_> = found
        .iter()
        .map(|it| (it.psp.as_str(), &it.alike))
        .collect();
    assert_eq!(about, [("a", &vec!["b".to_owned()]), ("c", &Vec::new())]);
}

#[test]
fn a_default_that_is_filled_in_only_together_with_another_is_told() {
    let app_armor = "
  annotations:
    apparmor.security.beta.kubernetes.io/allowedProfileNames: runtime/default";
    let needs = policy("a", 1, "").replace("{name: a}", &format!("{app_armor}\n  name: a"));
    let text = [
        needs,
        policy("b", 1, "defaultAddCapabilities: [CHOWN]").replace(
            "{name: b}",
            &format!("{app_armor}\n    apparmor.security.beta.kubernetes.io/defaultProfileName: runtime/default\n  name: b"),
        ),
        binding("both", "User", "alice", "a, b"),
    ];
    let losses = losses(&text.concat(), LATEST);
    let found = of(&losses, "capabilities/default-not-set", "User alice");
    assert_eq!(found.len(), 1, "{losses:#?}");
}

/// A policy that allows what these fields do and no volumes, with its profiles in annotations.
fn plain(name: &str, annotations: &str, more: &str) -> String {
    format!(
        r"
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  runAsUser: {{rule: RunAsAny}}
  supplementalGroups: {{rule: RunAsAny}}
  fsGroup: {{rule: RunAsAny}}
  seLinux: {{rule: RunAsAny}}
  {more}
"
    )
}

#[test]
fn a_pod_that_several_policies_must_refuse_is_found_step_by_step() {
    let default = |profile: &str| {
        format!("apparmor.security.beta.kubernetes.io/defaultProfileName: {profile}")
    };
    let allowed = r#", apparmor.security.beta.kubernetes.io/allowedProfileNames: "runtime/default,localhost/a""#;
    let text = [
        plain(
            "a",
            &(default("runtime/default") + allowed),
            "readOnlyRootFilesystem: true",
        ),
        plain("b", "", "").replace(
            "fsGroup: {rule: RunAsAny}",
            "fsGroup: {rule: MustRunAs, ranges: [{min: 1, max: 1}]}",
        ),
        plain("c", &default("unconfined"), ""),
    ];
    let losses = losses(&text.concat(), LATEST);
    let found = of(&losses, "groups/default-not-set", "Group system:masters");
    let about: Vec<_> = found.iter().map(|it| it.psp.as_str()).collect();
    assert_eq!(about, ["b"], "{losses:#?}");
}

#[test]
fn a_default_in_a_list_shows_where_the_rest_of_the_list_tells_policies_apart() {
    let listed = |profiles: &str| {
        format!(r#"seccomp.security.alpha.kubernetes.io/allowedProfileNames: "{profiles}""#)
    };
    let default = ", seccomp.security.alpha.kubernetes.io/defaultProfileName: docker/default";
    let adding = "allowedCapabilities: ['*']\n  defaultAddCapabilities: [MKNOD]";
    let text = [
        plain("a", &listed("*"), ""),
        plain("b", &(listed("localhost/a") + default), adding),
    ];
    let without = PlanOptions {
        mutators: false,
        ..LATEST
    };
    let losses = losses(&text.concat(), without);
    let found = of(
        &losses,
        "capabilities/default-not-set",
        "Group system:masters",
    );
    let about: Vec<_> = found.iter().map(|it| it.psp.as_str()).collect();
    assert_eq!(about, ["b"], "{losses:#?}");
}

#[test]
fn a_pod_that_mutators_make_another_policy_accept_is_found_step_by_step() {
    let app_armor =
        r#"apparmor.security.beta.kubernetes.io/allowedProfileNames: "unconfined,localhost/a""#;
    let seccomp = r#"seccomp.security.alpha.kubernetes.io/allowedProfileNames: "localhost/c.json""#;
    let read_only =
        |name: &str, annotations: &str| plain(name, annotations, "readOnlyRootFilesystem: true");
    let text = [
        plain("a", app_armor, "").replace(
            "seLinux: {rule: RunAsAny}",
            "seLinux: {rule: MustRunAs, seLinuxOptions: {level: s0}}",
        ),
        read_only("b", "").replacen("{rule: RunAsAny}", "{rule: MustRunAsNonRoot}", 1),
        read_only("c", seccomp),
        binding("c", "Group", "developers", "c"),
    ];
    let losses = losses(&text.concat(), LATEST);
    let name = "selinux/default-of-another-policy";
    let found = of(&losses, name, "Group system:masters");
    let about: Vec<_> = found.iter().map(|it| it.psp.as_str()).collect();
    assert_eq!(about, ["a"], "{losses:#?}");
}

#[test]
fn a_profile_that_only_a_later_policy_lists_shows_the_default_of_the_first() {
    let seccomp = |allowed: &str| {
        format!(r#"seccomp.security.alpha.kubernetes.io/allowedProfileNames: "{allowed}""#)
    };
    let text = [
        plain("a", &seccomp("*"), "readOnlyRootFilesystem: true"),
        plain("b", &seccomp("localhost/b.json"), ""),
        binding("both", "User", "alice", "a, b"),
    ];
    let losses = losses(&text.concat(), LATEST);
    let name = "read-only-root-filesystem/default-of-the-first";
    let found = of(&losses, name, "User alice");
    let about: Vec<_> = found.iter().map(|it| it.psp.as_str()).collect();
    assert_eq!(about, ["a"], "{losses:#?}");
}

#[test]
fn the_default_of_the_first_shows_where_yet_an_earlier_policy_refuses_the_pod() {
    let any = r#"seccomp.security.alpha.kubernetes.io/allowedProfileNames: "*""#;
    let text = [
        plain("a", any, "volumes: [secret]"),
        plain("b", any, "readOnlyRootFilesystem: true\n  volumes: ['*']"),
        plain("c", any, "volumes: ['*']"),
        binding("all", "User", "alice", "a, b, c"),
    ];
    let losses = losses(&text.concat(), LATEST);
    let name = "read-only-root-filesystem/default-of-the-first";
    let found = of(&losses, name, "User alice");
    let about: Vec<_> = found.iter().map(|it| it.psp.as_str()).collect();
    assert_eq!(about, ["b"], "{losses:#?}");
}

#[test]
fn of_very_many_policies_administrators_are_told_by_one_witness_for_a_field() {
    let names: Vec<String> = (10..60).map(|it| format!("tenant-{it}")).collect();
    let policies = names.iter().zip(1..).map(|(name, id)| policy(name, id, ""));
    let losses = losses(&policies.collect::<String>(), LATEST);
    let found = of(&losses, "groups/default-not-set", "Group system:masters");
    let [loss] = found.as_slice() else {
        panic!("{losses:#?}");
    };
    assert_eq!(loss.psp, "tenant-10");
    assert!(names.iter().all(|it| loss.is_about(it)), "{loss:?}");
}

#[test]
fn a_proc_mount_type_is_lost_only_where_the_api_server_resets_it() {
    let name = "proc-mount/reset-by-api-server";
    let text = [
        policy("open", 1, ""),
        binding("open", "Group", "system:authenticated", "open"),
    ];
    let losses_on = |text: &[String], minor| {
        let kubernetes = Version::new(1, minor);
        losses(
            &text.concat(),
            PlanOptions {
                kubernetes,
                ..LATEST
            },
        )
    };
    assert_eq!(of(&losses_on(&text, 32), name, "*").len(), 1);
    assert_eq!(of(&losses_on(&text, 33), name, "*").len(), 0);
    // Nobody may use a policy that is there, but administrators.
    let [unbound, _] = text;
    assert_eq!(of(&losses_on(&[unbound], 32), name, "*").len(), 1);
    assert_eq!(of(&losses_on(&[], 32), name, "*").len(), 0);
}
