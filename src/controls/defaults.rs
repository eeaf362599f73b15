//! What a policy fills in where a pod leaves it open, and how Gatekeeper can be told to.

use serde_json::{Map, Value};

use crate::api::core::{ContainerList, Pod};
use crate::loss::LossKind;

/// A value that a policy fills in.
#[derive(Clone, Debug, PartialEq)]
pub struct DefaultValue {
    /// The field of the PSP that makes it so, such as `spec.fsGroup`, or its annotation.
    pub field: &'static str,
    /// Where the plugin writes it.
    pub place: Place,
    /// How Gatekeeper writes it; absent where it cannot.
    pub mutation: Option<Mutation>,
}

/// Where the plugin writes a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A member of the pod, by the keys that lead to it.
    Pod(&'static [&'static str]),
    /// A member of the security context of every container, by the keys that lead to it.
    Containers(&'static [&'static str]),
    /// An annotation of the pod for every container: this, followed by the container's name.
    Annotations(&'static str),
}

/// What a mutator of Gatekeeper does, so that a pod has a default.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutation {
    /// Which of Gatekeeper's mutators does it.
    pub kind: MutationKind,
    /// Whose field it is.
    pub level: Level,
    /// The path of the field, below `spec` of the pod or below the container.
    pub location: &'static str,
    /// The path, of the same kind, where nothing may be for the mutator to act.
    pub unless: Option<&'static str>,
    /// The value; a list of what shall be in the list for [`MutationKind::ModifySet`].
    pub value: Value,
    /// In what the outcome is another than the plugin's.
    pub caveats: Vec<Caveat>,
}

/// The mutators of Gatekeeper that can be kept to the creation of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MutationKind {
    /// Writes a value.
    Assign,
    /// Adds to a list what it lacks.
    ModifySet,
}

/// Whose field a mutator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The pod's.
    Pod,
    /// Every init and regular container's; nobody creates a pod with ephemeral ones.
    Containers,
}

/// In what a mutation is another than PSP's, although it is right to make it.
#[derive(Clone, Debug, PartialEq)]
pub struct Caveat {
    /// The kind of the difference.
    pub kind: LossKind,
    /// One sentence, lower case, without a full stop.
    pub why: String,
    /// What a pod has that shows it, merged into one that lacks the default and nothing else.
    pub pod: Value,
}

impl Mutation {
    /// Writes a member of the pod that is not there.
    pub fn on_pod(location: &'static str, value: Value) -> Self {
        Self {
            kind: MutationKind::Assign,
            level: Level::Pod,
            location,
            unless: Some(location),
            value,
            caveats: Vec::new(),
        }
    }

    /// Writes a member of each container that is not there.
    pub fn on_containers(location: &'static str, value: Value) -> Self {
        Self {
            level: Level::Containers,
            ..Self::on_pod(location, value)
        }
    }

    /// Adds to a list of each container.
    pub fn in_list(location: &'static str, values: Value) -> Self {
        Self {
            kind: MutationKind::ModifySet,
            unless: None,
            ..Self::on_containers(location, values)
        }
    }

    /// The same, but only in containers without any security context of their own.
    ///
    /// So a privileged container is never touched: an API server refuses `privileged` beside `allowPrivilegeEscalation: false`.
    #[must_use]
    pub fn without_context(mut self) -> Self {
        self.unless = Some("securityContext");
        self
    }

    /// Whether the mutator finds a place to write at in the pod; it may be that nothing changes there.
    pub fn acts_on(&self, pod: &Pod) -> bool {
        let is_free = |object: &Value| {
            let Some(path) = self.unless else {
                return true;
            };
            let found = path.split('.').try_fold(object, |acc, key| acc.get(key));
            found.is_none()
        };
        let Some(spec) = pod.0.get("spec") else {
            return false;
        };
        if self.level == Level::Pod {
            return is_free(spec);
        }
        let lists = [ContainerList::Init, ContainerList::Regular].into_iter();
        let mut lists = lists.filter_map(|it| spec.get(it.field())?.as_array());
        lists.any(|it| it.iter().any(is_free))
    }

    /// Does to a pod what the mutator of Gatekeeper does.
    pub fn apply(&self, pod: &mut Pod) {
        let Some(Value::Object(spec)) = pod.0.get_mut("spec") else {
            return;
        };
        if self.level == Level::Pod {
            self.write(spec);
            return;
        }
        for list in [ContainerList::Init, ContainerList::Regular] {
            let containers = spec.get_mut(list.field()).and_then(Value::as_array_mut);
            for container in containers.into_iter().flatten() {
                if let Value::Object(container) = container {
                    self.write(container);
                }
            }
        }
    }

    /// Writes into the specification of a pod or into a container.
    fn write(&self, object: &mut Map<String, Value>) {
        let exists = |path: &str| {
            let mut keys = path.split('.');
            let first = keys.next().and_then(|it| object.get(it));
            keys.fold(first, |acc, key| acc?.get(key)).is_some()
        };
        if self.unless.is_some_and(exists) {
            return;
        }
        let mut place = &mut Value::Null;
        let mut keys = self.location.split('.');
        if let Some(key) = keys.next() {
            place = object.entry(key).or_insert(Value::Null);
        }
        for key in keys {
            if place.is_null() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(members) = place else {
                return;
            };
            place = members.entry(key).or_insert(Value::Null);
        }
        match (self.kind, place, &self.value) {
            (MutationKind::ModifySet, Value::Array(items), Value::Array(more)) => {
                for it in more {
                    if !items.contains(it) {
                        items.push(it.clone());
                    }
                }
            }
            (_, place, value) => *place = value.clone(),
        }
    }

    /// The same with a caveat.
    #[must_use]
    pub fn but(mut self, caveat: Caveat) -> Self {
        self.caveats.push(caveat);
        self
    }
}
