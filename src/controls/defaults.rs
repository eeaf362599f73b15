//! What a policy fills in where a pod leaves it open, and how Gatekeeper can be told to.

use serde_json::Value;

use crate::loss::Direction;

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

/// In what a mutation is another than the plugin's, although it is right to make it.
#[derive(Clone, Debug, PartialEq)]
pub struct Caveat {
    /// The name of the difference, without that of the control.
    pub name: &'static str,
    /// Which way it goes.
    pub direction: Direction,
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

    /// The same with a caveat.
    #[must_use]
    pub fn but(mut self, caveat: Caveat) -> Self {
        self.caveats.push(caveat);
        self
    }
}
