//! One rendered object and where it goes.

use std::fmt;

use crate::api::meta::ObjectRef;
use crate::diagnostic::Diagnostic;

/// The folder of the output that an object goes to; folders are applied in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Folder {
    /// ConstraintTemplates, which must be there before constraints of their kind.
    Templates,
    /// Assign, AssignMetadata and ModifySet.
    Mutators,
    /// Constraints.
    Constraints,
    /// ExpansionTemplates.
    Expansion,
}

impl Folder {
    /// All folders, in the order of application.
    pub const ALL: [Self; 4] = [
        Self::Templates,
        Self::Mutators,
        Self::Constraints,
        Self::Expansion,
    ];

    /// The name of the folder in the output directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Templates => "1-templates",
            Self::Mutators => "2-mutators",
            Self::Constraints => "3-constraints",
            Self::Expansion => "4-expansion",
        }
    }
}

/// One rendered object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manifest {
    /// Where it goes.
    pub folder: Folder,
    /// Its kind, such as `ConstraintTemplate`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The whole document in YAML, without a leading `---`.
    pub text: String,
}

/// The size in bytes that an object should not exceed: an API server's store takes no more than half as much again.
const LARGEST: usize = 1 << 20;

impl Manifest {
    /// A warning where the object is larger than an API server is sure to store.
    pub fn size_warning(&self) -> Option<Diagnostic> {
        let message = || {
            format!(
                "it has {} KiB; an API server stores objects of about 1536 KiB at most",
                self.text.len() >> 10
            )
        };
        (self.text.len() > LARGEST).then(|| {
            Diagnostic::warning("object-too-large", message())
                .about(ObjectRef::cluster(&self.kind, &self.name))
        })
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{}-{}.yaml", self.kind.to_lowercase(), self.name)
    }

    /// The path below the output directory, with `/` between its parts.
    pub fn path(&self) -> String {
        format!("{}/{}", self.folder.name(), self.file_name())
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
