//! Mutators whose locations contradict each other about what is a list.
//!
//! Gatekeeper 3.23, `pkg/mutation/schema/node.go` and `schema.go`: all mutators that take part are switched off.

use std::collections::{BTreeMap, BTreeSet};

use super::location::Step;

/// A group, version, kind and operation that a mutator applies to.
pub(super) type Binding = (String, String, String, String);

/// What a mutator says about the objects it applies to.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// Its location.
    pub(super) steps: &'a [Step],
    /// What it takes the last field for.
    pub(super) target: Type,
    /// Where it applies.
    pub(super) bindings: BTreeSet<Binding>,
}

/// What a location makes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Type {
    /// A list whose elements are found by a key.
    List,
    /// An object.
    Object,
    /// A list of plain values.
    Set,
    /// Anything.
    Unknown,
}

#[derive(Debug, Default)]
struct Node {
    claimed_by: BTreeSet<usize>,
    children: BTreeMap<String, BTreeMap<Type, Node>>,
}

/// Returns the places in `claims` of those that are in conflict.
pub(super) fn conflicts(claims: &[Claim<'_>]) -> BTreeSet<usize> {
    let mut roots: BTreeMap<&Binding, Node> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        for binding in &claim.bindings {
            let root = roots.entry(binding).or_default();
            root.add(index, claim.steps, claim.target);
        }
    }
    let mut found = BTreeSet::new();
    for root in roots.values() {
        root.collect(&mut found);
    }
    found
}

impl Node {
    fn add(&mut self, index: usize, steps: &[Step], target: Type) {
        self.claimed_by.insert(index);
        let Some((first, rest)) = steps.split_first() else {
            return;
        };
        let (Step::Field(key) | Step::Element { key, .. }) = first;
        let ty = match rest.first() {
            None => target,
            Some(Step::Field(_)) => Type::Object,
            Some(Step::Element { .. }) => Type::List,
        };
        let types = self.children.entry(key.clone()).or_default();
        types.entry(ty).or_default().add(index, rest, target);
    }

    fn collect(&self, found: &mut BTreeSet<usize>) {
        for types in self.children.values() {
            let known = types.keys().filter(|ty| **ty != Type::Unknown).count();
            for (ty, child) in types {
                let two_keys = *ty == Type::List && child.children.len() > 1;
                if *ty != Type::Unknown && (known > 1 || two_keys) {
                    found.extend(&child.claimed_by);
                }
                child.collect(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gatekeeper::location;

    #[track_caller]
    fn check(claims: &[(&str, Type, &str)], expected: &[usize]) {
        let steps: Vec<_> = claims
            .iter()
            .map(|it| location::parse(it.0).unwrap())
            .collect();
        let claims: Vec<_> = claims
            .iter()
            .zip(&steps)
            .map(|((_, target, operation), steps)| Claim {
                steps,
                target: *target,
                bindings: BTreeSet::from([(
                    String::new(),
                    "v1".into(),
                    "Pod".into(),
                    (*operation).into(),
                )]),
            })
            .collect();
        let found: Vec<_> = conflicts(&claims).into_iter().collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_list_for_one_and_an_object_for_another_is_a_conflict_of_both() {
        let list = ("spec.containers[name:*].image", Type::Unknown, "CREATE");
        let object = ("spec.containers.image", Type::Unknown, "CREATE");
        let other = ("spec.hostPID", Type::Unknown, "CREATE");
        check(&[list, other, object], &[0, 2]);
        check(&[list, (object.0, Type::Unknown, "UPDATE")], &[]);
    }

    #[test]
    fn two_key_fields_for_one_list_are_a_conflict() {
        check(
            &[
                ("spec.a[name:x].b", Type::Unknown, "CREATE"),
                ("spec.a[id:x].b", Type::Unknown, "CREATE"),
            ],
            &[0, 1],
        );
    }

    #[test]
    fn a_whole_value_conflicts_with_nothing_and_a_set_with_a_keyed_list() {
        let whole = ("spec.a", Type::Unknown, "CREATE");
        let set = ("spec.a", Type::Set, "CREATE");
        let list = ("spec.a[name:x].b", Type::Unknown, "CREATE");
        check(&[whole, list], &[]);
        check(&[whole, set], &[]);
        check(&[set, list, whole], &[0, 1]);
    }
}
