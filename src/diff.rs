//! What changes between two outputs, and for whom.
//!
//! [`diff`] compares manifests object by object; [`workloads`] tells what becomes of the user's pods.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::meta::ObjectRef;
use crate::input::{self, Source};
use crate::manifest::Manifest;

pub mod workloads;

/// The label and its value that say who wrote an object.
const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "psp2gatekeeper");
/// What kustomize reads and no cluster ever sees.
const KUSTOMIZATION: (&str, &str) = ("kustomize.config.k8s.io", "Kustomization");
/// What annotations of ours begin with.
const OUR_ANNOTATIONS: &str = "psp2gatekeeper/";
/// Where kubectl keeps what was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// What an API server writes into the metadata of an object.
const WRITTEN_BY_SERVER: [&str; 6] = [
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// What becomes of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is new.
    Added {
        /// What it says.
        new: String,
    },
    /// It says something else.
    Changed {
        /// What it says in the old manifests.
        old: String,
        /// What it says in the new ones.
        new: String,
    },
    /// It is no longer written.
    Removed {
        /// What it said.
        old: String,
    },
}

/// An object that is not the same in both sets of manifests.
///
/// The texts are YAML with the keys sorted, without what an API server writes into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The object.
    pub object: ObjectRef,
    /// Its API version, the new one where there are two.
    pub api_version: String,
    /// What becomes of it.
    pub kind: Kind,
}

impl Change {
    /// What the object says before and after; empty where it is not there.
    pub fn texts(&self) -> (&str, &str) {
        match &self.kind {
            Kind::Added { new } => ("", new),
            Kind::Changed { old, new } => (old, new),
            Kind::Removed { old } => (old, ""),
        }
    }

    /// The name of the file that holds a text of the object, as kubectl builds it: group, version, kind, namespace and name,
    /// with points between them.
    pub fn file_name(&self) -> String {
        let (group, version) = split(&self.api_version);
        let group = match group {
            "" => String::new(),
            group => format!("{group}."),
        };
        let ObjectRef {
            kind,
            namespace,
            name,
        } = &self.object;
        let namespace = namespace.as_deref().unwrap_or_default();
        // A name from a file edited by hand may be anything.
        format!("{group}{version}.{kind}.{namespace}.{name}").replace(['/', '\\'], "_")
    }
}

/// Why manifests cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{manifest}: {reason}")]
pub struct DiffError {
    /// Which one.
    pub manifest: String,
    /// Why.
    pub reason: String,
}

/// Returns the objects that are added, changed or removed from `old` to `new`, sorted by group, kind, namespace and name.
///
/// A manifest may hold several objects.
/// The order of files, objects and keys does not matter, nor does what an API server writes; the order of lists does.
/// An old object that the new manifests lack is removed only if its label says that it was written by this program; files for
/// kustomize are passed over.
///
/// # Errors
///
/// A text that is not YAML, and an object that is there twice.
pub fn diff(old: &[Manifest], new: &[Manifest]) -> Result<Vec<Change>, DiffError> {
    compare(objects(old)?, objects(new)?)
}

/// Returns the same from what a cluster runs to `new`.
///
/// Labels and annotations that others put on an object there do not matter, such as those of Argo CD and Flux.
///
/// # Errors
///
/// As [`diff`].
pub fn diff_live(live: &[Manifest], new: &[Manifest]) -> Result<Vec<Change>, DiffError> {
    let mut live = objects(live)?;
    let new = objects(new)?;
    for (key, new) in &new {
        if let Some(live) = live.get_mut(key) {
            forget_foreign(&mut live.content, &new.content);
        }
    }
    compare(live, new)
}

fn compare(
    mut old: BTreeMap<Key, Object>,
    new: BTreeMap<Key, Object>,
) -> Result<Vec<Change>, DiffError> {
    let mut res = Vec::new();
    for (key, new) in new {
        let old = old.remove(&key);
        if old.as_ref().is_some_and(|it| it.content == new.content) {
            continue;
        }
        let text = new.text()?;
        let kind = match old {
            None => Kind::Added { new: text },
            Some(old) => Kind::Changed {
                old: old.text()?,
                new: text,
            },
        };
        res.push((key, new.api_version, kind));
    }
    for (key, old) in old {
        if old.is_ours() {
            let text = old.text()?;
            res.push((key, old.api_version, Kind::Removed { old: text }));
        }
    }
    res.sort_by(|a, b| a.0.cmp(&b.0));
    let change = |((_, object), api_version, kind)| Change {
        object,
        api_version,
        kind,
    };
    Ok(res.into_iter().map(change).collect())
}

/// The API group and the object.
type Key = (String, ObjectRef);

struct Object {
    manifest: String,
    api_version: String,
    content: Value,
}

impl Object {
    fn text(&self) -> Result<String, DiffError> {
        serde_yaml::to_string(&self.content).map_err(|error| DiffError {
            manifest: self.manifest.clone(),
            reason: error.to_string(),
        })
    }

    fn is_ours(&self) -> bool {
        let labels = self.content.pointer("/metadata/labels");
        let label = labels.and_then(|it| it.get(MANAGED_BY.0));
        label.and_then(Value::as_str) == Some(MANAGED_BY.1)
    }
}

fn objects(manifests: &[Manifest]) -> Result<BTreeMap<Key, Object>, DiffError> {
    let mut res = BTreeMap::new();
    for manifest in manifests {
        let error = |reason| DiffError {
            manifest: manifest.to_string(),
            reason,
        };
        let source = Source {
            name: manifest.name.clone(),
            text: manifest.text.clone(),
        };
        let values = input::objects(&source).map_err(|it| {
            let first = it.errors.first();
            let first = first.map(|it| format!("line {}: {}", it.location.line, it.message));
            error(first.unwrap_or_default())
        })?;
        for value in values {
            let text = |path: &str| {
                let text = value.pointer(path).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            };
            let (api_version, kind) = (text("/apiVersion"), text("/kind"));
            let group = split(&api_version).0.to_owned();
            if kind.is_empty() || (group.as_str(), kind.as_str()) == KUSTOMIZATION {
                continue;
            }
            let object = ObjectRef {
                kind,
                namespace: Some(text("/metadata/namespace")).filter(|it| !it.is_empty()),
                name: text("/metadata/name"),
            };
            let twice = format!("{object} is there twice");
            let content = Object {
                manifest: manifest.to_string(),
                api_version,
                content: without_noise(value),
            };
            if res.insert((group, object), content).is_some() {
                return Err(error(twice));
            }
        }
    }
    Ok(res)
}

fn split(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

/// Takes away the labels and annotations that are not ours and that the new object does not have.
fn forget_foreign(live: &mut Value, new: &Value) {
    let Some(metadata) = live.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for key in ["labels", "annotations"] {
        let wanted = new.get("metadata").and_then(|it| it.get(key));
        if let Some(members) = metadata.get_mut(key).and_then(Value::as_object_mut) {
            members.retain(|name, _| {
                name.starts_with(OUR_ANNOTATIONS) || wanted.is_some_and(|it| it.get(name).is_some())
            });
            if members.is_empty() {
                metadata.remove(key);
            }
        }
    }
}

/// Takes away what an API server writes, also by the defaults of the kinds of Gatekeeper 3.23.
fn without_noise(mut object: Value) -> Value {
    if let Some(validation) = object
        .pointer_mut("/spec/crd/spec/validation")
        .and_then(Value::as_object_mut)
        && validation.get("legacySchema") == Some(&Value::Bool(false))
    {
        validation.remove("legacySchema");
    }
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in WRITTEN_BY_SERVER {
            metadata.remove(key);
        }
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.remove(LAST_APPLIED);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    object
}
