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
        "apiGroups: [policy], resources: [psp], verbs: [use]",
        &[
            "37: ClusterRole r: `rules[0].resources[0]`: `psp` is not the resource `podsecuritypolicies`, so the rule grants nothing \
           on policies",
        ],
    );
    check_rule(
        "apiGroups: [policy], resources: [podsecuritypolicies], verbs: [uses]",
        &[
            "67: ClusterRole r: `rules[0].verbs[0]`: `uses` is not the verb `use`, so the rule grants no use of policies",
        ],
    );
    check_rule(
        "apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use], resourceNames: [a, '*']",
        &[
            "92: ClusterRole r: `rules[0].resourceNames[1]`: resource names are not patterns, so this matches no policy",
        ],
    );
}

#[test]
fn a_subject_that_is_nobody_is_a_warning() {
    let warned = |subject: &str, reason: &str| {
        let rest = format!("roleRef: {{kind: ClusterRole, name: r}}\nsubjects: [{{{subject}}}]\n");
        let warnings = diagnostics(&binding("v1", "ClusterRoleBinding", &rest));
        match warnings.as_slice() {
            [] => assert_eq!(reason, "", "{subject}"),
            [one] => {
                assert!(
                    one.starts_with("warning[subject-never-matches]: a.yaml:5:"),
                    "{one}"
                );
                assert!(one.contains("`subjects[0].name`"), "{one}");
                assert!(!reason.is_empty() && one.ends_with(reason), "{one}");
            }
            more => panic!("{more:#?}"),
        }
    };
    warned("kind: User, name: alice", "");
    warned("kind: User, name: 'system:serviceaccount:a:b'", "");
    warned("kind: Group, name: 'system:serviceaccounts:a'", "");
    warned("kind: Group, name: 'system:authenticated'", "");
    let group = "is a group and no user, so the subject is nobody";
    warned("kind: User, name: 'system:authenticated'", group);
    warned("kind: User, name: 'system:serviceaccounts:a'", group);
    let account = "is a service account and no group, so the subject is nobody";
    warned("kind: Group, name: 'system:serviceaccount:a:b'", account);
    warned(
        "kind: Group, name: '*'",
        "names of subjects are not patterns, so `*` is nobody",
    );
    warned(
        "kind: User, name: 'dev-*'",
        "names of subjects are not patterns, so `dev-*` is nobody",
    );
}

/// What is refused of a binding, without the name of the binding.
#[track_caller]
fn check_refused(kind: &str, rest: &str, expected: &[&str]) {
    let text = binding("v1", kind, rest);
    let refused: Vec<String> = errors(&text)
        .iter()
        .map(|it| {
            it.split_once(" is invalid: ")
                .map_or("", |(_, it)| it)
                .to_owned()
        })
        .collect();
    assert_eq!(refused, expected, "{rest}");
}

#[test]
fn an_api_server_refuses_bindings_in_these_words() {
    let with = |subject: &str| {
        format!("roleRef: {{kind: ClusterRole, name: r}}\nsubjects: [{{{subject}}}]\n")
    };
    check_refused(
        "RoleBinding",
        &with("kind: group, name: s"),
        &[
            r#"subjects[0].kind: Unsupported value: "group": supported values: "ServiceAccount", "User", "Group""#,
        ],
    );
    check_refused(
        "RoleBinding",
        &with("kind: User"),
        &["subjects[0].name: Required value"],
    );
    check_refused(
        "RoleBinding",
        &with("kind: User, name: a, apiGroup: rbac"),
        &[
            r#"subjects[0].apiGroup: Unsupported value: "rbac": supported values: "rbac.authorization.k8s.io""#,
        ],
    );
    check_refused(
        "RoleBinding",
        &with("kind: ServiceAccount, name: a, apiGroup: rbac"),
        &[r#"subjects[0].apiGroup: Unsupported value: "rbac": supported values: """#],
    );
    check_refused(
        "ClusterRoleBinding",
        "roleRef: {kind: Role, name: r}\n",
        &[r#"roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole""#],
    );
    check_refused(
        "RoleBinding",
        "roleRef: {kind: clusterrole, name: a/b, apiGroup: rbac}\n",
        &[
            r#"roleRef.kind: Unsupported value: "clusterrole": supported values: "Role", "ClusterRole""#,
            r#"roleRef.name: Invalid value: "a/b": may not contain '/'"#,
            r#"roleRef.apiGroup: Unsupported value: "rbac": supported values: "rbac.authorization.k8s.io""#,
        ],
    );
    check_refused(
        "RoleBinding",
        "roleRef: {kind: Role}\n",
        &["roleRef.name: Required value"],
    );
}

#[test]
fn an_api_server_refuses_roles_in_these_words() {
    let role = |kind: &str, metadata: &str, rest: &str| {
        format!("apiVersion: {GROUP}/v1\nkind: {kind}\nmetadata: {{{metadata}}}\n{rest}\n")
    };
    assert_eq!(
        errors(&role("Role", "name: a%b, namespace: A", "rules: [{}]")),
        [
            "3:18: Role A/a%b is invalid: metadata.name: Invalid value: \"a%b\": may not contain '%'",
            "3:34: Role A/a%b is invalid: metadata.namespace: Invalid value: \"A\": a lowercase RFC 1123 label must consist of \
             lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. \
             'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            "4:9: Role A/a%b is invalid: rules[0].verbs: Required value: verbs must contain at least one value",
            "4:9: Role A/a%b is invalid: rules[0].apiGroups: Required value: resource rules must supply at least one api group",
            "4:9: Role A/a%b is invalid: rules[0].resources: Required value: resource rules must supply at least one resource",
        ]
    );
    // Unlike most names, those of roles may have colons and capitals.
    let odd = role(
        "ClusterRole",
        "name: 'system:A_b'",
        "rules: [{verbs: [get], nonResourceURLs: [/]}]",
    );
    assert_eq!(diagnostics(&odd), [""; 0]);
    let urls = "rules: [{verbs: [get], nonResourceURLs: [/], resources: [pods]}]";
    assert_eq!(errors(&role("Role", "name: a", urls)).len(), 2);
    assert_eq!(errors(&role("ClusterRole", "name: a", urls)).len(), 1);
    assert_eq!(
        errors(&role("ClusterRole", "name: a", "aggregationRule: {}")).len(),
        1
    );
    assert_eq!(
        errors(&role("ClusterRole", "name: '..'", "rules: []")).len(),
        1
    );
}

#[test]
fn placeholders_have_to_be_rendered_first() {
    let hint =
        "is a placeholder of a template, which has to be rendered first, as `helm template` does";
    for text in [
        binding("v1", "RoleBinding", "roleRef: {kind: Role, name: '{{ .Values.a }}'}\n"),
        binding("v1", "RoleBinding", "roleRef: {kind: Role, name: r}\nsubjects: [{kind: User, name: 'a-{{ .Values.a }}'}]\n"),
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: '{{ .Release.Namespace }}'}\n".to_owned(),
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a, namespace: '{{ .Release.Namespace }}'}\n".to_owned(),
        super::policy("  volumes: ['{{ .Values.volume }}']\n"),
    ] {
        let found = errors(&text);
        assert!(found.len() == 1 && found[0].ends_with(hint), "{found:?}");
    }
    let quoted = binding("v1", "RoleBinding", "roleRef: {kind: Role, name: r}\n")
        .replace("name: b", "name: b, annotations: {a: '{{ x }}'}");
    assert_eq!(diagnostics(&quoted), [""; 0]);
}
