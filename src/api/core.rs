//! Pods as JSON with typed accessors.
//!
//! The accessors read a pod that an API server has decoded, so that every field has its type; a value of another type reads
//! as absent.
//! Absent and `null` are the same, as they are for the API server; an empty object or list is neither.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The pod annotation that held the seccomp profile before there was a field.
pub const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// The pod annotation, followed by a container's name, that held the container's seccomp profile.
pub const SECCOMP_CONTAINER_PREFIX: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// The pod annotation, followed by a container's name, that holds the container's AppArmor profile.
pub const APPARMOR_CONTAINER_PREFIX: &str = "container.apparmor.security.beta.kubernetes.io/";
/// The seccomp profile of the container runtime.
pub const RUNTIME_DEFAULT: &str = "runtime/default";
/// The older name of the seccomp profile of the container runtime.
pub const DOCKER_DEFAULT: &str = "docker/default";
/// The profile that confines nothing.
pub const UNCONFINED: &str = "unconfined";
/// What precedes the name of a profile on the node.
pub const LOCALHOST_PREFIX: &str = "localhost/";

/// A v1 Pod as JSON, with whatever fields it came with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pod(pub Map<String, Value>);

/// One of the three lists of containers of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerList {
    /// `spec.initContainers`.
    Init,
    /// `spec.containers`.
    Regular,
    /// `spec.ephemeralContainers`.
    Ephemeral,
}

impl ContainerList {
    /// All lists, in the order in which the admission plugin visits them.
    pub const ALL: [Self; 3] = [Self::Init, Self::Regular, Self::Ephemeral];

    /// The name of the field under `spec`.
    pub fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Regular => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}

/// The place of a container in its pod, printed as `spec.containers[0]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerRef {
    /// The list that it is in.
    pub list: ContainerList,
    /// Its position there, from 0.
    pub index: usize,
}

impl fmt::Display for ContainerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spec.{}[{}]", self.list.field(), self.index)
    }
}

/// A container together with the pod that it inherits from.
#[derive(Clone, Copy, Debug)]
pub struct Container<'a> {
    /// Its pod.
    pub pod: &'a Pod,
    /// Where it is.
    pub at: ContainerRef,
    fields: &'a Map<String, Value>,
}

/// A volume of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Volume<'a> {
    /// Its position in `spec.volumes`, from 0.
    pub index: usize,
    fields: &'a Map<String, Value>,
}

impl Pod {
    /// `metadata.name`, else the empty string.
    pub fn name(&self) -> &str {
        self.string(&["metadata", "name"])
    }

    /// `metadata.generateName`, else the empty string.
    pub fn generate_name(&self) -> &str {
        self.string(&["metadata", "generateName"])
    }

    /// `metadata.namespace`, else the empty string.
    pub fn namespace(&self) -> &str {
        self.string(&["metadata", "namespace"])
    }

    /// `spec.serviceAccountName`, else the deprecated `spec.serviceAccount`, else the empty string.
    ///
    /// Kubernetes 1.24, `pkg/apis/core/v1/conversion.go`: the old name counts where the new one is empty.
    pub fn service_account_name(&self) -> &str {
        match self.string(&["spec", "serviceAccountName"]) {
            "" => self.string(&["spec", "serviceAccount"]),
            name => name,
        }
    }

    /// The annotation `key`; absent and empty differ.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.get(&["metadata", "annotations"])?.get(key)?.as_str()
    }

    /// A member of the pod's own security context.
    pub fn security(&self, key: &str) -> Option<&Value> {
        self.get(&["spec", "securityContext", key])
    }

    /// Whether the pod uses the host's namespace that `spec` names by `hostNetwork`, `hostPID` or `hostIPC`.
    pub fn uses_host(&self, field: &str) -> bool {
        self.get(&["spec", field]).and_then(Value::as_bool) == Some(true)
    }

    /// The pod's seccomp profile in the form of an annotation: the annotation if it is not empty, else the field.
    pub fn seccomp_profile(&self) -> String {
        match self.annotation(SECCOMP_POD) {
            Some(profile) if !profile.is_empty() => profile.to_owned(),
            _ => seccomp_annotation_for(self.security("seccompProfile")).unwrap_or_default(),
        }
    }

    /// Where the containers are, in the order in which the admission plugin visits them.
    pub fn container_refs(&self) -> impl Iterator<Item = ContainerRef> + use<> {
        let lengths = ContainerList::ALL.map(|list| {
            let containers = self.get(&["spec", list.field()]);
            (
                list,
                containers.and_then(Value::as_array).map_or(0, Vec::len),
            )
        });
        lengths
            .into_iter()
            .flat_map(|(list, length)| (0..length).map(move |index| ContainerRef { list, index }))
    }

    /// The containers, in the order in which the admission plugin visits them.
    pub fn containers(&self) -> impl Iterator<Item = Container<'_>> {
        self.container_refs().filter_map(|at| self.container(at))
    }

    /// The container at a place.
    pub fn container(&self, at: ContainerRef) -> Option<Container<'_>> {
        let fields = self.get(&["spec", at.list.field()])?.get(at.index)?;
        Some(Container {
            pod: self,
            at,
            fields: fields.as_object()?,
        })
    }

    /// The volumes, in the order of the pod.
    pub fn volumes(&self) -> impl Iterator<Item = Volume<'_>> {
        let volumes = self.get(&["spec", "volumes"]).and_then(Value::as_array);
        let volumes = volumes.into_iter().flatten().enumerate();
        volumes.filter_map(|(index, it)| {
            let fields = it.as_object()?;
            Some(Volume { index, fields })
        })
    }

    /// The value at a path of object keys, or nothing where it is absent or null.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        get(&self.0, path)
    }

    /// Writes the value at a path of object keys and makes the objects on the way there.
    pub fn set(&mut self, path: &[&str], value: Value) {
        set(&mut self.0, path, value);
    }

    /// Writes an annotation.
    pub fn set_annotation(&mut self, key: &str, value: &str) {
        self.set(&["metadata", "annotations", key], value.into());
    }

    /// Removes the value at a path of object keys, if it is there.
    pub fn remove(&mut self, path: &[&str]) {
        let Some((last, parents)) = path.split_last() else {
            return;
        };
        let mut object = &mut self.0;
        for key in parents {
            let Some(Value::Object(child)) = object.get_mut(*key) else {
                return;
            };
            object = child;
        }
        object.remove(*last);
    }

    /// Writes a member of the pod's own security context.
    pub fn set_security(&mut self, key: &str, value: Value) {
        self.set(&["spec", "securityContext", key], value);
    }

    /// Writes a member of the security context of the container at a place, if there is such a container.
    pub fn set_container_security(&mut self, at: ContainerRef, key: &str, value: Value) {
        self.set_in_container(at, &["securityContext", key], value);
    }

    /// Writes the value at a path of object keys in the container at a place, if there is such a container.
    pub fn set_in_container(&mut self, at: ContainerRef, path: &[&str], value: Value) {
        let list = self
            .0
            .get_mut("spec")
            .and_then(|it| it.get_mut(at.list.field()));
        if let Some(Value::Object(container)) = list.and_then(|it| it.get_mut(at.index)) {
            set(container, path, value);
        }
    }

    fn string(&self, path: &[&str]) -> &str {
        self.get(path).and_then(Value::as_str).unwrap_or_default()
    }
}

impl<'a> Container<'a> {
    /// Its name, else the empty string.
    pub fn name(&self) -> &'a str {
        let name = self.fields.get("name").and_then(Value::as_str);
        name.unwrap_or_default()
    }

    /// A member of the container's own security context.
    pub fn own(&self, key: &str) -> Option<&'a Value> {
        get(self.fields, &["securityContext", key])
    }

    /// A member of the effective security context: the container's own, else the pod's.
    ///
    /// Kubernetes 1.24, `pkg/securitycontext/accessors.go`; objects such as `seLinuxOptions` count as a whole.
    pub fn effective(&self, key: &str) -> Option<&'a Value> {
        self.own(key).or_else(|| self.pod.security(key))
    }

    /// The path of the container's security context, or of a member of it.
    pub fn security_path(&self, key: &str) -> String {
        match key {
            "" => format!("{}.securityContext", self.at),
            key => format!("{}.securityContext.{key}", self.at),
        }
    }

    /// The host ports, in the order of `ports`; 0 stands for none.
    pub fn host_ports(&self) -> impl Iterator<Item = i64> {
        let host_port = |it: &Value| it.get("hostPort").and_then(Value::as_i64);
        self.list("ports")
            .iter()
            .map(move |it| host_port(it).unwrap_or_default())
    }

    /// The name of the volume and whether it is read-only, for each entry of `volumeMounts` in order.
    pub fn volume_mounts(&self) -> impl Iterator<Item = (&'a str, bool)> {
        self.list("volumeMounts").iter().map(|it| {
            let name = it.get("name").and_then(Value::as_str);
            let read_only = it.get("readOnly").and_then(Value::as_bool);
            (name.unwrap_or_default(), read_only.unwrap_or_default())
        })
    }

    /// The container's seccomp profile in the form of an annotation.
    ///
    /// Kubernetes 1.24, `pkg/security/podsecuritypolicy/seccomp/strategy.go`: the container's field, its annotation even if
    /// empty, the pod's field, the pod's annotation; the first that there is.
    pub fn seccomp_profile(&self) -> String {
        let key = format!("{SECCOMP_CONTAINER_PREFIX}{}", self.name());
        let annotation = |key: &str| self.pod.annotation(key).map(ToOwned::to_owned);
        seccomp_annotation_for(self.own("seccompProfile"))
            .or_else(|| annotation(&key))
            .or_else(|| seccomp_annotation_for(self.pod.security("seccompProfile")))
            .or_else(|| annotation(SECCOMP_POD))
            .unwrap_or_default()
    }

    /// The container's AppArmor profile by its annotation, else the empty string.
    pub fn app_armor_profile(&self) -> &'a str {
        let key = format!("{APPARMOR_CONTAINER_PREFIX}{}", self.name());
        self.pod.annotation(&key).unwrap_or_default()
    }

    fn list(&self, key: &str) -> &'a [Value] {
        let list = self.fields.get(key).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    }
}

impl<'a> Volume<'a> {
    /// Its name, else the empty string.
    pub fn name(&self) -> &'a str {
        self.string(&["name"])
    }

    /// Its path, such as `spec.volumes[0]`.
    pub fn path(&self) -> String {
        format!("spec.volumes[{}]", self.index)
    }

    /// The value at a path of object keys, or nothing where it is absent or null.
    pub fn get(&self, path: &[&str]) -> Option<&'a Value> {
        get(self.fields, path)
    }

    /// The string at a path of object keys, else the empty string.
    pub fn string(&self, path: &[&str]) -> &'a str {
        self.get(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// The keys of all members that are not null, except the name; normally the one source.
    pub fn sources(&self) -> impl Iterator<Item = &'a str> {
        let members = self.fields.iter().filter(|(_, value)| !value.is_null());
        members
            .map(|(key, _)| key.as_str())
            .filter(|it| *it != "name")
    }
}

/// Returns the strings of a list, in order; nothing where the list is absent.
pub fn strings(list: Option<&Value>) -> Vec<&str> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// Returns a `seccompProfile` in the form of an annotation; empty if it has none, absent if there is no profile.
///
/// Kubernetes 1.24, `pkg/api/pod/util.go`: `SeccompAnnotationForField`.
pub fn seccomp_annotation_for(profile: Option<&Value>) -> Option<String> {
    let profile = profile?;
    let member = |key: &str| profile.get(key).and_then(Value::as_str);
    Some(match member("type") {
        Some("Unconfined") => UNCONFINED.to_owned(),
        Some("RuntimeDefault") => RUNTIME_DEFAULT.to_owned(),
        Some("Localhost") => member("localhostProfile")
            .map(|it| format!("{LOCALHOST_PREFIX}{it}"))
            .unwrap_or_default(),
        _ => String::new(),
    })
}

/// Returns the `seccompProfile` that says the same as an annotation, or nothing where there is none.
///
/// Kubernetes 1.24, `pkg/api/pod/util.go`: `SeccompFieldForAnnotation`.
pub fn seccomp_field_for(annotation: &str) -> Option<Value> {
    match annotation {
        UNCONFINED => Some(json!({ "type": "Unconfined" })),
        RUNTIME_DEFAULT | DOCKER_DEFAULT => Some(json!({ "type": "RuntimeDefault" })),
        _ => match annotation.strip_prefix(LOCALHOST_PREFIX)? {
            "" => None,
            profile => Some(json!({ "type": "Localhost", "localhostProfile": profile })),
        },
    }
}

fn get<'a>(object: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    let mut value = object.get(*first)?;
    for key in rest {
        value = value.get(key)?;
    }
    (!value.is_null()).then_some(value)
}

/// Leaves the object alone where something else than an object is in the way.
fn set(object: &mut Map<String, Value>, path: &[&str], value: Value) {
    let Some((last, parents)) = path.split_last() else {
        return;
    };
    let mut object = object;
    for key in parents {
        let child = object.entry(*key).or_insert(Value::Null);
        if child.is_null() {
            *child = Value::Object(Map::new());
        }
        let Value::Object(child) = child else {
            return;
        };
        object = child;
    }
    object.insert((*last).to_owned(), value);
}
