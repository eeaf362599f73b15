//! Pods as JSON with typed accessors.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

impl Pod {
    /// `metadata.name`, else the empty string.
    pub fn name(&self) -> &str {
        self.string(&["metadata", "name"])
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

    /// The value at a path of object keys, or nothing where it is absent or null.
    pub fn get(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let mut value = self.0.get(*first)?;
        for key in rest {
            value = value.get(key)?;
        }
        (!value.is_null()).then_some(value)
    }

    fn string(&self, path: &[&str]) -> &str {
        self.get(path).and_then(Value::as_str).unwrap_or_default()
    }
}
