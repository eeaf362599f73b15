//! A difference that was found.

use std::collections::BTreeSet;

use super::outcome::Difference;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::loss::LossKind;

/// A difference, and the pod that shows it.
#[derive(Clone, Debug)]
pub(super) struct Finding<'a> {
    pub(super) kind: LossKind,
    pub(super) control: &'static str,
    pub(super) field: &'static str,
    /// The policy by which PSP admits the pod, or that accepts it as it is stored.
    pub(super) psp: &'a PodSecurityPolicy,
    /// Other policies of which it is true.
    pub(super) alike: BTreeSet<&'a str>,
    /// One sentence, lower case, without a full stop.
    pub(super) why: String,
    pub(super) pod: Pod,
}

/// What tells findings apart.
pub(super) type Key<'a> = (&'a str, Difference);

impl<'a> Finding<'a> {
    pub(super) fn key(&self) -> Key<'a> {
        (&self.psp.name, (self.kind, self.control, self.field))
    }
}

/// Why the two differ, by the kind of the difference.
pub(super) fn why(kind: LossKind) -> &'static str {
    match kind {
        LossKind::DefaultNotSet => "a pod without a value is denied, where PSP set the default",
        LossKind::DefaultForAll => {
            "a mutator sets the default in every pod that it selects, also if the policy of the pod sets none or another"
        }
        LossKind::DefaultOfAnotherPolicy => {
            "with what mutators set, another policy accepts the pod than PSP would have chosen, and the default of the chosen one is not set"
        }
        LossKind::DefaultOfTheFirst => {
            "a pod whose seccomp profile is a field alone lacks the defaults of the first policy by name, which PSP would have taken: a later one accepts it"
        }
        LossKind::DefaultInTheWay => {
            "a mutator sets the default in every pod that it selects, and the policies that would accept the pod, or the API server, deny it with that default"
        }
        LossKind::DefaultAdmits => {
            "PSP denied the pod for lack of a value; a mutator sets it, and a policy that the pod can have accepts it"
        }
        other => other.why(),
    }
}
