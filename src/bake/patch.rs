//! Strategic-merge patches that only add.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use yaml_edit::{ScalarValue, YamlValue};

use crate::api::core::Pod;

/// Why a patch could not tell the containers of a pod apart, for which an API server refuses the pod.
pub(super) fn ambiguity(pod: &Pod) -> Option<String> {
    let mut known = BTreeSet::new();
    pod.containers().find_map(|it| match it.name() {
        "" => Some(format!("{}.name: Required value", it.at)),
        name if known.insert((it.at.list, name)) => None,
        name => Some(format!("{}.name: Duplicate value: \"{name}\"", it.at)),
    })
}

/// Returns what the new object has more than the old one.
///
/// In lists of containers that are those with more, by name; a list of values that grew comes whole, its new values last.
pub fn additions(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let added = new.iter().filter_map(|(key, new)| {
        let added = addition(old.get(key).unwrap_or(&Value::Null), new)?;
        Some((key.clone(), added))
    });
    added.collect()
}

fn addition(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (old, new) if old == new => None,
        (Value::Object(old), Value::Object(new)) => {
            let added = additions(old, new);
            (!added.is_empty()).then(|| added.into())
        }
        (Value::Array(old), Value::Array(new)) if has_names(new) => {
            let items = old.iter().zip(new).filter_map(|(old, new)| {
                let mut added = addition(old, new)?;
                if let Value::Object(added) = &mut added {
                    added.insert("name".to_owned(), new.get("name")?.clone());
                }
                Some(added)
            });
            let items: Vec<Value> = items.collect();
            (!items.is_empty()).then(|| items.into())
        }
        (Value::Array(old), Value::Array(new)) => {
            let more = new.iter().filter(|it| !old.contains(it));
            let more: Vec<&Value> = more.collect();
            (!more.is_empty()).then(|| old.iter().chain(more).cloned().collect())
        }
        (_, new) => Some(new.clone()),
    }
}

/// Whether a list is merged by the names of its items.
pub(super) fn has_names(items: &[Value]) -> bool {
    !items.is_empty() && items.iter().all(|it| it.get("name").is_some())
}

/// Makes of what is added to a pod a patch of the object that the pod is made from.
pub(super) fn document(object: &Value, template_path: &[&str], added: Map<String, Value>) -> Value {
    let mut patch = Value::Object(added);
    for key in template_path.iter().rev() {
        patch = json!({ *key: patch });
    }
    let mut metadata = Map::new();
    for key in ["name", "namespace"] {
        let value = object.get("metadata").and_then(|it| it.get(key));
        metadata.extend(value.map(|it| (key.to_owned(), it.clone())));
    }
    apply(&mut patch, &json!({ "metadata": metadata }));
    for key in ["apiVersion", "kind"] {
        if let Some(value) = object.get(key) {
            apply(&mut patch, &json!({ key: value }));
        }
    }
    patch
}

/// Applies such a patch: objects are merged, and lists of objects by the names in them; everything else is replaced.
///
/// An item that the list does not have is added to it.
pub fn apply(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (key, patch) in patch {
                apply(target.entry(key.clone()).or_insert(Value::Null), patch);
            }
        }
        (Value::Array(target), Value::Array(patch)) if has_names(patch) => {
            for patch in patch {
                let name = patch.get("name");
                match target.iter_mut().find(|it| it.get("name") == name) {
                    Some(target) => apply(target, patch),
                    None => target.push(patch.clone()),
                }
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

/// Writes a patch as one YAML document, its keys sorted.
pub fn to_yaml(patch: &Value) -> String {
    format!("{}\n", yaml(patch).to_string().trim_end())
}

/// The same value as the library has it that writes YAML.
pub(super) fn yaml(value: &Value) -> YamlValue {
    match value {
        Value::Null => ScalarValue::null().into(),
        Value::Bool(value) => ScalarValue::from(*value).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(number), _) => ScalarValue::from(number).into(),
            (None, number) => ScalarValue::from(number.unwrap_or_default()).into(),
        },
        Value::String(text) => ScalarValue::string(text).into(),
        Value::Array(items) => YamlValue::Sequence(items.iter().map(yaml).collect()),
        Value::Object(members) => {
            let members = members
                .iter()
                .map(|(key, value)| (key.clone(), yaml(value)));
            YamlValue::Mapping(members.collect())
        }
    }
}
