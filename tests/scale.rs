//! Many tenants become few objects, and each is judged by its own values.
#![expect(clippy::expect_used, reason = "tests may panic")]

use std::collections::BTreeSet;

use psp2gatekeeper::admission::{AdmissionRequest, Operation, UserInfo};
use psp2gatekeeper::api::core::Pod;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::{self, Inventory, LoadOptions, Source};
use psp2gatekeeper::loss::{Direction, Loss};
use psp2gatekeeper::manifest::Manifest;
use psp2gatekeeper::plan::{Bundle, EnforcementAction, PlanOptions};
use psp2gatekeeper::psp::PspAdmission;
use psp2gatekeeper::render::{environment, render};
use psp2gatekeeper::review::review;
use psp2gatekeeper::version::Version;
use serde_json::{Value, json};

mod support;

#[expect(dead_code, reason = "the benchmarks take the rest")]
#[path = "../benches/tenants.rs"]
mod tenants;

const OPTIONS: PlanOptions = PlanOptions {
    enforcement_action: EnforcementAction::Deny,
    mutators: true,
    max_mutators: 100,
    gatekeeper: Version::new(3, 23),
    kubernetes: Version::new(1, 24),
    strict_app_armor: false,
};

fn load(text: String) -> Inventory {
    let source = Source {
        name: "cluster.yaml".to_owned(),
        text,
    };
    let options = LoadOptions {
        proc_mount_type: false,
    };
    let (inventory, _) = input::load(&[source], options).expect("the input is well-formed");
    inventory
}

fn migrated(inventory: &Inventory, options: PlanOptions) -> (Bundle, Vec<Manifest>, Vec<Loss>) {
    let (bundle, losses) = support::planned(inventory, options);
    let environment = environment().expect("the templates are well-formed");
    let manifests = render(&bundle, &environment).expect("it renders");
    (bundle, manifests, losses)
}

fn lines(manifests: &[Manifest]) -> BTreeSet<(String, String)> {
    let each = |it: &Manifest| {
        let path = it.path();
        let lines = it.text.lines().map(str::to_owned);
        lines.map(|line| (path.clone(), line)).collect::<Vec<_>>()
    };
    manifests.iter().flat_map(each).collect()
}

#[test]
fn one_more_tenant_is_a_few_more_lines_and_no_object() {
    let [before, after] = [200, 201].map(|it| {
        let inventory = load(tenants::cluster(it));
        migrated(&inventory, OPTIONS)
    });
    assert_eq!(before.1.len(), after.1.len());
    assert_eq!(before.2.len(), after.2.len());
    let [old, new] = [&before.1, &after.1].map(|it| lines(it));
    let removed: Vec<_> = old.difference(&new).collect();
    // How many there are is told in comments.
    assert!(
        removed.iter().all(|(_, line)| line.trim().starts_with('#')),
        "{removed:#?}"
    );
    let added: Vec<_> = new.difference(&old).collect();
    let is_own = |line: &str| line.contains("tenant-00200") || line.trim().starts_with('#');
    assert!(added.iter().all(|(_, line)| is_own(line)), "{added:#?}");
    let size = |it: &[Manifest]| it.iter().map(|it| it.text.len()).max().unwrap_or_default();
    let per_tenant = size(&after.1) - size(&before.1);
    assert!(size(&before.1) + 3_300 * per_tenant < 1 << 20);
}

#[test]
fn too_many_values_get_no_mutator_and_are_one_loss() {
    let inventory = load(tenants::cluster(120));
    let (bundle, _, losses) = migrated(&inventory, OPTIONS);
    let fields: BTreeSet<_> = bundle.mutators.iter().map(|it| it.field).collect();
    assert!(!fields.contains("spec.runAsUser"), "{fields:?}");
    assert!(
        fields.contains("spec.requiredDropCapabilities"),
        "{fields:?}"
    );
    let told = bundle.diagnostics.iter();
    let told: Vec<_> = told.filter(|it| it.code == "too-many-mutators").collect();
    assert_eq!(told.len(), 3, "{told:?}");
    let losses: Vec<_> = losses
        .iter()
        .filter(|it| it.name() == "run-as-user/default-not-set")
        .collect();
    let [loss] = losses.as_slice() else {
        panic!("{losses:?}");
    };
    assert_eq!(loss.direction(), Direction::Stricter);
    assert_eq!(loss.namespaces.len(), 120);
    assert!(loss.is_about("tenant-00000") && loss.is_about("tenant-00119"));
    assert!(!loss.is_about("system"));

    let enough = PlanOptions {
        max_mutators: 120,
        ..OPTIONS
    };
    let (bundle, _, losses) = migrated(&inventory, enough);
    let of_users = bundle
        .mutators
        .iter()
        .filter(|it| it.field == "spec.runAsUser");
    assert_eq!(of_users.count(), 120);
    let not_set = |it: &str| it == "run-as-user/default-not-set";
    assert!(!losses.iter().any(|it| not_set(&it.name())));
}

/// What a pod has, below `spec`, that fits the policy of a number.
type Fits = fn(usize) -> Value;

/// What each policy of [`differing`] has of its own: a field, and what a pod has that fits the policy of a number.
const OWN: &[(&str, Fits)] = &[
    (
        "allowedHostPaths",
        |it| json!({ "volumes": [{ "name": "data", "hostPath": { "path": format!("/data/{it}") } }] }),
    ),
    (
        "fsGroup",
        |it| json!({ "securityContext": { "fsGroup": 1_000 + it } }),
    ),
    (
        "hostPorts",
        |it| json!({ "containers": [{ "ports": [{ "containerPort": 2_000 + it, "hostPort": 2_000 + it }] }] }),
    ),
    (
        "runAsGroup",
        |it| json!({ "securityContext": { "runAsGroup": 3_000 + it } }),
    ),
    (
        "runAsUser",
        |it| json!({ "securityContext": { "runAsUser": 4_000 + it } }),
    ),
    (
        "seLinux",
        |it| json!({ "securityContext": { "seLinuxOptions": { "level": format!("s0:c{it}") } } }),
    ),
    (
        "supplementalGroups",
        |it| json!({ "securityContext": { "supplementalGroups": [5_000 + it] } }),
    ),
];

/// How many policies; with their grants they are too many for parameters.
const POLICIES: usize = 120;

/// Policies that differ in everything in which they can, each for the user of its number, and all for `operator`.
fn differing() -> Inventory {
    let mut res = String::new();
    let mut add = |object: Value| res.extend(["---\n", &object.to_string(), "\n"]);
    let rbac = "rbac.authorization.k8s.io";
    for it in 0..POLICIES {
        let name = format!("policy-{it}");
        let only = |base: usize| json!({ "rule": "MustRunAs", "ranges": [{ "min": base + it, "max": base + it }] });
        add(json!({
            "apiVersion": "policy/v1beta1",
            "kind": "PodSecurityPolicy",
            "metadata": { "name": name },
            "spec": {
                "volumes": ["hostPath"],
                "allowedHostPaths": [{ "pathPrefix": format!("/data/{it}") }],
                "hostPorts": [{ "min": 2_000 + it, "max": 2_000 + it }],
                "fsGroup": only(1_000),
                "runAsGroup": only(3_000),
                "runAsUser": only(4_000),
                "seLinux": { "rule": "MustRunAs", "seLinuxOptions": { "level": format!("s0:c{it}") } },
                "supplementalGroups": only(5_000),
            },
        }));
        let rule = |names: &[&str]| json!({ "apiGroups": ["policy"], "resources": ["podsecuritypolicies"], "resourceNames": names, "verbs": ["use"] });
        for (role, names, user) in [
            (name.clone(), vec![name.as_str()], format!("user-{it}")),
            ("all".to_owned(), vec![], "operator".to_owned()),
        ] {
            if role == "all" && it > 0 {
                continue;
            }
            add(json!({
                "apiVersion": format!("{rbac}/v1"),
                "kind": "ClusterRole",
                "metadata": { "name": role },
                "rules": [rule(&names)],
            }));
            add(json!({
                "apiVersion": format!("{rbac}/v1"),
                "kind": "ClusterRoleBinding",
                "metadata": { "name": role },
                "roleRef": { "apiGroup": rbac, "kind": "ClusterRole", "name": role },
                "subjects": [{ "kind": "User", "apiGroup": rbac, "name": user }],
            }));
        }
    }
    load(res)
}

/// A pod that fits the policy of a number, but for one field, in which it fits another.
fn pod(number: usize, but: Option<(&str, usize)>) -> Pod {
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "containers": [{ "name": "app", "image": "registry.example/app:1" }],
    });
    for (field, fits) in OWN {
        let other = but.filter(|(name, _)| name == field).map(|(_, it)| it);
        merge(&mut spec, fits(other.unwrap_or(number)));
    }
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "app", "namespace": "default" },
        "spec": spec,
    });
    Pod(pod.as_object().expect("it is an object").clone())
}

fn merge(value: &mut Value, more: Value) {
    match (value, more) {
        (Value::Object(members), Value::Object(more)) => {
            for (key, it) in more {
                merge(members.entry(key).or_insert(Value::Null), it);
            }
        }
        (Value::Array(items), Value::Array(more)) if !items.is_empty() => {
            for (item, it) in items.iter_mut().zip(more) {
                merge(item, it);
            }
        }
        (value, more) => *value = more,
    }
}

#[test]
fn policies_of_a_family_are_told_apart_in_every_field() {
    let inventory = differing();
    let options = PlanOptions {
        mutators: false,
        ..OPTIONS
    };
    let (bundle, manifests, _) = migrated(&inventory, options);
    let tables = bundle.tables.expect("there are enough of them");
    let [family] = tables.families.as_slice() else {
        panic!("{:?}", tables.families);
    };
    let own: Vec<&str> = family.own.keys().copied().collect();
    assert_eq!(own, OWN.iter().map(|(field, _)| *field).collect::<Vec<_>>());

    let psp = PspAdmission::new(&inventory);
    let gatekeeper =
        GatekeeperAdmission::from_manifests(&manifests, &inventory.namespaces).expect("it loads");
    let admitted = |user: &str, pod: Pod| {
        let request = AdmissionRequest {
            uid: String::new(),
            namespace: "default".to_owned(),
            operation: Operation::Create,
            subresource: String::new(),
            user_info: UserInfo {
                username: user.to_owned(),
                groups: vec!["system:authenticated".to_owned()],
            },
            pod,
            old_pod: None,
        };
        let review = review(&psp, &gatekeeper, request).expect("it can be answered");
        assert_eq!(review.psp.allowed, review.gatekeeper.allowed, "{review:#?}");
        review.gatekeeper.allowed
    };
    assert!(admitted("user-7", pod(7, None)));
    assert!(!admitted("user-7", pod(8, None)));
    // The last of all, by name.
    for number in [0, 99] {
        assert!(admitted("operator", pod(number, None)));
    }
    for (field, _) in OWN {
        for user in ["user-7", "operator"] {
            assert!(!admitted(user, pod(7, Some((field, 8)))), "{user}: {field}");
        }
    }
}
