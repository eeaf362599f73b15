//! Which defaults Gatekeeper fills in, and where.
//!
//! A mutator knows the namespace of a pod, and neither its service account nor who creates it.
//! So a default is filled in where every policy that somebody may use in the namespace fills it in alike: whichever policy the
//! plugin would have chosen, the pod gets what that one would have written.
//!
//! Where the service accounts of a namespace differ in that, a default is filled in in the pods with a label that the workloads
//! of the input share whose service accounts do not differ; see [`labels`](super::labels).
//!
//! This never makes an answer looser.
//! A policy that accepts the pod with the default would have filled in its own, and accepts that as well, because the two differ
//! in nothing but a value that this policy accepts; see [`Translate::is_safe`](crate::controls::translate::Translate::is_safe).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::PlanOptions;
use super::candidates::{Candidates, Local};
use super::labels::{LabelSelector, Labels};
use crate::api::policy::PodSecurityPolicy;
use crate::controls::defaults::{Mutation, MutationKind, Place};
use crate::controls::{CONTROLS, Control};
use crate::diagnostic::Diagnostic;
use crate::input::Inventory;
use crate::resolve::Grant;
use crate::version::Version;

/// A default that Gatekeeper fills in.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutator {
    /// Its name, which says what it writes; the same value has the same name in every run.
    pub name: String,
    /// The name of the control.
    pub control: &'static str,
    /// The field of the PSPs, such as `spec.fsGroup`, or their annotation.
    pub field: &'static str,
    /// What it writes; the caveats are those of single policies, and not here.
    pub mutation: Mutation,
    /// Where.
    pub namespaces: Namespaces,
    /// In which pods there; in all where it is absent.
    pub labels: Option<LabelSelector>,
    /// The PSPs whose default it is, sorted.
    pub policies: BTreeSet<String>,
}

/// The namespaces that a mutator acts in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Namespaces {
    /// These.
    Only(BTreeSet<String>),
    /// All but these, those that will come included.
    AllBut(BTreeSet<String>),
}

impl Namespaces {
    /// Whether the namespace is among them.
    pub fn contains(&self, namespace: &str) -> bool {
        match self {
            Self::Only(names) => names.contains(namespace),
            Self::AllBut(names) => !names.contains(namespace),
        }
    }
}

/// The mutators, sorted by name, which is the order in which Gatekeeper applies those of a kind.
#[derive(Debug, Default)]
pub(super) struct Mutators {
    /// Those that act on every pod of their namespaces.
    pub(super) whole: Vec<Mutator>,
    /// Those that act on the pods with a label.
    pub(super) labelled: Vec<Mutator>,
}

impl Mutators {
    pub(super) fn into_sorted(self) -> Vec<Mutator> {
        let mut res = self.whole;
        res.extend(self.labelled);
        res.sort_by(|a, b| a.name.cmp(&b.name));
        res
    }
}

/// Plans the mutators.
pub(super) fn mutators(
    inventory: &Inventory,
    grants: &[Grant],
    options: PlanOptions,
) -> (Mutators, Vec<Diagnostic>) {
    let wishes = Wishes::new(inventory, options.kubernetes);
    let candidates = Candidates::new(inventory, grants);
    let everywhere = &candidates.everywhere;
    let common = wishes.wanted(None, everywhere.iter());
    let elsewhere = wishes.shared(everywhere, common.as_ref(), &Local::default());
    let labels = Labels::new(inventory, |namespace| {
        let local = candidates.namespaces.get(namespace);
        local.is_some_and(|it| !it.accounts.is_empty())
    });
    let mut found: BTreeMap<usize, Found<'_>> = BTreeMap::new();
    let mut labelled: BTreeMap<(usize, LabelSelector), Found<'_>> = BTreeMap::new();
    for (namespace, local) in &candidates.namespaces {
        let shared = wishes.shared(everywhere, common.as_ref(), local);
        for (wish, (selector, policies)) in
            wishes.labelled(everywhere, namespace, local, &labels, &shared)
        {
            let found = labelled.entry((wish, selector)).or_default();
            found.namespaces.insert(namespace);
            found.policies.extend(policies);
        }
        for wish in shared {
            let found = found.entry(wish).or_default();
            found.namespaces.insert(namespace);
            found.policies.extend(local.policies());
        }
    }
    for wish in &elsewhere {
        found.entry(*wish).or_default();
    }
    let too_many = TooMany::new(&wishes, &found, &elsewhere, options.max_mutators);
    found.retain(|id, _| elsewhere.contains(id) || !too_many.contains(&wishes, *id));
    let mutator = |id: usize, found: Found<'_>, namespaces, labels: Option<LabelSelector>| {
        let wish = wishes.all.get(id)?;
        let mut policies = found.policies;
        policies.extend(everywhere);
        let is_safe = |it: &PodSecurityPolicy| wish.control.is_safe(&it.spec, &wish.mutation);
        inventory.policies.iter().all(is_safe).then(|| Mutator {
            name: name(wish.control.name(), &wish.mutation, labels.as_ref()),
            control: wish.control.name(),
            field: wish.field,
            mutation: wish.mutation.clone(),
            namespaces,
            labels,
            policies: policies.into_iter().map(str::to_owned).collect(),
        })
    };
    let only = |it: &Found<'_>| {
        Namespaces::Only(it.namespaces.iter().map(|it| (*it).to_owned()).collect())
    };
    let whole = found.into_iter().filter_map(|(id, found)| {
        let namespaces = if elsewhere.contains(&id) {
            let others = candidates
                .namespaces
                .keys()
                .filter(|it| !found.namespaces.contains(*it));
            Namespaces::AllBut(others.map(|it| (*it).to_owned()).collect())
        } else {
            only(&found)
        };
        mutator(id, found, namespaces, None)
    });
    let mut res = Mutators {
        whole: whole.collect(),
        labelled: Vec::new(),
    };
    // A mutator costs every pod, whatever its label.
    if labelled.len() <= options.max_mutators {
        let labelled = labelled.into_iter().filter_map(|((id, labels), found)| {
            let namespaces = only(&found);
            mutator(id, found, namespaces, Some(labels))
        });
        res.labelled = labelled.collect();
    }
    res.whole.sort_by(|a, b| a.name.cmp(&b.name));
    res.labelled.sort_by(|a, b| a.name.cmp(&b.name));
    (res, too_many.diagnostics(options.max_mutators))
}

/// Where a default is to be filled in.
#[derive(Default)]
struct Found<'a> {
    /// The namespaces, among those that have policies of their own.
    namespaces: BTreeSet<&'a str>,
    /// The policies there, besides those of every namespace.
    policies: BTreeSet<&'a str>,
}

/// The fields, as locations in a pod, of which there are so many values that a mutator for each would slow down every pod.
///
/// A mutator cannot look a value up by namespace; see `docs/decisions/0003-few-mutators.md`.
#[derive(Default)]
struct TooMany<'a>(BTreeMap<&'static str, Values<'a>>);

/// What namespaces want of a field.
#[derive(Default)]
struct Values<'a> {
    /// The field of the PSPs.
    field: &'static str,
    /// How many different values.
    count: usize,
    namespaces: BTreeSet<&'a str>,
}

impl<'a> TooMany<'a> {
    fn new(
        wishes: &Wishes<'a>,
        found: &BTreeMap<usize, Found<'a>>,
        elsewhere: &BTreeSet<usize>,
        most: usize,
    ) -> Self {
        let mut res = BTreeMap::<_, Values<'_>>::new();
        for (id, found) in found.iter().filter(|(id, _)| !elsewhere.contains(*id)) {
            if let Some(wish) = wishes.all.get(*id) {
                let values = res.entry(wish.mutation.location).or_default();
                values.field = wish.field;
                values.count += 1;
                values.namespaces.extend(&found.namespaces);
            }
        }
        res.retain(|_, it| it.count > most);
        Self(res)
    }

    fn contains(&self, wishes: &Wishes<'_>, id: usize) -> bool {
        let wish = wishes.all.get(id);
        wish.is_some_and(|it| self.0.contains_key(it.mutation.location))
    }

    fn diagnostics(&self, most: usize) -> Vec<Diagnostic> {
        let message = |location: &str, values: &Values<'_>| {
            format!(
                "{} namespaces want {} different values of {location}, more than {most}, so that no mutator fills them in and pods without one are refused; `--max-mutators {}` writes a mutator for each",
                values.namespaces.len(),
                values.count,
                values.count
            )
        };
        let all = self.0.iter();
        all.map(|(location, values)| {
            Diagnostic::warning("too-many-mutators", message(location, values)).field(values.field)
        })
        .collect()
    }
}

/// What policies want filled in that Gatekeeper can fill in.
struct Wishes<'a> {
    all: Vec<Wish>,
    /// Positions in `all`, by the name of the policy.
    by_policy: BTreeMap<&'a str, BTreeSet<usize>>,
    /// What a policy fills in, by its name; with each the position in `all`, if Gatekeeper can fill it in.
    filled_in: BTreeMap<&'a str, BTreeMap<Filled, Option<usize>>>,
}

/// A place, and the one item that is added to the list there, if it is a list that is added to.
type Filled = (Place, Option<String>);

/// The items that a mutation adds to a list, or the one value that it writes.
fn items(mutation: &Mutation) -> impl Iterator<Item = Option<String>> {
    match (mutation.kind, &mutation.value) {
        (MutationKind::ModifySet, Value::Array(items)) => {
            items.iter().map(|it| Some(it.to_string())).collect()
        }
        _ => vec![None],
    }
    .into_iter()
}

struct Wish {
    control: &'static dyn Control,
    field: &'static str,
    mutation: Mutation,
}

impl<'a> Wishes<'a> {
    fn new(inventory: &'a Inventory, kubernetes: Version) -> Self {
        let mut all = Vec::<Wish>::new();
        let mut known = BTreeMap::new();
        let mut by_policy = BTreeMap::<_, BTreeSet<_>>::new();
        let mut filled_in = BTreeMap::<_, BTreeMap<_, _>>::new();
        for psp in &inventory.policies {
            for control in CONTROLS {
                for default in control.defaults(&psp.spec, kubernetes) {
                    let filled_in = filled_in.entry(psp.name.as_str()).or_default();
                    let Some(mut mutation) = default.mutation else {
                        filled_in.insert((default.place, None), None);
                        continue;
                    };
                    mutation.caveats.clear();
                    let key = (mutation.location, mutation.value.to_string());
                    let id = *known.entry(key).or_insert(all.len());
                    filled_in.extend(items(&mutation).map(|it| ((default.place, it), Some(id))));
                    if id == all.len() {
                        all.push(Wish {
                            control: *control,
                            field: default.field,
                            mutation,
                        });
                    }
                    by_policy.entry(psp.name.as_str()).or_default().insert(id);
                }
            }
        }
        Self {
            all,
            by_policy,
            filled_in,
        }
    }

    /// What all of the policies want, and those before them; nothing where there is none.
    fn wanted<'b>(
        &self,
        before: Option<BTreeSet<usize>>,
        policies: impl Iterator<Item = &'b &'b str>,
    ) -> Option<BTreeSet<usize>> {
        let nothing = BTreeSet::new();
        policies
            .map(|it| self.by_policy.get(it).unwrap_or(&nothing))
            .fold(before, |acc, wishes| {
                Some(acc.map_or_else(|| wishes.clone(), |acc| &acc & wishes))
            })
    }

    /// What all of the policies want, if every pod then ends as the plugin would have had it.
    ///
    /// `common` is what those of every namespace want.
    fn shared(
        &self,
        everywhere: &BTreeSet<&'a str>,
        common: Option<&BTreeSet<usize>>,
        local: &Local<'a>,
    ) -> BTreeSet<usize> {
        let nothing = BTreeSet::new();
        let shared = self.wanted(common.cloned(), local.policies());
        let shared = shared.unwrap_or_default();
        if shared.is_empty() {
            return shared;
        }
        let none = BTreeSet::new();
        let accounts = local.accounts.values().chain([&none]);
        for own in accounts {
            let together: BTreeSet<&str> = everywhere
                .iter()
                .chain(&local.base)
                .chain(own)
                .copied()
                .collect();
            if !self.end_alike(&shared, &together) {
                return nothing;
            }
        }
        shared
    }

    /// What service accounts want besides what all of the namespace share, with the labels of their workloads and the policies.
    ///
    /// Those whose policies are the same are taken together, because their workloads need not differ in labels.
    fn labelled(
        &self,
        everywhere: &BTreeSet<&'a str>,
        namespace: &str,
        local: &Local<'a>,
        labels: &Labels,
        shared: &BTreeSet<usize>,
    ) -> Vec<(usize, (LabelSelector, BTreeSet<&'a str>))> {
        let mut groups = BTreeMap::<_, BTreeSet<&str>>::new();
        for account in labels.accounts(namespace) {
            let own = local.own(namespace, account);
            groups.entry(own).or_default().insert(account);
        }
        let mut res = BTreeMap::<_, (BTreeSet<String>, BTreeSet<&str>)>::new();
        for (own, accounts) in groups {
            let together = everywhere.iter().chain(&local.base).chain(&own).copied();
            let together: BTreeSet<&str> = together.collect();
            let wanted = self.wanted(None, together.iter()).unwrap_or_default();
            if wanted.is_subset(shared) || !self.end_alike(&wanted, &together) {
                continue;
            }
            let Some(LabelSelector { key, values }) = labels.selector(namespace, &accounts) else {
                continue;
            };
            for wish in wanted.difference(shared) {
                let found = res.entry((*wish, key.clone())).or_default();
                found.0.extend(values.iter().cloned());
                found.1.extend(&together);
            }
        }
        let selected = res.into_iter().map(|((wish, key), (values, policies))| {
            (wish, (LabelSelector { key, values }, policies))
        });
        selected.collect()
    }

    /// Whether it does not matter by which of the policies a pod is admitted that has what they share.
    ///
    /// The plugin takes the first by name that accepts the pod after its defaults; Gatekeeper takes one that accepts it as it is.
    /// So an earlier one must not fill in what a later one leaves open.
    fn end_alike(&self, shared: &BTreeSet<usize>, policies: &BTreeSet<&str>) -> bool {
        let mut earlier = BTreeSet::new();
        for policy in policies {
            let own = self.filled_in.get(policy);
            let is_own = |it: &&Filled| own.is_some_and(|own| own.contains_key(it));
            if !earlier.iter().all(is_own) {
                return false;
            }
            let not_shared = |id: &Option<usize>| id.is_none_or(|it| !shared.contains(&it));
            let own = own.into_iter().flatten();
            earlier.extend(own.filter(|(_, id)| not_shared(id)).map(|(it, _)| it));
        }
        true
    }
}

/// A name from what is written and in which pods: readable where that is short, else with a fingerprint of it.
///
/// With what is appended for a list of containers and for expanded pods, it has the 63 characters at most that Gatekeeper lets it have.
fn name(control: &str, mutation: &Mutation, labels: Option<&LabelSelector>) -> String {
    if let Some(labels) = labels {
        let all = format!("{} {} {labels}", mutation.location, mutation.value);
        return format!("psp-{control}-{:08x}", fingerprint(&all) >> 32);
    }
    let field = mutation.location.rsplit('.').next().unwrap_or_default();
    let list = match mutation.kind {
        MutationKind::Assign => String::new(),
        MutationKind::ModifySet => format!("{control}-"),
    };
    let value = match &mutation.value {
        Value::Array(items) if items.len() == 1 && items.iter().all(Value::is_number) => {
            items.iter().map(Value::to_string).collect()
        }
        value if *value == json!({ "type": "RuntimeDefault" }) => "runtime-default".to_owned(),
        value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
        value => format!("{:016x}", fingerprint(&value.to_string())),
    };
    format!("psp-{list}{}-{value}", kebab_case(field))
}

fn kebab_case(text: &str) -> String {
    let mut res = String::new();
    for it in text.chars() {
        if it.is_ascii_uppercase() && !res.is_empty() {
            res.push('-');
        }
        res.push(it.to_ascii_lowercase());
    }
    res
}

/// FNV-1a with 64 bits.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |acc, it| {
        (acc ^ u64::from(it)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
