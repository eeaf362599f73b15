//! Manifest texts become objects.

use granit_parser::{Event, Parser, ScalarStyle};
use serde::Deserialize;
use serde_json::Value;

use super::ReviewError;

/// One object of a manifest.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Object {
    /// The API group; empty for the core group.
    pub(super) group: String,
    /// The version within the group.
    pub(super) version: String,
    /// The kind.
    pub(super) kind: String,
    /// `metadata.name`.
    pub(super) name: String,
    /// `metadata.namespace`, else empty.
    pub(super) namespace: String,
    /// `spec`, or null.
    pub(super) spec: Value,
}

impl Object {
    /// An error about this object.
    pub(super) fn error(&self, reason: impl Into<String>) -> ReviewError {
        ReviewError::Invalid {
            object: self.to_string(),
            reason: reason.into(),
        }
    }

    /// What this object asks for and we cannot tell the outcome of.
    pub(super) fn unsupported(&self, what: impl Into<String>) -> ReviewError {
        ReviewError::CannotEvaluate {
            object: self.to_string(),
            reason: what.into(),
        }
    }

    /// Reads `spec` into a type.
    pub(super) fn parse_spec<T: for<'de> Deserialize<'de>>(&self) -> Result<T, ReviewError> {
        let spec = match &self.spec {
            Value::Null => Value::Object(serde_json::Map::new()),
            spec => spec.clone(),
        };
        serde_json::from_value(spec).map_err(|error| self.error(format!("`spec`: {error}")))
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Reads all documents of a text, in order; lists of kind `List` are opened, empty documents passed over.
///
/// kubectl reads YAML 1.1, where a plain `no` is a boolean and `010` is eight; this reader knows 1.2.
/// A plain scalar that the two read differently is refused, so that the text cannot mean one thing here and another there.
pub(super) fn objects(name: &str, text: &str) -> Result<Vec<Object>, ReviewError> {
    let malformed = |reason: String| ReviewError::Malformed {
        manifest: name.to_owned(),
        reason,
    };
    refuse_ambiguous_scalars(text).map_err(malformed)?;
    let mut found = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = Value::deserialize(document).map_err(|error| malformed(error.to_string()))?;
        if !value.is_null() {
            collect(value, &mut found).map_err(malformed)?;
        }
    }
    Ok(found)
}

fn collect(value: Value, found: &mut Vec<Object>) -> Result<(), String> {
    let Value::Object(mut map) = value else {
        return Err("a document is not an object".to_owned());
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let api_version = text(map.get("apiVersion"));
    let kind = text(map.get("kind"));
    if kind == "List" {
        let Some(Value::Array(items)) = map.remove("items") else {
            return Ok(());
        };
        return items.into_iter().try_for_each(|item| collect(item, found));
    }
    if api_version.is_empty() || kind.is_empty() {
        return Err("a document has no `apiVersion` or no `kind`".to_owned());
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let metadata = map.get("metadata");
    found.push(Object {
        group: group.to_owned(),
        version: version.to_owned(),
        kind,
        name: text(metadata.and_then(|it| it.get("name"))),
        namespace: text(metadata.and_then(|it| it.get("namespace"))),
        spec: map.remove("spec").unwrap_or_default(),
    });
    Ok(())
}

fn refuse_ambiguous_scalars(text: &str) -> Result<(), String> {
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| error.to_string())?;
        if let Event::Scalar(scalar, ScalarStyle::Plain, _, None) = &event
            && is_ambiguous(scalar)
        {
            return Err(format!(
                "line {}: `{scalar}` means something else to kubectl, which reads YAML 1.1; quote it",
                span.start.line()
            ));
        }
    }
    Ok(())
}

/// Whether YAML 1.1 and 1.2 read the plain scalar differently.
fn is_ambiguous(scalar: &str) -> bool {
    let lower = scalar.to_ascii_lowercase();
    if matches!(
        lower.as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "<<" | "="
    ) {
        return true;
    }
    let digits = lower.trim_start_matches(['-', '+']);
    let starts_like_a_number = digits.starts_with(|it: char| it.is_ascii_digit());
    let is_octal = digits.len() > 1 && digits.starts_with('0') && !digits.contains(['.', 'e']);
    starts_like_a_number
        && digits
            .chars()
            .all(|it| it.is_ascii_hexdigit() || "_xob.:".contains(it))
        && (is_octal || digits.contains(['_']) || is_sexagesimal(digits))
}

fn is_sexagesimal(digits: &str) -> bool {
    digits.contains(':') && digits.chars().all(|it| it.is_ascii_digit() || it == ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_lists_and_empty_documents_are_read_in_order() {
        let text = "---\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: a/v1, kind: A, metadata: {name: x}}\n- {apiVersion: v1, kind: B}\n---\napiVersion: c.d/v2\nkind: C\nmetadata: {name: w, namespace: z}\nspec: {e: 1}\n";
        let found = objects("test", text).unwrap();
        let seen: Vec<_> = found
            .iter()
            .map(|it| (it.group.as_str(), it.version.as_str(), it.to_string()))
            .collect();
        assert_eq!(
            seen,
            [
                ("a", "v1", "A x".to_owned()),
                ("", "v1", "B ".to_owned()),
                ("c.d", "v2", "C w".to_owned())
            ]
        );
        assert_eq!(found[2].spec, serde_json::json!({"e": 1}));
        assert_eq!(found[2].namespace, "z");
    }

    #[test]
    fn what_kubectl_reads_as_a_boolean_or_another_number_is_refused() {
        for scalar in ["no", "Yes", "on", "y", "010", "1_000", "0x1F", "1:30"] {
            let text = format!("apiVersion: v1\nkind: A\nspec: {{a: {scalar}}}\n");
            let error = objects("test", &text).unwrap_err().to_string();
            assert!(
                error.contains("line 3") && error.contains(scalar),
                "{error}"
            );
            let quoted = format!("apiVersion: v1\nkind: A\nspec: {{a: \"{scalar}\"}}\n");
            assert!(objects("test", &quoted).is_ok(), "{scalar}");
        }
        for scalar in [
            "none",
            "0",
            "10",
            "1.5",
            "false",
            "null",
            "v1",
            "1.2.3.4",
            "2024-01-02",
            "0.5",
        ] {
            let text = format!("apiVersion: v1\nkind: A\nspec: {{a: {scalar}}}\n");
            assert!(objects("test", &text).is_ok(), "{scalar}");
        }
    }
}
