//! A default that Gatekeeper sets, and one that it does not.

use std::collections::BTreeSet;
use std::fmt;

use super::labels::LabelSelector;
use crate::controls::defaults::Mutation;

/// A default that Gatekeeper sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutator {
    /// Its name, which says what it writes; the same value has the same name in every run.
    pub name: String,
    /// The name of the control.
    pub control: &'static str,
    /// The field of the PSPs, such as `spec.fsGroup`, or their annotation.
    pub field: &'static str,
    /// What it writes; the caveats are those of single policies, and not here.
    pub mutation: Mutation,
    /// Where.
    pub namespaces: Namespaces,
    /// In which pods there.
    pub pods: PodSelector,
    /// The PSPs whose default it is, sorted.
    pub policies: BTreeSet<String>,
}

/// The namespaces that a mutator acts in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Namespaces {
    /// These.
    Only(BTreeSet<String>),
    /// All but these, those that will come included.
    AllBut(BTreeSet<String>),
}

impl Namespaces {
    /// Whether the namespace is among them.
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(namespace),
            Self::AllBut(names) => !names.contains(namespace),
        }
    }
}

/// The pods that a mutator acts on, within its namespaces; by default all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodSelector {
    /// By their labels.
    pub labels: LabelSelector,
    /// By a name that ends in `*`, which is also tried against `generateName`.
    pub name: Option<String>,
}

impl PodSelector {
    /// Whether it selects all pods.
    pub fn is_all(&self) -> bool {
        self.labels.0.is_empty() && self.name.is_none()
    }
}

impl fmt::Display for PodSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "name {name}"),
            None => self.labels.fmt(f),
        }
    }
}

/// A default of a policy that no mutator sets in some namespace where a pod could get it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnsetDefault {
    /// The PSP whose default it is.
    pub psp: String,
    /// The name of the control.
    pub control: &'static str,
    /// The field of the PSP, or its annotation.
    pub field: &'static str,
    /// The namespace; absent for all that the input does not name.
    pub namespace: Option<String>,
    /// Why.
    pub hindrance: Hindrance,
}

/// Why a default is not set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hindrance {
    /// No mutator of Gatekeeper can write it.
    NotExpressible,
    /// Namespaces have more different values of the field than there may be mutators.
    TooManyValues,
    /// A workload of the input would be denied with it, or needs another value.
    Workload {
        /// Kind and name, as in `DaemonSet agent`.
        name: String,
        /// The PSP that admits the workload's pods.
        psp: String,
    },
    /// Pods of a service account would be denied with it, or need another value.
    Account {
        /// The service account, as in `ServiceAccount shop/agent`.
        name: String,
        /// The PSP that admits such a pod.
        psp: String,
        /// The binding that lets it use that PSP; absent where a grant is assumed.
        binding: Option<String>,
    },
    /// Nothing is let through by it that is not let through anyway.
    NothingGained,
}
