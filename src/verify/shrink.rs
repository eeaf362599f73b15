//! A request becomes as small as it can be and still show what it shows.

use serde_json::{Map, Value};

use crate::admission::{AdmissionRequest, Operation, UserInfo};
use crate::api::core::{ContainerList, Pod};

/// So many smaller requests are tried at most.
const MOST_TRIES: usize = 600;

/// A step from a value to one of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

/// Takes away what can be taken away while `shows` holds.
///
/// # Errors
///
/// Those of `shows`.
pub(super) fn shrink<E>(
    request: AdmissionRequest,
    mut shows: impl FnMut(&AdmissionRequest) -> Result<bool, E>,
) -> Result<AdmissionRequest, E> {
    let mut res = request;
    let mut tries = 0;
    // Each round takes away something, so that this ends.
    while tries < MOST_TRIES {
        let mut progress = false;
        for smaller in whole(&res) {
            tries += 1;
            if shows(&smaller)? {
                res = smaller;
                progress = true;
                break;
            }
        }
        let mut paths = parts(&res.pod);
        // From the end, so that the positions of what comes before stay; a whole comes before its parts.
        paths.sort_by_key(Vec::len);
        for path in paths {
            if tries >= MOST_TRIES {
                break;
            }
            let Some(smaller) = without(&res, &path) else {
                continue;
            };
            tries += 1;
            if shows(&smaller)? {
                res = smaller;
                progress = true;
            }
        }
        if !progress {
            break;
        }
    }
    Ok(res)
}

/// Simpler requests for the same pod.
fn whole(request: &AdmissionRequest) -> Vec<AdmissionRequest> {
    let mut res = Vec::new();
    if request.operation == Operation::Update && request.subresource.is_empty() {
        res.push(AdmissionRequest {
            operation: Operation::Create,
            old_pod: None,
            ..request.clone()
        });
    }
    let user = &request.user_info;
    let somebody = UserInfo {
        username: "somebody".to_owned(),
        groups: user.groups.clone(),
    };
    if *user != somebody {
        let as_user = |user_info| AdmissionRequest {
            user_info,
            ..request.clone()
        };
        res.push(as_user(somebody));
    }
    for index in 0..user.groups.len() {
        let mut smaller = request.clone();
        smaller.user_info.groups.remove(index);
        res.push(smaller);
    }
    if request
        .pod
        .get(&["spec", "automountServiceAccountToken"])
        .is_none()
    {
        let mut smaller = request.clone();
        smaller
            .pod
            .set(&["spec", "automountServiceAccountToken"], false.into());
        res.push(smaller);
    }
    res
}

/// The request without a part of its pod, which the old pod loses too; nothing where there is no such part or it is needed.
fn without(request: &AdmissionRequest, path: &[Step]) -> Option<AdmissionRequest> {
    if is_needed(path, &request.pod) {
        return None;
    }
    let mut res = request.clone();
    remove(&mut res.pod, path)?;
    if let Some(old_pod) = &mut res.old_pod {
        remove(old_pod, path);
    }
    Some(res)
}

fn remove(pod: &mut Pod, path: &[Step]) -> Option<()> {
    let mut root = Value::Object(std::mem::take(&mut pod.0));
    let removed = remove_from(&mut root, path);
    if let (Some(volume), [Step::Key(_), Step::Key(list), Step::Index(_)]) = (&removed, path)
        && list == "volumes"
    {
        remove_mounts(&mut root, volume.get("name"));
    }
    if let Value::Object(map) = root {
        pod.0 = map;
    }
    removed.map(|_| ())
}

fn remove_from(value: &mut Value, path: &[Step]) -> Option<Value> {
    let (step, rest) = path.split_first()?;
    match (step, value) {
        (Step::Key(key), Value::Object(map)) if rest.is_empty() => map.remove(key),
        (Step::Key(key), Value::Object(map)) => remove_from(map.get_mut(key)?, rest),
        (Step::Index(index), Value::Array(list)) if *index < list.len() => {
            if rest.is_empty() {
                Some(list.remove(*index))
            } else {
                remove_from(list.get_mut(*index)?, rest)
            }
        }
        _ => None,
    }
}

fn remove_mounts(root: &mut Value, volume: Option<&Value>) {
    for list in ContainerList::ALL {
        let containers = root.pointer_mut(&format!("/spec/{}", list.field()));
        let containers = containers.and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            if let Some(Value::Array(mounts)) = container.get_mut("volumeMounts") {
                mounts.retain(|it| it.get("name") != volume);
            }
        }
    }
}

/// What can be taken apart, as paths without positions; all else goes as a whole, so that a pod stays one that an API server
/// accepts. `*` stands for each list of containers.
const HAS_PARTS: [&str; 15] = [
    "",
    "metadata",
    "metadata.annotations",
    "metadata.labels",
    "spec",
    "spec.securityContext",
    "spec.securityContext.supplementalGroups",
    "spec.securityContext.sysctls",
    "spec.volumes",
    "spec.*",
    "spec.*.ports",
    "spec.*.securityContext",
    "spec.*.securityContext.capabilities",
    "spec.*.securityContext.capabilities.add",
    "spec.*.securityContext.capabilities.drop",
];

/// Whether what is at the path can be taken apart: a list into its items, and an object of [`HAS_PARTS`] into its members.
fn has_parts(path: &[Step], value: &Value) -> bool {
    let keys: Vec<&str> = path
        .iter()
        .filter_map(|it| match it {
            Step::Key(key) if ContainerList::ALL.iter().any(|it| it.field() == key) => Some("*"),
            Step::Key(key) => Some(key),
            Step::Index(_) => None,
        })
        .collect();
    let is_container = keys == ["spec", "*"];
    // The items of the other lists go as a whole.
    let is_item = matches!(path.last(), Some(Step::Index(_))) && !is_container;
    !is_item
        && (value.is_object() || value.is_array())
        && HAS_PARTS.contains(&keys.join(".").as_str())
}

/// What may not be missing.
fn is_needed(path: &[Step], pod: &Pod) -> bool {
    match path {
        [Step::Key(top)] => top == "metadata" || top == "spec",
        [Step::Key(top), Step::Key(key)] => {
            (top == "metadata" && key == "name") || (top == "spec" && key == "containers")
        }
        [_, Step::Key(list), Step::Index(_)] => {
            list == "containers" && number_of_containers(pod) == 1
        }
        [_, Step::Key(list), Step::Index(_), Step::Key(key)] => {
            list.ends_with("ontainers") && (key == "name" || key == "image")
        }
        _ => false,
    }
}

fn number_of_containers(pod: &Pod) -> usize {
    let containers = pod.get(&["spec", "containers"]).and_then(Value::as_array);
    containers.map_or(0, Vec::len)
}

/// All that can be taken away, later places first.
fn parts(pod: &Pod) -> Vec<Vec<Step>> {
    let mut acc = Vec::new();
    collect(&mut acc, &mut Vec::new(), &Value::Object(pod.0.clone()));
    acc.reverse();
    acc
}

fn collect(acc: &mut Vec<Vec<Step>>, path: &mut Vec<Step>, value: &Value) {
    if !path.is_empty() {
        acc.push(path.clone());
    }
    if !has_parts(path, value) {
        return;
    }
    let parts: Vec<(Step, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, it)| (Step::Key(key.clone()), it))
            .collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, it)| (Step::Index(index), it))
            .collect(),
        _ => return,
    };
    for (step, part) in parts {
        path.push(step);
        collect(acc, path, part);
        path.pop();
    }
}

/// The paths of what is left in a pod beside what every pod has, sorted.
pub(super) fn remaining(request: &AdmissionRequest) -> Vec<String> {
    let mut acc = Vec::new();
    let mut pod = request.pod.clone();
    for path in [["metadata", "name"], ["metadata", "namespace"]] {
        pod.remove(&path);
    }
    for key in ["apiVersion", "kind"] {
        pod.remove(&[key]);
    }
    for key in ["serviceAccountName", "automountServiceAccountToken"] {
        pod.remove(&["spec", key]);
    }
    leaves(&mut acc, "", &Value::Object(pod.0));
    acc.retain(|it| !it.ends_with("].name") && !it.ends_with("].image") && it != "metadata");
    acc.sort();
    acc
}

fn leaves(acc: &mut Vec<String>, path: &str, value: &Value) {
    let join = |key: &str| match path {
        "" => key.to_owned(),
        _ if key.contains(['.', '/']) => format!("{path}[{key}]"),
        _ => format!("{path}.{key}"),
    };
    let empty = Map::new();
    match value {
        Value::Object(map) if *map != empty => {
            for (key, it) in map {
                leaves(acc, &join(key), it);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (index, it) in list.iter().enumerate() {
                leaves(acc, &format!("{path}[{index}]"), it);
            }
        }
        Value::Object(_) | Value::Array(_) if path.is_empty() => {}
        _ => acc.push(path.to_owned()),
    }
}
