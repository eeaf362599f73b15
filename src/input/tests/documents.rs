use super::{diagnostics, errors, inventory, loaded, source};
use crate::diagnostic::Severity;
use crate::input::{LoadOptions, Source, load};

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n";

#[track_caller]
fn check_namespaces(text: &str, expected: &[&str]) {
    let names: Vec<String> = inventory(text).namespaces.into_keys().collect();
    assert_eq!(names, expected, "{text}");
}

fn namespace(name: &str) -> String {
    NAMESPACE.replace("name: a", &format!("name: {name}"))
}

fn json_namespace(name: &str) -> String {
    format!(r#"{{"apiVersion": "v1", "kind": "Namespace", "metadata": {{"name": "{name}"}}}}"#)
}

#[test]
fn a_file_may_hold_nothing() {
    for text in [
        "",
        "\n",
        "---\n",
        "---\n---\n",
        "# a comment\n",
        "---\n# a comment\n---\nnull\n",
        "\u{feff}",
    ] {
        check_namespaces(text, &[]);
        assert_eq!(loaded(text).1, [], "{text:?}");
    }
}

#[test]
fn documents_are_separated_by_three_dashes() {
    let (a, b) = (namespace("a"), namespace("b"));
    check_namespaces(&format!("{a}---\n{b}"), &["a", "b"]);
    check_namespaces(&format!("---\n{a}\n--- # a comment\n\n{b}---"), &["a", "b"]);
    check_namespaces(&format!("---\t\n{a}...\n---\n{b}...\n"), &["a", "b"]);
    check_namespaces(&format!("{a}...\n{b}"), &["a", "b"]);
    check_namespaces(
        &format!("%YAML 1.1\n# a comment\n---\n{a}---\n{b}"),
        &["a", "b"],
    );
}

#[test]
fn three_dashes_before_a_letter_separate_nothing() {
    let inventory = inventory("apiVersion: v1\n---x: 1\nkind: Pod\n");
    assert_eq!(inventory.workloads[0].object["---x"], 1);
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let text = format!("\u{feff}{NAMESPACE}---\n{}", namespace("b"));
    check_namespaces(&text, &["a", "b"]);
    check_namespaces(&text.replace('\n', "\r\n"), &["a", "b"]);
    let text = format!("\u{feff}{}", json_namespace("a"));
    check_namespaces(&text, &["a"]);
}

#[test]
fn json_comes_alone_in_lines_and_in_documents() {
    let (a, b) = (json_namespace("a"), json_namespace("b"));
    check_namespaces(&a, &["a"]);
    check_namespaces(&format!("{a}\n{b}\n"), &["a", "b"]);
    check_namespaces(&format!("{a}{b}"), &["a", "b"]);
    check_namespaces(&format!("---\n{a}\n---\n{b}\n"), &["a", "b"]);
    check_namespaces(&format!("--- {a}\n--- {b}\n"), &["a", "b"]);
}

#[test]
fn what_only_begins_like_json_is_yaml() {
    check_namespaces(
        "{apiVersion: v1, kind: Namespace, metadata: {name: a}} # a comment",
        &["a"],
    );
    check_namespaces(&format!("{} # a comment", json_namespace("a")), &["a"]);
}

#[test]
fn an_ill_formed_document_does_not_hide_the_next() {
    assert_eq!(
        errors("a: b: c\n---\n{\"a\": [}\n---\n- a\nb\n"),
        [
            "1:5: this is not YAML: mapping values are not allowed in this context",
            "3:8: this is not JSON: expected a value, found `}`",
            "6:1: this is not YAML: simple key expected ':'",
        ]
    );
}

#[test]
fn ill_formed_json_is_told_as_json() {
    let cases = [
        (
            "{\"a\": 1",
            "1:8: this is not JSON: expected `,` or `}`, found the end",
        ),
        (
            "{\"a\" 1}",
            "1:6: this is not JSON: expected `:`, found `1`",
        ),
        (
            "{\"a\": [1 2]",
            "1:10: this is not JSON: expected `,` or `]`, found `2`",
        ),
        (
            "{\"a\": \"b}",
            "1:7: this is not JSON: a string that does not end",
        ),
        (
            "{\"a\": \"\\x\"",
            "1:7: this is not JSON: a string with an ill-formed escape",
        ),
        (
            "{\"a\": 01x, ]",
            "1:7: this is not JSON: `01x` is not a number",
        ),
        (
            "{\"a\": \"b\tc\",",
            "1:9: this is not JSON: a string must not hold a control character",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(errors(text), [expected], "{text}");
    }
}

#[test]
fn a_template_is_recognized() {
    assert_eq!(
        errors("kind: Namespace\n{{- if .Values.x }}\n"),
        [
            "2:3: this is not YAML: \"-\" is only valid inside a block; it looks like a template, which has \
         to be rendered first, as `helm template` does"
        ]
    );
}

#[test]
fn aliases_cannot_become_huge() {
    let mut lines = vec!["a: &a [x, x, x, x, x, x, x, x, x]".to_owned()];
    for (name, of) in ('b'..='i').zip('a'..) {
        let aliases = vec![format!("*{of}"); 9].join(", ");
        lines.push(format!("{name}: &{name} [{aliases}]"));
    }
    let text = lines.join("\n");
    assert_eq!(errors(&text).len(), 1);
    assert!(errors(&text)[0].ends_with("aliases copy more than 32 MiB"));
    assert_eq!(errors("a: &a [*a]"), ["1:8: the anchor contains itself"]);
}

#[test]
fn nesting_has_an_end() {
    let deep = |depth: usize| {
        format!(
            "{{\"kind\": \"X\", \"a\": {}{}}}",
            "[".repeat(depth),
            "]".repeat(depth)
        )
    };
    assert_eq!(inventory(&deep(150)).ignored["X"], 1);
    assert!(errors(&deep(100_000))[0].contains("nested deeper than 200 levels"));
    assert_eq!(errors(&"- ".repeat(100_000)).len(), 1);
    assert_eq!(errors(&"[".repeat(100_000)).len(), 1);
    assert_eq!(errors(&"{a: ".repeat(100_000)).len(), 1);
}

#[test]
fn control_characters_are_not_yaml() {
    for text in ["kind: X\na: \u{1}", "kind: X\u{0}\n", "kind: X\n# \u{7}\n"] {
        assert_eq!(errors(text).len(), 1, "{text:?}");
    }
}

#[test]
fn what_is_no_object_is_left_aside_with_a_note() {
    for (name, text, hint) in [
        (
            "values.yaml",
            "image: x\n",
            "; it looks like Helm values, which `helm template` uses",
        ),
        (
            "x/values-prod.yaml",
            "image: x\n",
            "; it looks like Helm values, which `helm template` uses",
        ),
        (
            "kustomization.yaml",
            "resources: [a.yaml]\n",
            "; it looks like a kustomization, which `kubectl kustomize` renders",
        ),
        (
            "Chart.yaml",
            "name: x\n",
            "; it looks like a Helm chart, which `helm template` renders",
        ),
        ("a.yaml", "- 1\n", ""),
        ("a.yaml", "text\n", ""),
        ("a.json", "[]", ""),
    ] {
        let source = Source {
            name: name.to_owned(),
            text: text.to_owned(),
        };
        let options = LoadOptions {
            proc_mount_type: false,
        };
        let (inventory, diagnostics) = load(&[source], options).expect("it is accepted");
        assert_eq!(inventory.ignored["(no kind)"], 1);
        let [note] = diagnostics.as_slice() else {
            panic!("{diagnostics:?}")
        };
        assert_eq!(
            (note.severity, note.code),
            (Severity::Note, "not-kubernetes")
        );
        let message = "this has no `kind`, so it is no Kubernetes object and was left aside";
        assert_eq!(note.message, format!("{message}{hint}"));
    }
}

#[test]
fn what_has_a_pod_template_is_not_left_aside_in_silence() {
    let object = |api_version: &str, kind: &str, spec: &str| {
        format!("apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x}}\nspec: {spec}\n")
    };
    let template = "{template: {spec: {containers: [{name: c, image: i}]}}}";
    let told = |text: String| {
        let (inventory, diagnostics) = loaded(&text);
        assert_eq!(inventory.workloads, []);
        diagnostics
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        told(object("argoproj.io/v1alpha1", "Rollout", template)),
        [
            "note[unknown-workload]: a.yaml:2:7: pods are made of Rollout x, whose kind is not known in version `argoproj.io/v1alpha1`, so it was left aside; its pods can be given themselves"
        ]
    );
    assert_eq!(told(object("v1", "Deployment", template)).len(), 1);
    for spec in ["{template: {spec: {}}}", "{template: x}", "{}"] {
        assert_eq!(told(object("example.com/v1", "X", spec)).len(), 0);
    }
}

#[test]
fn errors_of_all_sources_come_in_order() {
    let first = Source {
        name: "b.yaml".to_owned(),
        ..source("a: b: c\n---\na: b: c")
    };
    let second = source("a: b: c");
    let error = load(
        &[first, second],
        LoadOptions {
            proc_mount_type: false,
        },
    )
    .expect_err("it is refused");
    let places: Vec<String> = error
        .errors
        .iter()
        .map(|it| it.location.to_string())
        .collect();
    assert_eq!(places, ["b.yaml:1:5", "b.yaml:3:5", "a.yaml:1:5"]);
    assert_eq!(error.to_string(), "the input has 3 error(s)");
}

#[test]
fn a_warning_of_kubectl_is_told_from_what_it_printed() {
    let message = "this is a warning that kubectl wrote to stderr, and no part of the objects; write only its stdout to the file";
    let expected = [format!("1:1: {message}")];
    let warning = "Warning: policy/v1beta1 PodSecurityPolicy is deprecated in v1.21+, unavailable in v1.25+\n";
    for output in [
        "{\"apiVersion\": \"v1\", \"kind\": \"List\"}",
        "apiVersion: v1\nkind: List\n",
    ] {
        assert_eq!(errors(&format!("{warning}{output}")), expected);
        assert_eq!(errors(&format!("{warning}{warning}{output}")), expected);
    }
    // A text of the user's own.
    assert_eq!(diagnostics("Warning: none\n").len(), 1);
}

#[test]
fn a_kustomization_is_told_of() {
    let text =
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]\n";
    assert_eq!(
        diagnostics(text),
        [
            "note[not-kubernetes]: a.yaml:2:7: this is a kustomization and was left aside; what `kubectl kustomize` makes of its \
             bases and patches can be given"
        ]
    );
}
