use serde_json::json;

use super::*;
use crate::controls::testing::{
    check, check_covers, check_defaults, check_mutation, check_parameters, check_unchanged,
    contexts, policy, ranges,
};

fn must(ends: &[(i64, i64)]) -> GroupStrategy {
    GroupStrategy::MustRunAs(ranges(ends))
}

fn may(ends: &[(i64, i64)]) -> GroupStrategy {
    GroupStrategy::MayRunAs(ranges(ends))
}

#[test]
fn defaults_are_lower_ends_of_first_ranges() {
    let psp = policy(|it| {
        it.fs_group = must(&[(5, 8), (1, 2)]);
        it.supplemental_groups = must(&[(6, 9), (1, 2)]);
        it.run_as_group = must(&[(7, 9), (1, 2)]);
    });
    let pod = json!({ "supplementalGroups": [6], "fsGroup": 5 });
    let after = contexts(&pod, &json!({ "runAsGroup": 7 }));
    check_mutation(&Groups, &psp, contexts(&json!({}), &json!(null)), after);
}

#[test]
fn what_is_set_is_not_defaulted_and_neither_is_anything_under_may_run_as() {
    let psp = policy(|it| {
        it.fs_group = must(&[(5, 5)]);
        it.supplemental_groups = must(&[(6, 9)]);
        it.run_as_group = must(&[(7, 9)]);
    });
    let set = json!({ "supplementalGroups": [], "fsGroup": 0, "runAsGroup": 0 });
    check_unchanged(&Groups, &psp, contexts(&set, &json!(null)));
    let psp = policy(|it| {
        it.fs_group = may(&[(5, 5)]);
        it.supplemental_groups = may(&[(6, 9)]);
        it.run_as_group = may(&[(7, 9)]);
    });
    check_unchanged(&Groups, &psp, contexts(&json!({}), &json!(null)));
    check(&Groups, &psp, contexts(&json!({}), &json!(null)), &[]);
}

#[test]
fn groups_must_be_there_under_must_run_as() {
    let psp = policy(|it| {
        it.fs_group = must(&[(5, 5)]);
        it.supplemental_groups = must(&[(1, 1)]);
        it.run_as_group = must(&[(7, 9)]);
    });
    let problem = "unable to validate empty groups against required ranges";
    let errors = [
        format!("spec.securityContext.fsGroup: Invalid value: []int64(nil): {problem}"),
        format!("spec.securityContext.supplementalGroups: Invalid value: []int64{{}}: {problem}"),
        format!("spec.containers[0].securityContext: Invalid value: []int64(nil): {problem}"),
    ];
    let pod = contexts(&json!({ "supplementalGroups": [] }), &json!(null));
    check(&Groups, &psp, pod, &errors.each_ref().map(String::as_str));
}

#[test]
fn each_group_outside_of_the_ranges_is_told() {
    let path = "spec.securityContext.supplementalGroups";
    let value = "Invalid value: []int64{5, 20, 30}";
    let errors = [20, 30].map(|it| {
        format!("{path}: {value}: group {it} must be in the ranges: [{{1 10}} {{12 12}}]")
    });
    let ends = [(1, 10), (12, 12)];
    for strategy in [must(&ends), may(&ends)] {
        let psp = policy(|it| it.supplemental_groups = strategy);
        let pod = contexts(&json!({ "supplementalGroups": [5, 20, 30] }), &json!(null));
        check(&Groups, &psp, pod, &errors.each_ref().map(String::as_str));
    }
}

#[test]
fn the_path_of_a_wrong_run_as_group_ends_at_the_security_context() {
    let psp = policy(|it| it.run_as_group = must(&[(10, 20)]));
    let error = "spec.containers[0].securityContext: \
        Invalid value: []int64{5}: group 5 must be in the ranges: [{10 20}]";
    check(
        &Groups,
        &psp,
        contexts(&json!({ "runAsGroup": 5 }), &json!({})),
        &[error],
    );
    let overridden = contexts(&json!({ "runAsGroup": 5 }), &json!({ "runAsGroup": 10 }));
    check(&Groups, &psp, overridden, &[]);
}

#[test]
fn both_ends_of_a_range_are_in_it() {
    let psp = policy(|it| it.fs_group = may(&[(5, 9)]));
    for (group, allowed) in [(4, false), (5, true), (9, true), (10, false)] {
        let error = format!(
            "spec.securityContext.fsGroup: Invalid value: []int64{{{group}}}: \
             group {group} must be in the ranges: [{{5 9}}]"
        );
        let errors: Vec<&str> = (!allowed).then_some(error.as_str()).into_iter().collect();
        check(
            &Groups,
            &psp,
            contexts(&json!({ "fsGroup": group }), &json!({})),
            &errors,
        );
    }
}

#[test]
fn a_policy_covers_another_with_narrower_ranges_and_no_looser_rule() {
    let any = GroupStrategy::RunAsAny;
    let ends = [(5, 9)];
    for (wide, narrow, covers) in [
        (any.clone(), any.clone(), true),
        (any.clone(), may(&ends), true),
        (any.clone(), must(&ends), true),
        (may(&ends), any.clone(), false),
        (may(&ends), may(&[(6, 8)]), true),
        (may(&ends), must(&[(6, 8)]), true),
        (may(&ends), may(&[(5, 10)]), false),
        (may(&ends), must(&[(4, 9)]), false),
        (must(&ends), any, false),
        (must(&ends), may(&ends), false),
        (must(&ends), must(&ends), true),
        (must(&ends), must(&[(5, 10)]), false),
    ] {
        let run_as_group = |strategy| policy(|it| it.run_as_group = strategy);
        let fs_group = |strategy| policy(|it| it.fs_group = strategy);
        let supplemental_groups = |strategy| policy(|it| it.supplemental_groups = strategy);
        for of in [
            &run_as_group as &dyn Fn(GroupStrategy) -> PodSecurityPolicy,
            &fs_group,
            &supplemental_groups,
        ] {
            check_covers(&Groups, &of(wide.clone()), &of(narrow.clone()), covers);
        }
    }
}

#[test]
fn the_strategies_travel_with_their_ranges_in_order() {
    let psp = policy(|it| {
        it.run_as_group = must(&[(7, 9), (1, 2)]);
        it.supplemental_groups = may(&[(6, 6)]);
    });
    let first = json!([{ "min": 7, "max": 9 }, { "min": 1, "max": 2 }]);
    let expected = json!({
        "runAsGroup": { "rule": "MustRunAs", "ranges": first },
        "supplementalGroups": { "rule": "MayRunAs", "ranges": [{ "min": 6, "max": 6 }] },
        "fsGroup": { "rule": "RunAsAny" },
    });
    check_parameters(&Groups, &psp, &expected);
}

#[test]
fn must_run_as_alone_fills_in() {
    let run_as_group = "spec.runAsGroup in Containers([\"runAsGroup\"]): \
        Assign on Pod of securityContext.runAsGroup = 7 \
        unless securityContext.runAsGroup; default-on-pod Differs {}";
    let supplemental_groups = "spec.supplementalGroups \
        in Pod([\"spec\", \"securityContext\", \"supplementalGroups\"]): \
        Assign on Pod of securityContext.supplementalGroups = [6] \
        unless securityContext.supplementalGroups";
    let fs_group = "spec.fsGroup in Pod([\"spec\", \"securityContext\", \"fsGroup\"]): \
        Assign on Pod of securityContext.fsGroup = 5 unless securityContext.fsGroup";
    let psp = policy(|it| {
        it.run_as_group = must(&[(7, 9), (1, 2)]);
        it.supplemental_groups = must(&[(6, 9), (1, 2)]);
        it.fs_group = must(&[(5, 9), (1, 2)]);
    });
    let all = [run_as_group, supplemental_groups, fs_group];
    check_defaults(&Groups, &psp, (1, 24), &all);
    let psp = policy(|it| {
        it.run_as_group = may(&[(7, 9)]);
        it.supplemental_groups = may(&[(6, 9)]);
        it.fs_group = may(&[(5, 9)]);
    });
    check_defaults(&Groups, &psp, (1, 24), &[]);
}

#[test]
fn the_ends_of_ranges_and_what_is_outside_are_tried_beside_the_usual_groups() {
    assert_eq!(boundaries(&must(&[(5, 9)])), [0, 1, 4, 5, 9, 10, 1000]);
    assert_eq!(boundaries(&may(&[(0, 0)])), [0, 1, 1000]);
    assert_eq!(boundaries(&GroupStrategy::RunAsAny), [0, 1, 1000]);
}
