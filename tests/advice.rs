//! What is advised, written by hand for a small cluster.
#![expect(clippy::expect_used, reason = "tests may panic")]

use psp2gatekeeper::advice::{Advice, Reason, advice};
use psp2gatekeeper::input::{LoadOptions, Source, load};
use psp2gatekeeper::plan::{EnforcementAction, PlanOptions};
use psp2gatekeeper::resolve;
use psp2gatekeeper::standards::Level;
use psp2gatekeeper::version::Version;

mod support;

/// A policy with these fields beside those that it must have.
fn policy(name: &str, fields: &str) -> String {
    let user = if fields.contains("runAsUser") {
        ""
    } else {
        "runAsUser: {rule: RunAsAny},"
    };
    format!(
        "---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {{name: {name}, annotations: {{seccomp.security.alpha.kubernetes.io/allowedProfileNames: '*'}}}}
spec: {{{user} seLinux: {{rule: RunAsAny}}, supplementalGroups: {{rule: RunAsAny}}, fsGroup: {{rule: RunAsAny}}, {fields}}}
"
    )
}

/// Lets every service account of a namespace use policies.
fn grant(namespace: &str, policies: &str) -> String {
    format!(
        "---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {{namespace: {namespace}, name: psp}}
rules: [{{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [{policies}], verbs: [use]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{namespace: {namespace}, name: psp}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: psp}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:serviceaccounts:{namespace}'}}]
"
    )
}

fn pod(namespace: &str, name: &str, spec: &str, security_context: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Pod
metadata: {{namespace: {namespace}, name: {name}}}
spec: {{{spec} automountServiceAccountToken: false, containers: [{{name: c, image: c, securityContext: {security_context}}}]}}
"
    )
}

const HARDENED: &str = "{allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}";

fn advised(objects: &[String]) -> Advice {
    let source = Source {
        name: "input.yaml".to_owned(),
        text: objects.concat(),
    };
    let options = LoadOptions {
        proc_mount_type: false,
    };
    let (inventory, _) = load(&[source], options).expect("it is well-formed");
    let grants = resolve::grants(&inventory);
    let options = PlanOptions {
        enforcement_action: EnforcementAction::Deny,
        mutators: false,
        max_mutators: 100,
        gatekeeper: Version::new(3, 23),
        kubernetes: Version::new(1, 24),
        strict_app_armor: false,
    };
    let (bundle, _) = support::planned(&inventory, options);
    let mut diagnostics = resolve::diagnostics(&inventory, &grants);
    diagnostics.extend(bundle.diagnostics.iter().cloned());
    advice(&inventory, &bundle, &diagnostics)
}

#[test]
fn a_policy_that_is_not_needed_is_named_with_the_reason() {
    let advice = advised(&[
        policy("a", "volumes: ['*']"),
        policy("copy-of-a", "volumes: ['*']"),
        policy("narrow", "volumes: [secret]"),
        policy("nobodys", "privileged: true"),
        policy("other", "volumes: [nfs], hostPID: true"),
        grant("shop", "a, copy-of-a, narrow, other"),
        pod("shop", "web", "", "{}"),
    ]);
    let needless: Vec<(Reason, Vec<&str>)> = advice
        .needless
        .iter()
        .map(|it| (it.reason, it.policies.iter().map(String::as_str).collect()))
        .collect();
    let expected = [
        (Reason::NobodyUses, vec!["nobodys"]),
        (Reason::EqualToAnother, vec!["copy-of-a"]),
        (Reason::NeverDecides, vec!["narrow"]),
        (Reason::AdmitsNoPod, vec!["other"]),
    ];
    assert_eq!(needless, expected);
}

#[test]
fn without_workloads_no_policy_is_said_to_admit_none() {
    let advice = advised(&[policy("a", "volumes: ['*']"), grant("shop", "a")]);
    assert!(advice.is_empty(), "{advice:?}");
}

/// The fields of the advice and what would be enough.
fn wider(fields: &str, pods: &[String]) -> Vec<(String, String)> {
    let advice = advised(&[policy("a", fields), grant("shop", "a"), pods.concat()]);
    assert_eq!(advice.pods, pods.len(), "each is admitted");
    advice
        .wider
        .into_iter()
        .map(|it| (it.field.to_owned(), it.enough))
        .collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs
        .map(|(field, enough)| (field.to_owned(), enough.to_owned()))
        .to_vec()
}

#[test]
fn a_field_is_wider_where_every_pod_passes_without() {
    let fields = "privileged: true, hostNetwork: true, hostPorts: [{min: 1, max: 9000}], volumes: ['*'], allowedCapabilities: [CHOWN, KILL]";
    let pods = [
        pod(
            "shop",
            "one",
            "volumes: [{name: v, emptyDir: {}}],",
            "{capabilities: {add: [KILL]}}",
        ),
        pod("shop", "two", "hostNetwork: true,", "{runAsUser: 0}"),
    ];
    let expected = pairs([
        ("spec.allowedCapabilities", "KILL"),
        ("spec.hostPorts", "none"),
        ("spec.privileged", "false"),
        ("spec.volumes", "emptyDir"),
    ]);
    assert_eq!(wider(fields, &pods), expected);
}

#[test]
fn what_one_pod_needs_is_not_wider() {
    let fields = "privileged: true, hostPID: true, volumes: [emptyDir]";
    let pods = [
        pod(
            "shop",
            "one",
            "volumes: [{name: v, emptyDir: {}}],",
            HARDENED,
        ),
        pod("shop", "two", "hostPID: true,", "{privileged: true}"),
    ];
    assert_eq!(wider(fields, &pods), pairs([]));
    // The first alone needs neither, nor root, nor to gain privileges.
    let expected = pairs([
        ("spec.allowPrivilegeEscalation", "false"),
        ("spec.hostPID", "false"),
        ("spec.privileged", "false"),
        ("spec.runAsUser", "MustRunAsNonRoot"),
    ]);
    assert_eq!(wider(fields, &pods[..1]), expected);
}

#[test]
fn a_namespace_is_told_the_strictest_standard_that_would_do() {
    let advice = advised(&[
        policy("wide", "privileged: true, hostPID: true, volumes: ['*']"),
        policy(
            "tight",
            "allowPrivilegeEscalation: false, requiredDropCapabilities: [ALL], volumes: [secret], runAsUser: {rule: MustRunAsNonRoot}",
        ),
        grant("a", "tight"),
        grant("b", "wide"),
        grant("c", "wide"),
        pod("a", "one", "", HARDENED),
        pod("b", "one", "", HARDENED),
        pod("b", "two", "", "{runAsUser: 1}"),
        pod("c", "one", "", "{privileged: true}"),
        pod("c", "two", "hostPID: true,", "{privileged: true}"),
    ]);
    let [a, b, c] = advice.standards.as_slice() else {
        panic!("{advice:?}");
    };
    assert_eq!(
        (a.namespace.as_str(), a.enough, a.pods),
        ("a", Some(Level::Restricted), 1)
    );
    assert!(
        a.stricter_forbids.is_empty() && a.policies_allow_more.is_empty(),
        "{a:?}"
    );

    assert_eq!((b.enough, b.pods), (Some(Level::Baseline), 2));
    assert_eq!(
        b.policies_allow_more["wide"],
        ["privileged", "hostPID", "volumes"]
    );
    let escalation = b.stricter_forbids.first().expect("there is something");
    assert!(
        escalation.check.starts_with("allowPrivilegeEscalation"),
        "{escalation:?}"
    );
    assert_eq!(
        (escalation.pods, escalation.first.as_str()),
        (1, "Pod b/two")
    );

    assert_eq!(c.enough, None);
    let forbidden: Vec<(&str, usize)> = c
        .stricter_forbids
        .iter()
        .map(|it| (it.check, it.pods))
        .collect();
    assert_eq!(
        forbidden,
        [("hostNetwork, hostPID, hostIPC", 1), ("privileged", 2)]
    );
    assert!(c.policies_allow_more.is_empty());
}
