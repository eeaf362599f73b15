//! What of the input keeps a default from being set, in words.

use std::collections::{BTreeMap, BTreeSet};

use super::reach::EVERYWHERE;
use crate::loss::{Cause, LossKind};
use crate::plan::{Hindrance, UnsetDefault};

/// The defaults that are not set, by policy and field.
#[derive(Debug)]
pub(super) struct Causes<'a>(BTreeMap<(&'a str, &'static str), Vec<&'a UnsetDefault>>);

impl<'a> Causes<'a> {
    pub(super) fn new(unset: &'a [UnsetDefault]) -> Self {
        let mut res = BTreeMap::<_, Vec<_>>::new();
        for it in unset {
            let known = res.entry((it.psp.as_str(), it.field)).or_default();
            known.push(it);
        }
        Self(res)
    }

    /// Returns why a policy's default is not set in these namespaces, sorted.
    pub(super) fn of(
        &self,
        kind: LossKind,
        psp: &str,
        field: &'static str,
        namespaces: &BTreeSet<String>,
    ) -> Vec<Cause> {
        if kind != LossKind::DefaultNotSet {
            return Vec::new();
        }
        let all = self.0.get(&(psp, field)).into_iter().flatten();
        let here = all.filter(|it| {
            let namespace = it.namespace.as_deref().unwrap_or(EVERYWHERE);
            namespaces.contains(namespace)
        });
        let causes: BTreeSet<Cause> = here.filter_map(|it| cause(it)).collect();
        causes.into_iter().collect()
    }
}

fn cause(unset: &UnsetDefault) -> Option<Cause> {
    let place = match &unset.namespace {
        Some(namespace) => format!("in namespace {namespace}"),
        None => "in namespaces without bindings of their own".to_owned(),
    };
    let (what, help) = match &unset.hindrance {
        Hindrance::NothingGained => return None,
        Hindrance::NotExpressible => (
            "no mutator of Gatekeeper can write it".to_owned(),
            "run `psp2gatekeeper bake`, which writes it into the workloads".to_owned(),
        ),
        Hindrance::TooManyValues => (
            "namespaces have more distinct defaults of the field than there may be mutators"
                .to_owned(),
            "raise `--max-mutators`".to_owned(),
        ),
        Hindrance::Workload { name, psp } => (
            format!(
                "{place} {name}, which PodSecurityPolicy {psp} admits, would be denied with it"
            ),
            format!(
                "give {name} a label that no other workload of the namespace has, or write its own value into it: `psp2gatekeeper bake`"
            ),
        ),
        Hindrance::Account { name, psp, binding } => {
            let lets = match binding {
                Some(binding) => format!("{binding} lets {name} use PodSecurityPolicy {psp}"),
                None => format!("{name} can use PodSecurityPolicy {psp}"),
            };
            (
                format!(
                    "{place} {lets}, and a pod that this policy admits would be denied with it"
                ),
                format!(
                    "give both policies the same default, or run again with `--bystander '{name}'` if it creates no such pods"
                ),
            )
        }
    };
    Some(Cause { what, help })
}
