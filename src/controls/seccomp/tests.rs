use serde_json::{Value, json};

use super::*;
use crate::controls::testing::{
    check, check_covers, check_defaults, check_mutation, check_parameters, check_unchanged,
    contexts, policy,
};

const POD_PATH: &str = "pod.metadata.annotations[seccomp.security.alpha.kubernetes.io/pod]";
const CONTAINER_PATH: &str =
    "pod.metadata.annotations[container.seccomp.security.alpha.kubernetes.io/app]";

fn profiles(allowed: Option<&str>, default: &str) -> PodSecurityPolicy {
    policy(|it| {
        it.seccomp.allowed = allowed.map(ToOwned::to_owned);
        default.clone_into(&mut it.seccomp.default);
    })
}

fn annotated(annotations: &Value, pod: &Value, container: &Value) -> Value {
    let mut res = contexts(pod, container);
    res["metadata"] = json!({ "annotations": annotations });
    res
}

fn on_pod(profile: &str) -> Value {
    annotated(&json!({ SECCOMP_POD: profile }), &json!({}), &json!({}))
}

fn field(type_: &str) -> Value {
    json!({ "seccompProfile": { "type": type_ } })
}

#[test]
fn the_annotation_gets_the_field_or_the_default() {
    let psp = profiles(None, "localhost/x");
    let nothing = annotated(&json!({}), &json!({}), &json!({}));
    check_mutation(&Seccomp, &psp, nothing.clone(), on_pod("localhost/x"));
    check_unchanged(&Seccomp, &psp, on_pod("unconfined"));
    check_unchanged(&Seccomp, &profiles(None, ""), nothing);
    let [before, after] = [json!({}), json!({ SECCOMP_POD: "runtime/default" })]
        .map(|it| annotated(&it, &field("RuntimeDefault"), &json!({})));
    check_mutation(&Seccomp, &psp, before, after);
    let unreadable = contexts(&field("Localhost"), &json!({}));
    check_unchanged(&Seccomp, &psp, unreadable);
    let by_container = annotated(&json!({}), &json!({}), &field("Unconfined"));
    check_unchanged(&Seccomp, &profiles(Some("*"), ""), by_container);
}

#[test]
fn without_a_list_no_profile_may_be_set() {
    let psp = profiles(None, "");
    check(&Seccomp, &psp, contexts(&json!({}), &json!({})), &[]);
    let problem = "Forbidden: seccomp may not be set";
    let errors = [POD_PATH, CONTAINER_PATH].map(|it| format!("{it}: {problem}"));
    let errors = errors.each_ref().map(String::as_str);
    check(
        &Seccomp,
        &psp,
        contexts(&field("RuntimeDefault"), &json!({})),
        &errors,
    );
    check(&Seccomp, &psp, on_pod("runtime/default"), &errors);
}

#[test]
fn with_a_list_a_profile_must_be_set_on_the_pod_as_well() {
    let psp = profiles(Some("localhost/foo"), "");
    let problem = "Forbidden:  is not an allowed seccomp profile. Valid values are localhost/foo";
    let local = json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": "foo" } });
    let pod = contexts(&json!({}), &local);
    check(&Seccomp, &psp, pod, &[&format!("{POD_PATH}: {problem}")]);
    check(&Seccomp, &psp, contexts(&local, &json!({})), &[]);
}

#[test]
fn the_two_names_of_the_runtime_s_profile_allow_each_other() {
    for listed in ["runtime/default", "docker/default"] {
        for used in ["runtime/default", "docker/default"] {
            check(&Seccomp, &profiles(Some(listed), ""), on_pod(used), &[]);
            let listed = format!("localhost/x,{listed}");
            check(&Seccomp, &profiles(Some(&listed), ""), on_pod(used), &[]);
        }
    }
}

#[test]
fn the_star_allows_everything_and_blanks_count() {
    check(&Seccomp, &profiles(Some("a,*"), ""), on_pod("x"), &[]);
    check(
        &Seccomp,
        &profiles(Some("*"), ""),
        contexts(&json!({}), &json!({})),
        &[],
    );
    let raw = "runtime/default, unconfined";
    let problem =
        format!("Forbidden: unconfined is not an allowed seccomp profile. Valid values are {raw}");
    let errors = [POD_PATH, CONTAINER_PATH].map(|it| format!("{it}: {problem}"));
    let errors = errors.each_ref().map(String::as_str);
    check(
        &Seccomp,
        &profiles(Some(raw), ""),
        on_pod("unconfined"),
        &errors,
    );
}

#[test]
fn an_empty_list_allows_the_empty_profile() {
    check(
        &Seccomp,
        &profiles(Some(""), ""),
        contexts(&json!({}), &json!({})),
        &[],
    );
}

#[test]
fn a_container_counts_by_field_then_annotation_then_pod() {
    let psp = profiles(Some("runtime/default"), "");
    let key = format!("{SECCOMP_CONTAINER_PREFIX}app");
    let annotations = json!({ SECCOMP_POD: "runtime/default", key: "" });
    let error = format!(
        "{CONTAINER_PATH}: Forbidden:  is not an allowed seccomp profile. \
         Valid values are runtime/default"
    );
    let pod = annotated(&annotations, &json!({}), &json!({}));
    check(&Seccomp, &psp, pod, &[&error]);
    let pod = annotated(&annotations, &json!({}), &field("RuntimeDefault"));
    check(&Seccomp, &psp, pod, &[]);
}

#[test]
fn a_policy_covers_another_whose_profiles_it_allows() {
    for (wide, narrow, covers) in [
        (None, None, true),
        (None, Some("runtime/default"), false),
        (Some("runtime/default"), None, false),
        (Some("*"), None, true),
        (Some("*"), Some("runtime/default"), true),
        (Some("*"), Some("*"), true),
        (Some("runtime/default"), Some("*"), false),
        (Some("runtime/default"), Some("docker/default"), true),
        (
            Some("runtime/default,localhost/x"),
            Some("localhost/x"),
            true,
        ),
        (
            Some("localhost/x"),
            Some("runtime/default,localhost/x"),
            false,
        ),
    ] {
        check_covers(&Seccomp, &profiles(wide, ""), &profiles(narrow, ""), covers);
    }
}

#[test]
fn a_policy_that_leaves_a_profile_open_is_not_covered_by_one_that_fills_it_in() {
    let default = "localhost/x";
    for (wide, narrow, covers) in [
        ("", "", true),
        ("", default, true),
        (default, default, true),
        (default, "", false),
    ] {
        let [wide, narrow] = [wide, narrow].map(|it| profiles(Some("*"), it));
        check_covers(&Seccomp, &wide, &narrow, covers);
    }
}

#[test]
fn the_strategy_travels_with_both_names_of_the_runtime_s_profile() {
    let psp = profiles(Some("unconfined,runtime/default"), "unconfined");
    let strategy = json!({
        "allowedProfileNames": ["docker/default", "runtime/default", "unconfined"],
        "defaultProfileName": "unconfined",
    });
    check_parameters(&Seccomp, &psp, &json!({ "seccomp": strategy }));
    let strategy = json!({ "allowedProfileNames": [] });
    let expected = json!({ "seccomp": strategy });
    check_parameters(&Seccomp, &profiles(None, ""), &expected);
}

#[test]
fn the_default_is_written_as_a_field() {
    let written = |value: &str, caveats: &str| {
        let location = "securityContext.seccompProfile";
        format!(
            "metadata.annotations[seccomp.security.alpha.kubernetes.io/defaultProfileName] \
             in Pod([\"metadata\", \"annotations\", \"{SECCOMP_POD}\"]): \
             Assign on Pod of {location} = {value} unless {location}{caveats}"
        )
    };
    let alone = |profile: &str| {
        let pod = json!({ "metadata": { "annotations": { SECCOMP_POD: profile } } });
        format!("; annotation-alone Stricter {pod}")
    };
    let runtime = "{\"type\":\"RuntimeDefault\"}";
    let new_name = "; default-by-its-new-name Differs {}";
    let default = "runtime/default";
    for (allowed, default, kubernetes, value, caveats) in [
        (None, default, (1, 24), runtime, String::new()),
        // Both names say the same.
        (
            Some("docker/default"),
            default,
            (1, 24),
            runtime,
            String::new(),
        ),
        (Some("odd"), default, (1, 24), runtime, String::new()),
        (
            Some("runtime/default,localhost/x"),
            default,
            (1, 30),
            runtime,
            alone("localhost/x"),
        ),
        (Some("*"), default, (1, 24), runtime, alone("unconfined")),
        (
            Some("*"),
            "unconfined",
            (1, 24),
            "{\"type\":\"Unconfined\"}",
            alone("runtime/default"),
        ),
        (
            None,
            "docker/default",
            (1, 24),
            runtime,
            new_name.to_owned(),
        ),
        (
            None,
            "unconfined",
            (1, 24),
            "{\"type\":\"Unconfined\"}",
            String::new(),
        ),
    ] {
        let expected = written(value, &caveats);
        let psp = profiles(allowed, default);
        check_defaults(&Seccomp, &psp, kubernetes, &[&expected]);
    }
    check_defaults(&Seccomp, &profiles(Some("*"), ""), (1, 24), &[]);
}
