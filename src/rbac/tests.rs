use super::*;
use crate::api::rbac::{Role, RoleRef};

const NS: &str = "shop";

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> PolicyRule {
    let owned = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    PolicyRule {
        verbs: owned(verbs),
        api_groups: Some(owned(groups)),
        resources: Some(owned(resources)),
        resource_names: Some(owned(names)),
        non_resource_urls: None,
    }
}

fn use_of(policy: &str) -> PolicyRule {
    rule(&["use"], &["policy"], &["podsecuritypolicies"], &[policy])
}

fn role(namespace: Option<&str>, name: &str, rules: &[PolicyRule]) -> Role {
    Role {
        namespace: namespace.map(ToOwned::to_owned),
        name: name.to_owned(),
        labels: BTreeMap::new(),
        rules: rules.to_vec(),
        aggregation: Vec::new(),
    }
}

fn binding(namespace: Option<&str>, role: (&str, &str), subjects: &[Subject]) -> Binding {
    Binding {
        namespace: namespace.map(ToOwned::to_owned),
        name: format!("{}-{}", role.0, role.1).to_lowercase(),
        role_ref: RoleRef {
            api_group: String::new(),
            kind: role.0.to_owned(),
            name: role.1.to_owned(),
        },
        subjects: subjects.to_vec(),
    }
}

fn subject(kind: &str, name: &str, namespace: Option<&str>) -> Subject {
    Subject {
        api_group: None,
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: namespace.map(ToOwned::to_owned),
    }
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    UserInfo {
        username: name.to_owned(),
        groups: groups.iter().map(|it| (*it).to_owned()).collect(),
    }
}

fn authorizer(roles: Vec<Role>, bindings: Vec<Binding>) -> Authorizer {
    Authorizer::new(&Inventory {
        roles,
        bindings,
        ..Inventory::default()
    })
}

/// A service account `web` of the namespace, bound there to a Role with this one rule, and whether it may use `psp-a`.
fn web_may_use_by(rule: PolicyRule) -> bool {
    let roles = vec![role(Some(NS), "web", &[rule])];
    let web = subject("ServiceAccount", "web", Some(NS));
    let bindings = vec![binding(Some(NS), ("Role", "web"), &[web])];
    authorizer(roles, bindings).may_use(&service_account_user(NS, "web"), "psp-a", NS)
}

#[test]
fn a_rule_counts_in_both_api_groups_of_the_plugin_and_no_other() {
    let in_group = |it: &str| rule(&["use"], &[it], &["podsecuritypolicies"], &["psp-a"]);
    assert!(web_may_use_by(in_group("policy")));
    assert!(web_may_use_by(in_group("extensions")));
    assert!(web_may_use_by(in_group("*")));
    assert!(!web_may_use_by(in_group("")));
    assert!(!web_may_use_by(in_group("apps")));
}

#[test]
fn verbs_are_compared_exactly() {
    let with_verb = |it: &str| rule(&[it], &["policy"], &["podsecuritypolicies"], &["psp-a"]);
    assert!(web_may_use_by(with_verb("use")));
    assert!(web_may_use_by(with_verb("*")));
    assert!(!web_may_use_by(with_verb("get")));
    assert!(!web_may_use_by(with_verb("Use")));
}

#[test]
fn resources_are_no_patterns_but_the_star() {
    let on = |it: &str| rule(&["use"], &["policy"], &[it], &["psp-a"]);
    assert!(web_may_use_by(on("*")));
    for resource in [
        "podsecuritypolicy",
        "podsecuritypolicies/*",
        "*/use",
        "pod*",
    ] {
        assert!(!web_may_use_by(on(resource)), "{resource}");
    }
}

#[test]
fn no_resource_names_means_all_policies() {
    let named = |names: &[&str]| rule(&["use"], &["policy"], &["podsecuritypolicies"], names);
    assert!(web_may_use_by(named(&[])));
    assert!(web_may_use_by(named(&["psp-b", "psp-a"])));
    assert!(!web_may_use_by(named(&["psp-b"])));
    assert!(!web_may_use_by(named(&["*"])));
    assert!(web_may_use_by(rule(&["*"], &["*"], &["*"], &[])));
}

#[test]
fn one_rule_must_match_in_everything() {
    let rules = [
        rule(&["use"], &["apps"], &["deployments"], &[]),
        rule(&["get"], &["policy"], &["podsecuritypolicies"], &[]),
    ];
    assert!(granted(&rules).is_empty());
    assert!(!rules.iter().any(|it| rule_allows(it, "psp-a")));
}

#[test]
fn a_role_binding_counts_in_its_namespace_only() {
    for kind in ["Role", "ClusterRole"] {
        let namespace = (kind == "Role").then_some(NS);
        let roles = vec![role(namespace, "a", &[use_of("psp-a")])];
        let web = subject("ServiceAccount", "web", Some(NS));
        let authorizer = authorizer(roles, vec![binding(Some(NS), (kind, "a"), &[web])]);
        let web = service_account_user(NS, "web");
        assert!(authorizer.may_use(&web, "psp-a", NS), "{kind}");
        assert!(!authorizer.may_use(&web, "psp-a", "other"), "{kind}");
        assert!(!authorizer.may_use(&web, "psp-a", ""), "{kind}");
    }
}

#[test]
fn a_cluster_role_binding_to_all_service_accounts_of_a_namespace_reaches_them() {
    let roles = vec![role(None, "a", &[use_of("psp-a")])];
    let group = subject("Group", "system:serviceaccounts:shop", None);
    let authorizer = authorizer(roles, vec![binding(None, ("ClusterRole", "a"), &[group])]);
    assert!(authorizer.may_use(&service_account_user(NS, "any"), "psp-a", NS));
    assert!(!authorizer.may_use(&service_account_user("other", "any"), "psp-a", NS));
}

#[test]
fn the_identity_of_a_service_account_is_not_among_the_authenticated() {
    let roles = vec![role(None, "a", &[use_of("psp-a")])];
    let group = subject("Group", AUTHENTICATED, None);
    let authorizer = authorizer(roles, vec![binding(None, ("ClusterRole", "a"), &[group])]);
    assert!(!authorizer.may_use(&service_account_user(NS, "web"), "psp-a", NS));
    assert!(authorizer.may_use(&user("alice", &[AUTHENTICATED]), "psp-a", NS));
}

#[test]
fn a_service_account_without_namespace_is_one_of_the_binding_s_namespace() {
    let web = [subject("ServiceAccount", "web", None)];
    let empty = [subject("ServiceAccount", "web", Some(""))];
    for subjects in [web, empty] {
        let roles = vec![role(None, "a", &[use_of("psp-a")])];
        let in_namespace = binding(Some(NS), ("ClusterRole", "a"), &subjects);
        let everywhere = binding(None, ("ClusterRole", "a"), &subjects);
        let web = service_account_user(NS, "web");
        assert!(authorizer(roles.clone(), vec![in_namespace]).may_use(&web, "psp-a", NS));
        assert!(!authorizer(roles, vec![everywhere]).may_use(&web, "psp-a", NS));
    }
}

#[test]
fn a_service_account_subject_matches_a_requester_of_that_name_as_well() {
    let web = subject("ServiceAccount", "web", Some(NS));
    let requester = user("system:serviceaccount:shop:web", &[AUTHENTICATED]);
    assert!(subject_matches(&web, &requester, None));
    assert!(!subject_matches(
        &web,
        &service_account_user("shop:web", ""),
        None
    ));
    assert!(!subject_matches(
        &subject("Robot", "web", None),
        &user("web", &[]),
        None
    ));
}

#[test]
fn names_of_subjects_are_no_patterns() {
    let star = subject("User", "*", None);
    assert!(subject_matches(&star, &user("*", &[]), None));
    assert!(!subject_matches(&star, &user("alice", &[]), None));
    assert!(!subject_matches(
        &subject("Group", "alice", None),
        &user("alice", &[]),
        None
    ));
}

#[test]
fn a_binding_to_a_missing_role_does_not_hinder_another() {
    let web = [subject("ServiceAccount", "web", Some(NS))];
    let roles = vec![role(Some(NS), "there", &[use_of("psp-a")])];
    let bindings = vec![
        binding(Some(NS), ("Role", "gone"), &web),
        binding(Some(NS), ("Role", "there"), &web),
    ];
    assert!(authorizer(roles, bindings).may_use(&service_account_user(NS, "web"), "psp-a", NS));
}

#[test]
fn a_cluster_role_binding_cannot_refer_to_a_role() {
    let web = [subject("ServiceAccount", "web", Some(NS))];
    let roles = vec![role(Some(NS), "a", &[use_of("psp-a")])];
    let authorizer = authorizer(roles, vec![binding(None, ("Role", "a"), &web)]);
    assert!(!authorizer.may_use(&service_account_user(NS, "web"), "psp-a", NS));
}

#[test]
fn masters_may_use_everything_by_the_bootstrap_binding_alone() {
    let root = user("root", &[MASTERS]);
    assert!(authorizer(vec![], vec![]).may_use(&root, "psp-a", NS));
    let nobody = binding(None, ("ClusterRole", CLUSTER_ADMIN), &[]);
    let nobody = Binding {
        name: CLUSTER_ADMIN.to_owned(),
        ..nobody
    };
    assert!(!authorizer(vec![], vec![nobody]).may_use(&root, "psp-a", NS));
}

#[test]
fn a_subject_bound_to_cluster_admin_may_use_everything() {
    let tiller = subject("ServiceAccount", "tiller", Some("kube-system"));
    let bindings = vec![binding(None, ("ClusterRole", CLUSTER_ADMIN), &[tiller])];
    let tiller = service_account_user("kube-system", "tiller");
    assert!(authorizer(vec![], bindings).may_use(&tiller, "psp-a", NS));
}

#[track_caller]
fn check_impersonated(username: &str, groups: &[&str], expected: &[&str]) {
    let groups: Vec<String> = groups.iter().map(|it| (*it).to_owned()).collect();
    assert_eq!(impersonated(username, &groups), user(username, expected));
}

#[test]
fn who_is_impersonated_is_in_the_groups_that_an_api_server_adds() {
    check_impersonated("alice", &[], &[AUTHENTICATED]);
    check_impersonated("alice", &["dev"], &["dev", AUTHENTICATED]);
    check_impersonated("alice", &[AUTHENTICATED, "dev"], &[AUTHENTICATED, "dev"]);
    check_impersonated(
        "alice",
        &["system:unauthenticated"],
        &["system:unauthenticated"],
    );
    let web = "system:serviceaccount:shop:web";
    let own = [
        "system:serviceaccounts",
        "system:serviceaccounts:shop",
        AUTHENTICATED,
    ];
    check_impersonated(web, &[], &own);
    check_impersonated(web, &["dev"], &["dev", AUTHENTICATED]);
    check_impersonated("system:serviceaccount:shop:we:b", &[], &[AUTHENTICATED]);
    check_impersonated("system:serviceaccount:Shop:web", &[], &[AUTHENTICATED]);
    check_impersonated("system:serviceaccount::web", &[], &[AUTHENTICATED]);
    check_impersonated("system:anonymous", &[], &["system:unauthenticated"]);
    check_impersonated(
        "system:anonymous",
        &["dev"],
        &["dev", "system:unauthenticated"],
    );
}
