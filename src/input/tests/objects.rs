use std::collections::BTreeMap;

use super::{errors, inventory, loaded};
use crate::diagnostic::Location;

#[test]
fn lists_are_taken_apart() {
    let text = "
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Namespace
  metadata: {name: a}
- apiVersion: v1
  kind: List
  items:
  - apiVersion: v1
    kind: Namespace
    metadata: {name: b}
- null
";
    assert_eq!(inventory(text).namespaces.len(), 2);
    assert_eq!(
        inventory("kind: List\napiVersion: v1").read,
        BTreeMap::new()
    );
    assert_eq!(
        inventory("kind: List\napiVersion: v1\nitems:").read,
        BTreeMap::new()
    );
}

#[test]
fn items_of_typed_lists_need_not_say_what_they_are() {
    let text = r#"{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleList", "items": [
        {"metadata": {"name": "a", "namespace": "shop"}},
        {"apiVersion": "rbac.authorization.k8s.io/v1beta1", "kind": "Role", "metadata": {"name": "b"}}
    ]}"#;
    let roles = inventory(text).roles;
    let names: Vec<(Option<&str>, &str)> = roles
        .iter()
        .map(|it| (it.namespace.as_deref(), &*it.name))
        .collect();
    assert_eq!(names, [(Some("default"), "b"), (Some("shop"), "a")]);
}

#[test]
fn items_of_typed_lists_are_kept_with_what_their_list_says() {
    let item = r#"{"metadata": {"name": "w", "namespace": "a"}}"#;
    for (version, kind) in [
        ("v1", "Pod"),
        ("batch/v1", "CronJob"),
        ("v1", "PodTemplate"),
        ("apps/v1", "Deployment"),
    ] {
        let list =
            format!(r#"{{"apiVersion": "{version}", "kind": "{kind}List", "items": [{item}]}}"#);
        let nested = format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{list}]}}"#);
        let expected = serde_json::json!({
            "apiVersion": version,
            "kind": kind,
            "metadata": { "name": "w", "namespace": "a" },
        });
        for text in [list, nested] {
            assert_eq!(inventory(&text).workloads[0].object, expected);
            let objects = crate::input::objects(&super::source(&text)).expect("it is JSON");
            assert_eq!(objects, std::slice::from_ref(&expected));
        }
    }
}

#[track_caller]
fn check_slip(version: &str, kind: &str, expected: &str) {
    let text = format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: a}}\n");
    let found: Vec<String> = loaded(&text).1.iter().map(ToString::to_string).collect();
    let expected = match expected {
        "" => Vec::new(),
        it => vec![format!(
            "warning[unknown-kind]: a.yaml:2:7: {it}; it was left aside"
        )],
    };
    assert_eq!(found, expected);
}

#[test]
fn a_misspelled_kind_or_version_is_a_warning_with_the_nearest_one() {
    const RBAC: &str = "rbac.authorization.k8s.io/v1";
    for (version, kind, nearest) in [
        (RBAC, "ClusterRolebinding", "ClusterRoleBinding"),
        (RBAC, "Roles", "Role"),
        ("policy/v1beta1", "PodSecurityPolicies", "PodSecurityPolicy"),
        ("policy/v1", "podsecuritypolicy", "PodSecurityPolicy"),
        ("v1", "PodSecuritypolicy", "PodSecurityPolicy"),
        ("v1", "Serviceaccount", "ServiceAccount"),
        ("v1", "namespace", "Namespace"),
    ] {
        let expected = format!(
            "there is no kind `{kind}` in the version `{version}`; the nearest is `{nearest}`"
        );
        check_slip(version, kind, &expected);
    }
    for version in [
        "rbac/v1",
        "rbac.authorization/v1",
        "rbac.authorisation.k8s.io/v1",
    ] {
        let expected =
            format!("there is no version `{version}` of `Role`; the nearest is `{RBAC}`");
        check_slip(version, "Role", &expected);
    }
    check_slip(
        RBAC,
        "Quux",
        &format!("there is no kind `Quux` in the version `{RBAC}`"),
    );
    for (version, kind) in [
        ("v1", "Config"),
        ("v1", "Service"),
        ("policy/v1", "PodDisruptionBudget"),
        ("extensions/v1beta1", "Ingress"),
        ("iam.aws.crossplane.io/v1beta1", "Role"),
        ("authorization.openshift.io/v1", "RoleBinding"),
    ] {
        check_slip(version, kind, "");
    }
}

#[test]
fn kinds_that_do_not_matter_are_counted_and_not_looked_at() {
    let text = "
apiVersion: v1
kind: ConfigMap
data: {a: 1, a: 2, ~: 3}
---
apiVersion: v1
kind: ConfigMapList
items:
- data: {a: 1, a: 2}
- {}
---
apiVersion: example.com/v1
kind: Role
---
apiVersion: example.com/v1
kind: AllowList
";
    let (inventory, diagnostics) = loaded(text);
    let expected = [("AllowList", 1), ("ConfigMap", 3), ("Role", 1)];
    assert_eq!(
        inventory.ignored,
        expected
            .map(|(kind, count)| (kind.to_owned(), count))
            .into()
    );
    assert_eq!(inventory.read, BTreeMap::new());
    assert_eq!(diagnostics, []);
}

#[test]
fn an_important_object_beside_an_unimportant_one_is_looked_at() {
    let text = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, data: {a: 1, a: 2}}
- {apiVersion: v1, kind: Namespace, metadata: {name: a, name: b}}
- {apiVersion: v1, kind: ConfigMap, data: {a: 1, a: 2}}
";
    assert_eq!(
        errors(text),
        ["6:57: key `name` is repeated, first on line 6"]
    );
}

#[test]
fn workloads_are_kept_whole_and_in_order() {
    let kinds = [
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("extensions/v1beta1", "Deployment"),
        ("apps/v1beta2", "ReplicaSet"),
        ("v1", "ReplicationController"),
        ("extensions/v1beta1", "DaemonSet"),
        ("apps/v1beta1", "StatefulSet"),
        ("batch/v1", "Job"),
        ("batch/v2alpha1", "CronJob"),
        ("v1", "PodTemplate"),
    ];
    let object = |(index, (api_version, kind)): (usize, &(&str, &str))| {
        format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: w{index}}}\nfoo: [bar]\n"
        )
    };
    let text: Vec<String> = kinds.iter().enumerate().map(object).collect();
    let workloads = inventory(&text.join("---\n")).workloads;
    let read: Vec<&str> = workloads.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(read, kinds.map(|(_, kind)| kind));
    assert_eq!(workloads[1].object["foo"][0], "bar");
    assert_eq!(
        (workloads[1].namespace.as_str(), workloads[1].name.as_str()),
        ("default", "w1")
    );
    let location = Location {
        file: "a.yaml".to_owned(),
        line: 6,
        column: 1,
    };
    assert_eq!(workloads[1].location, location);
}

#[test]
fn a_workload_may_be_nameless() {
    let text =
        "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n---\napiVersion: v1\nkind: Pod\n";
    assert_eq!(inventory(text).workloads.len(), 2);
}

#[test]
fn namespaces_and_service_accounts_are_found_by_name() {
    let text = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: web, empty: null}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: builder}
imagePullSecrets: [{name: x}]
";
    let inventory = inventory(text);
    assert_eq!(inventory.namespaces["shop"]["team"], "web");
    assert_eq!(inventory.namespaces["shop"]["empty"], "");
    let account = &inventory.service_accounts[&("default".to_owned(), "builder".to_owned())];
    assert_eq!(account["imagePullSecrets"][0]["name"], "x");
    assert_eq!(inventory.read["ServiceAccount"], 1);
}

#[test]
fn everything_is_sorted() {
    let object = |kind: &str, metadata: &str| {
        format!(
            "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {metadata}\nroleRef: {{kind: ClusterRole, name: x}}\n"
        )
    };
    let text = [
        object("RoleBinding", "{name: a, namespace: z}"),
        object("RoleBinding", "{name: b, namespace: a}"),
        object("RoleBinding", "{name: a, namespace: a}"),
        object("ClusterRoleBinding", "{name: z}"),
    ];
    let bindings = inventory(&text.join("---\n")).bindings;
    let order: Vec<(Option<&str>, &str)> = bindings
        .iter()
        .map(|it| (it.namespace.as_deref(), &*it.name))
        .collect();
    assert_eq!(
        order,
        [
            (None, "z"),
            (Some("a"), "a"),
            (Some("a"), "b"),
            (Some("z"), "a")
        ]
    );
}

#[test]
fn a_version_that_was_never_served_is_an_error() {
    assert_eq!(
        errors("apiVersion: policy/v1\nkind: PodSecurityPolicy"),
        [
            "2:7: there is no kind `PodSecurityPolicy` in the version `policy/v1`; the nearest is `policy/v1beta1`"
        ]
    );
    assert_eq!(
        errors("kind: PodSecurityPolicy"),
        ["1:7: PodSecurityPolicy has no `apiVersion`"]
    );
    assert_eq!(
        errors("apiVersion: rbac.authorization.k8s.io/v2\nkind: Role"),
        [
            "2:7: there is no kind `Role` in the version `rbac.authorization.k8s.io/v2`; the nearest is \
             `rbac.authorization.k8s.io/v1`"
        ]
    );
    assert_eq!(
        errors("kind: RoleBinding"),
        ["1:7: RoleBinding has no `apiVersion`"]
    );
}

#[test]
fn a_name_is_needed() {
    assert_eq!(
        errors("apiVersion: v1\nkind: Namespace"),
        [
            "2:7: Namespace is invalid: metadata.name: Required value: name or generateName is required"
        ]
    );
    assert_eq!(
        errors("apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {generateName: a-}"),
        [
            "2:7: PodSecurityPolicy is invalid: metadata.generateName: the API server would make up the name, so it cannot be \
         known here"
        ]
    );
    assert_eq!(
        errors("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: 1}"),
        [
            "3:18: ServiceAccount: metadata.name: cannot unmarshal number into a field of type string; put it in quotes to make \
         it one"
        ]
    );
}

#[test]
fn what_was_left_aside_and_may_hold_policies_is_named() {
    let text = "
{apiVersion: v1, kind: ConfigMap}
---
{apiVersion: v1, kind: Secret}
---
{apiVersion: v1, kind: ConfigMap}
---
{apiVersion: security.openshift.io/v1, kind: SecurityContextConstraints}
";
    let expected = "; of what was left aside, these may hold or stand for one: ConfigMap, SecurityContextConstraints";
    assert_eq!(inventory(text).where_policies_may_be(), expected);
    assert_eq!(
        inventory("{apiVersion: v1, kind: Secret}").where_policies_may_be(),
        ""
    );
}
