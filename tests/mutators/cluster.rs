//! Manifests of a cluster, and the mutators that are chosen for it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use psp2gatekeeper::access::{Access, parse_subject};
use psp2gatekeeper::input::{self, LoadOptions, Source};
use psp2gatekeeper::plan::{EnforcementAction, Namespaces, PlanOptions, plan};
use psp2gatekeeper::resolve;
use psp2gatekeeper::version::Version;

/// Manifests, put together.
#[derive(Default)]
pub(crate) struct Cluster(String);

impl Cluster {
    /// Adds a policy with these fields; it is as permissive as can be otherwise.
    pub(crate) fn policy(self, name: &str, fields: &[&str]) -> Self {
        self.policy_with(name, fields, "")
    }

    /// Adds a policy with annotations.
    pub(crate) fn policy_with(mut self, name: &str, fields: &[&str], annotations: &str) -> Self {
        let any = if fields.iter().any(|it| it.starts_with("fsGroup")) {
            ""
        } else {
            "fsGroup: {rule: RunAsAny}"
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
    pub(crate) fn binding(mut self, namespace: Option<&str>, role: &str, subject: &str) -> Self {
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

    /// Adds a workload in the namespace `shop` with these labels, of a name that tells nothing.
    pub(crate) fn workload(self, account: &str, labels: &str) -> Self {
        // Gatekeeper takes no dots in a pattern.
        let name = format!("w.{}", self.0.len());
        self.named(&name, account, labels)
    }

    /// The same with a name.
    pub(crate) fn named(self, name: &str, account: &str, labels: &str) -> Self {
        self.container(name, account, labels, "")
    }

    /// The same with more fields of its container; each label is of its selector.
    pub(crate) fn container(
        mut self,
        name: &str,
        account: &str,
        labels: &str,
        fields: &str,
    ) -> Self {
        write!(
            self.0,
            "---
apiVersion: apps/v1
kind: Deployment
metadata: {{namespace: shop, name: {name}}}
spec:
  selector: {{matchLabels: {{{labels}}}}}
  template:
    metadata: {{labels: {{{labels}}}}}
    spec: {{serviceAccountName: {account}, containers: [{{name: app, image: app{fields}}}]}}
"
        )
        .expect("a string takes everything");
        self
    }

    /// Adds a manifest.
    pub(crate) fn with(mut self, manifest: &str) -> Self {
        self.0.push_str(manifest);
        self
    }

    /// Checks the mutators: name, namespaces with labels, policies. The name of one for some pods or containers ends with `*`.
    #[track_caller]
    pub(crate) fn check(self, expected: &[(&str, &str, &str)]) {
        self.check_without(&[], expected);
    }

    /// The same where these subjects do not count.
    #[track_caller]
    pub(crate) fn check_without(self, bystanders: &[&str], expected: &[(&str, &str, &str)]) {
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
        let bystanders = bystanders.iter().map(|it| parse_subject(it));
        let bystanders: BTreeSet<_> = bystanders.collect::<Result<_, _>>().expect("subjects");
        let grants = resolve::grants(&inventory);
        let access = Access::new(&inventory, &grants, &bystanders);
        let bundle = plan(&inventory, &access, options);
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
                let spares_contexts = it.mutation.unless == Some("securityContext");
                let name = if it.pods.is_all() && !spares_contexts {
                    it.name.clone()
                } else {
                    let (name, _) = it.name.rsplit_once('-').expect("it has a fingerprint");
                    format!("{name}-*")
                };
                let labels = if it.pods.is_all() {
                    String::new()
                } else {
                    format!(" {}", it.pods)
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

pub(crate) fn group(name: &str) -> String {
    format!("{{kind: Group, name: '{name}'}}")
}

pub(crate) fn account(namespace: &str, name: &str) -> String {
    format!("{{kind: ServiceAccount, namespace: {namespace}, name: {name}}}")
}
