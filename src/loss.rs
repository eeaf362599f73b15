//! A known difference between a PSP and its translation.

use std::fmt;

use serde::Serialize;

use crate::admission::AdmissionRequest;

pub use kinds::{GATEKEEPER, LOSS_KINDS, LossKind};

mod kinds;

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
    /// Gatekeeper admits what PSP forbade.
    Looser,
    /// Gatekeeper forbids what PSP admitted.
    Stricter,
    /// Both admit, and another pod is stored.
    Differs,
    /// Gatekeeper admits what PSP forbade, and no container may do more than PSP let it.
    ///
    /// The API server takes out of the pod what PSP forbade it for, or PSP demanded that it says what holds anyhow.
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
            Self::Looser => "Gatekeeper admits what PodSecurityPolicy forbade",
            Self::Stricter => "Gatekeeper forbids what PodSecurityPolicy admitted",
            Self::Differs => "both admit, and another pod is stored",
            Self::Harmless => {
                "Gatekeeper admits what PodSecurityPolicy forbade, and no container may do more than PodSecurityPolicy let it"
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
pub struct Loss {
    /// The name of the control and of the difference, such as `run-as-user/default-not-set`; stable.
    pub name: String,
    /// Which way.
    pub direction: Direction,
    /// The PSP; `*` stands for all.
    pub psp: String,
    /// The other PSPs of which the same is true, sorted; the namespaces and subjects are those of all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alike: Vec<String>,
    /// Its field, such as `spec.runAsUser`, or annotation.
    pub field: String,
    /// The namespaces that it reaches, sorted; `*` stands for all.
    pub namespaces: Vec<String>,
    /// Whom it reaches there, sorted, as `User alice`, `Group developers` or `ServiceAccount shop/web`.
    pub subjects: Vec<String>,
    /// One sentence, lower case, without a full stop.
    pub why: String,
    /// A request that shows it, of the first PSP.
    pub witness: AdmissionRequest,
}

impl Loss {
    /// The name of the control.
    pub fn control(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// Whether it is about the PSP by name, and not about all.
    pub fn is_about(&self, psp: &str) -> bool {
        self.psp == psp
            || self
                .alike
                .binary_search_by(|it| it.as_str().cmp(psp))
                .is_ok()
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
            self.name,
            self.direction,
            self.policies(),
            self.field,
            self.why
        )
    }
}
