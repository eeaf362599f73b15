//! Why the API server refuses an object, in its own words.
//!
//! Kubernetes 1.24, `apimachinery/pkg/util/validation/field/errors.go`.

use std::fmt::{Display, Write as _};

use super::node::{Node, Span};
use super::path::Path;

/// What an API server finds wrong with an object.
pub(super) struct FieldErrors<'n> {
    object: &'n Node<'n>,
    /// Where to point, and the field with the reason.
    pub(super) found: Vec<(Span, String)>,
}

impl<'n> FieldErrors<'n> {
    pub(super) fn new(object: &'n Node<'n>) -> Self {
        Self {
            object,
            found: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, at: &Path<'_>, reason: impl Display) {
        self.add_as(at, at, reason);
    }

    /// For the fields that the API server misnames.
    pub(super) fn add_as(&mut self, at: &Path<'_>, name: impl Display, reason: impl Display) {
        self.found
            .push((self.object.locate(at), format!("{name}: {reason}")));
    }
}

pub(super) fn required(detail: &str) -> String {
    let colon = if detail.is_empty() { "" } else { ": " };
    format!("Required value{colon}{detail}")
}

/// `value` as Go prints it, see [`quoted`] for strings.
pub(super) fn invalid(value: impl Display, detail: impl Display) -> String {
    format!("Invalid value: {value}: {detail}")
}

pub(super) fn unsupported(value: &str, supported: &[&str]) -> String {
    let supported: Vec<String> = supported.iter().map(|it| quoted(it)).collect();
    format!(
        "Unsupported value: {}: supported values: {}",
        quoted(value),
        supported.join(", ")
    )
}

pub(super) fn forbidden(detail: &str) -> String {
    format!("Forbidden: {detail}")
}

pub(super) fn duplicate(value: &str) -> String {
    format!("Duplicate value: {}", quoted(value))
}

pub(super) fn too_long(bytes: usize) -> String {
    format!("Too long: must have at most {bytes} bytes")
}

/// A string as Go's `strconv.Quote` prints it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            // Writing to a string cannot fail.
            '\0'..' ' | '\x7f' => _ = write!(out, "\\x{:02x}", u32::from(char)),
            _ if char.is_control() => _ = write!(out, "\\u{:04x}", u32::from(char)),
            _ => out.push(char),
        }
    }
    out.push('"');
    out
}

/// A list of strings as Go's `%#v` prints it.
pub(super) fn go_list(go_type: &str, items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|it| quoted(it)).collect();
    format!("[]{go_type}{{{}}}", items.join(", "))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn strings_are_quoted_as_in_go() {
        let text = "a\"b\\c\n\r\t\0\x07\x08\x0b\x0c\x1b\x7f\u{85}é日";
        let expected = r#""a\"b\\c\n\r\t\x00\a\b\v\f\x1b\x7f\u0085é日""#;
        assert_eq!(quoted(text), expected);
    }
}
