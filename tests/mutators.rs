//! Which defaults become mutators, and where: only those that are right for every pod that the mutator reaches.
#![expect(clippy::expect_used, reason = "tests may panic")]

use std::fmt::Write as _;

use psp2gatekeeper::input::{self, LoadOptions, Source};
use psp2gatekeeper::plan::{EnforcementAction, Namespaces, PlanOptions};
use psp2gatekeeper::version::Version;

mod support;

const FS_GROUP_5: &str = "fsGroup: {rule: MustRunAs, ranges: [{min: 5, max: 9}]}";
const FS_GROUP_6: &str = "fsGroup: {rule: MustRunAs, ranges: [{min: 6, max: 9}]}";
const ANY_FS_GROUP: &str = "fsGroup: {rule: RunAsAny}";
const READ_ONLY: &str = "readOnlyRootFilesystem: true";

/// Manifests, put together.
#[derive(Default)]
struct Cluster(String);

impl Cluster {
    /// Adds a policy with these fields; it is as permissive as can be otherwise.
    fn policy(self, name: &str, fields: &[&str]) -> Self {
        self.policy_with(name, fields, "")
    }

    /// Adds a policy with annotations.
    fn policy_with(mut self, name: &str, fields: &[&str], annotations: &str) -> Self {
        let any = if fields.iter().any(|it| it.starts_with("fsGroup")) {
            ""
        } else {
            ANY_FS_GROUP
        };
        let fields = fields.join("\n  ");
        write!(
            self.0,
            "---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  runAsUser: {{rule: RunAsAny}}
  seLinux: {{rule: RunAsAny}}
  supplementalGroups: {{rule: RunAsAny}}
  volumes: ['*']
  {any}
  {fields}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {name}}}
rules: [{{apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use], resourceNames: [{name}]}}]
"
        )
        .expect("a string takes everything");
        self
    }

    /// Binds the ClusterRole of this name to a subject, in a namespace or everywhere.
    fn binding(mut self, namespace: Option<&str>, role: &str, subject: &str) -> Self {
        let (kind, scope) = match namespace {
            Some(namespace) => ("RoleBinding", format!("namespace: {namespace}, ")),
            None => ("ClusterRoleBinding", String::new()),
        };
        let name = format!("b{}", self.0.len());
        write!(
            self.0,
            "---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata: {{{scope}name: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}
subjects: [{subject}]
"
        )
        .expect("a string takes everything");
        self
    }

    /// Adds a workload with these labels.
    fn workload(mut self, namespace: &str, account: &str, labels: &str) -> Self {
        let name = format!("w{}", self.0.len());
        write!(
            self.0,
            "---
apiVersion: apps/v1
kind: Deployment
metadata: {{namespace: {namespace}, name: {name}}}
spec:
  template:
    metadata: {{labels: {{{labels}}}}}
    spec: {{serviceAccountName: {account}, containers: [{{name: app, image: app}}]}}
"
        )
        .expect("a string takes everything");
        self
    }

    /// Checks the mutators: name, namespaces with labels, policies. The name of one for a label ends with `*`.
    #[track_caller]
    fn check(self, expected: &[(&str, &str, &str)]) {
        let source = Source {
            name: "cluster.yaml".to_owned(),
            text: self.0,
        };
        let options = LoadOptions {
            proc_mount_type: false,
        };
        let (inventory, _) = input::load(&[source], options).expect("the input is well-formed");
        let options = PlanOptions {
            enforcement_action: EnforcementAction::Deny,
            mutators: true,
            max_mutators: 100,
            gatekeeper: Version::new(3, 23),
            kubernetes: Version::new(1, 24),
            strict_app_armor: false,
        };
        let (bundle, _) = support::planned(&inventory, options);
        let actual: Vec<(String, String, String)> = bundle
            .mutators
            .iter()
            .map(|it| {
                let namespaces = match &it.namespaces {
                    Namespaces::Only(names) => names.iter().cloned().collect::<Vec<_>>().join(" "),
                    Namespaces::AllBut(names) => names
                        .iter()
                        .fold("all".to_owned(), |acc, it| format!("{acc} -{it}")),
                };
                let (name, labels) = if it.pods.is_all() {
                    (it.name.clone(), String::new())
                } else {
                    let (name, _) = it.name.rsplit_once('-').expect("it has a fingerprint");
                    (format!("{name}-*"), format!(" {}", it.pods))
                };
                (
                    name,
                    namespaces + &labels,
                    Vec::from_iter(it.policies.clone()).join(" "),
                )
            })
            .collect();
        let actual: Vec<_> = actual
            .iter()
            .map(|(name, namespaces, policies)| {
                (name.as_str(), namespaces.as_str(), policies.as_str())
            })
            .collect();
        assert_eq!(actual, expected);
    }
}

fn group(name: &str) -> String {
    format!("{{kind: Group, name: '{name}'}}")
}

fn account(namespace: &str, name: &str) -> String {
    format!("{{kind: ServiceAccount, namespace: {namespace}, name: {name}}}")
}

#[test]
fn a_default_for_everybody_is_one_mutator_for_all_namespaces_without_their_own_policies() {
    Cluster::default()
        .policy("restricted", &[FS_GROUP_5])
        .policy("privileged", &[])
        .binding(None, "restricted", &group("system:authenticated"))
        .binding(
            Some("kube-system"),
            "privileged",
            &group("system:serviceaccounts:kube-system"),
        )
        .check(&[("psp-fs-group-5", "all -kube-system", "restricted")]);
}

#[test]
fn namespaces_that_want_the_same_share_a_mutator() {
    Cluster::default()
        .policy("a", &[FS_GROUP_5])
        .policy("b", &[FS_GROUP_5, "hostNetwork: true"])
        .policy("c", &[FS_GROUP_6])
        .binding(Some("one"), "a", &group("system:serviceaccounts:one"))
        .binding(Some("two"), "b", &group("system:serviceaccounts:two"))
        .binding(Some("three"), "c", &group("system:serviceaccounts:three"))
        .check(&[
            ("psp-fs-group-5", "one two", "a b"),
            ("psp-fs-group-6", "three", "c"),
        ]);
}

#[test]
fn service_accounts_that_want_different_things_get_nothing() {
    Cluster::default()
        .policy("a", &[FS_GROUP_5])
        .policy("b", &[FS_GROUP_6])
        .binding(Some("shop"), "a", &account("shop", "web"))
        .binding(Some("shop"), "b", &account("shop", "agent"))
        .check(&[]);
}

#[test]
fn what_service_accounts_share_is_filled_in_though_they_differ_otherwise() {
    Cluster::default()
        .policy("a", &[FS_GROUP_5, READ_ONLY])
        .policy("b", &[FS_GROUP_5])
        .binding(Some("shop"), "a", &account("shop", "web"))
        .binding(Some("shop"), "b", &account("shop", "agent"))
        .check(&[("psp-fs-group-5", "shop", "a b")]);
}

/// Two service accounts that want different things.
fn differing() -> Cluster {
    Cluster::default()
        .policy("a", &[FS_GROUP_5])
        .policy("b", &[FS_GROUP_6])
        .binding(Some("shop"), "a", &account("shop", "web"))
        .binding(Some("shop"), "b", &account("shop", "agent"))
}

#[test]
fn a_label_stands_for_service_accounts_whose_workloads_share_it() {
    differing()
        .workload("shop", "web", "app: web, tier: front")
        .workload("shop", "web", "app: api, tier: front")
        .workload("shop", "agent", "app: agent")
        .check(&[
            ("psp-groups-*", "shop app=agent", "b"),
            ("psp-groups-*", "shop tier=front", "a"),
        ]);
}

#[test]
fn a_label_that_workloads_of_others_have_too_stands_for_nobody() {
    differing()
        .workload("shop", "web", "app: web, part-of: shop")
        .workload("shop", "web", "app: api, part-of: shop")
        .workload("shop", "other", "app: api, part-of: shop")
        .check(&[]);
}

#[test]
fn every_workload_must_have_the_label() {
    differing()
        .workload("shop", "web", "app: web")
        .workload("shop", "web", "")
        .check(&[]);
}

#[test]
fn different_service_accounts_that_want_the_same_share_a_mutator() {
    Cluster::default()
        .policy("a", &[FS_GROUP_5])
        .policy("b", &[FS_GROUP_5, "hostNetwork: true"])
        .policy("c", &[])
        .binding(Some("shop"), "a", &account("shop", "web"))
        .binding(Some("shop"), "b", &account("shop", "agent"))
        .binding(Some("shop"), "c", &account("shop", "cron"))
        .workload("shop", "web", "app: web")
        .workload("shop", "agent", "app: agent")
        .workload("shop", "cron", "app: cron")
        .check(&[("psp-groups-*", "shop app in (agent,web)", "a b")]);
}

#[test]
fn a_label_stands_for_nobody_where_all_may_use_a_policy_that_fills_in_nothing() {
    differing()
        .policy("open", &[])
        .binding(Some("shop"), "open", &group("system:serviceaccounts:shop"))
        .workload("shop", "web", "app: web")
        .check(&[]);
}

#[test]
fn who_may_use_a_policy_that_fills_in_nothing_gets_nothing() {
    Cluster::default()
        .policy("a", &[FS_GROUP_5])
        .policy("b", &[])
        .binding(Some("shop"), "a", &group("system:serviceaccounts:shop"))
        .binding(Some("shop"), "b", "{kind: User, name: bob}")
        .check(&[]);
}

#[test]
fn the_first_policy_by_name_must_not_fill_in_more_than_a_later_one() {
    let cluster = |first: &[&str], second: &[&str]| {
        Cluster::default()
            .policy("a", first)
            .policy("b", second)
            .binding(Some("shop"), "a", &group("system:serviceaccounts:shop"))
            .binding(Some("shop"), "b", &group("system:serviceaccounts:shop"))
    };
    cluster(&[FS_GROUP_5, READ_ONLY], &[FS_GROUP_5]).check(&[]);
    cluster(&[FS_GROUP_5], &[FS_GROUP_5, READ_ONLY]).check(&[("psp-fs-group-5", "shop", "a b")]);
    let drops = |names: &str| format!("requiredDropCapabilities: [{names}]");
    let [one, two] = [drops("KILL"), drops("KILL, CHOWN")];
    cluster(&[FS_GROUP_5, &two], &[FS_GROUP_5, &one]).check(&[]);
    cluster(&[FS_GROUP_5, &one], &[FS_GROUP_5, &two]).check(&[("psp-fs-group-5", "shop", "a b")]);
}

#[test]
fn administrators_keep_nobody_from_defaults() {
    Cluster::default()
        .policy("restricted", &[FS_GROUP_5])
        .policy("privileged", &[])
        .binding(None, "restricted", &group("system:authenticated"))
        .binding(None, "cluster-admin", "{kind: User, name: alice}")
        .check(&[("psp-fs-group-5", "all", "restricted")]);
}

#[test]
fn an_administrator_that_pods_run_as_does() {
    Cluster::default()
        .policy("restricted", &[FS_GROUP_5])
        .policy("privileged", &[])
        .binding(None, "restricted", &group("system:authenticated"))
        .binding(None, "cluster-admin", &account("ci", "deployer"))
        .check(&[("psp-fs-group-5", "all -ci", "restricted")]);
}

const CREATES_PODS: &str = "---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: creates-pods}
rules: [{apiGroups: [''], resources: [pods], verbs: [create]}]
";

#[test]
fn a_service_account_of_another_namespace_counts_where_it_creates_pods() {
    let cluster = || {
        let mut res = Cluster::default()
            .policy("restricted", &[FS_GROUP_5])
            .policy("privileged", &[])
            .binding(None, "restricted", &group("system:authenticated"))
            .binding(None, "privileged", &account("monitoring", "agent"));
        res.0.push_str(CREATES_PODS);
        res
    };
    cluster().check(&[("psp-fs-group-5", "all -monitoring", "restricted")]);
    cluster()
        .binding(
            Some("shop"),
            "creates-pods",
            &account("monitoring", "agent"),
        )
        .binding(Some("shop"), "restricted", &account("shop", "web"))
        .check(&[("psp-fs-group-5", "all -monitoring -shop", "restricted")]);
    cluster()
        .binding(None, "creates-pods", &account("monitoring", "agent"))
        .check(&[]);
}

#[test]
fn a_controller_may_always_be_who_creates_a_pod() {
    let cluster = |subject: &str| {
        Cluster::default()
            .policy("restricted", &[FS_GROUP_5])
            .policy("privileged", &[])
            .binding(None, "restricted", &group("system:authenticated"))
            .binding(None, "privileged", subject)
    };
    cluster(&account("kube-system", "daemon-set-controller")).check(&[]);
    cluster(&group("system:serviceaccounts:kube-system")).check(&[]);
    // What else runs beside the controllers is as any other.
    let others = [("psp-fs-group-5", "all -kube-system", "restricted")];
    cluster(&account("kube-system", "flannel")).check(&others);
    cluster(&account("apps", "daemon-set-controller")).check(&[(
        "psp-fs-group-5",
        "all -apps",
        "restricted",
    )]);
}

#[test]
fn a_profile_that_makes_another_policy_accept_what_it_refused_is_not_filled_in() {
    let allowed = "seccomp.security.alpha.kubernetes.io/allowedProfileNames: runtime/default";
    let default = "seccomp.security.alpha.kubernetes.io/defaultProfileName: runtime/default";
    let cluster = || {
        Cluster::default()
            .policy_with("a", &[], &format!("{allowed}, {default}"))
            .binding(None, "a", &group("system:authenticated"))
    };
    cluster().check(&[("psp-seccomp-profile-runtime-default", "all", "a")]);
    // It demands a profile, and fills in none: administrators, who may use it, would have had to name one.
    cluster().policy_with("b", &[], allowed).check(&[]);
}
