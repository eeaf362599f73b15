//! Where two pods differ.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::core::Pod;

/// A place where two pods differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The place, such as `spec.containers[0].securityContext.runAsUser` or `metadata.annotations[example.com/a]`.
    pub path: String,
    /// What is there in the first; null where it is absent.
    pub left: Value,
    /// What is there in the second; null where it is absent.
    pub right: Value,
}

/// Returns all places where two pods differ, down to single values and whole lists of them.
pub fn differences(left: &Pod, right: &Pod) -> Vec<Difference> {
    let mut acc = Vec::new();
    collect(
        &mut acc,
        String::new(),
        &Value::Object(left.0.clone()),
        &Value::Object(right.0.clone()),
    );
    acc
}

fn collect(acc: &mut Vec<Difference>, path: String, left: &Value, right: &Value) {
    if left == right {
        return;
    }
    let empty = serde_json::Map::new();
    match (left, right) {
        (Value::Object(_), Value::Object(_) | Value::Null) | (Value::Null, Value::Object(_))
            if !(path.is_empty() && left.is_null()) =>
        {
            let [left, right] = [left, right].map(|it| it.as_object().unwrap_or(&empty));
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            if keys.is_empty() {
                let [left, right] = [left, right].map(|it| Value::Object(it.clone()));
                acc.push(difference(path, &left, &right));
                return;
            }
            for key in keys {
                let [left, right] = [left, right].map(|it| it.get(key).unwrap_or(&Value::Null));
                collect(acc, member(&path, key), left, right);
            }
        }
        (Value::Array(lefts), Value::Array(rights))
            if lefts.len() == rights.len() && lefts.iter().any(Value::is_object) =>
        {
            for (index, (left, right)) in lefts.iter().zip(rights).enumerate() {
                collect(acc, format!("{path}[{index}]"), left, right);
            }
        }
        _ => acc.push(difference(path, left, right)),
    }
}

fn difference(path: String, left: &Value, right: &Value) -> Difference {
    Difference {
        path,
        left: left.clone(),
        right: right.clone(),
    }
}

fn member(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else if key.contains(['.', '/']) {
        format!("{path}[{key}]")
    } else {
        format!("{path}.{key}")
    }
}
