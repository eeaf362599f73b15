//! Which defaults become mutators, and where: those with which most of what PSP admitted passes.
//!
//! Administrators can use every policy everywhere. They do not count, but their pods get a default where that harms nobody, so that
//! a mutator of one namespace often acts in all that the input does not name.
#![expect(clippy::expect_used, reason = "tests may panic")]

use cluster::{Cluster, account, group};

mod apart;
mod cluster;

/// Groups that both of the first two accept.
const FROM_5: &str = "fsGroup: {rule: MustRunAs, ranges: [{min: 5, max: 9}]}";
const FROM_6: &str = "fsGroup: {rule: MustRunAs, ranges: [{min: 6, max: 9}]}";
/// Groups that no two of these accept.
const ONLY_5: &str = "fsGroup: {rule: MustRunAs, ranges: [{min: 5, max: 5}]}";
const ONLY_6: &str = "fsGroup: {rule: MustRunAs, ranges: [{min: 6, max: 6}]}";
/// Sets no group, and accepts none but 6.
const AT_MOST_6: &str = "fsGroup: {rule: MayRunAs, ranges: [{min: 6, max: 6}]}";
const READ_ONLY: &str = "readOnlyRootFilesystem: true";
const NO_ESCALATION: &str = "allowPrivilegeEscalation: false";

const FS_GROUP_5: &str = "psp-fs-group-5";
const FS_GROUP_6: &str = "psp-fs-group-6";

#[test]
fn a_default_for_everybody_is_one_mutator_for_all_namespaces_without_their_own_policies() {
    Cluster::default()
        .policy("restricted", &[FROM_5])
        .policy("privileged", &[])
        .binding(None, "restricted", &group("system:authenticated"))
        .binding(
            Some("kube-system"),
            "privileged",
            &group("system:serviceaccounts:kube-system"),
        )
        .check(&[(FS_GROUP_5, "all -kube-system", "restricted")]);
}

#[test]
fn namespaces_that_want_the_same_share_a_mutator() {
    Cluster::default()
        .policy("a", &[FROM_5])
        .policy("b", &[FROM_5, "hostNetwork: true"])
        .policy("c", &[FROM_6])
        // Administrators have no need of a default with it.
        .policy("privileged", &["hostNetwork: true"])
        .binding(Some("one"), "a", &group("system:serviceaccounts:one"))
        .binding(Some("two"), "b", &group("system:serviceaccounts:two"))
        .binding(Some("three"), "c", &group("system:serviceaccounts:three"))
        .check(&[(FS_GROUP_5, "one two", "a b"), (FS_GROUP_6, "three", "c")]);
}

#[test]
fn where_nobody_counts_administrators_get_the_default_of_the_first_policy() {
    // `a` is the first by name of all policies, and sets 5.
    Cluster::default()
        .policy("a", &[ONLY_5])
        .policy("b", &[ONLY_6])
        .check(&[(FS_GROUP_5, "all", "a")]);
}

#[test]
fn a_value_that_the_policies_of_two_service_accounts_accept_is_set_for_both() {
    // `a` would set 5, which `b` refuses; 6 lets both through.
    Cluster::default()
        .policy("a", &[FROM_5])
        .policy("b", &[FROM_6])
        .binding(Some("shop"), "a", &account("shop", "web"))
        .binding(Some("shop"), "b", &account("shop", "agent"))
        .check(&[(FS_GROUP_5, "all -shop", "a"), (FS_GROUP_6, "shop", "b")]);
}

#[test]
fn of_two_values_that_exclude_each_other_that_of_more_service_accounts_is_set() {
    Cluster::default()
        .policy("a", &[ONLY_5])
        .policy("b", &[ONLY_6])
        .policy("privileged", &[])
        .binding(Some("shop"), "a", &account("shop", "web"))
        .binding(Some("shop"), "b", &account("shop", "agent"))
        .binding(Some("shop"), "b", &account("shop", "cron"))
        .check(&[(FS_GROUP_6, "shop", "b")]);
}

#[test]
fn a_default_that_only_some_service_accounts_need_is_set_where_the_others_accept_it() {
    // Pods of `web` are denied without a read-only root file system, and those of `agent` pass with it.
    // Administrators pass with the group alone, by `b`.
    Cluster::default()
        .policy("a", &[FROM_5, READ_ONLY])
        .policy("b", &[FROM_5])
        .binding(Some("shop"), "a", &account("shop", "web"))
        .binding(Some("shop"), "b", &account("shop", "agent"))
        .check(&[
            (FS_GROUP_5, "all", "a b"),
            ("psp-read-only-root-filesystem-true", "shop", "a"),
        ]);
}

#[test]
fn people_nodes_and_administrators_keep_no_namespace_from_its_defaults() {
    for subject in [
        "{kind: User, name: alice}".to_owned(),
        group("sre-admins"),
        group("system:nodes"),
    ] {
        for role in ["privileged", "cluster-admin"] {
            // A privileged pod that they create is refused with `allowPrivilegeEscalation: false`, and does not count.
            Cluster::default()
                .policy("privileged", &["privileged: true"])
                .policy("restricted", &[ONLY_5, NO_ESCALATION])
                .binding(
                    Some("shop"),
                    "restricted",
                    &group("system:serviceaccounts:shop"),
                )
                .binding(None, role, &subject)
                .check(&[
                    ("psp-allow-privilege-escalation-false", "shop", "restricted"),
                    (FS_GROUP_5, "shop", "restricted"),
                ]);
        }
    }
}

#[test]
fn what_people_alone_can_use_is_set_where_it_harms_nobody() {
    let cluster = || {
        Cluster::default()
            .policy("a", &[ONLY_5])
            .policy("b", &[AT_MOST_6])
            .policy("privileged", &[])
            .binding(Some("shop"), "a", "{kind: User, name: alice}")
    };
    cluster().check(&[(FS_GROUP_5, "shop", "a")]);
    // Pods to come of `agent` would be denied with it.
    cluster()
        .binding(Some("shop"), "b", &account("shop", "agent"))
        .check(&[]);
}

#[test]
fn of_two_policies_that_a_service_account_can_use_the_first_by_name_sets_its_defaults() {
    let cluster = |first: &[&str], second: &[&str]| {
        Cluster::default()
            .policy("a", first)
            .policy("b", second)
            .policy("privileged", &[])
            .binding(Some("shop"), "a", &account("shop", "web"))
            .binding(Some("shop"), "b", &account("shop", "web"))
    };
    // A pod that sets nothing is changed by both, so that PSP took the first.
    cluster(&[ONLY_5], &[ONLY_6]).check(&[(FS_GROUP_5, "shop", "a")]);
    cluster(&[ONLY_6], &[ONLY_5]).check(&[(FS_GROUP_6, "shop", "a")]);
    // What passes without the second's read-only root file system is stored as the first stored it.
    cluster(&[FROM_5], &[FROM_5, READ_ONLY]).check(&[(FS_GROUP_5, "shop", "a b")]);
    // What passes by the second is stored as the first stored it all the same.
    cluster(&[FROM_5, READ_ONLY], &[FROM_5]).check(&[
        (FS_GROUP_5, "shop", "a b"),
        ("psp-read-only-root-filesystem-true", "shop", "a"),
    ]);
}

#[test]
fn administrators_keep_nobody_from_defaults() {
    Cluster::default()
        .policy("restricted", &[FROM_5])
        .policy("privileged", &[])
        .binding(None, "restricted", &group("system:authenticated"))
        .binding(None, "cluster-admin", "{kind: User, name: alice}")
        .check(&[(FS_GROUP_5, "all", "restricted")]);
}

#[test]
fn an_administrator_that_pods_run_as_does_not_either() {
    // Its own pods pass with 5, and those of the other accounts of `ci` do not pass without.
    Cluster::default()
        .policy("restricted", &[FROM_5])
        .policy("privileged", &[])
        .binding(None, "restricted", &group("system:authenticated"))
        .binding(None, "cluster-admin", &account("ci", "deployer"))
        .check(&[(FS_GROUP_5, "all", "restricted")]);
}

const CREATES_PODS: &str = "---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: creates-pods}
rules: [{apiGroups: [''], resources: [pods], verbs: [create]}]
";

#[test]
fn a_service_account_of_another_namespace_counts_where_it_creates_pods() {
    // All accounts of `shop` can use `a` through alice's namesake only where `agent` creates the pod.
    let cluster = || {
        Cluster::default()
            .with(CREATES_PODS)
            .policy("a", &[ONLY_5])
            .policy("b", &[AT_MOST_6])
            .policy("privileged", &[])
            .binding(Some("shop"), "a", "{kind: User, name: alice}")
            .binding(Some("shop"), "b", &account("monitoring", "agent"))
    };
    // It creates none: alice's pods alone get their default.
    cluster().check(&[(FS_GROUP_5, "shop", "a")]);
    for scope in [Some("shop"), None] {
        cluster()
            .binding(scope, "creates-pods", &account("monitoring", "agent"))
            .check(&[]);
    }
}

#[test]
fn a_controller_with_a_wide_policy_keeps_nobody_from_defaults() {
    // Pods of a DaemonSet pass with 5 as without, those of the other controllers only with it.
    let cluster = |subject: &str| {
        Cluster::default()
            .policy("restricted", &[FROM_5])
            .policy("privileged", &[])
            .binding(None, "restricted", &group("system:authenticated"))
            .binding(None, "privileged", subject)
    };
    let everywhere = [(FS_GROUP_5, "all", "restricted")];
    cluster(&account("kube-system", "daemon-set-controller")).check(&everywhere);
    cluster(&account("kube-system", "flannel")).check(&everywhere);
    cluster(&account("apps", "daemon-set-controller")).check(&everywhere);
    // With all controllers only people's own pods need it, but those that run as an account of the group.
    let others = [(FS_GROUP_5, "all -kube-system", "restricted")];
    cluster(&group("system:serviceaccounts:kube-system")).check(&others);
}

#[test]
fn a_profile_is_set_though_another_policy_demands_one_and_sets_none() {
    let allowed = "seccomp.security.alpha.kubernetes.io/allowedProfileNames: runtime/default";
    let default = "seccomp.security.alpha.kubernetes.io/defaultProfileName: runtime/default";
    let cluster = || {
        Cluster::default()
            .policy_with("a", &[], &format!("{allowed}, {default}"))
            .binding(None, "a", &group("system:authenticated"))
    };
    let everywhere = [("psp-seccomp-profile-runtime-default", "all", "a")];
    cluster().check(&everywhere);
    // Administrators would have had to name the profile that `b` demands; with it a policy accepts the pod, which is harmless.
    cluster().policy_with("b", &[], allowed).check(&everywhere);
}

#[test]
fn a_bystander_does_not_count() {
    let cluster = || {
        Cluster::default()
            .policy("a", &[ONLY_5])
            .policy("b", &[AT_MOST_6])
            .policy("privileged", &[])
            .binding(Some("shop"), "a", &account("shop", "web"))
            .binding(Some("shop"), "b", &account("shop", "agent"))
            .binding(Some("shop"), "b", &account("shop", "cron"))
    };
    // Pods of two accounts pass without a group, those of one with it.
    cluster().check(&[]);
    let both = ["ServiceAccount shop/agent", "ServiceAccount shop/cron"];
    cluster().check_without(&both, &[(FS_GROUP_5, "shop", "a")]);
    // Who is no subject of these bindings changes nothing.
    cluster().check_without(&["Group system:serviceaccounts:shop"], &[]);
}

#[test]
fn a_workload_that_passes_without_mutators_is_never_broken() {
    // The names of the first two begin as that of the third does, so that nothing tells them apart.
    let cluster = |account_of_third: &str| {
        Cluster::default()
            .policy("a", &[ONLY_5])
            .policy("b", &[AT_MOST_6])
            .policy("privileged", &[])
            .binding(Some("shop"), "a", &account("shop", "web"))
            .binding(Some("shop"), "b", &account("shop", "agent"))
            .named("w", "web", "app: x")
            .named("w-x", "web", "app: x")
            .named("w-x-y", account_of_third, "app: x")
    };
    cluster("web").check(&[(FS_GROUP_5, "shop", "a")]);
    // Two would pass with a group, and the one that passes without would be denied.
    cluster("agent").check(&[]);
}
