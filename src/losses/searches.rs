//! All searches, of which those in the same situation are made once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::areas::Variant;
use super::finding::Finding;
use super::outcome::{Defaults, Situation, is_own};
use super::search;
use super::similar::Similar;
use crate::api::policy::PodSecurityPolicy;
use crate::plan::PlanOptions;
use crate::witness::boundaries::Boundaries;
use crate::witness::memo::Memo;
use crate::witness::reshape;

/// What is found, by the names of the policies and of the mutators, and what the pods have that the mutators select.
type Known<'a> = BTreeMap<(Vec<&'a str>, Vec<String>, String), Rc<[Finding<'a>]>>;

/// What is found with one policy of a kind, by the kind and what each mutator does for it.
type KnownOfKind<'a> = BTreeMap<(usize, Vec<(&'static str, bool)>, String), Rc<[Finding<'a>]>>;

/// All searches, of which those in the same situation are made once.
pub(super) struct Searches<'s, 'a> {
    defaults: &'s Defaults<'a>,
    similar: &'s Similar<'a>,
    memo: Memo,
    boundaries: Boundaries,
    known: RefCell<Known<'a>>,
    known_of_kind: RefCell<KnownOfKind<'a>>,
}

impl<'s, 'a> Searches<'s, 'a> {
    pub(super) fn new(
        defaults: &'s Defaults<'a>,
        similar: &'s Similar<'a>,
        options: PlanOptions,
    ) -> Self {
        Self {
            defaults,
            similar,
            memo: Memo::new(options.kubernetes, options.strict_app_armor),
            boundaries: Boundaries::default(),
            known: RefCell::default(),
            known_of_kind: RefCell::default(),
        }
    }

    /// In what the two differ about pods that can have these policies.
    pub(super) fn findings(
        &self,
        usable: &[&'a PodSecurityPolicy],
        variant: &Variant<'_>,
    ) -> Vec<Finding<'a>> {
        let selected = variant.selected.as_ref();
        let text = selected.map(|(text, _)| text.clone()).unwrap_or_default();
        let run = || -> Rc<[Finding<'a>]> { self.run(usable, variant).into() };
        if let [psp] = usable
            && let Some(kind) = self.similar.of(&psp.name)
        {
            let acting = variant.acting.iter().map(|mutator| {
                let mut own = self.defaults.of(&psp.name).iter();
                let is_own = own.any(|(_, it)| is_own(mutator, it));
                (mutator.mutation.location, is_own)
            });
            let key = (kind, acting.collect(), text);
            let mut known = self.known_of_kind.borrow_mut();
            let found = Rc::clone(known.entry(key).or_insert_with(run));
            let found = found.iter().cloned();
            return found.map(|it| Finding { psp, ..it }).collect();
        }
        let names = usable.iter().map(|it| it.name.as_str()).collect();
        let key = (names, variant.owned_names(), text);
        let mut known = self.known.borrow_mut();
        let found = known.entry(key).or_insert_with(run);
        found.to_vec()
    }

    fn run(&self, usable: &[&'a PodSecurityPolicy], variant: &Variant<'_>) -> Vec<Finding<'a>> {
        let situation = Situation {
            defaults: self.defaults,
            memo: &self.memo,
            usable,
            acting: &variant.acting,
        };
        let mut res = search::findings(situation, &self.boundaries);
        if let Some((text, more)) = &variant.selected {
            for it in &mut res {
                it.why = format!("of pods {text}: {}", it.why);
                reshape::give(&mut it.pod, more);
                if more.pointer("/metadata/generateName").is_some() {
                    it.pod.remove(&["metadata", "name"]);
                }
            }
        }
        res
    }
}
