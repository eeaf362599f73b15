//! The parameters of a constraint against the schema of its template.
//!
//! An API server fills in defaults and refuses a constraint that does not fit; what it refuses is enforced nowhere.
//! Only the part of `OpenAPI` that parameters of pod policies use is known; a schema with more is not evaluated.

use serde_json::Value;

/// What a schema or the parameters are wrong about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SchemaError {
    /// The API server refuses the constraint.
    Refused(String),
    /// We do not know what the API server makes of this keyword.
    UnknownKeyword(String),
}

/// Keywords that do not decide whether a value fits.
const SILENT: [&str; 5] = ["default", "description", "example", "format", "title"];

/// Fills in defaults and checks a value, which `path` names in errors.
///
/// `lenient` schemas (`legacySchema: true`) let unknown fields through.
pub(super) fn complete(
    schema: &Value,
    value: &mut Value,
    path: &str,
    lenient: bool,
) -> Result<(), SchemaError> {
    let Some(keywords) = schema.as_object() else {
        return Ok(());
    };
    let is_true = |key: &str| keywords.get(key) == Some(&Value::Bool(true));
    if value.is_null() && is_true("nullable") {
        return Ok(());
    }
    for (keyword, argument) in keywords {
        match keyword.as_str() {
            "type" => check_type(argument, value, path)?,
            "enum" => {
                let listed = argument.as_array().is_some_and(|it| it.contains(value));
                if !listed {
                    return refused(path, "is not one of the values allowed");
                }
            }
            "required" => {
                let names = argument.as_array().into_iter().flatten();
                for name in names.filter_map(Value::as_str) {
                    if value.is_object() && value.get(name).is_none() {
                        return refused(&format!("{path}.{name}"), "is required");
                    }
                }
            }
            "items" => {
                for (index, item) in value.as_array_mut().into_iter().flatten().enumerate() {
                    complete(argument, item, &format!("{path}[{index}]"), lenient)?;
                }
            }
            "properties"
            | "additionalProperties"
            | "nullable"
            | "x-kubernetes-preserve-unknown-fields" => {} // below
            silent if SILENT.contains(&silent) => {}
            unknown => return Err(SchemaError::UnknownKeyword(unknown.to_owned())),
        }
    }
    let Value::Object(map) = value else {
        return Ok(());
    };
    let properties = keywords.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(default) = property.get("default")
            && !map.contains_key(name)
        {
            map.insert(name.clone(), default.clone());
        }
    }
    let additional = keywords.get("additionalProperties");
    let lenient_here = lenient || is_true("x-kubernetes-preserve-unknown-fields");
    for (name, field) in map {
        let path = format!("{path}.{name}");
        match (properties.and_then(|it| it.get(name)), additional) {
            (Some(property), _) => complete(property, field, &path, lenient)?,
            (None, Some(Value::Bool(true))) => {}
            (None, Some(schema @ Value::Object(_))) => complete(schema, field, &path, lenient)?,
            (None, _) if lenient_here => {}
            (None, _) => return refused(&path, "is not in the schema of the template"),
        }
    }
    Ok(())
}

fn check_type(ty: &Value, value: &Value, path: &str) -> Result<(), SchemaError> {
    let fits = match ty.as_str().unwrap_or_default() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64(),
        "number" => value.is_number(),
        unknown => return Err(SchemaError::UnknownKeyword(format!("type: {unknown}"))),
    };
    if fits {
        Ok(())
    } else {
        refused(
            path,
            "has another type than the schema of the template asks for",
        )
    }
}

fn refused(path: &str, reason: &str) -> Result<(), SchemaError> {
    Err(SchemaError::Refused(format!("`{path}` {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "required": ["a"], "properties": {
            "a": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}, "m": {"type": "string", "default": "x"}}}},
            "e": {"type": "string", "enum": ["y"]},
            "map": {"type": "object", "additionalProperties": {"type": "boolean"}},
            "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
    }

    #[test]
    fn defaults_are_filled_in_at_every_level() {
        let mut value =
            json!({"a": [{"n": 1}, {"m": "z"}], "map": {"k": true}, "any": {"b": 1}, "e": "y"});
        complete(&schema(), &mut value, "spec.parameters", false).unwrap();
        assert_eq!(value["a"], json!([{"n": 1, "m": "x"}, {"m": "z"}]));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_path() {
        for (mut value, path) in [
            (json!({}), "p.a"),
            (json!({"a": [{"n": "1"}]}), "p.a[0].n"),
            (json!({"a": [], "b": 1}), "p.b"),
            (json!({"a": [], "e": "n"}), "p.e"),
            (json!({"a": [], "map": {"k": 1}}), "p.map.k"),
        ] {
            let error = complete(&schema(), &mut value, "p", false).unwrap_err();
            assert!(
                matches!(&error, SchemaError::Refused(it) if it.starts_with(&format!("`{path}`"))),
                "{error:?}"
            );
        }
        assert_eq!(
            complete(&json!({"pattern": "a"}), &mut json!("b"), "p", false),
            Err(SchemaError::UnknownKeyword("pattern".to_owned()))
        );
        assert_eq!(
            complete(&schema(), &mut json!({"a": [], "b": 1}), "p", true),
            Ok(())
        );
    }
}
