use serde_json::json;

use super::*;
use crate::api::core::{SECCOMP_CONTAINER_PREFIX, SECCOMP_POD};

/// Where a field is put.
#[derive(Clone, Copy, Debug)]
enum At {
    Spec,
    Pod,
    Container,
}
use At::{Container as C, Pod as P, Spec as S};

/// A pod of three containers in three lists.
fn bare(os: &str) -> Pod {
    let pod = json!({ "spec": {
        "initContainers": [{ "name": "first" }],
        "containers": [{ "name": "app" }],
        "ephemeralContainers": [{ "name": "debug" }],
    } });
    let mut pod: Pod = serde_json::from_value(pod).unwrap();
    if !os.is_empty() {
        pod.set(&["spec", "os", "name"], os.into());
    }
    pod
}

/// Every pod with the field at that place, and the field's path: one, or one for each list of containers.
fn with(os: &str, at: At, key: &str, value: &Value) -> Vec<(Pod, String)> {
    let mut pod = bare(os);
    match at {
        At::Spec => {
            pod.set(&["spec", key], value.clone());
            vec![(pod, format!("spec.{key}"))]
        }
        At::Pod => {
            pod.set_security(key, value.clone());
            vec![(pod, format!("spec.securityContext.{key}"))]
        }
        At::Container => {
            let with = |at| {
                let mut pod = pod.clone();
                pod.set_container_security(at, key, value.clone());
                (pod, format!("{at}.securityContext.{key}"))
            };
            pod.container_refs().map(with).collect()
        }
    }
}

fn on(minor: u32) -> Version {
    Version::new(1, minor)
}

#[track_caller]
fn check(pod: &Pod, kubernetes: Version, expected: Option<&str>) {
    let actual = refusal(pod, kubernetes).map(|it| it.to_string());
    assert_eq!(actual.as_deref(), expected, "{kubernetes} {pod:?}");
}

/// The path, what is there, and the first release that refuses it in a pod for Windows, if one does.
///
/// The column of 1.24 is what Kubernetes 1.24.17 answered when it was asked about each field by itself, its own validation linked
/// into a program: 20 fields are refused there, each as `Forbidden: cannot be set for a windows pod`, on the containers of all three
/// lists alike.
/// The younger fields are read in the sources of 1.30.14, 1.31.14, 1.32.13, 1.33.13 and 1.37.2.
#[rustfmt::skip]
fn beside_windows() -> Vec<(At, &'static str, Value, Option<u32>)> {
    let runtime_default = || json!({ "type": "RuntimeDefault" });
    vec![
        (P, "seLinuxOptions", json!({ "level": "s0" }), Some(24)),
        (P, "seLinuxOptions", json!({}), Some(24)),
        (P, "seccompProfile", runtime_default(), Some(24)),
        (P, "fsGroup", json!(1), Some(24)),
        (P, "fsGroupChangePolicy", json!("Always"), Some(24)),
        (P, "sysctls", json!([{ "name": "kernel.shm_rmid_forced", "value": "1" }]), Some(24)),
        (P, "sysctls", json!([]), None),
        (P, "runAsUser", json!(0), Some(24)),
        (P, "runAsGroup", json!(1), Some(24)),
        (P, "supplementalGroups", json!([1]), Some(24)),
        (P, "supplementalGroups", json!([]), Some(24)),
        (P, "supplementalGroups", Value::Null, None),
        (P, "supplementalGroupsPolicy", json!("Strict"), Some(33)),
        (P, "seLinuxChangePolicy", json!("Recursive"), Some(33)),
        (P, "appArmorProfile", runtime_default(), Some(30)),
        (P, "runAsNonRoot", json!(true), None),
        (P, "windowsOptions", json!({ "runAsUserName": "x" }), None),
        (S, "hostPID", json!(true), Some(24)),
        (S, "hostPID", json!(false), None),
        (S, "hostIPC", json!(true), Some(24)),
        (S, "hostIPC", json!(false), None),
        (S, "hostUsers", json!(true), Some(33)),
        (S, "shareProcessNamespace", json!(false), Some(24)),
        (S, "hostNetwork", json!(true), None),
        (S, "runtimeClassName", json!("x"), None),
        (C, "seLinuxOptions", json!({ "level": "s0" }), Some(24)),
        (C, "seccompProfile", runtime_default(), Some(24)),
        (C, "capabilities", json!({}), Some(24)),
        (C, "capabilities", json!({ "drop": ["ALL"] }), Some(24)),
        (C, "readOnlyRootFilesystem", json!(false), Some(24)),
        (C, "privileged", json!(false), Some(24)),
        (C, "allowPrivilegeEscalation", json!(true), Some(24)),
        (C, "procMount", json!("Default"), Some(24)),
        (C, "runAsUser", json!(1), Some(24)),
        (C, "runAsGroup", json!(1), Some(24)),
        (C, "appArmorProfile", runtime_default(), Some(30)),
        (C, "runAsNonRoot", json!(false), None),
        (C, "windowsOptions", json!({ "runAsUserName": "x" }), None),
    ]
}

#[test]
fn a_pod_for_windows_has_nothing_of_linux() {
    for (at, key, value, since) in beside_windows() {
        for (pod, path) in with("windows", at, key, &value) {
            for minor in 24..=37 {
                let text = format!("{path}: Forbidden: cannot be set for a windows pod");
                let is_refused = since.is_some_and(|it| it <= minor);
                check(&pod, on(minor), is_refused.then_some(text.as_str()));
            }
        }
        // What one says for Windows alone says nothing elsewhere.
        for (pod, path) in with("", at, key, &value) {
            check(&pod, on(24), None);
            check(&pod, on(37), None);
            let mut pod = pod;
            pod.set(&["spec", "os", "name"], "linux".into());
            let text = format!("{path}: Forbidden: windows options cannot be set for a linux pod");
            let expected = (key == "windowsOptions").then_some(text.as_str());
            check(&pod, on(24), expected);
            check(&pod, on(37), expected);
        }
    }
    for os in ["windows", "linux", "", "plan9"] {
        check(&bare(os), on(24), None);
        check(&bare(os), on(37), None);
    }
}

/// Kubernetes 1.24.17 answered so.
#[test]
fn an_id_is_a_number_that_linux_has() {
    for key in ["runAsUser", "runAsGroup", "fsGroup"] {
        let places = if key == "fsGroup" { &[P][..] } else { &[P, C] };
        for at in places {
            for (id, is_refused) in [
                (0, false),
                (2_147_483_647, false),
                (2_147_483_648_i64, true),
                (-1, true),
            ] {
                for (pod, path) in with("", *at, key, &json!(id)) {
                    let text = format!(
                        "{path}: Invalid value: {id}: must be between 0 and 2147483647, inclusive"
                    );
                    check(&pod, on(24), is_refused.then_some(text.as_str()));
                    check(&pod, on(37), is_refused.then_some(text.as_str()));
                }
            }
        }
    }
    let groups = json!([1, 3_000_000_000_i64, -1]);
    for (pod, path) in with("", P, "supplementalGroups", &groups) {
        let text = format!(
            "{path}[1]: Invalid value: 3000000000: must be between 0 and 2147483647, inclusive"
        );
        check(&pod, on(24), Some(&text));
    }
}

/// Kubernetes 1.24.17 answered so; it writes the whole security context between the two parts, in the syntax of Go.
#[test]
fn what_may_not_gain_privileges_may_not_have_them() {
    let privileged = "spec.containers[0].securityContext: Invalid value: cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
    let capabilities = "spec.containers[0].securityContext: Invalid value: cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
    let adds = |it: &[&str]| json!({ "capabilities": { "add": it } });
    for (context, expected) in [
        (json!({ "privileged": true }), Some(privileged)),
        (json!({ "privileged": false }), None),
        (adds(&["CAP_SYS_ADMIN"]), Some(capabilities)),
        (adds(&["SYS_ADMIN", "ALL"]), None),
        (
            json!({ "privileged": true, "capabilities": { "add": ["CAP_SYS_ADMIN"] } }),
            Some(privileged),
        ),
    ] {
        for (value, expected) in [
            (json!(false), expected),
            (json!(true), None),
            (json!(null), None),
        ] {
            let mut context = context.clone();
            context["allowPrivilegeEscalation"] = value;
            let mut pod = bare("");
            pod.set(&["spec", "containers"], json!([{ "name": "app" }]));
            let at = pod
                .container_refs()
                .find(|it| it.list == ContainerList::Regular);
            pod.set_in_container(at.unwrap(), &["securityContext"], context);
            check(&pod, on(24), expected);
            check(&pod, on(37), expected);
        }
    }
}

/// Kubernetes 1.24.17 answered so for seccomp; the sources of 1.30.14 and 1.37.2 say so for AppArmor.
#[test]
fn an_annotation_and_its_field_say_the_same() {
    let ty = |it: &str| json!({ "type": it });
    let localhost = |it: &str| json!({ "type": "Localhost", "localhostProfile": it });
    let (wrong_type, wrong_name) = (Some("type"), Some("localhostProfile"));
    for (annotation, field, seccomp, app_armor) in [
        ("runtime/default", ty("RuntimeDefault"), None, None),
        ("runtime/default", ty("Unconfined"), wrong_type, wrong_type),
        ("runtime/default", localhost("a"), wrong_type, wrong_type),
        ("unconfined", ty("Unconfined"), None, None),
        ("unconfined", ty("RuntimeDefault"), wrong_type, wrong_type),
        ("localhost/a", localhost("a"), None, None),
        ("localhost/a", localhost("b"), wrong_name, wrong_name),
        ("localhost/a", ty("RuntimeDefault"), wrong_type, wrong_type),
        ("localhost/a", ty("Unconfined"), wrong_type, wrong_type),
        ("unconfined", localhost("a"), wrong_type, wrong_type),
        ("localhost/a", json!(null), None, None),
    ] {
        let told = |of: &str, path: &str, wrong: Option<&str>| {
            let member = wrong?;
            let what = if member == "type" { "type" } else { "profile" };
            Some(format!(
                "{path}.{member}: Forbidden: {of} {what} in annotation and field must match"
            ))
        };
        for (mut pod, path) in with("", P, "seccompProfile", &field) {
            pod.set_annotation(SECCOMP_POD, annotation);
            let expected = told("seccomp", &path, seccomp);
            check(&pod, on(24), expected.as_deref());
            check(&pod, on(37), expected.as_deref());
        }
        for ((mut pod, path), name) in with("", C, "seccompProfile", &field)
            .into_iter()
            .zip(["first", "app", "debug"])
        {
            pod.set_annotation(&format!("{SECCOMP_CONTAINER_PREFIX}{name}"), annotation);
            let expected = told("seccomp", &path, seccomp);
            check(&pod, on(24), expected.as_deref());
        }
        let key = "container.apparmor.security.beta.kubernetes.io/app";
        let app = "spec.containers[0].securityContext.appArmorProfile";
        let of_container = with("", C, "appArmorProfile", &field).swap_remove(1);
        // The pod's field counts where the container has none.
        for (mut pod, _) in [
            of_container,
            with("", P, "appArmorProfile", &field).remove(0),
        ] {
            pod.set_annotation(key, annotation);
            check(&pod, on(29), None);
            let expected = told("apparmor", app, app_armor);
            check(&pod, on(30), expected.as_deref());
            check(&pod, on(37), expected.as_deref());
        }
    }
    // The older name of the runtime's profile is one of seccomp alone.
    let mut pod = with("", P, "seccompProfile", &ty("RuntimeDefault"))
        .remove(0)
        .0;
    pod.set_annotation(SECCOMP_POD, "docker/default");
    check(&pod, on(24), None);
}

/// Kubernetes 1.24.17 answered so, but for AppArmor fields, of which the sources of 1.30.14 and 1.37.2 say so.
#[test]
fn a_profile_is_one_and_has_the_name_that_it_needs() {
    let localhost = |it: &str| json!({ "type": "Localhost", "localhostProfile": it });
    let unsupported = "type: Unsupported value: \"X\": supported values: \"Localhost\", \"RuntimeDefault\", \"Unconfined\"";
    for (profile, seccomp, app_armor) in [
        (
            json!({ "type": "Localhost" }),
            Some("localhostProfile: Required value: must be set when seccomp type is Localhost"),
            Some("localhostProfile: Required value: must be set when AppArmor type is Localhost"),
        ),
        (
            localhost(""),
            None,
            Some("localhostProfile: Required value: must be set when AppArmor type is Localhost"),
        ),
        (
            localhost(" a"),
            None,
            Some("localhostProfile: Invalid value: \" a\": must not be padded with whitespace"),
        ),
        (
            localhost("/a"),
            Some("localhostProfile: Invalid value: \"/a\": must be a relative path"),
            None,
        ),
        (
            localhost("a/../b"),
            Some("localhostProfile: Invalid value: \"a/../b\": must not contain '..'"),
            None,
        ),
        (
            json!({ "type": "RuntimeDefault", "localhostProfile": "a" }),
            Some("localhostProfile: Invalid value: can only be set when seccomp type is Localhost"),
            Some(
                "localhostProfile: Invalid value: \"a\": can only be set when AppArmor type is Localhost",
            ),
        ),
        (json!({ "type": "X" }), Some(unsupported), Some(unsupported)),
        (
            json!({}),
            Some("type: Required value: type is required when seccompProfile is set"),
            Some("type: Required value: type is required when appArmorProfile is set"),
        ),
    ] {
        for at in [P, C] {
            for (pod, path) in with("", at, "seccompProfile", &profile) {
                let expected = seccomp.map(|it| format!("{path}.{it}"));
                check(&pod, on(24), expected.as_deref());
                check(&pod, on(37), expected.as_deref());
            }
            for (pod, path) in with("", at, "appArmorProfile", &profile) {
                check(&pod, on(29), None);
                let expected = app_armor.map(|it| format!("{path}.{it}"));
                check(&pod, on(30), expected.as_deref());
                check(&pod, on(37), expected.as_deref());
            }
        }
    }
}

/// Kubernetes 1.24.17 answered so.
#[test]
fn an_annotation_is_a_profile_of_a_container_that_there_is() {
    let seccomp = SECCOMP_POD;
    let [app, gone] =
        ["app", "gone"].map(|it| format!("container.apparmor.security.beta.kubernetes.io/{it}"));
    let of = |key: &str, what: &str| format!("metadata.annotations{key}: Invalid value: {what}");
    let of_seccomp = |what: &str| Some(of(&format!(".{seccomp}"), what));
    let of_app_armor = |key: &str, what: &str| Some(of(&format!("[{key}]"), what));
    for (key, value, expected) in [
        (seccomp, "docker/default", None),
        (seccomp, "localhost/", None),
        (
            seccomp,
            "",
            of_seccomp("\"\": must be a valid seccomp profile"),
        ),
        (
            seccomp,
            "x",
            of_seccomp("\"x\": must be a valid seccomp profile"),
        ),
        (
            seccomp,
            "localhost//a",
            of_seccomp("\"/a\": must be a relative path"),
        ),
        (
            seccomp,
            "localhost/a/../b",
            of_seccomp("\"a/../b\": must not contain '..'"),
        ),
        (&app, "", None),
        (&app, "localhost/", None),
        (&app, "localhost/a/../b", None),
        (&app, "unconfined", None),
        (
            &app,
            "docker/default",
            of_app_armor(
                &app,
                "\"docker/default\": invalid AppArmor profile name: \"docker/default\"",
            ),
        ),
        (
            &gone,
            "runtime/default",
            of_app_armor(&gone, "\"gone\": container not found"),
        ),
    ] {
        let mut pod = bare("");
        pod.set_annotation(key, value);
        check(&pod, on(24), expected.as_deref());
        check(&pod, on(37), expected.as_deref());
    }
}

/// Kubernetes 1.24.17 listed six errors of this pod, this one first, and so on as they are mended.
#[test]
fn of_several_reasons_the_first_is_told() {
    let mut pod = bare("windows");
    pod.set_annotation(SECCOMP_POD, "unconfined");
    pod.set_security("fsGroup", json!(3_000_000_000_i64));
    pod.set_security("seccompProfile", json!({ "type": "RuntimeDefault" }));
    let [first, app, _] = pod.container_refs().collect::<Vec<_>>()[..] else {
        panic!("three containers");
    };
    for at in [first, app] {
        pod.set_container_security(at, "runAsUser", json!(3_000_000_000_i64));
    }
    let no_id = "Invalid value: 3000000000: must be between 0 and 2147483647, inclusive";
    let for_windows = "Forbidden: cannot be set for a windows pod";
    let mended = json!(1);
    for path in ["containers[0]", "initContainers[0]"] {
        let text = format!("spec.{path}.securityContext.runAsUser: {no_id}");
        check(&pod, on(24), Some(&text));
        let at = if path == "containers[0]" { app } else { first };
        pod.set_container_security(at, "runAsUser", mended.clone());
    }
    check(
        &pod,
        on(24),
        Some(&format!("spec.securityContext.fsGroup: {no_id}")),
    );
    pod.set_security("fsGroup", mended);
    for key in ["seccompProfile", "fsGroup"] {
        let text = format!("spec.securityContext.{key}: {for_windows}");
        check(&pod, on(24), Some(&text));
        if key == "seccompProfile" {
            pod.remove(&["spec", "securityContext", key]);
        }
    }
    pod.remove(&["spec", "securityContext", "fsGroup"]);
    // Its containers in the usual order.
    let text = format!("spec.initContainers[0].securityContext.runAsUser: {for_windows}");
    check(&pod, on(24), Some(&text));
}
