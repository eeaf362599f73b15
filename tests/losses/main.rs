//! Every declared loss has a witness, and the witness shows the loss: the two worlds differ about it in the declared direction.
//!
//! What the API server alone shows is left to the conformance tests.
#![expect(clippy::expect_used, reason = "tests may panic")]

use std::collections::BTreeSet;

use psp2gatekeeper::access::parse_subject;
use psp2gatekeeper::api::core::Pod;
use psp2gatekeeper::controls::apparmor::name_unset_profiles;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::{self, Inventory, LoadOptions, Source};
use psp2gatekeeper::loss::{Direction, Loss, LossKind};
use psp2gatekeeper::plan::{EnforcementAction, PlanOptions};
use psp2gatekeeper::psp::{PSP_ANNOTATION, PspAdmission};
use psp2gatekeeper::rbac::service_account_user;
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
    strict_app_armor: false,
};

/// Sets no default at all.
const WITHOUT: PlanOptions = PlanOptions {
    mutators: false,
    ..LATEST
};

/// Demands an AppArmor profile where PSP would have set `runtime/default`.
const STRICT: PlanOptions = PlanOptions {
    strict_app_armor: true,
    ..LATEST
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
        assert!(is_of_a_subject(loss), "{loss}: {:?}", loss.witness);
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

/// Whether the loss names somebody who stands behind its witness: the pod's service account or the requesting user.
fn is_of_a_subject(loss: &Loss) -> bool {
    let request = &loss.witness;
    let account = request.pod.service_account_name();
    let account = service_account_user(&request.namespace, account);
    // A static pod has none.
    let account = (!request.pod.service_account_name().is_empty()).then_some(&account);
    let mut users = account.into_iter().chain([&request.user_info]);
    let subjects = loss.subjects.iter();
    let subjects: Vec<_> = subjects.filter_map(|it| parse_subject(it).ok()).collect();
    loss.subjects == ["*"] || users.any(|user| subjects.iter().any(|it| it.matches(user)))
}

/// Checks the witness of each loss, and that these are the losses: by PSP, name and namespaces.
#[track_caller]
fn check(options: PlanOptions, expected: &[(String, String, String)]) {
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

/// What has nothing to do with mutators.
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
];

/// An AppArmor profile need not be there where it would be that of the runtime.
const UNSET_PROFILE: (&str, &str, &str) = ("*", "apparmor/unset-profile harmless", "*");

/// All namespaces of the input but some, as losses name them.
fn all_but(left_out: &[&str]) -> String {
    let all = ["*", "fair", "hardened", "kube-system", "play", "shop"];
    let all = all.into_iter().filter(|it| !left_out.contains(it));
    all.collect::<Vec<_>>().join(",")
}

/// Administrators may use `second` and `privileged` too, which come later and set nothing; so PSP took the first by name where a
/// seccomp profile is a field alone. Nothing differs where mutators set the same.
fn of_the_first(hardened: &[&str], read_only: &[&str]) -> Vec<(String, String, String)> {
    let name = |control: &str| format!("{control}/default-of-the-first differs");
    let mut res = Vec::new();
    for control in [
        "capabilities",
        "groups",
        "privilege-escalation",
        "run-as-user",
        "runtime-class",
        "selinux",
    ] {
        res.push(("hardened".to_owned(), name(control), all_but(hardened)));
    }
    res.push(("first".to_owned(), name("groups"), all_but(hardened)));
    // So may Bob in `play`.
    res.push(("first".to_owned(), name("groups"), "play".to_owned()));
    let control = name("read-only-root-filesystem");
    res.push(("hardened".to_owned(), control, all_but(read_only)));
    res
}

/// The losses about these controls of a policy, all of one kind and in the same namespaces.
fn each(
    psp: &str,
    controls: &[&str],
    kind: &str,
    namespaces: &str,
) -> Vec<(String, String, String)> {
    let all = controls.iter();
    all.map(|it| {
        (
            psp.to_owned(),
            format!("{it}/{kind}"),
            namespaces.to_owned(),
        )
    })
    .collect()
}

/// What is set in `hardened`, of which an AppArmor profile is no part before Kubernetes 1.30.
const HARDENED: &[&str] = &[
    "capabilities",
    "groups",
    "privilege-escalation",
    "read-only-root-filesystem",
    "run-as-user",
    "runtime-class",
    "seccomp",
    "selinux",
];

/// What mutators do otherwise than PSP, on every release.
///
/// In `shop`, for service accounts `web` and `agent`, they set what each of both needs, which the other one's policy accepts; in `fair`
/// as well, but the file system of the workload of `web` stays writable, by its label.
fn by_mutators() -> Vec<(String, String, String)> {
    let differs = "default-for-all differs";
    let others = |left_out: &[&str]| -> Vec<&str> {
        let all = HARDENED.iter().copied();
        all.filter(|it| !left_out.contains(it)).collect()
    };
    let everywhere = ["read-only-root-filesystem", "run-as-user"];
    let read_only = &everywhere[..1];
    let user = &everywhere[1..];
    let here = others(&everywhere);
    let all = "fair,hardened,shop";
    [
        of_the_first(&["hardened"], &["fair", "hardened", "shop"]),
        // Administrators, who could have a pod without all that; each policy where the pod is one that no other accepts.
        each("privileged", &here, differs, "hardened"),
        each("privileged", &everywhere, differs, all),
        // `agent` sets a read-only file system itself.
        each("agent", &here, differs, "hardened"),
        each("agent", user, differs, all),
        each("agent", user, differs, "shop"),
        each("agent", user, differs, "fair"),
        // `first` sets the profile of seccomp itself.
        each(
            "first",
            &others(&["read-only-root-filesystem", "run-as-user", "seccomp"]),
            differs,
            "hardened",
        ),
        each("first", &everywhere, differs, all),
        each("hardened", user, differs, "fair,shop"),
        each("web", read_only, differs, "shop"),
        each("web", read_only, differs, "fair"),
        // Of pods with the label of `web`.
        each("agent", read_only, "default-not-set stricter", "fair"),
        each(
            "agent",
            read_only,
            "default-of-another-policy differs",
            "fair",
        ),
        each(
            "hardened",
            read_only,
            "default-of-the-first differs",
            "fair",
        ),
        // A privileged container may not be kept from gaining privileges.
        each(
            "privileged",
            &["privilege-escalation"],
            "default-in-the-way stricter",
            "hardened",
        ),
        // A profile that the annotation alone names.
        each(
            "privileged",
            &["seccomp"],
            "default-in-the-way stricter",
            "hardened",
        ),
        each(
            "hardened",
            &["seccomp"],
            "default-in-the-way stricter",
            "hardened",
        ),
        each(
            "hardened",
            &["seccomp"],
            "annotation-alone stricter",
            "hardened",
        ),
        each(
            "hardened",
            &["seccomp"],
            "default-by-its-new-name differs",
            "hardened",
        ),
        each(
            "hardened",
            &["capabilities"],
            "default-only-without-capabilities stricter",
            "hardened",
        ),
        each(
            "hardened",
            &["capabilities"],
            "lists-not-rewritten differs",
            "hardened",
        ),
        each(
            "hardened",
            &["groups", "run-as-user"],
            "default-on-pod differs",
            "hardened",
        ),
        each("web", user, "default-on-pod differs", "fair"),
        each("web", user, "default-on-pod differs", "shop"),
        each(
            "*",
            &["gatekeeper"],
            "windows-pod stricter",
            "fair,hardened,shop",
        ),
    ]
    .concat()
}

/// The same as other texts.
fn always() -> Vec<(String, String, String)> {
    let all = [ALWAYS, &[UNSET_PROFILE]].concat();
    let all = all.into_iter();
    all.map(|(psp, name, namespaces)| (psp.to_owned(), name.to_owned(), namespaces.to_owned()))
        .collect()
}

#[test]
fn without_mutators_every_default_is_a_loss() {
    let not_set = "default-not-set stricter";
    let mut expected = [
        always(),
        of_the_first(&[], &[]),
        each("hardened", HARDENED, not_set, "hardened"),
    ]
    .concat();
    for namespace in ["fair", "shop"] {
        expected.extend(each(
            "agent",
            &["read-only-root-filesystem"],
            not_set,
            namespace,
        ));
        expected.extend(each("web", &["run-as-user"], not_set, namespace));
    }
    check(WITHOUT, &expected);
}

#[test]
fn with_mutators_the_losses_that_remain_are_shown() {
    check(LATEST, &[always(), by_mutators()].concat());
}

#[test]
fn before_gatekeeper_3_23_updates_of_old_pods_are_refused() {
    let options = PlanOptions {
        gatekeeper: Version::new(3, 22),
        ..LATEST
    };
    // Each is told of the first policy whose mutator it is.
    let on_update = "default-on-update stricter";
    let updates = [
        each(
            "hardened",
            &[
                "capabilities",
                "groups",
                "privilege-escalation",
                "runtime-class",
                "selinux",
            ],
            on_update,
            "hardened",
        ),
        each("first", &["seccomp"], on_update, "hardened"),
        each(
            "agent",
            &["read-only-root-filesystem"],
            on_update,
            "hardened,shop",
        ),
        each("agent", &["read-only-root-filesystem"], on_update, "fair"),
        each("web", &["run-as-user"], on_update, "fair,hardened,shop"),
    ];
    check(
        options,
        &[always(), by_mutators(), updates.concat()].concat(),
    );
}

#[test]
fn since_kubernetes_1_30_apparmor_profiles_are_fields() {
    let options = PlanOptions {
        kubernetes: Version::new(1, 30),
        ..LATEST
    };
    // Unset and written mean the same, so that nothing else differs.
    let on_pod = each(
        "hardened",
        &["apparmor"],
        "default-on-pod differs",
        "hardened",
    );
    check(options, &[always(), by_mutators(), on_pod].concat());
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
    let losses = losses(&text.concat(), WITHOUT);
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
    let losses = losses(&text.concat(), STRICT);
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
    let losses = losses(&text.concat(), WITHOUT);
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
    let losses = losses(&text.concat(), WITHOUT);
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
    let losses = losses(&text.concat(), WITHOUT);
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

const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io";
const APP_ARMOR: &str = "apparmor.security.beta.kubernetes.io";

#[test]
fn a_pod_that_a_mutator_gives_what_its_policy_demands_is_harmless() {
    let allowed = format!("{SECCOMP}/allowedProfileNames: runtime/default");
    let default = format!("{allowed}, {SECCOMP}/defaultProfileName: runtime/default");
    let text = [
        plain("a", &default, ""),
        // It demands a profile and sets none, so that PSP denied a pod without.
        plain("b", &allowed, ""),
        binding("a", "User", "alice", "a"),
        binding("b", "User", "bob", "b"),
    ];
    let losses = losses(&text.concat(), LATEST);
    let found = of(&losses, "seccomp/default-admits", "User bob");
    let about: Vec<_> = found.iter().map(|it| it.psp.as_str()).collect();
    assert_eq!(about, ["b"], "{losses:#?}");
    assert_eq!(found[0].direction(), Direction::Harmless);
    let of_alice = of(&losses, "seccomp/default-admits", "User alice");
    assert!(of_alice.is_empty(), "{of_alice:#?}");
}

/// A policy that sets the AppArmor profile of the runtime and accepts another, for all.
fn confined() -> String {
    let profiles = format!(
        r#"{APP_ARMOR}/allowedProfileNames: "runtime/default,localhost/web", {APP_ARMOR}/defaultProfileName: runtime/default"#
    );
    plain("confined", &profiles, "")
        + &binding("confined", "Group", "system:authenticated", "confined")
}

#[test]
fn an_unset_apparmor_profile_is_harmless_where_it_is_not_demanded() {
    let names = |options| {
        let losses = losses(&confined(), options);
        let of_app_armor = losses.into_iter().filter(|it| it.control == "apparmor");
        let names = of_app_armor.map(|it| format!("{} {}", it.name(), it.direction()));
        names.collect::<BTreeSet<_>>()
    };
    let set = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
    let unset: BTreeSet<String> = set(&["apparmor/unset-profile harmless"]);
    assert_eq!(names(LATEST), unset);
    // No mutator can write an annotation whose key has the name of a container.
    assert_eq!(names(STRICT), set(&["apparmor/default-not-set stricter"]));
    // From 1.30 on one writes the field, on the pod.
    let strict = PlanOptions {
        kubernetes: Version::new(1, 30),
        ..STRICT
    };
    let by_field = names(strict);
    assert!(by_field.contains("apparmor/default-on-pod differs"));
    assert!(!by_field.contains("apparmor/default-not-set stricter"));
}
