//! Pods made to show where the boundaries of a policy lie.

use std::fmt;

use serde_json::{Value, json};

use crate::api::core::{ContainerRef, Pod};

/// A change to a pod that takes it to one side of a boundary that a policy draws.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    edits: Vec<Edit>,
}

/// One change; a null value removes.
#[derive(Clone, Debug, PartialEq)]
enum Edit {
    /// Of the value at a path of object keys in the pod.
    Pod(Vec<&'static str>, Value),
    /// Of an annotation.
    Annotation(String, Value),
    /// Of the value at a path of object keys in one container.
    Container(Vec<&'static str>, Value),
    /// Of the annotation for one container: what precedes its name, and the value.
    ContainerAnnotation(&'static str, Value),
    /// A volume more, with this source, mounted in one container if there is a value for `readOnly`.
    Volume(Value, Option<bool>),
}

/// The name of the volume that a probe adds.
const VOLUME: &str = "probe";

impl Probe {
    /// Changes a member of the pod's security context.
    pub(super) fn pod_security(key: &'static str, value: impl Into<Value>) -> Self {
        Self::pod(&["spec", "securityContext", key], value)
    }

    /// Changes the value at a path of object keys in the pod.
    pub(super) fn pod(path: &[&'static str], value: impl Into<Value>) -> Self {
        Edit::Pod(path.to_vec(), value.into()).into()
    }

    /// Changes an annotation of the pod.
    pub(super) fn annotation(key: &str, value: impl Into<Value>) -> Self {
        Edit::Annotation(key.to_owned(), value.into()).into()
    }

    /// Changes a member of the container's security context.
    pub(super) fn security(key: &'static str, value: impl Into<Value>) -> Self {
        Self::container(&["securityContext", key], value)
    }

    /// Changes the value at a path of object keys in the container.
    pub(super) fn container(path: &[&'static str], value: impl Into<Value>) -> Self {
        Edit::Container(path.to_vec(), value.into()).into()
    }

    /// Changes the annotation that is the prefix and the name of the container.
    pub(super) fn container_annotation(prefix: &'static str, value: impl Into<Value>) -> Self {
        Edit::ContainerAnnotation(prefix, value.into()).into()
    }

    /// Adds a volume of one source; it is mounted if there is a value for `readOnly`.
    pub(super) fn volume(key: &str, source: impl Into<Value>, read_only: Option<bool>) -> Self {
        Edit::Volume(json!({ "name": VOLUME, key: source.into() }), read_only).into()
    }

    /// The same and another after it.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.edits.extend(other.edits);
        self
    }

    /// Changes the pod; `at` is the container to change.
    pub fn apply(&self, pod: &mut Pod, at: ContainerRef) {
        for edit in &self.edits {
            edit.apply(pod, at);
        }
    }

    /// Whether it changes nothing in containers, so that it does not matter which one it is applied to.
    pub fn is_about_the_pod(&self) -> bool {
        self.edits.iter().all(|it| {
            matches!(
                it,
                Edit::Pod(..) | Edit::Annotation(..) | Edit::Volume(_, None)
            )
        })
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, edit) in self.edits.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            edit.fmt(f)?;
        }
        Ok(())
    }
}

impl From<Edit> for Probe {
    fn from(edit: Edit) -> Self {
        Self { edits: vec![edit] }
    }
}

impl Edit {
    fn apply(&self, pod: &mut Pod, at: ContainerRef) {
        match self {
            Self::Pod(path, value) => write(pod, path, value),
            Self::Annotation(key, value) => {
                write(pod, &["metadata", "annotations", key], value);
            }
            Self::Container(path, value) => pod.set_in_container(at, path, value.clone()),
            Self::ContainerAnnotation(prefix, value) => {
                let name = pod.container(at).map(|it| it.name().to_owned());
                let key = format!("{prefix}{}", name.unwrap_or_default());
                write(pod, &["metadata", "annotations", &key], value);
            }
            Self::Volume(volume, read_only) => {
                let volumes = pod.get(&["spec", "volumes"]).and_then(Value::as_array);
                let mut volumes = volumes.cloned().unwrap_or_default();
                volumes.retain(|it| it.get("name") != volume.get("name"));
                volumes.push(volume.clone());
                pod.set(&["spec", "volumes"], volumes.into());
                if let Some(read_only) = read_only {
                    let mount = json!({
                        "name": VOLUME, "mountPath": "/probe", "readOnly": read_only,
                    });
                    pod.set_in_container(at, &["volumeMounts"], json!([mount]));
                }
            }
        }
    }
}

fn write(pod: &mut Pod, path: &[&str], value: &Value) {
    if value.is_null() {
        pod.remove(path);
    } else {
        pod.set(path, value.clone());
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, value) = match self {
            Self::Pod(path, value) => (path.join("."), value),
            Self::Annotation(key, value) => (format!("metadata.annotations[{key}]"), value),
            Self::Container(path, value) => (format!("container.{}", path.join(".")), value),
            Self::ContainerAnnotation(prefix, value) => {
                (format!("metadata.annotations[{prefix}…]"), value)
            }
            Self::Volume(volume, None) => return write!(f, "volume {volume}"),
            Self::Volume(volume, Some(read_only)) => {
                return write!(f, "volume {volume} mounted with readOnly: {read_only}");
            }
        };
        if value.is_null() {
            write!(f, "no {path}")
        } else {
            write!(f, "{path}: {value}")
        }
    }
}

/// The ends of ranges, what lies just outside of them and the usual values; sorted, each once, from `least` to `most`.
pub(super) fn around(
    ranges: impl IntoIterator<Item = (i64, i64)>,
    usual: &[i64],
    least: i64,
    most: i64,
) -> Vec<i64> {
    let mut res = usual.to_vec();
    for (min, max) in ranges {
        res.extend([min.saturating_sub(1), min, max, max.saturating_add(1)]);
    }
    res.retain(|it| (least..=most).contains(it));
    res.sort_unstable();
    res.dedup();
    res
}

/// The highest user or group id that an API server accepts.
pub(super) const HIGHEST_ID: i64 = i32::MAX as i64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::testing::{contexts, pod};

    #[track_caller]
    fn check_probe(probe: &Probe, before: Value, after: Value) {
        let mut pod = pod(before);
        for at in pod.container_refs() {
            probe.apply(&mut pod, at);
        }
        assert_eq!(pod, self::pod(after));
    }

    #[test]
    fn only_changes_to_containers_are_about_them() {
        for (probe, expected) in [
            (Probe::pod(&["spec", "hostPID"], true), true),
            (Probe::annotation("a", "b"), true),
            (Probe::volume("secret", json!({}), None), true),
            (Probe::volume("secret", json!({}), Some(true)), false),
            (Probe::security("privileged", true), false),
            (Probe::container_annotation("a/", "b"), false),
            (
                Probe::annotation("a", "b").and(Probe::security("privileged", true)),
                false,
            ),
        ] {
            assert_eq!(probe.is_about_the_pod(), expected, "{probe}");
        }
    }

    #[test]
    fn null_removes() {
        let before = contexts(&json!({ "fsGroup": 1, "runAsUser": 2 }), &json!({}));
        let after = contexts(&json!({ "runAsUser": 2 }), &json!({}));
        let probe = Probe::pod_security("fsGroup", Value::Null);
        check_probe(&probe, before, after);
    }

    #[test]
    fn a_volume_takes_the_place_of_an_earlier_one_and_is_mounted_if_asked_for() {
        let kept = json!({ "name": "kept", "emptyDir": {} });
        let [earlier, later] = [json!({}), json!({ "path": "/" })]
            .map(|it| json!({ "name": "probe", "hostPath": it }));
        let before = json!({ "spec": {
            "containers": [{ "name": "app" }], "volumes": [kept, earlier],
        } });
        let with = |container: Value| json!({ "spec": { "containers": [container], "volumes": [kept, later] } });
        let probe = Probe::volume("hostPath", json!({ "path": "/" }), None);
        check_probe(&probe, before.clone(), with(json!({ "name": "app" })));
        let probe = Probe::volume("hostPath", json!({ "path": "/" }), Some(false));
        let mount = json!({ "name": "probe", "mountPath": "/probe", "readOnly": false });
        let after = with(json!({ "name": "app", "volumeMounts": [mount] }));
        check_probe(&probe, before, after);
    }

    #[test]
    fn values_lie_on_both_sides_of_each_end_sorted_and_within_limits() {
        let ranges = [(20, 30), (3, 10)];
        assert_eq!(around(ranges, &[11, 7], 3, 30), [3, 7, 10, 11, 19, 20, 30]);
        assert_eq!(around([(i64::MIN, i64::MAX)], &[], 0, 9), [0_i64; 0]);
    }
}
