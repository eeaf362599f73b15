use serde_json::json;

use super::*;
use crate::controls::testing::{
    check, check_covers, check_defaults, check_mutation, check_parameters, check_unchanged,
    contexts, owned, policy,
};

fn lists(allowed: &[&str], default_add: &[&str], required_drop: &[&str]) -> PodSecurityPolicy {
    policy(|it| {
        it.allowed_capabilities = owned(allowed);
        it.default_add_capabilities = owned(default_add);
        it.required_drop_capabilities = owned(required_drop);
    })
}

fn with(capabilities: &Value) -> Value {
    contexts(&json!({}), &json!({ "capabilities": capabilities }))
}

#[test]
fn defaults_are_added_sorted_unless_dropped() {
    let psp = lists(&[], &["C", "A", "B"], &[]);
    let after = with(&json!({ "add": ["A", "B", "C"] }));
    check_mutation(
        &Capabilities,
        &psp,
        with(&json!({ "add": ["A"] })),
        after.clone(),
    );
    check_mutation(&Capabilities, &psp, with(&json!({})), after);
    let dropping = with(&json!({ "drop": ["A"] }));
    check_unchanged(&Capabilities, &lists(&[], &["A"], &[]), dropping);
}

#[test]
fn what_changes_is_written_anew_and_what_does_not_is_left_alone() {
    let psp = lists(&["A", "B"], &[], &["X"]);
    let before = with(&json!({ "add": ["B", "A", "B"] }));
    let after = with(&json!({ "add": ["A", "B"], "drop": ["X"] }));
    check_mutation(&Capabilities, &psp, before, after);
    let dropped = with(&json!({ "add": ["B", "A"], "drop": ["Z", "X", "X"] }));
    check_unchanged(&Capabilities, &psp, dropped);
    for context in [json!(null), json!({}), json!({ "capabilities": {} })] {
        check_unchanged(
            &Capabilities,
            &lists(&[], &[], &[]),
            contexts(&json!({}), &context),
        );
    }
}

#[test]
fn names_are_literal() {
    let psp = lists(&["NET_ADMIN"], &[], &["NET_RAW"]);
    let before = with(&json!({ "drop": ["ALL", "net_raw"] }));
    let after = with(&json!({ "drop": ["ALL", "NET_RAW", "net_raw"] }));
    check_mutation(&Capabilities, &psp, before, after);
    let pod = with(&json!({ "add": ["CAP_NET_ADMIN", "NET_ADMIN"], "drop": ["NET_RAW"] }));
    let error = "spec.containers[0].securityContext.capabilities.add: \
        Invalid value: \"CAP_NET_ADMIN\": capability may not be added";
    check(&Capabilities, &psp, pod, &[error]);
}

#[test]
fn defaults_may_be_added_without_being_allowed() {
    check(
        &Capabilities,
        &lists(&[], &["A"], &[]),
        with(&json!({ "add": ["A"] })),
        &[],
    );
}

#[test]
fn the_star_skips_required_drops_as_well() {
    let psp = lists(&["*"], &[], &["X"]);
    check(&Capabilities, &psp, with(&json!({ "add": ["ANY"] })), &[]);
}

#[test]
fn required_drops_must_be_dropped() {
    let psp = lists(&[], &[], &["X"]);
    let path = "spec.containers[0].securityContext.capabilities";
    for (capabilities, value) in [
        (json!({}), "[]core.Capability(nil)"),
        (json!({ "drop": null }), "[]core.Capability(nil)"),
        (json!({ "drop": [] }), "[]core.Capability{}"),
        (
            json!({ "drop": ["A", "B"] }),
            "[]core.Capability{\"A\", \"B\"}",
        ),
    ] {
        let error = format!(
            "{path}.drop: Invalid value: {value}: X is required to be dropped but was not found"
        );
        check(&Capabilities, &psp, with(&capabilities), &[&error]);
    }
    let error = format!(
        "{path}: Invalid value: \"null\": \
         required capabilities are not set on the securityContext"
    );
    let without = contexts(&json!({}), &json!(null));
    check(&Capabilities, &psp, without.clone(), &[&error]);
    let adds = lists(&[], &["A"], &[]);
    check(&Capabilities, &adds, without.clone(), &[&error]);
    check(&Capabilities, &lists(&[], &[], &[]), without, &[]);
}

#[test]
fn a_policy_covers_another_that_may_add_less_and_must_drop_more() {
    let none = (&[][..], &[][..], &[][..]);
    for (wide, narrow, covers) in [
        (none, none, true),
        ((&["*"], &[], &[]), none, true),
        ((&["*"], &[], &[]), (&["*"], &[], &[]), true),
        ((&["KILL"], &[], &[]), (&["*"], &[], &[]), false),
        ((&["KILL"], &[], &[]), (&["KILL"], &[], &[]), true),
        (none, (&["KILL"], &[], &[]), false),
        ((&["KILL"], &[], &[]), (&[], &["KILL"], &[]), true),
        (none, (&[], &["KILL"], &[]), false),
        ((&[], &["KILL"], &[]), (&[], &["KILL"], &[]), true),
        ((&[], &["KILL"], &[]), none, false),
        ((&[], &["*"], &[]), (&["*"], &["*"], &[]), false),
        (none, (&[], &[], &["KILL"]), true),
        ((&[], &[], &["KILL"]), none, false),
        (
            (&["*"], &[], &["KILL"]),
            (&["*"], &[], &["KILL", "MKNOD"]),
            true,
        ),
    ] {
        let [wide, narrow] = [wide, narrow].map(|(allowed, add, drop)| lists(allowed, add, drop));
        check_covers(&Capabilities, &wide, &narrow, covers);
    }
}

#[test]
fn the_lists_travel_sorted() {
    let psp = lists(&["B", "A"], &["D", "C"], &["F", "E"]);
    let expected = json!({
        "allowedCapabilities": ["A", "B"],
        "defaultAddCapabilities": ["C", "D"],
        "requiredDropCapabilities": ["E", "F"],
    });
    check_parameters(&Capabilities, &psp, &expected);
}

#[test]
fn what_is_added_needs_a_container_without_capabilities_and_what_is_dropped_does_not() {
    let add = "spec.defaultAddCapabilities in Containers([\"capabilities\", \"add\"]): \
        ModifySet on Containers of securityContext.capabilities.add = [\"A\"] \
        unless securityContext.capabilities; default-only-without-capabilities Stricter \
        {\"spec\":{\"containers\":[{\"securityContext\":{\"capabilities\":{}}}]}}";
    let drop = "spec.requiredDropCapabilities in Containers([\"capabilities\", \"drop\"]): \
        ModifySet on Containers of securityContext.capabilities.drop = [\"B\"] \
        unless nothing; lists-not-rewritten Differs \
        {\"spec\":{\"containers\":[{\"securityContext\":{\"capabilities\":{\"drop\":[\"KILL\",\"KILL\"]}}}]}}";
    for (default_add, required_drop, expected) in [
        (&[][..], &[][..], &[][..]),
        (&["A"], &[], &[add]),
        (&[], &["B"], &[drop]),
        (&["A"], &["B"], &[add, drop]),
    ] {
        let psp = lists(&[], default_add, required_drop);
        check_defaults(&Capabilities, &psp, (1, 24), expected);
    }
}
