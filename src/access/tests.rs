use std::collections::BTreeSet;

use super::{Access, Identity, parse_subject};
use crate::api::workload::REPLICA_SET_CONTROLLER;
use crate::input::{self, Inventory, LoadOptions, Source};
use crate::rbac::SubjectKey;
use crate::resolve;

fn inventory(text: &str) -> Inventory {
    let source = Source {
        name: "cluster.yaml".to_owned(),
        text: text.to_owned(),
    };
    let options = LoadOptions {
        proc_mount_type: false,
    };
    input::load(&[source], options).unwrap().0
}

/// A policy that everything is left to.
fn policy(name: &str) -> String {
    format!(
        "---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {{name: {name}}}
spec:
  runAsUser: {{rule: RunAsAny}}
  seLinux: {{rule: RunAsAny}}
  supplementalGroups: {{rule: RunAsAny}}
  fsGroup: {{rule: RunAsAny}}
"
    )
}

/// Binds a role with this rule in the namespace `shop`.
fn bound(name: &str, rule: &str, subject: &str) -> String {
    format!(
        "---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{namespace: shop, name: {name}}}
rules: [{{{rule}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{namespace: shop, name: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}
subjects: [{subject}]
"
    )
}

fn using(name: &str, subject: &str) -> String {
    let rule = format!(
        "apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use], resourceNames: [{name}]"
    );
    bound(name, &rule, subject)
}

fn subject(text: &str) -> SubjectKey {
    parse_subject(text).unwrap()
}

#[test]
fn a_pod_can_have_what_its_account_and_its_requester_can_use_in_its_namespace() {
    let text = [
        policy("b"),
        policy("a"),
        policy("c"),
        using("b", "{kind: ServiceAccount, name: web}"),
        using("a", "{kind: ServiceAccount, namespace: ci, name: deployer}"),
        using("c", "{kind: User, name: alice}"),
    ];
    let inventory = inventory(&text.concat());
    let grants = resolve::grants(&inventory);
    let usable = |bystanders: &[&str], identity: &Identity, namespace: &str| -> Vec<String> {
        let bystanders: BTreeSet<_> = bystanders.iter().map(|it| subject(it)).collect();
        let access = Access::new(&inventory, &grants, &bystanders);
        let counting = access.usable_without_bystanders(identity, namespace);
        // They do not count, and yet they can use it.
        assert!(access.usable(identity, namespace).len() >= counting.len());
        counting.iter().map(|it| it.name.clone()).collect()
    };
    let deployer = subject("ServiceAccount ci/deployer");
    let by_deployer = Identity::by_service_account(&deployer, "web").unwrap();
    assert_eq!(usable(&[], &by_deployer, "shop"), ["a", "b"]);
    assert_eq!(usable(&[], &by_deployer, "other"), [""; 0]);
    let bystander = ["ServiceAccount ci/deployer"];
    assert_eq!(usable(&bystander, &by_deployer, "shop"), ["b"]);
    let by_controller = Identity::by_controller(REPLICA_SET_CONTROLLER, "web");
    assert_eq!(usable(&[], &by_controller, "shop"), ["b"]);
}

#[test]
fn who_can_create_pods_needs_the_right_without_names() {
    let rule = |more: &str| format!("apiGroups: [''], resources: [pods], verbs: [create]{more}");
    let text = [
        bound("any", &rule(""), "{kind: ServiceAccount, name: any}"),
        bound(
            "named",
            &rule(", resourceNames: [web]"),
            "{kind: ServiceAccount, name: named}",
        ),
    ];
    let inventory = inventory(&text.concat());
    let (grants, nobody) = (resolve::grants(&inventory), BTreeSet::new());
    let access = Access::new(&inventory, &grants, &nobody);
    let can_create = |text: &str, namespace| {
        let creators = access.creators();
        creators.can_create(&subject(text), namespace)
    };
    assert!(can_create("ServiceAccount shop/any", Some("shop")));
    assert!(!can_create("ServiceAccount shop/any", Some("other")));
    assert!(!can_create("ServiceAccount shop/named", Some("shop")));
    // A group can as far as one of its service accounts can.
    assert!(can_create(
        "Group system:serviceaccounts:shop",
        Some("shop")
    ));
    // A controller always can.
    let controller = format!("ServiceAccount kube-system/{REPLICA_SET_CONTROLLER}");
    assert!(can_create(&controller, None));
    assert!(!can_create("ServiceAccount kube-system/flannel", None));
}

#[test]
fn a_subject_stands_for_pods_of_its_own_namespace_first() {
    let web = subject("ServiceAccount shop/web");
    let own = Identity::of(&web, "shop");
    assert_eq!(own.service_account, "web");
    assert!(own.is_of_controller() && own.is_of(&web, "shop"));
    let elsewhere = Identity::of(&web, "other");
    assert_eq!(elsewhere.service_account, "default");
    assert_eq!(
        elsewhere.requester.username,
        "system:serviceaccount:shop:web"
    );
}

#[test]
fn a_node_creates_pods_without_a_service_account() {
    let nodes = subject("Group system:nodes");
    let all = Identity::all_of(&nodes, "shop");
    let kubelet = all.iter().find(|it| it.service_account.is_empty());
    let kubelet = kubelet.unwrap();
    assert!(kubelet.requester.username.starts_with("system:node:"));
    assert_eq!(kubelet.account("shop"), None);
    let developers = Identity::all_of(&subject("Group developers"), "shop");
    assert!(developers.iter().all(|it| !it.service_account.is_empty()));
}
