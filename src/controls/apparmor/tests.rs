use serde_json::{Value, json};

use super::*;
use crate::controls::testing::{
    check, check_covers, check_defaults, check_mutation, check_parameters, check_unchanged, policy,
};

const PREFIX: &str = "container.apparmor.security.beta.kubernetes.io";
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
fn a_container_without_a_profile_counts_where_runtime_default_is_filled_in_and_allowed() {
    for (allowed, default, counts) in [
        (None, "runtime/default", true),
        (Some("runtime/default"), "runtime/default", true),
        (Some("unconfined,runtime/default"), "runtime/default", true),
        (Some("localhost/x"), "runtime/default", false),
        (
            Some("unconfined, runtime/default"),
            "runtime/default",
            false,
        ),
        (Some(""), "runtime/default", false),
        (Some("runtime/default"), "", false),
        (Some("runtime/default,localhost/x"), "localhost/x", false),
        (None, "unconfined", false),
        (None, "runtime/default ", false),
        (None, "", false),
    ] {
        let psp = profiles(allowed, default).spec;
        let told = (allowed, default);
        assert_eq!(unset_is_runtime_default(&psp), counts, "{told:?}");
        let mut parameters = AppArmor.parameters(&psp);
        let says = |it: &Parameters| it["appArmor"].get("unsetIsRuntimeDefault").cloned();
        assert_eq!(says(&parameters), counts.then_some(json!(true)), "{told:?}");
        let mut others = parameters["appArmor"].clone();
        demand_profiles(&mut parameters);
        assert_eq!(says(&parameters), None, "{told:?}");
        others
            .as_object_mut()
            .unwrap()
            .remove("unsetIsRuntimeDefault");
        assert_eq!(parameters["appArmor"], others, "{told:?}");
    }
}

#[test]
fn a_policy_is_covered_only_if_it_is_with_and_without_the_demand_for_profiles() {
    let default = "runtime/default";
    let both = Some("localhost/x,runtime/default");
    for (wide, narrow, covers) in [
        // The narrow one takes a container without a profile, and the wide one does not.
        ((Some(default), ""), (Some(default), default), false),
        ((None, "localhost/x"), (None, default), false),
        ((both, "localhost/x"), (Some(default), default), false),
        // The wide one takes it, too.
        ((None, default), (Some(default), default), true),
        ((None, ""), (Some(default), default), true),
        // Only the wide one does.
        ((None, default), (Some(default), ""), true),
        ((None, default), (None, "localhost/x"), true),
        // The narrow one takes privileged containers without a profile as well.
        ((None, default), (None, ""), false),
    ] {
        let told = (wide, narrow);
        let [wide, narrow] = [wide, narrow].map(|(allowed, it)| profiles(allowed, it));
        let privileged = json!({ "spec": { "containers": [
            { "name": "app", "securityContext": { "privileged": true } },
        ] } });
        let named = ["runtime/default", "localhost/x", "unconfined"].map(annotated);
        let pods = [bare(), privileged].into_iter().chain(named);
        let pods: Vec<Pod> = pods.map(|it| serde_json::from_value(it).unwrap()).collect();
        let as_it_stands = |psp: &PodSecurityPolicy, pod: &Pod| {
            AppArmor.mutate(psp, pod) == *pod && AppArmor.validate(psp, pod).is_empty()
        };
        let with_unset = |psp: &PodSecurityPolicy, pod: &Pod| {
            let mut pod = pod.clone();
            if unset_is_runtime_default(&psp.spec) {
                name_unset_profiles(&mut pod);
            }
            as_it_stands(psp, &pod)
        };
        let witness = pods.iter().find(|pod| {
            as_it_stands(&narrow, pod) && !as_it_stands(&wide, pod)
                || with_unset(&narrow, pod) && !with_unset(&wide, pod)
        });
        assert_eq!(witness.is_none(), covers, "{told:?}: {witness:?}");
        assert_eq!(
            AppArmor.covers(&wide.spec, &narrow.spec),
            covers,
            "{told:?}"
        );
    }
}

#[test]
fn a_profile_is_named_where_a_container_without_one_runs_under_it() {
    let field = json!({ "type": "Unconfined" });
    let pod = json!({
        "metadata": { "annotations": { format!("{PREFIX}/said"): "localhost/x", format!("{PREFIX}/empty"): "" } },
        "spec": {
            "initContainers": [{ "name": "init" }],
            "containers": [
                { "name": "said" },
                { "name": "empty", "securityContext": { "privileged": false } },
                { "name": "field", "securityContext": { "appArmorProfile": field } },
                { "name": "privileged", "securityContext": { "privileged": true } },
            ],
            "ephemeralContainers": [{ "name": "debug", "securityContext": { "appArmorProfile": null } }],
        },
    });
    let mut expected = pod.clone();
    for name in ["init", "empty", "debug"] {
        expected["metadata"]["annotations"][format!("{PREFIX}/{name}")] = json!("runtime/default");
    }
    let named = |pod: &Value| {
        let mut res: Pod = serde_json::from_value(pod.clone()).unwrap();
        name_unset_profiles(&mut res);
        serde_json::to_value(res).unwrap()
    };
    assert_eq!(named(&pod), expected);
    let mut inherited = pod.clone();
    inherited["spec"]["securityContext"] = json!({ "appArmorProfile": field });
    assert_eq!(named(&inherited), inherited);
}

#[test]
fn the_default_can_be_written_since_there_is_a_field() {
    let written = |field: &str, value: Value| {
        let (annotation, prefix) = ("apparmor.security.beta.kubernetes.io", "container");
        format!(
            "metadata.annotations[{annotation}/defaultProfileName] \
             in Annotations(\"{prefix}.{annotation}/\"): Assign on Pod of {field} = {value} \
             unless {field}; default-on-pod Differs {{}}; annotation-alone Stricter \
             {{\"metadata\":{{\"annotations\":{{\"{prefix}.{annotation}/app\":\"\"}}}}}}"
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
