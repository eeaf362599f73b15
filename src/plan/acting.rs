//! Which mutators act on a pod, by its namespace and label.

use std::collections::{BTreeMap, BTreeSet};

use super::labels::LabelSelector;
use super::losses::Reach;
use super::mutators::{Mutator, Namespaces};

/// The mutators by the namespaces that they act in.
pub(super) struct Acting<'a> {
    /// All of them.
    pub(super) all: Vec<&'a Mutator>,
    /// Those that name their namespaces.
    pub(super) named: BTreeMap<&'a str, Vec<&'a Mutator>>,
    /// Those that name where they do not act.
    broad: Vec<(&'a BTreeSet<String>, &'a Mutator)>,
}

impl<'a> Acting<'a> {
    pub(super) fn new(all: Vec<&'a Mutator>) -> Self {
        let mut named = BTreeMap::<_, Vec<_>>::new();
        let mut broad = Vec::new();
        for mutator in all.iter().copied() {
            match &mutator.namespaces {
                Namespaces::Only(these) => {
                    for name in these {
                        named.entry(name.as_str()).or_default().push(mutator);
                    }
                }
                Namespaces::AllBut(others) => broad.push((others, mutator)),
            }
        }
        Self { all, named, broad }
    }

    /// Those that act in the namespace.
    pub(super) fn of(&self, namespace: &str) -> impl Iterator<Item = &'a Mutator> {
        let named = self.named.get(namespace).into_iter().flatten().copied();
        let broad = self
            .broad
            .iter()
            .filter(|(but, _)| !but.contains(namespace));
        named.chain(broad.map(|(_, mutator)| *mutator))
    }

    /// The namespaces of the scopes in which there is any.
    pub(super) fn reach(&self, scopes: &BTreeSet<Option<&str>>) -> Reach {
        let mut res = Reach::default();
        for scope in scopes {
            match scope {
                Some(namespace) if self.of(namespace).next().is_some() => res.add(namespace),
                Some(_) => {}
                None => {
                    for name in self.named.keys() {
                        res.add(name);
                    }
                    for (but, _) in &self.broad {
                        res.add_others(but);
                    }
                }
            }
        }
        res
    }
}

/// The mutators that act on the pods with a label, for each label, those together that the same act on.
pub(super) fn by_label(mutators: &[Mutator]) -> Vec<(LabelSelector, Vec<&Mutator>)> {
    let mut values = BTreeMap::<_, BTreeSet<usize>>::new();
    for (index, mutator) in mutators.iter().enumerate() {
        let Some(labels) = &mutator.labels else {
            continue;
        };
        for value in &labels.values {
            let acting = values.entry((&labels.key, value)).or_default();
            acting.insert(index);
        }
    }
    let mut res = BTreeMap::<_, BTreeSet<String>>::new();
    for ((key, value), acting) in values {
        res.entry((key, acting)).or_default().insert(value.clone());
    }
    let labels = res.into_iter().map(|((key, acting), values)| {
        let labels = LabelSelector {
            key: key.clone(),
            values,
        };
        let acting = acting.into_iter().filter_map(|it| mutators.get(it));
        (labels, acting.collect())
    });
    labels.collect()
}
