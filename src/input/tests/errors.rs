use super::{OPTIONS, policy, source};
use crate::input::{load, render_error};

#[track_caller]
fn check(text: &str, expected: &str) {
    let error = load(&[source(text)], OPTIONS).expect_err("the text is accepted");
    assert_eq!(render_error(&error.errors[0], text), expected);
}

#[test]
fn an_error_shows_its_line_with_a_caret() {
    check(
        &policy("").replace("runAsUser: {rule: RunAsAny}", "runAsUser: {rule: RunasAny} # anybody"),
        "\
error: a.yaml:6:21: PodSecurityPolicy p is invalid: spec.runAsUser.rule: Unsupported value: \"RunasAny\": supported values: \"MustRunAs\", \"MustRunAsNonRoot\", \"RunAsAny\"
  |
6 |   runAsUser: {rule: RunasAny} # anybody
  |                     ^^^^^^^^",
    );
}

#[test]
fn columns_are_characters_and_the_caret_is_below_them() {
    check(
        "é: \"日本\"\nkind: Pod\napiVersion: v1\nx: {ü: 1, ü: 2}\r\n",
        "\
error: a.yaml:4:11: key `ü` is repeated, first on line 4
  |
4 | x: {ü: 1, ü: 2}
  |           ^",
    );
}

#[test]
fn what_stands_at_the_end_of_the_text_can_be_shown() {
    check(
        "{\"a\": 1",
        "\
error: a.yaml:1:8: this is not JSON: expected `,` or `}`, found the end
  |
1 | {\"a\": 1
  |        ^",
    );
}

#[test]
fn of_a_long_line_only_the_surroundings_are_shown() {
    let filler = "\"x\", ".repeat(10_000);
    let text = format!(
        "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"x\": [{filler} {{\"a\": 1, \"a\": 2}}, {filler} 1]}}"
    );
    let error = load(&[source(&text)], OPTIONS).expect_err("it is refused");
    let rendered = render_error(&error.errors[0], &text);
    assert!(
        rendered.starts_with("error: a.yaml:1:50053: key `a` is repeated, first on line 1\n"),
        "{rendered}"
    );
    assert!(rendered.contains("{\"a\": 1, \"a\": 2}, "), "{rendered}");
    assert!(rendered.len() < 500, "{rendered}");
}

#[test]
fn another_text_gives_no_excerpt() {
    let error = load(&[source("kind: Pod\nx: [")], OPTIONS).expect_err("it is refused");
    let rendered = render_error(&error.errors[0], "");
    assert_eq!(rendered.lines().count(), 1, "{rendered}");
}

#[test]
fn a_message_is_one_line_that_no_terminal_obeys() {
    let text = policy(
        "  volumes: [\"a\\nb\\e[31m\"]\n  allowedUnsafeSysctls: [\"a\\n\"]\n  forbiddenSysctls: [\"a\\n\"]\n",
    );
    let error = load(&[source(&text)], OPTIONS).expect_err("it is refused");
    assert_eq!(error.errors.len(), 4);
    for error in &error.errors {
        assert!(
            !error.message.contains(char::is_control),
            "{}",
            error.message
        );
    }
}
