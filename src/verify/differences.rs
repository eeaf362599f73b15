//! Where two pods differ.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

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

/// Returns a pod with what another has at those of the places where they differ that are chosen by their path.
pub fn taking(pod: &Pod, other: &Pod, chosen: impl Fn(&str) -> bool) -> Pod {
    Pod(members_taking(&pod.0, &other.0, "", &chosen))
}

fn members_taking(
    members: &Map<String, Value>,
    others: &Map<String, Value>,
    path: &str,
    chosen: &dyn Fn(&str) -> bool,
) -> Map<String, Value> {
    let keys: BTreeSet<&String> = members.keys().chain(others.keys()).collect();
    let taken = keys.into_iter().filter_map(|key| {
        let [left, right] = [members, others].map(|it| it.get(key).unwrap_or(&Value::Null));
        let value = value_taking(left, right, &member(path, key), chosen);
        (!value.is_null()).then(|| (key.clone(), value))
    });
    taken.collect()
}

fn value_taking(value: &Value, other: &Value, path: &str, chosen: &dyn Fn(&str) -> bool) -> Value {
    let none = Map::new();
    match (value, other) {
        (Value::Object(members), Value::Object(_) | Value::Null) => {
            let others = other.as_object().unwrap_or(&none);
            let taken = members_taking(members, others, path, chosen);
            // An object of which nothing is left is not there either.
            if taken.is_empty() && other.is_null() && !members.is_empty() {
                Value::Null
            } else {
                taken.into()
            }
        }
        (Value::Null, Value::Object(others)) => {
            let members = members_taking(&none, others, path, chosen);
            if members.is_empty() {
                Value::Null
            } else {
                members.into()
            }
        }
        (Value::Array(items), Value::Array(others))
            if items.len() == others.len() && items.iter().any(Value::is_object) =>
        {
            let pairs = items.iter().zip(others).enumerate();
            let taken = pairs.map(|(index, (item, other))| {
                value_taking(item, other, &format!("{path}[{index}]"), chosen)
            });
            taken.collect()
        }
        _ if value != other && chosen(path) => other.clone(),
        _ => value.clone(),
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
