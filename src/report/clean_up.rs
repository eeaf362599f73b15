//! What can go with PodSecurityPolicy, and what must stay.

use serde::Serialize;
use serde_json::{Value, json};

use super::steps::about;
use crate::api::meta::ObjectRef;
use crate::api::policy::{GROUP, LEGACY_GROUP, RESOURCE};
use crate::api::rbac::{PolicyRule, Role};
use crate::input::Inventory;
use crate::rbac::role_key;
use crate::render::layout::HAND_OVER_NAME;

/// What is to be deleted when the plugin is gone.
#[derive(Clone, Debug, Serialize)]
pub struct CleanUp {
    /// The PSPs, sorted by name.
    pub policies: Vec<String>,
    /// Roles with rules about PSPs, sorted by namespace (cluster roles first) and name.
    pub roles: Vec<RoleCleanUp>,
    /// Bindings to roles that go, sorted by namespace (cluster role bindings first) and name.
    pub bindings: Vec<ObjectRef>,
    /// Shell commands that do all of it, in order.
    pub commands: Vec<String>,
}

/// What becomes of a role.
#[derive(Clone, Debug, Serialize)]
pub struct RoleCleanUp {
    /// The role.
    pub role: ObjectRef,
    /// Whether it grants nothing else and goes.
    pub delete: bool,
    /// Positions of its rules that go, from 0; all of them if it goes.
    pub rules: Vec<usize>,
    /// Positions of its rules that stay without `podsecuritypolicies`.
    pub shortened: Vec<usize>,
    /// What it grants besides, a line a rule: that stays.
    pub stays: Vec<String>,
}

/// What a rule says of PSPs.
enum About {
    /// Nothing by name; wildcards stay as they are.
    Nothing,
    /// Nothing else.
    PoliciesAlone,
    /// Something else too.
    PoliciesToo,
}

/// Tells what can go.
///
/// Aggregated roles lose what they have from others by themselves, and what every API server creates comes back, so both stay.
pub(super) fn clean_up(inventory: &Inventory) -> CleanUp {
    let mut policies: Vec<String> = inventory
        .policies
        .iter()
        .map(|it| it.name.clone())
        .chain(inventory.unusable_policies.iter().map(|it| it.name.clone()))
        .collect();
    policies.sort();
    let mut roles = Vec::new();
    let mut patches = Vec::new();
    for role in inventory.roles.iter().filter(|it| is_written(it)) {
        if let Some(found) = of_role(role) {
            patches.extend(patch(role, &found));
            roles.push(found);
        }
    }
    let goes = |key: &(Option<String>, String)| {
        let is_key = |it: &&RoleCleanUp| it.role.namespace == key.0 && it.role.name == key.1;
        roles.iter().find(is_key).is_some_and(|it| it.delete)
    };
    let bindings: Vec<ObjectRef> = inventory
        .bindings
        .iter()
        .filter(|it| role_key(it).is_some_and(|key| goes(&key)))
        .map(|it| object("RoleBinding", it.namespace.as_ref(), &it.name))
        .collect();
    let delete = |it: &ObjectRef| {
        let command = format!(
            "kubectl delete --ignore-not-found {}",
            it.kind.to_lowercase()
        );
        about(&command, it.namespace.as_deref(), &it.name)
    };
    let of_hand_over = ["ClusterRoleBinding", "ClusterRole"].map(|kind| {
        let object = ObjectRef::cluster(kind, HAND_OVER_NAME);
        delete(&object)
    });
    let others = format!(
        "kubectl get rolebindings -A --field-selector metadata.name={HAND_OVER_NAME} -o jsonpath='{{range .items[*]}}{{.metadata.namespace}}{{\"\\n\"}}{{end}}' | xargs -I NS kubectl delete rolebinding -n NS {HAND_OVER_NAME}"
    );
    let of_policies = policies.iter().map(String::as_str).chain([HAND_OVER_NAME]);
    let of_policies = of_policies.map(|it| {
        about(
            "kubectl delete --ignore-not-found podsecuritypolicy",
            None,
            it,
        )
    });
    let commands = bindings
        .iter()
        .map(delete)
        .chain([others])
        .chain(
            roles
                .iter()
                .filter(|it| it.delete)
                .map(|it| delete(&it.role)),
        )
        .chain(patches)
        .chain(of_hand_over)
        .chain(of_policies)
        .collect();
    CleanUp {
        policies,
        roles,
        bindings,
        commands,
    }
}

/// Whether somebody wrote the rules of the role, and not a controller or the API server.
fn is_written(role: &Role) -> bool {
    let bootstrap = role.labels.get("kubernetes.io/bootstrapping");
    role.aggregation.is_empty() && bootstrap.is_none_or(|it| it != "rbac-defaults")
}

fn object(kind: &str, namespace: Option<&String>, name: &str) -> ObjectRef {
    match namespace {
        Some(namespace) => ObjectRef::namespaced(kind, namespace, name),
        None => ObjectRef::cluster(format!("Cluster{kind}"), name),
    }
}

/// What becomes of a role; nothing if it does not name PSPs.
fn of_role(role: &Role) -> Option<RoleCleanUp> {
    let mut res = RoleCleanUp {
        role: object("Role", role.namespace.as_ref(), &role.name),
        delete: false,
        rules: Vec::new(),
        shortened: Vec::new(),
        stays: Vec::new(),
    };
    for (position, rule) in role.rules.iter().enumerate() {
        match about_policies(rule) {
            About::PoliciesAlone => res.rules.push(position),
            About::PoliciesToo => {
                res.shortened.push(position);
                res.stays.push(in_words(rule));
            }
            About::Nothing => res.stays.push(in_words(rule)),
        }
    }
    res.delete = !res.rules.is_empty() && res.stays.is_empty();
    (!res.rules.is_empty() || !res.shortened.is_empty()).then_some(res)
}

fn about_policies(rule: &PolicyRule) -> About {
    let groups = rule.api_groups.iter().flatten();
    let resources = || rule.resources.iter().flatten();
    let is_theirs = |it: &String| [GROUP, LEGACY_GROUP, "*"].contains(&it.as_str());
    if !groups.clone().any(is_theirs) || !resources().any(|it| it == RESOURCE) {
        return About::Nothing;
    }
    let urls = rule.non_resource_urls.iter().flatten().next();
    if resources().all(|it| it == RESOURCE) && urls.is_none() {
        About::PoliciesAlone
    } else {
        About::PoliciesToo
    }
}

/// What a rule grants besides PSPs, such as `get, list: apps: deployments`.
fn in_words(rule: &PolicyRule) -> String {
    let list = |of: Option<&Vec<String>>| {
        let names = of.into_iter().flatten();
        let names = names
            .filter(|it| *it != RESOURCE)
            .map(|it| match it.as_str() {
                "" => "core".to_owned(),
                other => other.to_owned(),
            });
        names.collect::<Vec<_>>().join(", ")
    };
    let parts = [
        list(Some(&rule.verbs)),
        list(rule.api_groups.as_ref()),
        list(rule.resources.as_ref()),
        list(rule.resource_names.as_ref()),
        list(rule.non_resource_urls.as_ref()),
    ];
    let parts: Vec<String> = parts.into_iter().filter(|it| !it.is_empty()).collect();
    parts.join(": ")
}

/// The command that takes the rules out of a role that stays.
///
/// Each rule is compared before it is touched, so that a role which has changed is left as it is; the last go first, so that the
/// positions hold.
fn patch(role: &Role, found: &RoleCleanUp) -> Option<String> {
    if found.delete {
        return None;
    }
    let mut operations = Vec::new();
    for (position, rule) in role.rules.iter().enumerate().rev() {
        let path = format!("/rules/{position}");
        let resources: Vec<&String> = rule.resources.iter().flatten().collect();
        let test = json!({"op": "test", "path": format!("{path}/resources"), "value": resources});
        if found.rules.contains(&position) {
            operations.extend([test, json!({"op": "remove", "path": path})]);
        } else if found.shortened.contains(&position) {
            let kept: Vec<&String> = resources.into_iter().filter(|it| *it != RESOURCE).collect();
            let path = format!("{path}/resources");
            operations.extend([test, json!({"op": "replace", "path": path, "value": kept})]);
        }
    }
    let command = format!("kubectl patch {}", found.role.kind.to_lowercase());
    let command = about(&command, role.namespace.as_deref(), &role.name);
    let operations = Value::Array(operations).to_string();
    Some(format!(
        "{command} --type=json -p {}",
        shell_word(&operations)
    ))
}

/// A text as one word of a shell.
pub(super) fn shell_word(text: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || "-_.:/@".contains(it);
    if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('-') {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{LoadOptions, Source, load};

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let source = Source {
            name: "rbac.yaml".to_owned(),
            text: text.to_owned(),
        };
        let options = LoadOptions {
            proc_mount_type: false,
        };
        let (inventory, _) = load(&[source], options).unwrap();
        let commands = clean_up(&inventory).commands;
        let commands: Vec<&str> = commands
            .iter()
            .map(String::as_str)
            .filter(|it| !it.contains(HAND_OVER_NAME))
            .collect();
        assert_eq!(commands, expected);
    }

    fn role(kind: &str, rules: &str) -> String {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{name: r, namespace: a}}\nrules: [{rules}]\n---\n"
        )
    }

    const USE: &str = "{apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use]}";

    #[test]
    fn a_role_about_policies_alone_goes_with_its_bindings() {
        let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: b, namespace: a}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: other, namespace: a}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: s}\n";
        check(
            &format!("{}{binding}", role("Role", USE)),
            &[
                "kubectl delete --ignore-not-found rolebinding -n a b",
                "kubectl delete --ignore-not-found role -n a r",
            ],
        );
    }

    #[test]
    fn what_a_role_grants_besides_stays() {
        let rules = format!(
            "{{apiGroups: [apps], resources: [deployments], verbs: [get]}}, {USE}, {{apiGroups: [policy], resources: [poddisruptionbudgets, podsecuritypolicies], verbs: ['*']}}"
        );
        check(
            &role("Role", &rules),
            &[
                r#"kubectl patch role -n a r --type=json -p '[{"op":"test","path":"/rules/2/resources","value":["poddisruptionbudgets","podsecuritypolicies"]},{"op":"replace","path":"/rules/2/resources","value":["poddisruptionbudgets"]},{"op":"test","path":"/rules/1/resources","value":["podsecuritypolicies"]},{"op":"remove","path":"/rules/1"}]'"#,
            ],
        );
    }

    #[test]
    fn wildcards_and_other_groups_stay_as_they_are() {
        let rules = "{apiGroups: ['*'], resources: ['*'], verbs: ['*']}, {apiGroups: [example.com], resources: [podsecuritypolicies], verbs: [use]}";
        check(&role("Role", rules), &[]);
    }

    #[test]
    fn what_a_controller_or_the_api_server_writes_stays() {
        let header = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n";
        check(
            &format!(
                "{header}metadata: {{name: r}}\naggregationRule: {{clusterRoleSelectors: [{{matchLabels: {{a: b}}}}]}}\nrules: [{USE}]\n---\n{header}metadata: {{name: s, labels: {{kubernetes.io/bootstrapping: rbac-defaults}}}}\nrules: [{USE}]\n"
            ),
            &[],
        );
    }

    #[test]
    fn words_reach_the_shell_as_they_are() {
        for (text, expected) in [
            ("eks:a.b-c", "eks:a.b-c"),
            ("a b", "'a b'"),
            ("$(x)", "'$(x)'"),
            ("it's", r"'it'\''s'"),
            ("-n", "'-n'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(text), expected);
        }
    }
}
