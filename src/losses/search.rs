//! The searches for pods that show in what the two differ, each made once for the same situation.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::areas::Variant;
use super::finding::Finding;
use super::outcome::{Defaults, Situation, is_own};
use super::similar::Similar;
use super::strategies::Search;
use crate::api::policy::PodSecurityPolicy;
use crate::plan::PlanOptions;
use crate::witness::boundaries::Boundaries;
use crate::witness::memo::Memo;
use crate::witness::reshape;

/// What tells situations apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    /// With one policy of a kind: the kind, and where each mutator writes and whether that is the policy's own default.
    OfKind(usize, Vec<(&'static str, bool)>, String),
    /// The names of the policies and of the mutators, and what the pods have that the mutators select.
    Of(Vec<&'a str>, Vec<&'a str>, String),
}

/// What is to be searched.
#[derive(Debug)]
pub(super) struct Searches<'s, 'a> {
    defaults: &'s Defaults<'a>,
    similar: &'s Similar<'a>,
    options: PlanOptions,
    open: BTreeMap<Key<'s>, (Vec<&'a PodSecurityPolicy>, Variant<'s>)>,
}

/// What was found.
pub(super) struct Found<'s, 'a> {
    defaults: &'s Defaults<'a>,
    similar: &'s Similar<'a>,
    findings: BTreeMap<Key<'s>, Vec<Finding<'a>>>,
}

impl<'s, 'a: 's> Searches<'s, 'a> {
    pub(super) fn new(
        defaults: &'s Defaults<'a>,
        similar: &'s Similar<'a>,
        options: PlanOptions,
    ) -> Self {
        Self {
            defaults,
            similar,
            options,
            open: BTreeMap::new(),
        }
    }

    /// Asks for what becomes of pods that can have these policies.
    pub(super) fn add(&mut self, usable: &[&'a PodSecurityPolicy], variant: &Variant<'s>) {
        let key = key(self.defaults, self.similar, usable, variant);
        let open = self.open.entry(key);
        open.or_insert_with(|| (usable.to_vec(), variant.clone()));
    }

    /// Searches all, on all processors.
    pub(super) fn run(self) -> Found<'s, 'a> {
        let Self {
            defaults,
            similar,
            options,
            open,
        } = self;
        let known = || {
            let memo = Memo::new(options.kubernetes, options.strict_app_armor);
            (memo, Boundaries::default())
        };
        let found = open.into_par_iter();
        let found = found.map_init(known, |(memo, boundaries), (key, (usable, variant))| {
            let situation = Situation {
                defaults,
                memo,
                usable: &usable,
                acting: &variant.acting,
            };
            (
                key,
                selected(Search::new(situation, boundaries).run(), &variant),
            )
        });
        Found {
            defaults,
            similar,
            findings: found.collect(),
        }
    }
}

impl<'s, 'a: 's> Found<'s, 'a> {
    /// In what the two differ about pods that can have these policies.
    pub(super) fn findings(
        &self,
        usable: &[&'a PodSecurityPolicy],
        variant: &Variant<'s>,
    ) -> Vec<Finding<'a>> {
        let key = key(self.defaults, self.similar, usable, variant);
        let found = self.findings.get(&key).cloned().unwrap_or_default();
        match (key, usable) {
            // It was found for another policy of the kind.
            (Key::OfKind(..), [psp]) => {
                let found = found.into_iter();
                found.map(|it| Finding { psp, ..it }).collect()
            }
            _ => found,
        }
    }
}

fn key<'s, 'a: 's>(
    defaults: &Defaults<'a>,
    similar: &Similar<'a>,
    usable: &[&'a PodSecurityPolicy],
    variant: &Variant<'s>,
) -> Key<'s> {
    let selected = variant.selected.as_ref();
    let text = selected.map(|(text, _)| text.clone()).unwrap_or_default();
    if let [psp] = usable
        && let Some(kind) = similar.of(&psp.name)
    {
        let acting = variant.acting.iter().map(|mutator| {
            let mut own = defaults.of(&psp.name).iter();
            let is_own = own.any(|(_, it)| is_own(mutator, it));
            (mutator.mutation.location, is_own)
        });
        return Key::OfKind(kind, acting.collect(), text);
    }
    let names = usable.iter().map(|it| it.name.as_str()).collect();
    let acting = variant.acting.iter().map(|it| it.name.as_str()).collect();
    Key::Of(names, acting, text)
}

/// The findings about the pods that the mutators select.
fn selected<'a>(mut findings: Vec<Finding<'a>>, variant: &Variant<'_>) -> Vec<Finding<'a>> {
    if let Some((text, more)) = &variant.selected {
        for it in &mut findings {
            it.why = format!("of pods {text}: {}", it.why);
            reshape::give(&mut it.pod, more);
            if more.pointer("/metadata/generateName").is_some() {
                it.pod.remove(&["metadata", "name"]);
            }
        }
    }
    findings
}
