use serde_json::{Value, json};

use super::*;
use crate::controls::testing::{
    check, check_covers, check_defaults, check_mutation, check_parameters, check_unchanged, policy,
};

const KEY: &str = "container.apparmor.security.beta.kubernetes.io/app";

fn profiles(allowed: Option<&str>, default: &str) -> PodSecurityPolicy {
    policy(|it| {
        it.app_armor.allowed = allowed.map(ToOwned::to_owned);
        default.clone_into(&mut it.app_armor.default);
    })
}

fn annotated(profile: &str) -> Value {
    json!({
        "metadata": { "annotations": { KEY: profile } },
        "spec": { "containers": [{ "name": "app" }] },
    })
}

fn bare() -> Value {
    json!({ "spec": { "containers": [{ "name": "app" }] } })
}

#[test]
fn the_default_replaces_an_absent_or_empty_profile() {
    let psp = profiles(None, "runtime/default");
    let mut after = annotated("runtime/default");
    check_mutation(&AppArmor, &psp, annotated(""), after.clone());
    check_unchanged(&AppArmor, &psp, annotated("unconfined"));
    check_unchanged(&AppArmor, &profiles(None, ""), bare());
    after["spec"] = bare()["spec"].clone();
    check_mutation(&AppArmor, &psp, bare(), after);
}

#[test]
fn without_a_list_everything_is_allowed() {
    check(
        &AppArmor,
        &profiles(None, ""),
        annotated("localhost/x"),
        &[],
    );
    check(&AppArmor, &profiles(None, ""), bare(), &[]);
}

#[test]
fn with_a_list_each_container_needs_one_of_its_profiles_as_they_stand() {
    let psp = profiles(Some("runtime/default, localhost/x"), "");
    let path = format!("pod.metadata.annotations[{KEY}]");
    check(&AppArmor, &psp, annotated("runtime/default"), &[]);
    let unset = format!("{path}: Forbidden: AppArmor profile must be set");
    check(&AppArmor, &psp, bare(), &[&unset]);
    check(&AppArmor, &psp, annotated(""), &[&unset]);
    let blank = format!(
        "{path}: Forbidden: localhost/x is not an allowed profile. \
         Allowed values: \"runtime/default, localhost/x\""
    );
    check(&AppArmor, &psp, annotated("localhost/x"), &[&blank]);
    let star =
        format!("{path}: Forbidden: unconfined is not an allowed profile. Allowed values: \"*\"");
    check(
        &AppArmor,
        &profiles(Some("*"), ""),
        annotated("unconfined"),
        &[&star],
    );
}

#[test]
fn an_empty_list_allows_nothing() {
    let psp = profiles(Some(""), "");
    let path = format!("pod.metadata.annotations[{KEY}]");
    let unset = format!("{path}: Forbidden: AppArmor profile must be set");
    check(&AppArmor, &psp, bare(), &[&unset]);
}

#[test]
fn a_policy_covers_another_whose_profiles_it_allows() {
    for (wide, narrow, covers) in [
        (None, None, true),
        (None, Some("runtime/default"), true),
        (Some("runtime/default"), None, false),
        (Some("runtime/default"), Some("runtime/default"), true),
        (Some("runtime/default,unconfined"), Some("unconfined"), true),
        (
            Some("unconfined"),
            Some("runtime/default,unconfined"),
            false,
        ),
    ] {
        check_covers(
            &AppArmor,
            &profiles(wide, ""),
            &profiles(narrow, ""),
            covers,
        );
    }
}

#[test]
fn a_policy_that_leaves_a_profile_open_is_not_covered_by_one_that_fills_it_in() {
    let default = "runtime/default";
    for (wide, narrow, covers) in [
        ((None, ""), (None, default), true),
        ((None, default), (None, default), true),
        ((None, default), (None, ""), false),
        ((None, default), (Some(default), ""), true),
        ((Some(default), ""), (None, default), false),
        ((Some(default), default), (Some(default), ""), true),
    ] {
        let [wide, narrow] = [wide, narrow].map(|(allowed, it)| profiles(allowed, it));
        check_covers(&AppArmor, &wide, &narrow, covers);
    }
}

#[test]
fn what_is_listed_travels_sorted_and_what_is_absent_does_not() {
    let psp = profiles(Some("unconfined,localhost/x"), "localhost/x");
    let strategy = json!({
        "allowedProfileNames": ["localhost/x", "unconfined"],
        "defaultProfileName": "localhost/x",
    });
    check_parameters(&AppArmor, &psp, &json!({ "appArmor": strategy }));
    check_parameters(&AppArmor, &profiles(None, ""), &json!({ "appArmor": {} }));
}

#[test]
fn the_default_can_be_written_since_there_is_a_field() {
    let written = |field: &str, value: Value| {
        let (annotation, prefix) = ("apparmor.security.beta.kubernetes.io", "container");
        format!(
            "metadata.annotations[{annotation}/defaultProfileName] \
             in Annotations(\"{prefix}.{annotation}/\"): Assign on Pod of {field} = {value} \
             unless {field}; default-on-pod Differs {{}}"
        )
    };
    let field = "securityContext.appArmorProfile";
    for (default, value) in [
        ("runtime/default", json!({ "type": "RuntimeDefault" })),
        ("unconfined", json!({ "type": "Unconfined" })),
        (
            "localhost/x",
            json!({ "type": "Localhost", "localhostProfile": "x" }),
        ),
    ] {
        let psp = profiles(None, default);
        check_defaults(&AppArmor, &psp, (1, 30), &[&written(field, value)]);
    }
    let nothing = "metadata.annotations[apparmor.security.beta.kubernetes.io/defaultProfileName] \
        in Annotations(\"container.apparmor.security.beta.kubernetes.io/\"): nothing";
    check_defaults(
        &AppArmor,
        &profiles(None, "unconfined"),
        (1, 29),
        &[nothing],
    );
    check_defaults(&AppArmor, &profiles(None, "odd"), (1, 30), &[nothing]);
    check_defaults(&AppArmor, &profiles(None, ""), (1, 30), &[]);
}

#[test]
fn a_mutator_is_safe_unless_the_policy_allows_its_value_and_not_its_own_default() {
    let value = json!({ "type": "Unconfined" });
    let mutation = Mutation::on_pod("securityContext.appArmorProfile", value);
    for (allowed, default, safe) in [
        (None, "", true),
        (None, "runtime/default", true),
        (Some("runtime/default"), "", true),
        (Some("runtime/default,unconfined"), "", false),
        (Some("unconfined,"), "", false),
        (Some("unconfined"), "runtime/default", false),
        (Some("unconfined"), "unconfined", true),
    ] {
        let psp = profiles(allowed, default);
        let told = (allowed, default);
        assert_eq!(AppArmor.is_safe(&psp.spec, &mutation), safe, "{told:?}");
    }
}
