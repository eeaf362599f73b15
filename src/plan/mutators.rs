//! Which defaults Gatekeeper sets, and where: chosen by what they let through.
//!
//! A mutator sees namespace, labels and name of a pod, and neither its service account nor who creates it.
//! For each namespace that set of mutators is taken with which most passes: first the workloads of the input that PSP admits,
//! unedited; then pods to come, of each service account.
//! A set that breaks a workload which passes without it is never taken.
//! Among equals that one is taken whose pods are stored as PSP would have stored them, then the one with fewer mutators.
//!
//! What is stored is never weaker than a usable PSP accepts, whatever mutators write: the constraint judges after them.
//! [`candidates`] has what can be chosen, [`items`] the pods, [`score`] judges a set, [`search`] looks for the best, [`aim`] selects
//! pods where they need different things, [`hindrances`] tells why a default is not set.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::access::Access;
use crate::diagnostic::Diagnostic;
use crate::input::Inventory;
use crate::plan::bundle::PlanOptions;
use crate::plan::mutator::{Hindrance, Mutator, Namespaces, PodSelector, UnsetDefault};
use crate::witness::memo::Memo;

use candidates::{Candidates, fingerprinted};
use items::{Sources, workloads};
use score::{Judge, Solution};

mod aim;
mod candidates;
mod hindrances;
mod items;
mod score;
mod search;
#[cfg(test)]
mod tests;

/// What was chosen.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// The mutators, sorted by name.
    pub(super) mutators: Vec<Mutator>,
    /// The defaults that are not set, sorted.
    pub(super) unset: Vec<UnsetDefault>,
    /// What the user should be told.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// What was found for a namespace.
#[derive(Clone, Debug, Default)]
struct Local<'a> {
    solution: Solution,
    unset: Vec<UnsetDefault>,
    /// The policies that pods there can have.
    policies: BTreeSet<&'a str>,
}

/// Chooses the mutators.
pub(super) fn choose(inventory: &Inventory, access: &Access<'_>, options: PlanOptions) -> Chosen {
    if !options.mutators {
        return Chosen::default();
    }
    let candidates = Candidates::new(inventory, options.kubernetes);
    let workloads = workloads(inventory);
    let sources = Sources {
        inventory,
        access,
        candidates: &candidates,
        workloads: &workloads,
    };
    let find = |namespace: Option<&str>, start: &Solution| {
        let memo = Memo::new(options.kubernetes, options.strict_app_armor);
        local(&sources, &memo, namespace, start)
    };
    let elsewhere = find(None, &Solution::new());
    let named: Vec<&str> = access.named().into_iter().collect();
    let locals: BTreeMap<&str, Local<'_>> = named
        .par_iter()
        .map(|it| (*it, find(Some(it), &elsewhere.solution)))
        .collect();
    merge(&candidates, &elsewhere, &locals, options)
}

/// Chooses for one namespace; absent stands for all that the input does not name.
fn local<'a>(
    sources: &Sources<'_, 'a>,
    memo: &Memo,
    namespace: Option<&str>,
    start: &Solution,
) -> Local<'a> {
    let items = sources.items(memo, namespace);
    let candidates = sources.candidates;
    let policies: BTreeSet<&str> = items
        .iter()
        .flat_map(|it| &it.usable)
        .map(|it| it.name.as_str())
        .collect();
    let used = policies.iter().flat_map(|it| candidates.of(it));
    let used = used.flat_map(|it| &it.candidates).copied();
    let used = used.chain(start.iter().map(|(id, _)| *id)).collect();
    let judge = Judge::new(&items, candidates, used, memo);
    let base = search::best(&judge, start, None);
    let solution = aim::refine(&judge, base);
    Local {
        unset: hindrances::unset(&judge, sources.access, namespace, &solution),
        solution,
        policies,
    }
}

/// Puts the mutators of all namespaces together that write the same.
fn merge(
    candidates: &Candidates<'_>,
    elsewhere: &Local<'_>,
    locals: &BTreeMap<&str, Local<'_>>,
    options: PlanOptions,
) -> Chosen {
    let mut found = BTreeMap::<(usize, PodSelector), BTreeSet<&str>>::new();
    for (namespace, local) in locals {
        for key in &local.solution {
            found.entry(key.clone()).or_default().insert(namespace);
        }
    }
    for key in &elsewhere.solution {
        found.entry(key.clone()).or_default();
    }
    let too_many = too_many(candidates, elsewhere, &found, options.max_mutators);
    let is_dropped = |id: usize, pods: &PodSelector| {
        let location = candidates.all.get(id).map(|it| it.mutation.location);
        !elsewhere.solution.contains(&(id, pods.clone()))
            && location.is_some_and(|it| too_many.contains_key(it))
    };
    let mut chosen = Vec::new();
    for ((id, pods), namespaces) in found {
        let Some(candidate) = candidates.all.get(id) else {
            continue;
        };
        if is_dropped(id, &pods) {
            continue;
        }
        let is_elsewhere = elsewhere.solution.contains(&(id, pods.clone()));
        let reached = namespaces.iter().filter_map(|it| locals.get(it));
        let reached = reached.chain(is_elsewhere.then_some(elsewhere));
        let policies = reached.flat_map(|it| &it.policies).copied();
        let wants = |psp: &&str| {
            let mut defaults = candidates.of(psp).iter();
            defaults.any(|it| it.candidates.contains(&id))
        };
        let owned = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
        chosen.push(Mutator {
            name: if pods.is_all() {
                candidate.name.clone()
            } else {
                let name = pods.name.clone().unwrap_or_default();
                let pods = format!("{} {name}", pods.labels);
                fingerprinted(candidate.control, &candidate.mutation, &pods)
            },
            control: candidate.control,
            field: candidate.field,
            mutation: candidate.mutation.clone(),
            policies: owned(policies.filter(wants).collect()),
            namespaces: if is_elsewhere {
                let others = locals.keys().copied();
                Namespaces::AllBut(owned(
                    others.filter(|it| !namespaces.contains(it)).collect(),
                ))
            } else {
                Namespaces::Only(owned(namespaces))
            },
            pods,
        });
    }
    chosen.sort_by(|a, b| a.name.cmp(&b.name));
    let locals_unset = locals.values().flat_map(|it| &it.unset);
    let mut unset: Vec<UnsetDefault> = elsewhere
        .unset
        .iter()
        .chain(locals_unset)
        .cloned()
        .collect();
    unset.extend(dropped(candidates, &too_many, locals));
    unset.sort();
    unset.dedup();
    Chosen {
        mutators: chosen,
        unset,
        diagnostics: diagnostics(&too_many, options.max_mutators),
    }
}

/// What namespaces want of a field that has too many values.
#[derive(Debug, Default)]
struct Values<'a> {
    /// The field of the PSPs.
    field: &'static str,
    /// How many different values.
    count: usize,
    namespaces: BTreeSet<&'a str>,
}

/// The fields, as locations in a pod, of which there are so many values that a mutator for each would slow down every pod.
///
/// A mutator cannot look a value up by namespace; see `docs/decisions/0003-few-mutators.md`.
fn too_many<'a>(
    candidates: &Candidates<'_>,
    elsewhere: &Local<'_>,
    found: &BTreeMap<(usize, PodSelector), BTreeSet<&'a str>>,
    most: usize,
) -> BTreeMap<&'static str, Values<'a>> {
    let mut res = BTreeMap::<_, Values<'_>>::new();
    for (key, namespaces) in found {
        if let Some(candidate) = candidates.all.get(key.0)
            && !elsewhere.solution.contains(key)
        {
            let values = res.entry(candidate.mutation.location).or_default();
            values.field = candidate.field;
            values.count += 1;
            values.namespaces.extend(namespaces);
        }
    }
    res.retain(|_, it| it.count > most);
    res
}

/// The defaults that are not set because there are too many of them.
fn dropped(
    candidates: &Candidates<'_>,
    too_many: &BTreeMap<&'static str, Values<'_>>,
    locals: &BTreeMap<&str, Local<'_>>,
) -> Vec<UnsetDefault> {
    let mut res = Vec::new();
    let namespaces = too_many.values().flat_map(|it| &it.namespaces);
    let namespaces: BTreeSet<&str> = namespaces.copied().collect();
    for namespace in namespaces {
        let policies = locals
            .get(namespace)
            .into_iter()
            .flat_map(|it| &it.policies);
        for psp in policies {
            for default in candidates.of(psp) {
                let first = default.candidates.first();
                let location = first.and_then(|it| candidates.all.get(*it));
                if location.is_some_and(|it| too_many.contains_key(it.mutation.location)) {
                    res.push(UnsetDefault {
                        psp: (*psp).to_owned(),
                        control: default.control,
                        field: default.field,
                        namespace: Some(namespace.to_owned()),
                        hindrance: Hindrance::TooManyValues,
                    });
                }
            }
        }
    }
    res
}

fn diagnostics(too_many: &BTreeMap<&'static str, Values<'_>>, most: usize) -> Vec<Diagnostic> {
    let message = |location: &str, values: &Values<'_>| {
        format!(
            "{location}: {} distinct defaults in {} namespaces exceed --max-mutators {most}; no mutator is generated, pods without a value are denied; `--max-mutators {}` generates one for each",
            values.count,
            values.namespaces.len(),
            values.count
        )
    };
    let all = too_many.iter();
    all.map(|(location, values)| {
        Diagnostic::warning("too-many-mutators", message(location, values)).field(values.field)
    })
    .collect()
}
