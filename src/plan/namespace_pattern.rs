//! Namespaces by name or by pattern.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A namespace by name, or several with a star in front, at the end or both: as `match` of a constraint compares them.
///
/// Gatekeeper 3.23, `pkg/wildcard/wildcard.go`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct NamespacePattern(String);

/// What no namespace can match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected the name of a namespace, of lower case letters, digits and `-`, with `*` in front or at the end for several"
)]
pub struct NamespacePatternError;

/// The most characters in the name of a namespace.
const LONGEST: usize = 63;

impl NamespacePattern {
    /// Returns whether a star is in front, what stands between, and whether a star is at the end.
    fn parts(&self) -> (bool, &str, bool) {
        let front = self.0.starts_with('*');
        let end = self.0.ends_with('*');
        (front, self.0.trim_matches('*'), end)
    }

    /// Whether the namespace is meant.
    pub fn matches(&self, namespace: &str) -> bool {
        match self.parts() {
            (true, text, true) => namespace.contains(text),
            (true, text, false) => namespace.ends_with(text),
            (false, text, true) => namespace.starts_with(text),
            (false, text, false) => namespace == text,
        }
    }

    /// Whether some text matches both; a namespace may be too short for it.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self.parts(), other.parts()) {
            ((false, name, false), _) => other.matches(name),
            (_, (false, name, false)) => self.matches(name),
            ((false, a, true), (false, b, true)) => a.starts_with(b) || b.starts_with(a),
            ((true, a, false), (true, b, false)) => a.ends_with(b) || b.ends_with(a),
            // One end of each is free, or both ends of one: the texts fit side by side.
            _ => true,
        }
    }
}

impl FromStr for NamespacePattern {
    type Err = NamespacePatternError;

    fn from_str(text: &str) -> Result<Self, NamespacePatternError> {
        let res = Self(text.to_owned());
        let (front, middle, end) = res.parts();
        let is_name = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        let well_formed = middle.chars().all(is_name)
            && middle.len() <= LONGEST
            && (front || !middle.starts_with('-'))
            && (end || !middle.ends_with('-'))
            && (!middle.is_empty() || text == "*");
        // One star at an end, not two.
        let stars = text.len() - middle.len();
        let expected = if middle.is_empty() {
            1
        } else {
            usize::from(front) + usize::from(end)
        };
        if well_formed && stars == expected {
            Ok(res)
        } else {
            Err(NamespacePatternError)
        }
    }
}

impl fmt::Display for NamespacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
