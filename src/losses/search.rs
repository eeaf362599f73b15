//! The search for pods that show in what the two differ.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::areas::Variant;
use super::outcome::{Defaults, Difference, Situation, is_own};
use super::pods;
use super::similar::Similar;
use crate::api::core::{Pod, RUNTIME_DEFAULT, SECCOMP_POD, UNCONFINED, seccomp_field_for};
use crate::api::policy::PodSecurityPolicy;
use crate::controls::defaults::{DefaultValue, Place};
use crate::loss::{Direction, LossKind};
use crate::plan::PlanOptions;
use crate::witness::boundaries::Boundaries;
use crate::witness::budget::{
    MOST_CHOICES, MOST_NEAR, MOST_PROFILES, MOST_SAMPLED, MOST_UNLIKE, MOST_USED,
};
use crate::witness::memo::{self, Memo};
use crate::witness::steps::{Steps, Wanted};
use crate::witness::{reshape, samples};

/// A difference, and the pod that shows it.
#[derive(Clone, Debug)]
pub(super) struct Finding<'a> {
    pub(super) kind: LossKind,
    pub(super) control: &'static str,
    pub(super) field: &'static str,
    /// The policy by which PSP admits the pod, or that accepts it as it is stored.
    pub(super) psp: &'a PodSecurityPolicy,
    /// Other policies of which it is true.
    pub(super) alike: BTreeSet<&'a str>,
    /// One sentence, lower case, without a full stop.
    pub(super) why: String,
    pub(super) pod: Pod,
}

/// What tells findings apart.
pub(super) type Key<'a> = (&'a str, Difference);

impl<'a> Finding<'a> {
    pub(super) fn key(&self) -> Key<'a> {
        (&self.psp.name, (self.kind, self.control, self.field))
    }
}

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
        let mut search = Search {
            situation: Situation {
                defaults: self.defaults,
                memo: &self.memo,
                usable,
                acting: &variant.acting,
            },
            boundaries: &self.boundaries,
            found: BTreeMap::new(),
            seen: BTreeSet::new(),
            distinct: distinct(usable),
        };
        if usable.len() > MOST_USED {
            search.among_very_many();
        } else {
            search.among_few();
        }
        let mut res: Vec<Finding<'a>> = search.found.into_values().collect();
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

struct Search<'s, 'a> {
    situation: Situation<'s, 'a>,
    boundaries: &'s Boundaries,
    found: BTreeMap<(Key<'a>, String), Finding<'a>>,
    /// The pods that were tried.
    seen: BTreeSet<u64>,
    /// The usable policies without those that PSP never chooses, because an earlier one says the same.
    distinct: Vec<&'a PodSecurityPolicy>,
}

impl<'a> Search<'_, 'a> {
    fn among_few(&mut self) {
        let usable = self.distinct.clone();
        if !self.is_as_one_policy_wants() {
            for psp in usable.iter().take(MOST_SAMPLED) {
                for pod in pods::of_policy(&self.situation, self.boundaries, psp) {
                    self.try_pod(&pod);
                }
                for pod in pods::lacking_demands(self.situation.defaults, &self.situation, psp) {
                    self.try_pod(&pod);
                }
            }
            for psp in usable.iter().skip(MOST_SAMPLED) {
                self.try_pod(&samples::least(psp));
            }
            for psp in &usable {
                self.not_set(psp);
            }
            self.of_another(&usable);
            self.join_unshown();
        }
        for psp in &usable {
            self.of_the_first(psp);
            self.caveats(psp);
        }
    }

    /// Whether there is one policy, and mutators set what it sets and nothing else.
    fn is_as_one_policy_wants(&self) -> bool {
        let [psp] = self.situation.usable else {
            return false;
        };
        let own = self.situation.defaults.of(&psp.name);
        let mut acting = self.situation.acting.iter();
        let all_own = acting.all(|mutator| own.iter().any(|(_, it)| is_own(mutator, it)));
        all_own && own.iter().all(|(_, it)| self.is_set(psp, it))
    }

    /// Whether a mutator sets the default, or unset means the same.
    fn is_set(&self, psp: &PodSecurityPolicy, default: &DefaultValue) -> bool {
        let mut acting = self.situation.acting.iter();
        let is_app_armor = matches!(default.place, Place::Annotations(_));
        acting.any(|mutator| is_own(mutator, default))
            || (is_app_armor && self.situation.memo.takes_unset_profile(psp))
    }

    fn try_pod(&mut self, pod: &Pod) {
        if !self.seen.insert(memo::hash(pod)) {
            return;
        }
        let Some((psp, differences)) = self.situation.outcome(pod) else {
            return;
        };
        for difference in differences {
            self.add(psp, difference, why(difference.0).to_owned(), || {
                pod.clone()
            });
        }
    }

    fn add(
        &mut self,
        psp: &'a PodSecurityPolicy,
        difference: Difference,
        why: String,
        pod: impl FnOnce() -> Pod,
    ) {
        let (kind, control, field) = difference;
        let key = ((psp.name.as_str(), difference), why.clone());
        self.found.entry(key).or_insert_with(|| Finding {
            kind,
            control,
            field,
            psp,
            alike: BTreeSet::new(),
            why,
            pod: pod(),
        });
    }

    fn is_found(&self, psp: &str, difference: Difference) -> bool {
        let mut keys = self.found.keys();
        keys.any(|((name, it), _)| *name == psp && *it == difference)
    }

    /// The defaults of a policy that are not set and that no pod showed yet.
    fn unshown(&self, psp: &PodSecurityPolicy, kind: LossKind) -> Vec<(Difference, Place)> {
        let defaults = self.situation.defaults.of(&psp.name).iter();
        let unset = defaults.filter(|(_, it)| !self.is_set(psp, it));
        let unset = unset.map(|(control, it)| ((kind, *control, it.field), it.place));
        unset
            .filter(|(difference, _)| !self.is_found(&psp.name, *difference))
            .collect()
    }

    /// Looks for pods that are denied for lack of each default, step by step where no pod that is easy to think of is.
    fn not_set(&mut self, psp: &'a PodSecurityPolicy) {
        if self.situation.usable.len() > MOST_UNLIKE {
            return;
        }
        for ((_, control, _), place) in self.unshown(psp, LossKind::DefaultNotSet) {
            for but in [Some(control), None] {
                let made = self.boundaries.pod(psp, self.situation.usable, but);
                self.try_pod(&reshape::lacking(psp, &made.pod, [place]));
            }
        }
        let unshown = self.unshown(psp, LossKind::DefaultNotSet);
        if unshown.is_empty() {
            return;
        }
        let own = self.situation.defaults.of(&psp.name).iter();
        let own: Vec<Place> = own.map(|(_, it)| it.place).collect();
        let places: Vec<Place> = unshown.iter().map(|(_, it)| *it).collect();
        let from = reshape::lacking(psp, &samples::least(psp), own);
        let pods = self.steps(psp, &places).pods(from, Wanted::Refused);
        for (_, pod) in pods {
            self.try_pod(&pod);
        }
    }

    fn steps<'b>(&'b self, psp: &'b PodSecurityPolicy, places: &'b [Place]) -> Steps<'b> {
        let acting = self.situation.acting.iter();
        Steps {
            boundaries: self.boundaries,
            memo: self.situation.memo,
            psp,
            usable: self.situation.usable,
            mutations: acting.map(|it| &it.mutation).collect(),
            places,
        }
    }

    /// Looks for pods that mutators make another policy accept, so that a default is not set.
    fn of_another(&mut self, usable: &[&'a PodSecurityPolicy]) {
        if self.situation.acting.is_empty() || usable.len() > MOST_SAMPLED {
            return;
        }
        for psp in usable {
            let own = self.situation.defaults.of(&psp.name).iter();
            let own: Vec<Place> = own.map(|(_, it)| it.place).collect();
            let from = reshape::lacking(psp, &samples::least(psp), own);
            for other in usable.iter().filter(|it| it.name != psp.name) {
                let unshown = self.unshown(psp, LossKind::DefaultOfAnotherPolicy);
                let places: Vec<Place> = unshown.iter().map(|(_, it)| *it).collect();
                if places.is_empty() {
                    break;
                }
                let steps = self.steps(psp, &places);
                for (_, pod) in steps.pods(from.clone(), Wanted::AcceptedBy(other)) {
                    self.try_pod(&pod);
                }
            }
        }
    }

    /// What is known of one policy is true of another with the same default, for which no pod came to mind.
    fn join_unshown(&mut self) {
        for psp in self.situation.usable {
            for (difference, _) in self.unshown(psp, LossKind::DefaultNotSet) {
                let mut found = self.found.values_mut();
                let known = found.find(|it| {
                    (it.kind, it.control, it.field) == difference && it.psp.name != psp.name
                });
                if let Some(known) = known {
                    known.alike.insert(&psp.name);
                }
            }
        }
    }

    /// Looks for pods whose seccomp profile is a field alone: every policy would write the annotation, so that PSP took the first
    /// by name with all its defaults, and another one accepts them as they are.
    fn of_the_first(&mut self, psp: &'a PodSecurityPolicy) {
        let usable = self.situation.usable;
        if psp.spec.seccomp.allowed.is_none() || usable.len() > MOST_UNLIKE {
            return;
        }
        for (difference, place) in self.unshown(psp, LossKind::DefaultOfTheFirst) {
            let later = usable.iter().copied();
            let later = later.filter(|it| it.name > psp.name && it.spec.seccomp.allowed.is_some());
            let mut near = Vec::new();
            for other in later {
                for pod in self.with_field_alone(psp, other, place) {
                    self.try_pod(&pod);
                    near.push((other, pod));
                }
            }
            let places = [place];
            for (other, pod) in near.into_iter().take(MOST_NEAR) {
                if self.is_found(&psp.name, difference) {
                    break;
                }
                let steps = self.steps(psp, &places);
                for (_, pod) in steps.pods(pod, Wanted::AcceptedBy(other)) {
                    self.try_pod(&pod);
                }
            }
        }
    }

    /// Pods whose seccomp profile is a field alone, that both policies accept, and at whose place this one sets what mutators do not.
    fn with_field_alone(
        &self,
        psp: &PodSecurityPolicy,
        other: &PodSecurityPolicy,
        place: Place,
    ) -> Vec<Pod> {
        let memo = self.situation.memo;
        let own = reshape::lacking(psp, &samples::least(psp), [place]);
        let bases = [samples::least(other), own].map(|it| {
            let mut pod = reshape::admitted(other, &it);
            pod.remove(&["metadata", "annotations", SECCOMP_POD]);
            pod
        });
        let mut res = Vec::new();
        for base in bases {
            let before = reshape::admitted(psp, &base);
            let after = self.situation.mutated(&base);
            if !memo.differing_places(&before, &after).contains(&place) {
                continue;
            }
            for field in seccomp_fields([psp, other]) {
                let mut pod = base.clone();
                pod.set_security("seccompProfile", field);
                if memo.is_accepted(psp, &pod) && memo.is_accepted(other, &pod) {
                    res.push(pod);
                }
            }
        }
        res
    }

    /// In what the mutators that do for a policy what it wants do otherwise.
    fn caveats(&mut self, psp: &'a PodSecurityPolicy) {
        let defaults = self.situation.defaults;
        let own = defaults.of(&psp.name).iter();
        let places: Vec<Place> = own.clone().map(|(_, it)| it.place).collect();
        for (control, default) in own
            .filter(|(_, it)| self.is_set(psp, it))
            .collect::<Vec<_>>()
        {
            let caveats = default.mutation.iter().flat_map(|it| &it.caveats);
            for caveat in caveats {
                let unlike = || {
                    let made = self
                        .boundaries
                        .pod(psp, self.situation.usable, Some(control));
                    made.pod.clone()
                };
                let bases = [samples::least(psp), unlike()];
                let lacking = [&[default.place][..], &places];
                let mut tried = bases.iter().flat_map(|base| {
                    lacking.map(|it| {
                        let mut pod = reshape::lacking(psp, base, it.iter().copied());
                        reshape::give(&mut pod, &caveat.pod);
                        pod
                    })
                });
                let memo = self.situation.memo;
                let shown = tried.find(|pod| {
                    let chosen = memo.choice(self.situation.usable, pod);
                    let is_chosen = chosen.is_some_and(|(it, _)| it.name == psp.name);
                    let before = || reshape::admitted(psp, pod);
                    let passes =
                        || memo.accept(self.situation.usable, &self.situation.mutated(pod));
                    let is_stricter = caveat.kind.direction() == Direction::Stricter;
                    is_chosen && !memo.is_undecided(&before()) && passes() != is_stricter
                });
                if let Some(pod) = shown {
                    let difference = (caveat.kind, *control, default.field);
                    self.add(psp, difference, caveat.why.clone(), || pod);
                }
            }
        }
    }

    /// Tries a few pods only, and tells what they show of all policies with that default.
    fn among_very_many(&mut self) {
        let usable = self.situation.usable;
        let more = usable.iter().flat_map(|it| samples::pods(it).take(2));
        let enough = MOST_CHOICES / usable.len().max(1);
        let pods: Vec<Pod> = std::iter::once(samples::modest())
            .chain(more.take(enough))
            .collect();
        for pod in pods {
            self.try_pod(&pod);
        }
        let mut first = BTreeMap::<Difference, Finding<'a>>::new();
        for (_, finding) in std::mem::take(&mut self.found) {
            let difference = (finding.kind, finding.control, finding.field);
            first.entry(difference).or_insert(finding);
        }
        for (difference, mut finding) in first {
            let (_, control, field) = difference;
            let has_default = |psp: &&&PodSecurityPolicy| {
                let mut own = self.situation.defaults.of(&psp.name).iter();
                own.any(|(it, default)| *it == control && default.field == field)
            };
            let all = usable.iter().filter(has_default);
            finding.alike = all.map(|it| it.name.as_str()).collect();
            finding.alike.remove(finding.psp.name.as_str());
            let key = (finding.key(), finding.why.clone());
            self.found.insert(key, finding);
        }
    }
}

/// The policies without those that are equal to an earlier one but for their names.
fn distinct<'a>(usable: &[&'a PodSecurityPolicy]) -> Vec<&'a PodSecurityPolicy> {
    let mut res: Vec<&PodSecurityPolicy> = Vec::new();
    for psp in usable {
        if usable.len() > MOST_USED || res.iter().all(|it| it.spec != psp.spec) {
            res.push(psp);
        }
    }
    res
}

/// Why the two differ, by the kind of the difference.
fn why(kind: LossKind) -> &'static str {
    match kind {
        LossKind::DefaultNotSet => "a pod without a value is denied, where PSP set the default",
        LossKind::DefaultForAll => {
            "a mutator sets the default in every pod that it selects, also if the policy of the pod sets none or another"
        }
        LossKind::DefaultOfAnotherPolicy => {
            "with what mutators set, another policy accepts the pod than PSP would have chosen, and the default of the chosen one is not set"
        }
        LossKind::DefaultOfTheFirst => {
            "a pod whose seccomp profile is a field alone lacks the defaults of the first policy by name, which PSP would have taken: a later one accepts it"
        }
        LossKind::DefaultInTheWay => {
            "a mutator sets the default in every pod that it selects, and the policies that would accept the pod, or the API server, deny it with that default"
        }
        LossKind::DefaultAdmits => {
            "PSP denied the pod for lack of a value; a mutator sets it, and a policy that the pod can have accepts it"
        }
        other => other.why(),
    }
}

/// Fields for profiles that the policies list, and for the usual ones.
fn seccomp_fields(policies: [&PodSecurityPolicy; 2]) -> impl Iterator<Item = serde_json::Value> {
    let listed = policies.into_iter().flat_map(|it| {
        let listed = it.spec.seccomp.allowed.as_deref().unwrap_or_default();
        listed.split(',').take(MOST_PROFILES)
    });
    let usual = [RUNTIME_DEFAULT, UNCONFINED, "localhost/witness.json"];
    listed.chain(usual).filter_map(seccomp_field_for)
}
