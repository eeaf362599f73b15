use serde_json::{Value, json};

use super::*;
use crate::admission::UserInfo;
use crate::api::policy::{PodSecurityPolicySpec, RunAsUserStrategy};
use crate::api::rbac::{Binding, PolicyRule, Role, RoleRef, Subject};
use crate::controls::testing::{owned, pod, policy, ranges};

const NS: &str = "shop";

fn named(name: &str, change: impl FnOnce(&mut PodSecurityPolicySpec)) -> PodSecurityPolicy {
    PodSecurityPolicy {
        name: name.to_owned(),
        ..policy(change)
    }
}

/// A policy that accepts every pod as it is.
fn permissive(name: &str) -> PodSecurityPolicy {
    named(name, |_| {})
}

/// A policy that accepts a pod without users after giving it one.
fn mutating(name: &str, user: i64) -> PodSecurityPolicy {
    named(name, |it| {
        it.run_as_user = RunAsUserStrategy::MustRunAs(ranges(&[(user, user)]));
    })
}

/// A policy that refuses pods in the host's network.
fn without_host_network(name: &str) -> PodSecurityPolicy {
    named(name, |it| it.host_network = false)
}

/// Policies of which these may be used by these subjects.
fn inventory(mut policies: Vec<PodSecurityPolicy>, usable: &[(Subject, &[&str])]) -> Inventory {
    policies.sort_by(|left, right| left.name.cmp(&right.name));
    let roles = usable.iter().enumerate().map(|(index, (_, names))| Role {
        namespace: Some(NS.to_owned()),
        name: index.to_string(),
        labels: BTreeMap::new(),
        rules: vec![PolicyRule {
            api_groups: Some(owned(&["policy"])),
            resources: Some(owned(&["podsecuritypolicies"])),
            resource_names: Some(owned(names)),
            verbs: owned(&["use"]),
            ..PolicyRule::default()
        }],
        aggregation: Vec::new(),
    });
    let bindings = usable.iter().enumerate().map(|(index, (it, _))| Binding {
        namespace: Some(NS.to_owned()),
        name: index.to_string(),
        role_ref: RoleRef {
            kind: "Role".to_owned(),
            name: index.to_string(),
            ..RoleRef::default()
        },
        subjects: vec![it.clone()],
    });
    Inventory {
        policies,
        roles: roles.collect(),
        bindings: bindings.collect(),
        ..Inventory::default()
    }
}

fn web() -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: "web".to_owned(),
        ..Subject::default()
    }
}

fn alice() -> Subject {
    Subject {
        kind: "User".to_owned(),
        name: "alice".to_owned(),
        ..Subject::default()
    }
}

fn plain_pod() -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": {
            "serviceAccountName": "web",
            "securityContext": {},
            "containers": [{ "name": "app" }],
        },
    })
}

fn host_network_pod() -> Value {
    let mut pod = plain_pod();
    pod["spec"]["hostNetwork"] = json!(true);
    pod
}

fn create(pod: Value) -> AdmissionRequest {
    AdmissionRequest {
        namespace: NS.to_owned(),
        operation: Operation::Create,
        user_info: UserInfo {
            username: "alice".to_owned(),
            groups: Vec::new(),
        },
        pod: self::pod(pod),
        ..AdmissionRequest::default()
    }
}

fn update(old_pod: Value, new_pod: Value) -> AdmissionRequest {
    AdmissionRequest {
        operation: Operation::Update,
        old_pod: Some(pod(old_pod)),
        ..create(new_pod)
    }
}

fn labelled(mut pod: Value) -> Value {
    pod["metadata"]["labels"] = json!({ "changed": "yes" });
    pod
}

fn accepted(policy: &str) -> Phase {
    Phase::Accepted {
        policy: policy.to_owned(),
    }
}

fn refusal(verb: &str, errors: &str) -> String {
    format!("pods \"web\" is forbidden: PodSecurityPolicy: unable to {verb} pod: [{errors}]")
}

const HOST_NETWORK: &str = "spec.securityContext.hostNetwork: \
    Invalid value: true: Host network is not allowed to be used";

#[test]
fn without_policies_everything_is_refused() {
    let inventory = inventory(vec![], &[]);
    let review = PspAdmission::new(&inventory).review(&create(plain_pod()));
    let message = "pods \"web\" is forbidden: \
        PodSecurityPolicy: no providers available to validate pod request";
    assert_eq!(review.admit.message(), Some(message));
    assert_eq!(review.validate.message(), Some(message));
    assert!(!review.is_allowed());
}

#[test]
fn a_policy_that_changes_nothing_is_preferred() {
    let policies = vec![mutating("a", 1), permissive("z")];
    let inventory = inventory(policies, &[(web(), &["a", "z"])]);
    let review = PspAdmission::new(&inventory).review(&create(plain_pod()));
    assert_eq!(review.admit, accepted("z"));
    assert_eq!(review.validate, accepted("z"));
    let mut stored = plain_pod();
    stored["metadata"]["annotations"] = json!({ PSP_ANNOTATION: "z" });
    assert_eq!(review.pod, pod(stored));
}

#[test]
fn among_policies_that_change_the_pod_the_first_by_name_is_applied() {
    let policies = vec![mutating("mutating2", 2), mutating("mutating1", 1)];
    let inventory = inventory(policies, &[(web(), &["mutating1", "mutating2"])]);
    let review = PspAdmission::new(&inventory).review(&create(plain_pod()));
    assert_eq!(review.admit, accepted("mutating1"));
    assert_eq!(review.validate, accepted("mutating1"));
    let container = &review.pod.0["spec"]["containers"][0];
    assert_eq!(container["securityContext"], json!({ "runAsUser": 1 }));
}

#[test]
fn names_are_ordered_by_bytes() {
    let policies = vec![
        permissive("2x"),
        permissive("10x"),
        permissive("a.b"),
        permissive("a-b"),
    ];
    let all: &[&str] = &["2x", "10x", "a.b", "a-b"];
    let inventory = inventory(policies, &[(web(), all)]);
    let admission = PspAdmission::new(&inventory);
    assert_eq!(
        admission.review(&create(plain_pod())).admit,
        accepted("10x")
    );
    let order: Vec<_> = admission
        .trials(&create(plain_pod()))
        .into_iter()
        .map(|it| it.policy)
        .collect();
    assert_eq!(order, ["10x", "2x", "a-b", "a.b"]);
}

#[test]
fn a_create_overwrites_the_annotation_and_takes_no_hint_from_it() {
    let policies = vec![permissive("bar"), permissive("foo")];
    let inventory = inventory(policies, &[(web(), &["bar", "foo"])]);
    let mut pod = plain_pod();
    pod["metadata"]["annotations"] = json!({ PSP_ANNOTATION: "foo" });
    let review = PspAdmission::new(&inventory).review(&create(pod));
    assert_eq!(review.admit, accepted("bar"));
    assert_eq!(review.pod.annotation(PSP_ANNOTATION), Some("bar"));
}

#[test]
fn an_update_takes_a_hint_from_the_annotation() {
    let policies = vec![permissive("a"), permissive("b"), permissive("c")];
    let inventory = inventory(policies, &[(web(), &["a", "b", "c"])]);
    let admission = PspAdmission::new(&inventory);
    for (hint, expected) in [("b", "b"), ("gone", "a")] {
        let mut old_pod = plain_pod();
        old_pod["metadata"]["annotations"] = json!({ PSP_ANNOTATION: hint });
        let request = update(old_pod.clone(), labelled(old_pod));
        let review = admission.review(&request);
        assert_eq!(review.admit, Phase::Ignored);
        assert_eq!(review.validate, accepted(expected));
        assert_eq!(admission.validate_only(&request), accepted("a"));
        assert_eq!(review.pod.annotation(PSP_ANNOTATION), Some(hint));
    }
}

#[test]
fn an_update_cannot_be_defaulted() {
    let inventory = inventory(vec![mutating("a", 1)], &[(web(), &["a"])]);
    let admission = PspAdmission::new(&inventory);
    let review = admission.review(&update(plain_pod(), labelled(plain_pod())));
    assert_eq!(
        review.validate.message(),
        Some(refusal("validate", "").as_str())
    );
    assert_eq!(review.pod, pod(labelled(plain_pod())));
}

#[test]
fn an_update_by_the_garbage_collector_is_not_looked_at() {
    let inventory = inventory(vec![mutating("a", 1)], &[(web(), &["a"])]);
    let admission = PspAdmission::new(&inventory);
    let mut collected = plain_pod();
    collected["metadata"]["finalizers"] = json!(["x"]);
    collected["metadata"]["ownerReferences"] = json!([{ "uid": "1" }]);
    collected["metadata"]["managedFields"] = json!([{}]);
    let mut other_status = plain_pod();
    other_status["status"] = json!({ "phase": "Running" });
    for new_pod in [plain_pod(), collected.clone(), other_status] {
        let request = update(plain_pod(), new_pod);
        assert_eq!(admission.review(&request).validate, Phase::Ignored);
        assert_eq!(admission.validate_only(&request), Phase::Ignored);
        assert_eq!(admission.trials(&request), []);
    }
    let request = update(plain_pod(), labelled(collected));
    assert!(!admission.review(&request).is_allowed());
}

#[test]
fn without_an_old_pod_no_update_is_the_garbage_collector_s() {
    let inventory = inventory(vec![mutating("a", 1)], &[(web(), &["a"])]);
    let request = AdmissionRequest {
        old_pod: None,
        ..update(plain_pod(), plain_pod())
    };
    assert!(!PspAdmission::new(&inventory).review(&request).is_allowed());
}

#[test]
fn subresources_and_other_operations_are_not_looked_at() {
    let inventory = inventory(vec![], &[]);
    let admission = PspAdmission::new(&inventory);
    for subresource in ["status", "binding", "eviction", "ephemeralcontainers"] {
        let request = AdmissionRequest {
            subresource: subresource.to_owned(),
            ..update(plain_pod(), labelled(plain_pod()))
        };
        assert!(admission.review(&request).is_allowed(), "{subresource}");
        assert_eq!(admission.validate_only(&request), Phase::Ignored);
    }
    for operation in [Operation::Delete, Operation::Connect] {
        let request = AdmissionRequest {
            operation,
            ..create(plain_pod())
        };
        assert!(admission.review(&request).is_allowed());
    }
}

#[test]
fn errors_of_policies_that_nobody_may_use_are_not_told() {
    let policies = vec![without_host_network("a"), without_host_network("b")];
    let inventory = inventory(policies, &[(web(), &["b"])]);
    let review = PspAdmission::new(&inventory).review(&create(host_network_pod()));
    assert_eq!(
        review.admit.message(),
        Some(refusal("admit", HOST_NETWORK).as_str())
    );
}

#[test]
fn a_policy_that_nobody_may_use_does_not_admit() {
    let inventory = inventory(vec![permissive("a")], &[]);
    let review = PspAdmission::new(&inventory).review(&create(plain_pod()));
    assert_eq!(review.admit.message(), Some(refusal("admit", "").as_str()));
    assert_eq!(
        review.validate.message(),
        Some(refusal("validate", "").as_str())
    );
}

#[test]
fn errors_of_all_usable_policies_are_told_by_name_without_it() {
    let must_be_read_only = named("b", |it| {
        it.host_network = false;
        it.read_only_root_filesystem = true;
    });
    let policies = vec![must_be_read_only, without_host_network("a")];
    let inventory = inventory(policies, &[(web(), &["a", "b"])]);
    let mut pod = host_network_pod();
    pod["spec"]["containers"][0]["securityContext"] = json!({ "readOnlyRootFilesystem": false });
    pod["metadata"]["annotations"] = json!({ PSP_ANNOTATION: "b" });
    let read_only = "spec.containers[0].securityContext.readOnlyRootFilesystem: \
        Invalid value: false: ReadOnlyRootFilesystem must be set to true";
    let errors = format!("{HOST_NETWORK} {HOST_NETWORK} {read_only}");
    let admission = PspAdmission::new(&inventory);
    let review = admission.review(&create(pod.clone()));
    assert_eq!(
        review.admit.message(),
        Some(refusal("admit", &errors).as_str())
    );
    let review = admission.review(&update(pod.clone(), labelled(pod)));
    assert_eq!(
        review.validate.message(),
        Some(refusal("validate", &errors).as_str())
    );
}

#[test]
fn a_refusal_names_the_pod_by_what_it_has() {
    let inventory = inventory(vec![permissive("a")], &[]);
    let admission = PspAdmission::new(&inventory);
    for (metadata, name) in [
        (json!({ "name": "n", "generateName": "g-" }), "n"),
        (json!({ "generateName": "g-" }), "g-"),
        (json!({}), "Unknown"),
    ] {
        let mut pod = plain_pod();
        pod["metadata"] = metadata;
        let review = admission.review(&create(pod));
        let start = format!("pods \"{name}\" is forbidden: PodSecurityPolicy: ");
        assert!(
            review.admit.message().unwrap().starts_with(&start),
            "{name}"
        );
    }
}

#[test]
fn the_requester_counts_as_well_as_the_service_account() {
    let policies = vec![permissive("a"), mutating("b", 1)];
    let inventory = inventory(policies, &[(alice(), &["a"]), (web(), &["b"])]);
    let admission = PspAdmission::new(&inventory);
    assert_eq!(admission.review(&create(plain_pod())).admit, accepted("a"));
    let mut mirror = plain_pod();
    mirror["spec"]["serviceAccountName"] = json!("");
    assert_eq!(
        admission.review(&create(mirror.clone())).admit,
        accepted("a")
    );
    let request = AdmissionRequest {
        user_info: UserInfo::default(),
        ..create(mirror)
    };
    assert!(!admission.review(&request).is_allowed());
}

#[test]
fn a_service_account_is_one_of_the_request_s_namespace() {
    let inventory = inventory(vec![permissive("a")], &[(web(), &["a"])]);
    let request = AdmissionRequest {
        namespace: "other".to_owned(),
        ..create(plain_pod())
    };
    assert!(!PspAdmission::new(&inventory).review(&request).is_allowed());
}

#[test]
fn the_errors_of_a_pod_come_in_the_order_of_the_plugin() {
    let strict = named("a", |it| {
        it.privileged = false;
        it.host_network = false;
        it.host_ports = Vec::new();
        it.host_pid = false;
        it.volumes = owned(&["secret"]);
        it.allowed_capabilities = Vec::new();
        it.allowed_unsafe_sysctls = Vec::new();
        it.fs_group = crate::api::policy::GroupStrategy::MayRunAs(ranges(&[(1, 1)]));
        it.se_linux = crate::api::policy::SeLinuxStrategy::MustRunAs(
            crate::api::policy::SeLinuxOptions::default(),
        );
        it.seccomp.allowed = None;
        it.app_armor.allowed = Some("runtime/default".to_owned());
        it.runtime_class = Some(crate::api::policy::RuntimeClassStrategy {
            allowed: Vec::new(),
            default: None,
        });
    });
    let pod = pod(json!({ "spec": {
        "hostNetwork": true,
        "hostPID": true,
        "runtimeClassName": "x",
        "securityContext": {
            "fsGroup": 2,
            "seccompProfile": { "type": "Unconfined" },
            "seLinuxOptions": { "role": "r" },
            "sysctls": [{ "name": "a" }],
        },
        "volumes": [{ "name": "v", "emptyDir": {} }],
        "containers": [{
            "name": "app",
            "ports": [{ "hostPort": 1 }],
            "securityContext": { "privileged": true, "capabilities": { "add": ["A"] } },
        }],
    } }));
    let errors = validate_pod(&strict, &pod);
    let fields: Vec<&str> = errors.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.securityContext.fsGroup",
            "pod.metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]",
            "spec.securityContext.seLinuxOptions.role",
            "spec.securityContext.hostNetwork",
            "spec.securityContext.hostPID",
            "pod.spec.securityContext.sysctls[0]",
            "spec.volumes[0]",
            "spec.runtimeClassName",
            "spec.containers[0].securityContext.seLinuxOptions.role",
            "pod.metadata.annotations[container.apparmor.security.beta.kubernetes.io/app]",
            "pod.metadata.annotations[container.seccomp.security.alpha.kubernetes.io/app]",
            "spec.containers[0].securityContext.privileged",
            "spec.containers[0].securityContext.capabilities.add",
            "spec.containers[0].hostPort",
        ]
    );
}

#[test]
fn what_validate_sees_has_been_through_the_strategy() {
    let psp = named("a", |it| {
        it.seccomp.allowed = Some("runtime/default,docker/default".to_owned());
    });
    let inventory = inventory(vec![psp], &[(web(), &["a"])]);
    let mut docker = plain_pod();
    docker["metadata"]["annotations"] =
        json!({ "seccomp.security.alpha.kubernetes.io/pod": "docker/default" });
    let review = PspAdmission::new(&inventory).review(&create(docker));
    assert!(review.is_allowed());
    let field = review.pod.security("seccompProfile");
    assert_eq!(field, Some(&json!({ "type": "RuntimeDefault" })));
}

#[test]
fn trials_tell_what_each_policy_would_do_and_who_may_use_it() {
    let policies = vec![
        without_host_network("a"),
        mutating("b", 7),
        permissive("c"),
        permissive("d"),
    ];
    let usable: &[(Subject, &[&str])] = &[(web(), &["a", "b"]), (alice(), &["b", "c"])];
    let inventory = inventory(policies, usable);
    let trials = PspAdmission::new(&inventory).trials(&create(host_network_pod()));
    let identities = |service_account, requester| Identities {
        service_account,
        requester,
    };
    let trial = |policy: &str, usable_by, outcome| Trial {
        policy: policy.to_owned(),
        usable_by,
        outcome,
    };
    let change = Change {
        path: "spec.containers[0].securityContext.runAsUser".to_owned(),
        value: json!(7),
    };
    let error = FieldError::invalid(
        "spec.securityContext.hostNetwork",
        true,
        "Host network is not allowed to be used",
    );
    assert_eq!(
        trials,
        [
            trial("a", identities(true, false), Outcome::Refused(vec![error])),
            trial(
                "b",
                identities(true, true),
                Outcome::Defaulted(vec![change])
            ),
            trial("c", identities(false, true), Outcome::Unchanged),
        ]
    );
}

#[test]
fn a_verdict_always_has_a_reason() {
    let policies = vec![permissive("a"), without_host_network("b")];
    let inventory = inventory(policies, &[(alice(), &["b"])]);
    let admission = PspAdmission::new(&inventory);
    let verdict = |request: &AdmissionRequest| {
        let Ok(verdict) = Admission::review(&admission, request);
        verdict
    };
    assert!(matches!(
        verdict(&create(plain_pod())),
        Verdict::Admitted { .. }
    ));
    let Verdict::Forbidden { violations } = verdict(&create(host_network_pod())) else {
        panic!("admitted");
    };
    let expected = [Violation {
        by: "b".to_owned(),
        message: HOST_NETWORK.to_owned(),
    }];
    assert_eq!(violations, expected);
    let stranger = AdmissionRequest {
        user_info: UserInfo::default(),
        ..create(plain_pod())
    };
    let Verdict::Forbidden { violations } = verdict(&stranger) else {
        panic!("admitted");
    };
    let expected = [Violation {
        by: PLUGIN.to_owned(),
        message: refusal("admit", ""),
    }];
    assert_eq!(violations, expected);
}
