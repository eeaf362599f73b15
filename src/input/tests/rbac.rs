use super::{diagnostics, errors, inventory};
use crate::api::rbac::{Binding, RoleRef, Subject};

const GROUP: &str = "rbac.authorization.k8s.io";

fn binding(version: &str, kind: &str, rest: &str) -> String {
    format!("apiVersion: {GROUP}/{version}\nkind: {kind}\nmetadata: {{name: b}}\n{rest}")
}

fn subject(kind: &str, group: &str, name: &str) -> Subject {
    Subject {
        api_group: (!group.is_empty()).then(|| group.to_owned()),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: None,
    }
}

#[track_caller]
fn only_binding(text: &str) -> Binding {
    let mut bindings = inventory(text).bindings;
    assert_eq!(bindings.len(), 1);
    bindings.remove(0)
}

#[test]
fn a_binding_gets_the_groups_of_its_version() {
    let text = "roleRef: {kind: ClusterRole, name: r}\nsubjects: [{kind: User, name: u, apiGroup: ''}, {kind: ServiceAccount, name: s}]\n";
    for version in ["v1", "v1beta1"] {
        let expected = Binding {
            namespace: Some("default".to_owned()),
            name: "b".to_owned(),
            role_ref: RoleRef {
                api_group: GROUP.to_owned(),
                kind: "ClusterRole".to_owned(),
                name: "r".to_owned(),
            },
            subjects: vec![
                subject("User", GROUP, "u"),
                subject("ServiceAccount", "", "s"),
            ],
        };
        assert_eq!(
            only_binding(&binding(version, "RoleBinding", text)),
            expected
        );
    }
}

#[test]
fn the_user_star_was_everybody_in_v1alpha1_alone() {
    let text = |version: &str| {
        let rest = "roleRef: {kind: ClusterRole, name: r}\nsubjects: [{kind: User, name: '*'}]\n";
        binding(version, "ClusterRoleBinding", rest)
    };
    assert_eq!(
        only_binding(&text("v1alpha1")).subjects,
        [subject("Group", GROUP, "system:authenticated")]
    );
    assert_eq!(
        only_binding(&text("v1beta1")).subjects,
        [subject("User", GROUP, "*")]
    );
}

#[test]
fn subjects_of_v1alpha1_have_a_version_instead_of_a_group() {
    let rest = "roleRef: {kind: ClusterRole, name: r}
subjects:
- {kind: Group, apiVersion: rbac/v1alpha1, name: g}
- {kind: ServiceAccount, apiVersion: v1, name: s, namespace: ns}
";
    let text = binding("v1alpha1", "ClusterRoleBinding", rest);
    let account = Subject {
        namespace: Some("ns".to_owned()),
        ..subject("ServiceAccount", "", "s")
    };
    assert_eq!(
        only_binding(&text).subjects,
        [subject("Group", GROUP, "g"), account]
    );
    assert_eq!(diagnostics(&text), [""; 0]);
    let text = binding("v1", "ClusterRoleBinding", rest);
    assert_eq!(
        diagnostics(&text).len(),
        2,
        "in v1 `apiVersion` is no field of a subject"
    );
}

#[test]
fn roles_keep_rules_labels_and_selectors() {
    let text = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: r, labels: {a: b}}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {c: d}}]}
rules: [{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [x], verbs: [use]}]
";
    let role = inventory(text).roles.remove(0);
    assert_eq!(role.namespace, None);
    assert_eq!(role.labels["a"], "b");
    assert_eq!(
        role.aggregation[0].match_labels.as_ref().expect("labels")["c"],
        "d"
    );
    assert_eq!(role.rules[0].verbs, ["use"]);
    assert_eq!(
        role.rules[0].resource_names.as_deref(),
        Some(["x".to_owned()].as_slice())
    );
    let role = text.replace("ClusterRole\n", "Role\n");
    assert_eq!(
        diagnostics(&role),
        [
            "warning[unknown-field]: a.yaml:5:1: Role default/r: `aggregationRule`: Role has no such field and the API server \
          drops it"
        ]
    );
}

#[test]
fn rules_may_be_null() {
    let text = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: null\n";
    assert_eq!(inventory(text).roles[0].rules, []);
}

#[test]
fn what_cannot_be_decoded_is_an_error() {
    assert_eq!(
        errors(&binding(
            "v1",
            "RoleBinding",
            "roleRef: {kind: Role, name: r}\nsubjects: {kind: User}\n"
        )),
        ["5:1: RoleBinding default/b: subjects: cannot unmarshal object into a field of type list"]
    );
}

#[track_caller]
fn check_rule(rule: &str, expected: &[&str]) {
    let text = format!(
        "apiVersion: {GROUP}/v1\nkind: ClusterRole\nmetadata: {{name: r}}\nrules:\n- {{{rule}}}\n"
    );
    let expected: Vec<String> = expected
        .iter()
        .map(|it| format!("warning[rule-never-matches]: a.yaml:5:{it}"))
        .collect();
    assert_eq!(diagnostics(&text), expected, "{rule}");
}

#[test]
fn a_rule_that_cannot_mean_what_it_says_is_a_warning() {
    check_rule(
        "apiGroups: [extensions], resources: [podsecuritypolicies], verbs: [use]",
        &[],
    );
    check_rule("apiGroups: ['*'], resources: ['*'], verbs: ['*']", &[]);
    check_rule("apiGroups: [''], resources: [pods], verbs: [Use]", &[]);
    check_rule(
        "apiGroups: [policy], resources: [podsecuritypolicies], verbs: [list]",
        &[],
    );
    check_rule(
        "apiGroups: [policy], resources: [podsecuritypolicies], verbs: [Use]",
        &[
            "67: ClusterRole r: `rules[0].verbs[0]`: verbs are case-sensitive, so this is not the verb `use`",
        ],
    );
    check_rule(
        "apiGroups: [policy], resources: [podsecuritypolicy], verbs: [use]",
        &[
            "37: ClusterRole r: `rules[0].resources[0]`: `podsecuritypolicy` is not the resource `podsecuritypolicies`, so the \
           rule grants nothing on policies",
        ],
    );
    check_rule(
        "apiGroups: [policy/v1beta1], resources: [podsecuritypolicies], verbs: [use]",
        &[
            "4: ClusterRole r: `rules[0].apiGroups`: none of the groups is `policy` or `extensions`, so the rule grants nothing \
           on policies",
        ],
    );
    check_rule(
        "apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use], resourceNames: [a, '*']",
        &[
            "92: ClusterRole r: `rules[0].resourceNames[1]`: resource names are not patterns, so this matches no policy",
        ],
    );
}

#[track_caller]
fn check_binding(kind: &str, rest: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|it| format!("warning[{it}")).collect();
    assert_eq!(diagnostics(&binding("v1", kind, rest)), expected, "{rest}");
}

#[test]
fn a_subject_that_is_nobody_is_a_warning() {
    let account =
        "roleRef: {kind: ClusterRole, name: r}\nsubjects: [{kind: ServiceAccount, name: s}]\n";
    check_binding("RoleBinding", account, &[]);
    check_binding(
        "ClusterRoleBinding",
        account,
        &[
            "subject-never-matches]: a.yaml:5:19: ClusterRoleBinding b: `subjects[0]`: a service account without a namespace \
           in a ClusterRoleBinding is nobody",
        ],
    );
    check_binding(
        "RoleBinding",
        "roleRef: {kind: ClusterRole, name: r}\nsubjects: [{kind: group, name: s}]\n",
        &[
            "subject-never-matches]: a.yaml:5:19: RoleBinding default/b: `subjects[0].kind`: `group` is not one of `User`, \
           `Group` and `ServiceAccount`, so the subject is nobody",
        ],
    );
}

#[test]
fn a_reference_that_leads_nowhere_is_a_warning() {
    check_binding("RoleBinding", "roleRef: {kind: Role, name: r}\n", &[]);
    check_binding(
        "ClusterRoleBinding",
        "roleRef: {kind: Role, name: r}\n",
        &[
            "role-ref-never-resolves]: a.yaml:4:17: ClusterRoleBinding b: `roleRef.kind`: a ClusterRoleBinding cannot refer to \
           a Role, so it grants nothing",
        ],
    );
    check_binding(
        "RoleBinding",
        "roleRef: {kind: clusterrole, name: r}\n",
        &[
            "role-ref-never-resolves]: a.yaml:4:17: RoleBinding default/b: `roleRef.kind`: `clusterrole` is neither `Role` nor \
           `ClusterRole`, so the binding grants nothing",
        ],
    );
}
