//! Mutators for some pods of a namespace: by a label, by the labels of a selector, and by a name.

use super::cluster::{Cluster, account, group};
use super::{AT_MOST_6, FROM_5, FROM_6, FS_GROUP_6, NO_ESCALATION, ONLY_5, ONLY_6};

/// A cluster where two service accounts of the namespace `shop` have different policies.
fn differing(web: &[&str], agent: &[&str]) -> Cluster {
    Cluster::default()
        .policy("a", web)
        .policy("b", agent)
        .policy("privileged", &[])
        .binding(Some("shop"), "a", &account("shop", "web"))
        .binding(Some("shop"), "b", &account("shop", "agent"))
}

#[test]
fn a_label_that_all_workloads_of_a_policy_share_selects_them() {
    // Of two labels of the agents' one it is that with fewer values; pods without any get what both policies accept.
    differing(&[FROM_5], &[FROM_6])
        .workload("web", "app: web, tier: front")
        .workload("web", "app: api, tier: front")
        .workload("agent", "app: agent")
        .check(&[
            ("psp-groups-*", "shop tier!=front", "b"),
            ("psp-groups-*", "shop tier=front", "a"),
        ]);
}

#[test]
fn values_that_exclude_each_other_never_act_on_one_pod() {
    differing(&[ONLY_5], &[ONLY_6])
        .workload("web", "app: web")
        .workload("agent", "app: agent")
        .check(&[
            ("psp-groups-*", "shop app!=agent", "a"),
            ("psp-groups-*", "shop app=agent", "b"),
        ]);
}

#[test]
fn a_label_that_workloads_of_others_have_too_selects_nobody() {
    differing(&[FROM_5], &[FROM_6])
        .workload("web", "app: web, part-of: shop")
        .workload("web", "app: api, part-of: shop")
        .workload("agent", "app: api, part-of: shop")
        .check(&[(FS_GROUP_6, "shop", "b")]);
}

#[test]
fn workloads_that_need_no_default_are_left_out_by_their_label() {
    Cluster::default()
        .policy("a", &[FROM_5])
        .policy("b", &[FROM_5, "hostNetwork: true"])
        .policy("c", &[])
        .policy("privileged", &["hostNetwork: true"])
        .binding(Some("shop"), "a", &account("shop", "web"))
        .binding(Some("shop"), "b", &account("shop", "agent"))
        .binding(Some("shop"), "c", &account("shop", "cron"))
        .workload("web", "app: web")
        .workload("agent", "app: agent")
        .workload("cron", "app: cron")
        .check(&[("psp-groups-*", "shop app!=cron", "a b")]);
}

#[test]
fn a_policy_that_all_can_use_and_that_sets_nothing_leaves_nothing_to_select() {
    differing(&[FROM_5], &[FROM_6])
        .binding(
            Some("shop"),
            "privileged",
            &group("system:serviceaccounts:shop"),
        )
        .workload("web", "app: web")
        .check(&[]);
}

#[test]
fn the_labels_of_a_selector_together_select_where_no_single_one_does() {
    // The workloads of `agent` pass without a group, and with none but 6.
    differing(&[ONLY_5], &[AT_MOST_6])
        .workload("web", "app: x, tier: a")
        .workload("agent", "app: x, tier: b")
        .workload("agent", "app: y, tier: a")
        .check(&[("psp-groups-*", "shop app=x,tier=a", "a")]);
}

#[test]
fn a_name_selects_where_labels_do_not() {
    let cluster = || {
        differing(&[ONLY_5], &[AT_MOST_6])
            .named("web", "web", "app: x")
            .named("agent", "agent", "app: x")
    };
    cluster().check(&[("psp-groups-*", "shop name web-*", "a")]);
    // `web-*` would select the pods of `web-agent` too.
    cluster().named("web-agent", "agent", "app: x").check(&[]);
}

#[test]
fn a_name_gets_no_value_where_another_one_is_set_for_all() {
    // No selector leaves out a name, and of two mutators of one field that act on a pod the first by name would win.
    differing(&[ONLY_5], &[ONLY_6])
        .named("web", "web", "app: x")
        .named("agent", "agent", "app: x")
        .named("cron", "agent", "app: x")
        .check(&[(FS_GROUP_6, "shop", "b")]);
}

/// Deployments that must not gain privileges, beside a privileged agent.
fn beside_a_privileged_one(web: &str, labels: [&str; 2]) -> Cluster {
    Cluster::default()
        .policy("privileged", &["privileged: true"])
        .policy("restricted", &[NO_ESCALATION])
        .binding(Some("shop"), "restricted", &account("shop", "web"))
        .binding(Some("shop"), "restricted", &account("shop", "default"))
        .binding(Some("shop"), "privileged", &account("shop", "agent"))
        .container("web", "web", labels[0], web)
        .container(
            "agent",
            "agent",
            labels[1],
            ", securityContext: {privileged: true}",
        )
}

#[test]
fn a_privileged_workload_is_left_out_by_its_label() {
    let context = ", securityContext: {runAsUser: 5}";
    beside_a_privileged_one(context, ["app: web", "app: agent"]).check(&[(
        "psp-privilege-escalation-*",
        "shop app!=agent",
        "restricted",
    )]);
}

#[test]
fn a_privileged_workload_without_a_label_is_left_out_by_its_security_context() {
    beside_a_privileged_one("", ["app: x", "app: x"]).check(&[(
        "psp-privilege-escalation-*",
        "shop",
        "restricted",
    )]);
}

#[test]
fn a_workload_that_a_value_would_break_is_left_out_by_its_label() {
    let cluster = || {
        differing(&[ONLY_5], &[AT_MOST_6])
            .workload("web", "app: web")
            .workload("agent", "app: agent")
    };
    // Without a label as many pods to come would be denied as pass.
    cluster().check(&[("psp-groups-*", "shop app=web", "a")]);
    // Most pods to come need it, whatever labels they have.
    cluster()
        .binding(Some("shop"), "a", &account("shop", "default"))
        .check(&[("psp-groups-*", "shop app!=agent", "a")]);
}
