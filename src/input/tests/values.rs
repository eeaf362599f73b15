//! What YAML means, checked against kubectl's own reader, `sigs.k8s.io/yaml` 1.2.

use serde_json::json;

use super::{errors, pod};

#[test]
fn plain_words_are_booleans_as_in_yaml_1_1() {
    for word in ["y", "Yes", "on", "ON", "true", "TRUE"] {
        assert_eq!(pod(&format!("x: {word}")), json!(true), "{word}");
    }
    for word in ["n", "No", "off", "OFF", "false", "False"] {
        assert_eq!(pod(&format!("x: {word}")), json!(false), "{word}");
    }
    for word in ["yEs", "tRUE", "oN"] {
        assert_eq!(pod(&format!("x: {word}")), json!(word), "{word}");
    }
}

#[test]
fn quoted_words_are_strings() {
    assert_eq!(
        pod("x: ['yes', \"0777\", '~', '1']"),
        json!(["yes", "0777", "~", "1"])
    );
    assert_eq!(pod("x: |-\n  yes"), json!("yes"));
    assert_eq!(pod("x: >-\n  12"), json!("12"));
}

#[test]
fn null_has_several_names() {
    assert_eq!(
        pod("x: [~, null, Null, NULL, {a: }]"),
        json!([null, null, null, null, { "a": null }])
    );
}

#[test]
fn integers_have_prefixes_and_underscores() {
    let cases = [
        ("0777", json!(511)),
        ("0o7", json!(7)),
        ("0O7", json!(7)),
        ("0x1F", json!(31)),
        ("-0x1", json!(-1)),
        ("0b11", json!(3)),
        ("-0b11", json!(-3)),
        ("1_000", json!(1000)),
        ("1_", json!(1)),
        ("0_7", json!(7)),
        ("+1", json!(1)),
        ("-0", json!(0)),
        ("08", json!(8)),
        ("9223372036854775807", json!(i64::MAX)),
        ("18446744073709551615", json!(u64::MAX)),
    ];
    for (word, value) in cases {
        assert_eq!(pod(&format!("x: {word}")), value, "{word}");
    }
}

#[test]
fn floats_that_are_whole_are_integers() {
    let cases = [
        ("1.0", json!(1)),
        ("1e3", json!(1000)),
        ("5.e3", json!(5000)),
        (".5", json!(0.5)),
        ("-.5", json!(-0.5)),
        ("1_0.5", json!(10.5)),
        ("09.5", json!(9.5)),
    ];
    for (word, value) in cases {
        assert_eq!(pod(&format!("x: {word}")), value, "{word}");
    }
}

#[test]
fn words_that_are_almost_numbers_are_strings() {
    let words = [
        "1487e23671",
        "2001-01-01",
        "190:20:30",
        "0b2",
        "0xg",
        "0x",
        "_1",
        "1-2",
        ".",
        "+",
        "++1",
        "=",
        "1e400",
        "0x1p3",
        "nan",
        "inf",
    ];
    for word in words {
        assert_eq!(pod(&format!("x: {word}")), json!(word), "{word}");
    }
}

#[test]
fn tags_force_a_kind() {
    assert_eq!(
        pod("x: [!!str 5, !!int '7', !!bool 'yes', !!float 1, !foo 5, ! 5, !!str yes]"),
        json!(["5", 7, true, 1, "5", "5", "yes"])
    );
    assert_eq!(
        errors("apiVersion: v1\nkind: Pod\nx: !!int abc"),
        ["3:10: `abc` is not a value for the tag `!!int`"]
    );
}

#[test]
fn keys_become_strings() {
    assert_eq!(
        pod("x: {yes: 1, 1: 2, 1.5: 3, 0x10: 4}"),
        json!({ "true": 1, "1": 2, "1.5": 3, "16": 4 })
    );
    assert_eq!(
        errors("apiVersion: v1\nkind: Pod\n~: 1\n? [a]\n: 2"),
        ["3:1: a key must not be null", "4:3: a key must be a string"]
    );
}

#[test]
fn what_json_cannot_say_is_an_error() {
    assert_eq!(
        errors("apiVersion: v1\nkind: Pod\nx: .inf"),
        ["3:4: `.inf` cannot be written as JSON"]
    );
}

#[test]
fn aliases_are_copies() {
    assert_eq!(
        pod("y: &y {a: [1]}\nx: [*y, *y]"),
        json!([{ "a": [1] }, { "a": [1] }])
    );
}

#[test]
fn a_merge_overrides_what_stands_before_it_and_not_what_stands_behind() {
    assert_eq!(
        pod("y: &y {a: 2, b: 3}\nx:\n  a: 9\n  <<: *y\n  b: 7"),
        json!({ "a": 2, "b": 7 })
    );
}

#[test]
fn of_several_merged_objects_the_first_wins() {
    assert_eq!(
        pod("x: {<<: [{a: 1}, {a: 2, c: 4}], d: 5}"),
        json!({ "a": 1, "c": 4, "d": 5 })
    );
    assert_eq!(pod("x: {'<<': {a: 1}}"), json!({ "<<": { "a": 1 } }));
    assert_eq!(
        errors("apiVersion: v1\nkind: Pod\nx: {<<: 5}"),
        ["3:9: `<<` needs an object or a list of objects"]
    );
}

#[test]
fn quoted_text_may_continue_without_indentation() {
    assert_eq!(pod("z:\n  x: 1\nx: \"a,\nb\""), json!("a, b"));
}

#[test]
fn json_is_read_as_json() {
    let text = r#"{"apiVersion": "v1", "kind": "Pod", "x": ["\ud83d\ude00\/", -1, 1e2, 1.5, true, null, {}, []]}"#;
    let inventory = super::inventory(text);
    assert_eq!(
        inventory.workloads[0].object["x"],
        json!(["😀/", -1, 100, 1.5, true, null, {}, []])
    );
}
