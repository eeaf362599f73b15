//! The RBAC objects of a running cluster: those given, those of every API server, and aggregated rules.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use super::{ANY, MASTERS};
use crate::api::rbac::{Binding, PolicyRule, RBAC_GROUP, Role, RoleRef, Subject};
use crate::input::Inventory;

/// The name of the bootstrap role that may do everything, and of the binding that gives it to `system:masters`.
pub const CLUSTER_ADMIN: &str = "cluster-admin";

/// Returns the roles as a running cluster has them, sorted by namespace (cluster roles first) and name.
///
/// These are the roles of the inventory and the bootstrap roles that it lacks, with the rules of aggregated ones filled in.
///
/// At its start an API server adds to a bootstrap role or binding what it lacks, unless that is annotated
/// `rbac.authorization.kubernetes.io/autoupdate: "false"` (Kubernetes 1.24, `pkg/registry/rbac/rest/storage_rbac.go`).
/// Between two starts the object counts as it is stored, and an inventory read from a cluster holds just that.
/// So an object given is taken as it is, and only objects that are not there are added.
pub fn effective_roles(inventory: &Inventory) -> Vec<Role> {
    let mut roles: BTreeMap<_, _> = bootstrap_roles()
        .into_iter()
        .chain(inventory.roles.iter().cloned())
        .map(|role| ((role.namespace.clone(), role.name.clone()), role))
        .collect();
    aggregate(&mut roles);
    roles.into_values().collect()
}

/// Returns the bindings as a running cluster has them, sorted by namespace (cluster role bindings first) and name.
///
/// These are the bindings of the inventory and the ClusterRoleBinding `cluster-admin` if it lacks that;
/// see [`effective_roles`] about objects given.
/// The other bootstrap bindings are left out, because the roles that they refer to grant no policy.
pub fn effective_bindings(inventory: &Inventory) -> Vec<Binding> {
    let cluster_admin = Binding {
        namespace: None,
        name: CLUSTER_ADMIN.to_owned(),
        role_ref: RoleRef {
            api_group: RBAC_GROUP.to_owned(),
            kind: "ClusterRole".to_owned(),
            name: CLUSTER_ADMIN.to_owned(),
        },
        subjects: vec![Subject {
            api_group: Some(RBAC_GROUP.to_owned()),
            kind: "Group".to_owned(),
            name: MASTERS.to_owned(),
            namespace: None,
        }],
    };
    let bindings: BTreeMap<_, _> = std::iter::once(cluster_admin)
        .chain(inventory.bindings.iter().cloned())
        .map(|binding| ((binding.namespace.clone(), binding.name.clone()), binding))
        .collect();
    bindings.into_values().collect()
}

/// The bootstrap cluster roles that can matter here.
///
/// Kubernetes 1.24, `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`.
/// `cluster-admin` alone grants policies. `admin`, `edit` and `view` take up the rules of roles that carry the labels by
/// which they select, among them roles that users write. One rule stands for those of each `system:aggregate-to-…` role:
/// none of them is about policies, but that there are any makes the controller replace what `admin`, `edit` and `view` hold.
/// All other bootstrap roles carry no label that `cluster-admin` lacks, so that no selector finds them without it.
fn bootstrap_roles() -> Vec<Role> {
    let role = |name: &str, label: Option<&str>, rules| {
        let bootstrapping = ("kubernetes.io/bootstrapping", "rbac-defaults");
        let labels = std::iter::once(bootstrapping).chain(label.map(|it| (it, "true")));
        Role {
            namespace: None,
            name: name.to_owned(),
            labels: labels
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            rules,
            aggregation: Vec::new(),
        }
    };
    let allow = |group: &str, resource: &str, verb: &str| PolicyRule {
        api_groups: Some(vec![group.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: vec![verb.to_owned()],
        ..PolicyRule::default()
    };
    let aggregated = |name: &str, label: Option<&str>, by: &str| Role {
        aggregation: vec![LabelSelector {
            match_labels: Some(BTreeMap::from([(by.to_owned(), "true".to_owned())])),
            match_expressions: None,
        }],
        ..role(name, label, Vec::new())
    };
    let [to_admin, to_edit, to_view] = [
        "rbac.authorization.k8s.io/aggregate-to-admin",
        "rbac.authorization.k8s.io/aggregate-to-edit",
        "rbac.authorization.k8s.io/aggregate-to-view",
    ];
    let impersonate = allow("", "serviceaccounts", "impersonate");
    vec![
        role(CLUSTER_ADMIN, None, vec![allow(ANY, ANY, ANY)]),
        aggregated("admin", None, to_admin),
        aggregated("edit", Some(to_admin), to_edit),
        aggregated("view", Some(to_edit), to_view),
        role(
            "system:aggregate-to-admin",
            Some(to_admin),
            vec![allow(RBAC_GROUP, "roles", "get")],
        ),
        role("system:aggregate-to-edit", Some(to_edit), vec![impersonate]),
        role(
            "system:aggregate-to-view",
            Some(to_view),
            vec![allow("", "pods", "get")],
        ),
    ]
}

/// Fills in the rules of aggregated cluster roles, as the controller does, until nothing changes any more.
///
/// Kubernetes 1.24, `pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go`: what the selected roles
/// hold replaces what the role held. An empty result takes nothing away, because the controller applies server-side and
/// an empty list is left out of its request.
/// The number of rounds is bounded: roles that select each other in a circle may have no state that stays.
fn aggregate(roles: &mut BTreeMap<(Option<String>, String), Role>) {
    let aggregated: Vec<_> = roles
        .iter()
        .filter(|((namespace, _), role)| namespace.is_none() && !role.aggregation.is_empty())
        .map(|(key, role)| (key.clone(), role.aggregation.clone()))
        .collect();
    for _ in 0..=aggregated.len() {
        let mut changed = false;
        for (key, selectors) in &aggregated {
            let selected = selected_rules(roles, key, selectors).unwrap_or_default();
            if let Some(role) = roles.get_mut(key)
                && !selected.is_empty()
                && selected != role.rules
            {
                role.rules = selected;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

/// The rules of the cluster roles selected, each once: selector by selector, by name, without the role itself.
///
/// Nothing when a selector is ill-formed, where the controller gives up as well.
fn selected_rules(
    roles: &BTreeMap<(Option<String>, String), Role>,
    target: &(Option<String>, String),
    selectors: &[LabelSelector],
) -> Option<Vec<PolicyRule>> {
    let mut res: Vec<PolicyRule> = Vec::new();
    for selector in selectors {
        for (key, role) in roles.range((None, String::new())..) {
            if key.0.is_some() {
                break; // cluster roles sort before all others
            }
            if selector_matches(selector, &role.labels)? && key != target {
                for rule in &role.rules {
                    if !res.contains(rule) {
                        res.push(rule.clone());
                    }
                }
            }
        }
    }
    Some(res)
}

/// Whether a selector matches labels, or nothing when the selector is ill-formed.
///
/// Kubernetes 1.24, `k8s.io/apimachinery/pkg/apis/meta/v1/helpers.go` and `pkg/labels/selector.go`.
/// A selector without conditions matches everything; `NotIn` matches where the key is absent.
fn selector_matches(selector: &LabelSelector, labels: &BTreeMap<String, String>) -> Option<bool> {
    let match_labels = selector.match_labels.iter().flatten();
    let mut res = match_labels.fold(true, |acc, (key, value)| {
        acc && labels.get(key) == Some(value)
    });
    for expression in selector.match_expressions.iter().flatten() {
        let values = expression.values.as_deref().unwrap_or_default();
        let actual = labels.get(&expression.key);
        res &= match (expression.operator.as_str(), values.is_empty()) {
            ("In", false) => actual.is_some_and(|it| values.contains(it)),
            ("NotIn", false) => actual.is_none_or(|it| !values.contains(it)),
            ("Exists", true) => actual.is_some(),
            ("DoesNotExist", true) => actual.is_none(),
            _ => return None,
        };
    }
    Some(res)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rbac::{Granted, granted};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;

    fn cluster_role(name: &str, labels: &[(&str, &str)], policy: Option<&str>) -> Role {
        Role {
            namespace: None,
            name: name.to_owned(),
            labels: labels
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            rules: policy
                .map(|it| PolicyRule {
                    api_groups: Some(vec!["policy".to_owned()]),
                    resources: Some(vec!["podsecuritypolicies".to_owned()]),
                    resource_names: Some(vec![it.to_owned()]),
                    verbs: vec!["use".to_owned()],
                    ..PolicyRule::default()
                })
                .into_iter()
                .collect(),
            aggregation: Vec::new(),
        }
    }

    fn aggregating(role: Role, selectors: Vec<LabelSelector>) -> Role {
        Role {
            aggregation: selectors,
            ..role
        }
    }

    fn by_label(key: &str, value: &str) -> LabelSelector {
        LabelSelector {
            match_labels: Some(BTreeMap::from([(key.to_owned(), value.to_owned())])),
            match_expressions: None,
        }
    }

    fn by_expression(key: &str, operator: &str, values: &[&str]) -> LabelSelector {
        LabelSelector {
            match_labels: None,
            match_expressions: Some(vec![LabelSelectorRequirement {
                key: key.to_owned(),
                operator: operator.to_owned(),
                values: Some(values.iter().map(|it| (*it).to_owned()).collect()),
            }]),
        }
    }

    #[track_caller]
    fn check(roles: Vec<Role>, name: &str, policies: &[&str]) {
        let inventory = Inventory {
            roles,
            ..Inventory::default()
        };
        let roles = effective_roles(&inventory);
        let role = roles
            .iter()
            .find(|it| it.name == name && it.namespace.is_none())
            .unwrap();
        let expected = policies.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(granted(&role.rules), Granted::Named(expected));
    }

    #[test]
    fn an_aggregated_role_takes_up_the_roles_it_selects_and_not_itself() {
        let mine = cluster_role("mine", &[("into", "mine")], Some("own"));
        let part = cluster_role("part", &[("into", "mine")], Some("a"));
        let other = cluster_role("other", &[("into", "theirs")], Some("b"));
        let mine = aggregating(mine, vec![by_label("into", "mine")]);
        check(vec![mine, part, other], "mine", &["a"]);
    }

    #[test]
    fn an_aggregated_role_that_selects_nothing_keeps_its_rules() {
        let mine = cluster_role("mine", &[], Some("own"));
        let mine = aggregating(mine, vec![by_label("into", "mine")]);
        check(vec![mine], "mine", &["own"]);
    }

    #[test]
    fn rules_travel_through_chains_of_aggregated_roles_in_any_order_of_names() {
        let top = aggregating(cluster_role("a", &[], None), vec![by_label("into", "a")]);
        let middle = aggregating(
            cluster_role("b", &[("into", "a")], None),
            vec![by_label("into", "b")],
        );
        let bottom = aggregating(
            cluster_role("c", &[("into", "b")], None),
            vec![by_label("into", "c")],
        );
        let leaf = cluster_role("d", &[("into", "c")], Some("psp"));
        check(vec![top, middle, bottom, leaf], "a", &["psp"]);
    }

    #[test]
    fn expressions_select_as_label_selectors_do() {
        for (expression, expected) in [
            (by_expression("tier", "In", &["x", "y"]), vec!["a"]),
            (by_expression("tier", "NotIn", &["x"]), vec!["b", "c"]),
            (by_expression("tier", "Exists", &[]), vec!["a", "b"]),
        ] {
            // The second condition keeps the bootstrap roles out.
            let mut expression = expression;
            expression.match_labels =
                Some(BTreeMap::from([("team".to_owned(), "shop".to_owned())]));
            let mine = aggregating(cluster_role("mine", &[], None), vec![expression]);
            let a = cluster_role("a", &[("tier", "x"), ("team", "shop")], Some("a"));
            let b = cluster_role("b", &[("tier", "z"), ("team", "shop")], Some("b"));
            let c = cluster_role("c", &[("team", "shop")], Some("c"));
            check(vec![mine, a, b, c], "mine", &expected);
        }
    }

    #[test]
    fn an_ill_formed_selector_leaves_the_role_as_it_is() {
        let mine = cluster_role("mine", &[], Some("own"));
        let selectors = vec![by_label("x", "y"), by_expression("x", "In", &[])];
        let part = cluster_role("part", &[("x", "y")], Some("a"));
        check(vec![aggregating(mine, selectors), part], "mine", &["own"]);
    }

    #[test]
    fn view_edit_and_admin_take_up_labelled_roles() {
        let key = "rbac.authorization.k8s.io/aggregate-to-view";
        for name in ["view", "edit", "admin"] {
            let part = cluster_role("part", &[(key, "true")], Some("psp"));
            check(vec![part], name, &["psp"]);
        }
    }

    #[test]
    fn a_given_bootstrap_role_is_taken_as_it_is() {
        let own = cluster_role(CLUSTER_ADMIN, &[], Some("psp"));
        check(vec![own], CLUSTER_ADMIN, &["psp"]);
    }

    #[test]
    fn roles_that_select_each_other_come_to_an_end() {
        let a = cluster_role("a", &[("in", "b")], Some("a"));
        let b = cluster_role("b", &[("in", "a")], Some("b"));
        let a = aggregating(a, vec![by_label("in", "a")]);
        let b = aggregating(b, vec![by_label("in", "b")]);
        check(vec![a, b], "a", &["b"]);
    }
}
