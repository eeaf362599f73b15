//! Patches in the text of the manifests themselves, whose comments and order stay.

use std::str::FromStr;

use serde_json::{Map, Value};
use yaml_edit::{Mapping, Scalar, YamlFile};

use super::patch::{apply, has_names, yaml};
use crate::input::{self, Source};

/// A text with patches in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The new text.
    pub text: String,
    /// The positions of the patches that are not in it, sorted, each with the reason.
    pub left_out: Vec<(usize, String)>,
}

/// Writes patches into a text; each comes with the object that it is for, as it was read from this text.
///
/// The result is read again, as kubectl would, and a patch is left out if anything else than the patch came of it.
pub fn edit(source: &Source, patches: &[(&Value, &Value)]) -> Edited {
    let mut res = Edited {
        text: source.text.clone(),
        left_out: Vec::new(),
    };
    if source.text.trim_start().starts_with(['{', '[']) {
        let all = 0..patches.len();
        res.left_out = all
            .map(|it| (it, "JSON is not edited in place".to_owned()))
            .collect();
        return res;
    }
    // All at once, which is what nearly always works; else one after the other, to know which do not.
    match with_patches(&source.text, patches) {
        Ok(text) => res.text = text,
        Err(_) => {
            for (position, patch) in patches.iter().enumerate() {
                match with_patches(&res.text, std::slice::from_ref(patch)) {
                    Ok(text) => res.text = text,
                    Err(reason) => res.left_out.push((position, reason)),
                }
            }
        }
    }
    res
}

/// Writes all these patches into a text.
///
/// # Errors
///
/// Why it cannot be done.
fn with_patches(text: &str, patches: &[(&Value, &Value)]) -> Result<String, String> {
    let mut objects = read(text)?;
    let file = YamlFile::from_str(text).map_err(|error| error.to_string())?;
    let mut mappings = Vec::new();
    for document in file.documents() {
        if let Some(mapping) = document.as_mapping() {
            collect(mapping, &mut mappings);
        }
    }
    for (object, patch) in patches {
        let places = objects.iter_mut().zip(&mappings);
        let mut places = places.filter(|(it, _)| it == object).peekable();
        if places.peek().is_none() {
            return Err("the object is no longer there".to_owned());
        }
        for (object, mapping) in places {
            if let Value::Object(patch) = patch {
                merge(mapping, object, patch)?;
            }
            apply(object, patch);
        }
    }
    let text = file.to_string();
    if read(&text)? == objects {
        Ok(text)
    } else {
        Err("an anchor, an alias or a merge key is in the way".to_owned())
    }
}

fn read(text: &str) -> Result<Vec<Value>, String> {
    let source = Source {
        name: String::new(),
        text: text.to_owned(),
    };
    input::objects(&source).map_err(|error| error.to_string())
}

/// Collects the objects of a document in the order in which they are read: lists are opened.
fn collect(mapping: Mapping, acc: &mut Vec<Mapping>) {
    let kind = mapping.get("kind");
    let kind = kind.and_then(|it| it.as_scalar().map(Scalar::as_string));
    let kind = kind.unwrap_or_default();
    let is_list = kind.ends_with("List");
    match mapping.get_sequence("items").filter(|_| is_list) {
        Some(items) => {
            for item in items.values().filter_map(|it| it.as_mapping().cloned()) {
                collect(item, acc);
            }
        }
        None if kind == "List" => {}
        None => acc.push(mapping),
    }
}

/// Writes what a patch adds to `object` into its text.
fn merge(mapping: &Mapping, object: &Value, patch: &Map<String, Value>) -> Result<(), String> {
    for (key, patch) in patch {
        let old = object.get(key).unwrap_or(&Value::Null);
        let odd = || format!("`{key}` is written in a way that is not edited in place");
        match (old, patch) {
            (old, patch) if old == patch => {}
            (Value::Object(members), Value::Object(patch)) if !members.is_empty() => {
                let mapping = mapping.get_mapping(key.as_str()).ok_or_else(odd)?;
                merge(&mapping, old, patch)?;
            }
            (Value::Array(items), Value::Array(patches)) if !items.is_empty() => {
                let sequence = mapping.get_sequence(key.as_str()).ok_or_else(odd)?;
                if !has_names(patches) {
                    for value in patches.iter().filter(|it| !items.contains(it)) {
                        sequence.push(yaml(value));
                    }
                    continue;
                }
                for patch in patches {
                    let named = |it: &Value| it.get("name") == patch.get("name");
                    let position = items.iter().position(named).ok_or_else(odd)?;
                    let item = sequence.get(position).ok_or_else(odd)?;
                    if let (Some(old), Value::Object(patch)) = (items.get(position), patch) {
                        merge(item.as_mapping().ok_or_else(odd)?, old, patch)?;
                    }
                }
            }
            (_, patch) => mapping.set(key.as_str(), yaml(patch)),
        }
    }
    Ok(())
}
