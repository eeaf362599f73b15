//! Namespaces in which the same mutators act, and the pods there that they select.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::access::{ANYWHERE, Access, Scope};
use crate::loss::ALL;
use crate::plan::{LabelOperator, LabelSelector, Mutator, Namespaces};
use crate::witness::budget::MOST_NAMESPACES;

/// The mutators by the namespaces that they act in, and those namespaces put together.
#[derive(Debug)]
pub(super) struct Areas<'a> {
    /// Those that name their namespaces.
    by_name: BTreeMap<&'a str, Vec<&'a Mutator>>,
    /// Those that name where they do not act.
    broad: Vec<&'a Mutator>,
    /// What stands for all namespaces.
    all: Vec<Area>,
}

/// Namespaces in which the same mutators act; where there are very many areas, the rest of them together.
#[derive(Clone, Debug, Default)]
pub(super) struct Area {
    /// Their names; [`ALL`] stands for all that the input does not name.
    pub(super) names: BTreeSet<String>,
    /// Where to look for a witness; one without grants of its own stands for those without a name.
    pub(super) tried: Vec<String>,
}

/// The pods of a namespace that the same mutators act on.
#[derive(Clone, Debug)]
pub(super) struct Variant<'a> {
    /// The mutators, in the order in which they are applied.
    pub(super) acting: Vec<&'a Mutator>,
    /// What such pods have in common, in words, and what a pod lacks to be one; absent for pods without any label.
    pub(super) selected: Option<(String, Value)>,
}

impl Variant<'_> {
    /// The names of the mutators.
    pub(super) fn names(&self) -> Vec<&'_ str> {
        self.acting.iter().map(|it| it.name.as_str()).collect()
    }

    /// The same, to be kept.
    pub(super) fn owned_names(&self) -> Vec<String> {
        self.names().into_iter().map(str::to_owned).collect()
    }
}

impl<'a> Areas<'a> {
    pub(super) fn new(access: &Access<'_>, mutators: &'a [Mutator]) -> Self {
        let mut res = Self {
            by_name: BTreeMap::new(),
            broad: Vec::new(),
            all: Vec::new(),
        };
        let mut mutators: Vec<&Mutator> = mutators.iter().collect();
        mutators.sort_by_key(|it| (it.mutation.kind, it.name.as_str()));
        for mutator in mutators {
            match &mutator.namespaces {
                Namespaces::Only(names) => {
                    for name in names {
                        res.by_name.entry(name).or_default().push(mutator);
                    }
                }
                Namespaces::AllBut(_) => res.broad.push(mutator),
            }
        }
        let named = access.named();
        let numbered = (2..).map(|it| format!("{ANYWHERE}-{it}"));
        let mut unnamed = std::iter::once(ANYWHERE.to_owned()).chain(numbered);
        let unnamed = unnamed.find(|it| !named.contains(it.as_str()));
        let mut areas = res.together(named.into_iter());
        areas.push(Area {
            names: BTreeSet::from([ALL.to_owned()]),
            tried: unnamed.into_iter().collect(),
        });
        res.all = areas;
        res
    }

    /// The areas of the scopes.
    pub(super) fn of(&self, scopes: &BTreeSet<Scope<'_>>) -> Vec<Area> {
        if scopes.contains(&None) {
            return self.all.clone();
        }
        self.together(scopes.iter().copied().flatten())
    }

    fn together<'b>(&self, namespaces: impl Iterator<Item = &'b str>) -> Vec<Area> {
        let mut areas = BTreeMap::<Vec<&str>, Area>::new();
        for namespace in namespaces {
            let acting = self.acting(namespace);
            let names = acting.iter().map(|it| it.name.as_str()).collect();
            let area = areas.entry(names).or_default();
            area.names.insert(namespace.to_owned());
            area.tried.push(namespace.to_owned());
        }
        let mut res: Vec<Area> = areas.into_values().collect();
        if res.len() > MOST_NAMESPACES {
            let mut rest = Area::default();
            for it in res.drain(MOST_NAMESPACES - 1..) {
                rest.names.extend(it.names);
                rest.tried.extend(it.tried.into_iter().take(1));
            }
            res.push(rest);
        }
        res
    }

    /// The mutators of a namespace, in the order in which they are applied, whatever pods they select.
    pub(super) fn acting(&self, namespace: &str) -> Vec<&'a Mutator> {
        let named = self.by_name.get(namespace).into_iter().flatten().copied();
        let broad = self.broad.iter().copied();
        let broad = broad.filter(|it| it.namespaces.contains(namespace));
        let mut res: Vec<_> = named.chain(broad).collect();
        res.sort_by_key(|it| (it.mutation.kind, it.name.as_str()));
        res
    }

    /// The pods of a namespace, those together that the same mutators act on; first those without any label.
    pub(super) fn variants(&self, namespace: &str) -> Vec<Variant<'a>> {
        let acting = self.acting(namespace);
        let plain = Variant {
            acting: selecting(&acting, &json!({})),
            selected: None,
        };
        let mut res = vec![plain];
        let selectors = acting.iter().filter(|it| !it.pods.is_all());
        let sampled = selectors.flat_map(|it| samples(&it.pods.labels, it.pods.name.as_deref()));
        for (text, more) in sampled {
            let variant = Variant {
                acting: selecting(&acting, &more),
                selected: Some((text, more)),
            };
            if res.iter().all(|it| it.names() != variant.names()) {
                res.push(variant);
            }
        }
        res
    }
}

/// Pods that a selector is about, those that it leaves out included: in words, and what they have.
fn samples(labels: &LabelSelector, name: Option<&str>) -> Vec<(String, Value)> {
    if let Some(name) = name {
        let generated = name.trim_end_matches('*');
        let more = json!({ "metadata": { "generateName": generated } });
        return vec![(format!("named `{name}`"), more)];
    }
    let mut res = Vec::new();
    for it in &labels.0 {
        let own = LabelSelector(vec![crate::plan::LabelRequirement {
            operator: LabelOperator::In,
            ..it.clone()
        }]);
        res.push((format!("with the label `{own}`"), own.labels()));
    }
    if labels.0.len() > 1 {
        res.push((format!("with the labels `{labels}`"), labels.labels()));
    }
    res
}

/// The mutators that act on a pod with this metadata.
pub(super) fn selecting<'a>(all: &[&'a Mutator], pod: &Value) -> Vec<&'a Mutator> {
    let labels = pod.pointer("/metadata/labels");
    let label = |key: &str| labels.and_then(|it| it.get(key)?.as_str());
    let generated = pod.pointer("/metadata/generateName");
    let generated = generated.and_then(Value::as_str).unwrap_or_default();
    let selects = |it: &&&'a Mutator| {
        let by_labels = it.pods.labels.0.iter().all(|it| {
            let is_one = label(&it.key).is_some_and(|own| it.values.contains(own));
            is_one == (it.operator == LabelOperator::In)
        });
        let name = it.pods.name.as_deref();
        by_labels && name.is_none_or(|it| generated.starts_with(it.trim_end_matches('*')))
    };
    all.iter().filter(selects).copied().collect()
}
