use serde_json::{Map, json};

use super::*;

/// A pod with these members of its `spec` and of its only container.
fn pod(spec: Value, container: Value) -> Pod {
    let mut pod = json!({ "metadata": {}, "spec": { "containers": [{ "name": "c" }] } });
    merge(&mut pod["spec"]["containers"][0], container);
    merge(&mut pod["spec"], spec);
    Pod(pod.as_object().cloned().unwrap_or_default())
}

fn merge(target: &mut Value, more: Value) {
    if let (Value::Object(target), Value::Object(more)) = (target, more) {
        target.extend(more);
    }
}

fn context(members: &Value) -> Value {
    json!({ "securityContext": members })
}

/// What `restricted` demands of a container.
fn hardened() -> Map<String, Value> {
    let members = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": { "drop": ["ALL"] },
        "runAsNonRoot": true,
        "seccompProfile": { "type": "RuntimeDefault" },
    });
    members.as_object().cloned().unwrap_or_default()
}

fn none() -> Value {
    json!({})
}

#[test]
fn baseline_lets_a_pod_be_that_asks_for_nothing() {
    assert_eq!(
        violations(Level::Baseline, &pod(none(), none())),
        Vec::<&str>::new()
    );
}

#[test]
fn restricted_wants_a_pod_hardened() {
    let hardened = pod(none(), context(&Value::Object(hardened())));
    assert_eq!(violations(Level::Restricted, &hardened), Vec::<&str>::new());
    let wanted: Vec<_> = violations(Level::Restricted, &pod(none(), none()))
        .into_iter()
        .filter_map(|it| it.split(':').next())
        .collect();
    let expected = [
        "allowPrivilegeEscalation",
        "capabilities",
        "runAsNonRoot",
        "seccompProfile",
    ];
    assert_eq!(wanted, expected);
}

/// Asserts that the level has one thing against the pod, by the beginning of its text.
#[track_caller]
fn check(level: Level, pod: &Pod, expected: &str) {
    let found = violations(level, pod);
    assert!(
        matches!(found.as_slice(), [it] if it.starts_with(expected)),
        "{found:?}"
    );
}

#[test]
fn each_check_of_baseline_has_its_boundary() {
    let rows = [
        (
            "capabilities",
            none(),
            context(&json!({ "capabilities": { "add": ["CHOWN", "NET_RAW"] } })),
        ),
        ("hostNetwork", json!({ "hostIPC": true }), none()),
        (
            "volumes",
            json!({ "volumes": [{ "name": "v", "hostPath": { "path": "/" } }] }),
            none(),
        ),
        (
            "hostPort",
            none(),
            json!({ "ports": [{ "containerPort": 80, "hostPort": 80 }] }),
        ),
        (
            "privileged",
            none(),
            context(&json!({ "privileged": true })),
        ),
        (
            "procMount",
            none(),
            context(&json!({ "procMount": "Unmasked" })),
        ),
        (
            "seLinuxOptions",
            context(&json!({ "seLinuxOptions": { "type": "spc_t" } })),
            none(),
        ),
        (
            "seLinuxOptions",
            none(),
            context(&json!({ "seLinuxOptions": { "role": "r" } })),
        ),
        (
            "seccompProfile",
            none(),
            context(&json!({ "seccompProfile": { "type": "Unconfined" } })),
        ),
        (
            "sysctls",
            context(&json!({ "sysctls": [{ "name": "kernel.msgmax", "value": "1" }] })),
            none(),
        ),
        (
            "windowsOptions",
            none(),
            context(&json!({ "windowsOptions": { "hostProcess": true } })),
        ),
    ];
    for (expected, spec, container) in rows {
        check(Level::Baseline, &pod(spec, container), expected);
    }
    let fine = [
        (
            none(),
            context(&json!({ "capabilities": { "add": ["CHOWN"] } })),
        ),
        (
            none(),
            json!({ "ports": [{ "containerPort": 80, "hostPort": 0 }] }),
        ),
        (
            none(),
            context(&json!({ "procMount": "Default", "privileged": false })),
        ),
        (
            context(&json!({ "seLinuxOptions": { "type": "container_t", "level": "s0" } })),
            none(),
        ),
        (
            context(&json!({ "sysctls": [{ "name": "net.ipv4.tcp_syncookies", "value": "1" }] })),
            none(),
        ),
        (
            none(),
            context(&json!({ "seccompProfile": { "type": "Localhost" } })),
        ),
    ];
    for (spec, container) in fine {
        let pod = pod(spec, container);
        assert_eq!(
            violations(Level::Baseline, &pod),
            Vec::<&str>::new(),
            "{pod:?}"
        );
    }
}

#[test]
fn a_profile_of_a_container_that_is_not_there_counts() {
    let mut pod = pod(none(), none());
    pod.set_annotation(
        "container.apparmor.security.beta.kubernetes.io/x",
        "localhost/y",
    );
    assert_eq!(violations(Level::Baseline, &pod), Vec::<&str>::new());
    pod.set_annotation(
        "container.apparmor.security.beta.kubernetes.io/x",
        "unconfined",
    );
    check(Level::Baseline, &pod, "appArmorProfile");
}

#[test]
fn each_check_of_restricted_has_its_boundary() {
    let with = |key: &str, value: Value| {
        let mut members = hardened();
        members.insert(key.to_owned(), value);
        pod(none(), context(&Value::Object(members)))
    };
    let net = json!({ "drop": ["ALL"], "add": ["NET_BIND_SERVICE"] });
    assert_eq!(
        violations(Level::Restricted, &with("capabilities", net)),
        Vec::<&str>::new()
    );
    let rows = [
        with("allowPrivilegeEscalation", json!(true)),
        with("capabilities", json!({ "drop": ["NET_RAW"] })),
        with("capabilities", json!({ "drop": ["ALL"], "add": ["CHOWN"] })),
        with("runAsNonRoot", json!(false)),
        with("runAsUser", json!(0)),
    ];
    for pod in &rows {
        assert_eq!(violations(Level::Restricted, pod).len(), 1, "{pod:?}");
    }
    let mut nfs = with("runAsUser", json!(1));
    nfs.set(
        &["spec", "volumes"],
        json!([{ "name": "v", "nfs": {} }, { "name": "w", "csi": {} }]),
    );
    check(Level::Restricted, &nfs, "volumes");
    // What the pod says holds for a container that says nothing.
    let mut members = hardened();
    members.remove("runAsNonRoot");
    let by_pod = pod(
        context(&json!({ "runAsNonRoot": true })),
        context(&Value::Object(members)),
    );
    assert_eq!(violations(Level::Restricted, &by_pod), Vec::<&str>::new());
    // The pod's own no counts even if every container says yes.
    let by_pod = pod(
        context(&json!({ "runAsNonRoot": false })),
        context(&Value::Object(hardened())),
    );
    check(Level::Restricted, &by_pod, "runAsNonRoot");
}
