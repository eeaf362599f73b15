//! Who can use which policies where, indexed both ways, and who creates pods.
//!
//! [`resolve`](crate::resolve) lists the grants; this answers questions about them for the planning of mutators and the search for
//! losses: which policies a new pod can have, who stands for a subject, and whose pods count when defaults are chosen.

pub use creators::Creators;
pub use exemptions::{IGNORE_LABEL, OWN_ACCOUNT, OWN_NAMESPACE, ignored_namespaces};
pub use identity::{ANYWHERE, Identity};
pub use index::{Access, MOST_USED, Scope};
pub use subject::{ParseSubjectError, home, parse_subject, service_account, subject_text};

mod creators;
mod exemptions;
mod identity;
mod index;
mod subject;
#[cfg(test)]
mod tests;
