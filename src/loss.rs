//! A known difference between a PSP and its translation.

use std::fmt;

use serde::Serialize;

use crate::admission::AdmissionRequest;

pub use kinds::{GATEKEEPER, LossKind};

mod kinds;

/// What stands for every namespace, subject or PSP in a loss.
pub const ALL: &str = "*";

/// All directions, the worst first.
pub const DIRECTIONS: [Direction; 4] = [
    Direction::Looser,
    Direction::Stricter,
    Direction::Differs,
    Direction::Harmless,
];

/// Which way the two worlds differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Gatekeeper admits what PSP denied.
    Looser,
    /// Gatekeeper denies what PSP admitted.
    Stricter,
    /// Both admit, and the pod is stored differently.
    Differs,
    /// Gatekeeper admits what PSP denied, and a PSP that can be used accepts the pod as it is stored.
    Harmless,
}

impl Direction {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Looser => "looser",
            Self::Stricter => "stricter",
            Self::Differs => "differs",
            Self::Harmless => "harmless",
        }
    }

    /// What it means, without a full stop.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Looser => "Gatekeeper admits what PodSecurityPolicy denied",
            Self::Stricter => "Gatekeeper denies what PodSecurityPolicy admitted",
            Self::Differs => "both admit, and the pod is stored differently",
            Self::Harmless => {
                "Gatekeeper admits what PodSecurityPolicy denied, and a policy that can be used accepts the pod as it is stored"
            }
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A known difference between a PSP and its translation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "Written")]
pub struct Loss {
    /// The name of the control, or [`GATEKEEPER`].
    pub control: &'static str,
    /// What happens.
    pub kind: LossKind,
    /// The PSP; `*` stands for all.
    pub psp: String,
    /// The other PSPs of which the same is true, sorted; the namespaces and subjects are those of all of them.
    pub alike: Vec<String>,
    /// Its field, such as `spec.runAsUser`, or annotation.
    pub field: String,
    /// The namespaces that it reaches, sorted; `*` stands for all.
    pub namespaces: Vec<String>,
    /// Whom it reaches there, sorted, as `User alice`, `Group developers` or `ServiceAccount shop/web`.
    pub subjects: Vec<String>,
    /// Whether somebody of the input who creates pods meets it, as far as RBAC and the workloads tell.
    pub reaches_creators: bool,
    /// One sentence, lower case, without a full stop.
    pub why: String,
    /// What keeps a default from being set, sorted; empty where nothing of the input does.
    pub causes: Vec<Cause>,
    /// A request that shows it, of the first PSP.
    pub witness: AdmissionRequest,
}

/// What of the input keeps a default from being set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cause {
    /// The binding, policy or workload, and what it does; a sentence without a full stop.
    pub what: String,
    /// The command or the change that would help; a sentence without a full stop.
    pub help: String,
    /// The namespace that it is about, `*` for all without bindings of their own; absent where it holds everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A loss as it is written down.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    name: String,
    direction: Direction,
    psp: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alike: Vec<String>,
    field: String,
    namespaces: Vec<String>,
    subjects: Vec<String>,
    reaches_creators: bool,
    why: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    causes: Vec<Cause>,
    witness: AdmissionRequest,
}

impl From<Loss> for Written {
    fn from(loss: Loss) -> Self {
        Self {
            name: loss.name(),
            direction: loss.direction(),
            psp: loss.psp,
            alike: loss.alike,
            field: loss.field,
            namespaces: loss.namespaces,
            subjects: loss.subjects,
            reaches_creators: loss.reaches_creators,
            why: loss.why,
            causes: loss.causes,
            witness: loss.witness,
        }
    }
}

impl Loss {
    /// Its name: that of the control and of the kind, such as `run-as-user/default-not-set`; stable.
    pub fn name(&self) -> String {
        format!("{}/{}", self.control, self.kind)
    }

    /// Which way the two differ.
    pub fn direction(&self) -> Direction {
        self.kind.direction()
    }

    /// Whether it is about the PSP by name, and not about all.
    pub fn is_about(&self, psp: &str) -> bool {
        self.psp == psp
            || self
                .alike
                .binary_search_by(|it| it.as_str().cmp(psp))
                .is_ok()
    }

    /// Returns the causes in a namespace, sorted.
    pub fn causes_in(&self, namespace: &str) -> Vec<&Cause> {
        let of = |namespace: &str| {
            let causes = self.causes.iter();
            let own = causes.filter(|it| it.namespace.as_deref().is_none_or(|it| it == namespace));
            own.collect::<Vec<_>>()
        };
        let is_about_it = |it: &&Cause| it.namespace.is_some();
        let own = of(namespace);
        if own.iter().any(is_about_it) {
            own
        } else {
            of(ALL)
        }
    }

    /// The PSP, and how many others it is about.
    pub fn policies(&self) -> String {
        match self.alike.len() {
            0 => self.psp.clone(),
            others => format!("{} and {others} more", self.psp),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "loss[{}, {}]: PodSecurityPolicy {}: `{}`: {}",
            self.name(),
            self.direction(),
            self.policies(),
            self.field,
            self.why
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_those_of_the_namespace_else_those_of_all_others() {
        let cause = |what: &str, namespace: Option<&str>| Cause {
            what: what.to_owned(),
            help: String::new(),
            namespace: namespace.map(ToOwned::to_owned),
        };
        let loss = Loss {
            control: "groups",
            kind: LossKind::DefaultNotSet,
            psp: "a".to_owned(),
            alike: Vec::new(),
            field: "spec.fsGroup".to_owned(),
            namespaces: vec!["*".to_owned()],
            subjects: Vec::new(),
            reaches_creators: true,
            why: String::new(),
            causes: vec![
                cause("anywhere", None),
                cause("elsewhere", Some("*")),
                cause("shop", Some("shop")),
            ],
            witness: AdmissionRequest::default(),
        };
        let whats = |namespace: &str| {
            let causes = loss.causes_in(namespace).into_iter();
            causes.map(|it| it.what.clone()).collect::<Vec<_>>()
        };
        assert_eq!(whats("shop"), ["anywhere", "shop"]);
        assert_eq!(whats("tools"), ["anywhere", "elsewhere"]);
    }
}
