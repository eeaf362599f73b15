//! Enforcement namespace by namespace: the constraint becomes up to three, and each namespace has one of them.

use super::bundle::{Bundle, Constraint, EnforcementAction};
use super::namespace_pattern::NamespacePattern;
use crate::diagnostic::Diagnostic;
use crate::input::Inventory;
use std::collections::BTreeSet;

/// The namespaces whose enforcement is not that of the rest.
///
/// No namespace that there is or may ever be is in both lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    deny: BTreeSet<NamespacePattern>,
    warn: BTreeSet<NamespacePattern>,
}

/// Two patterns that cannot be in different lists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", if deny == warn {
    format!("namespace `{deny}` is to be denied and to be warned: name it once")
} else {
    format!("namespaces may match both `{deny}`, to be denied, and `{warn}`, to be warned: each must have one answer")
})]
pub struct Overlap {
    /// The one to be denied.
    pub deny: NamespacePattern,
    /// The one to be warned.
    pub warn: NamespacePattern,
}

impl Stages {
    /// Puts pods of some namespaces to be forbidden, and those of others to be admitted with a warning.
    ///
    /// # Errors
    ///
    /// When a namespace could be in both lists, be it in the input or not.
    pub fn new(
        deny: BTreeSet<NamespacePattern>,
        warn: BTreeSet<NamespacePattern>,
    ) -> Result<Self, Overlap> {
        for deny in &deny {
            if let Some(warn) = warn.iter().find(|it| it.overlaps(deny)) {
                return Err(Overlap {
                    deny: deny.clone(),
                    warn: warn.clone(),
                });
            }
        }
        Ok(Self { deny, warn })
    }

    fn is_empty(&self) -> bool {
        self.deny.is_empty() && self.warn.is_empty()
    }

    fn patterns(&self) -> impl Iterator<Item = &NamespacePattern> {
        self.deny.iter().chain(&self.warn)
    }
}

impl Bundle {
    /// Splits the constraint, so that these namespaces are enforced as the stages say and the others as before.
    ///
    /// What matches a list has a constraint of its own; the rest keeps the constraint and its name, and leaves the lists out.
    /// The parameters stand in each, so that a namespace moves from list to list without anything else.
    pub fn stage(&mut self, stages: &Stages, inventory: &Inventory) {
        if stages.is_empty() {
            return;
        }
        self.diagnostics.extend(unknown(stages, inventory));
        self.diagnostics.sort();
        let mut res = Vec::new();
        for constraint in std::mem::take(&mut self.constraints) {
            let lists = [
                ("deny", EnforcementAction::Deny, &stages.deny),
                ("warn", EnforcementAction::Warn, &stages.warn),
            ];
            let listed: Vec<Constraint> = lists
                .into_iter()
                .filter(|(_, _, namespaces)| !namespaces.is_empty())
                .map(|(suffix, enforcement_action, namespaces)| Constraint {
                    name: format!("{}-{suffix}", constraint.name),
                    enforcement_action,
                    namespaces: namespaces.clone(),
                    ..constraint.clone()
                })
                .collect();
            res.push(Constraint {
                excluded_namespaces: stages.patterns().cloned().collect(),
                ..constraint
            });
            res.extend(listed);
        }
        self.constraints = res;
    }
}

/// Tells of patterns that match no namespace that the input knows.
fn unknown(stages: &Stages, inventory: &Inventory) -> Vec<Diagnostic> {
    let known = inventory.namespace_names();
    stages
        .patterns()
        .filter(|pattern| !known.iter().any(|it| pattern.matches(it)))
        .map(|pattern| {
            let message = format!("nothing in the input is in a namespace `{pattern}`");
            Diagnostic::warning("namespace-not-found", message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> NamespacePattern {
        text.parse().unwrap()
    }

    fn patterns(texts: &[&str]) -> BTreeSet<NamespacePattern> {
        texts.iter().map(|it| pattern(it)).collect()
    }

    #[test]
    fn patterns_are_what_a_constraint_may_list() {
        for text in ["a", "a-1", "kube-*", "*-system", "*be-sys*", "*"] {
            assert!(text.parse::<NamespacePattern>().is_ok(), "{text}");
        }
        let long = "a".repeat(64);
        for text in [
            "", "-*", "*-", "**", "A", "a b", "a.b", "a*b", "-a", "a-", "**a", "a:b", "ä", &long,
        ] {
            assert!(text.parse::<NamespacePattern>().is_err(), "{text}");
        }
    }

    /// Whatever overlaps is refused: shown by a namespace that both match, for all pairs.
    #[test]
    fn patterns_overlap_where_a_namespace_could_match_both() {
        let texts = ["a", "ab", "a*", "*a", "*a*", "*", "b*", "*b", "ab*", "*ab"];
        let candidates = ["a", "b", "ab", "ba", "aba", "aab", "bab", "abb", "bb", "aa"];
        for a in texts.map(pattern) {
            for b in texts.map(pattern) {
                let shared = candidates.iter().any(|it| a.matches(it) && b.matches(it));
                assert_eq!(a.overlaps(&b), shared, "{a} {b}");
            }
        }
    }

    #[test]
    fn a_namespace_in_both_lists_is_refused() {
        let check = |deny: &[&str], warn: &[&str], expected: Option<&str>| {
            let res = Stages::new(patterns(deny), patterns(warn));
            assert_eq!(res.err().map(|it| it.to_string()).as_deref(), expected);
        };
        check(&["a"], &["b", "c*"], None);
        check(
            &["a"],
            &["a"],
            Some("namespace `a` is to be denied and to be warned: name it once"),
        );
        check(
            &["team-*"],
            &["team-a"],
            Some(
                "namespaces may match both `team-*`, to be denied, and `team-a`, to be warned: each must have one answer",
            ),
        );
    }
}
