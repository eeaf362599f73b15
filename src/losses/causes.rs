//! What of the input keeps a default from being set, in words.

use std::collections::{BTreeMap, BTreeSet};

use crate::loss::{ALL, Cause, LossKind};
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
            let namespace = it.namespace.as_deref().unwrap_or(ALL);
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
    let namespace = unset.namespace.as_deref().unwrap_or(ALL);
    let (namespace, what, help) = match &unset.hindrance {
        Hindrance::NothingGained => return None,
        Hindrance::NotExpressible if unset.control == "apparmor" => (
            None,
            "no mutator can write an annotation whose key contains the name of a container".to_owned(),
            "run `psp2gatekeeper bake`, which sets the profile in the workloads, or target Kubernetes 1.30 or later, which has a field for it, with `--kubernetes-version`".to_owned(),
        ),
        Hindrance::NotExpressible => (
            None,
            "no Gatekeeper mutator can write this default".to_owned(),
            "run `psp2gatekeeper bake`, which sets it in the workloads".to_owned(),
        ),
        Hindrance::TooManyValues => (
            None,
            "the field has more distinct defaults than `--max-mutators` permits".to_owned(),
            "raise `--max-mutators`, or run `psp2gatekeeper bake`, which sets the defaults in the workloads".to_owned(),
        ),
        Hindrance::Workload { name, psp } => (
            Some(namespace),
            format!(
                "{place}, {name} would be denied with this default; PodSecurityPolicy {psp} admits it without"
            ),
            format!(
                "give the pods of {name} a label that no other workload of the namespace has, or run `psp2gatekeeper bake`, which sets the defaults in the workloads"
            ),
        ),
        Hindrance::Account { name, psp, binding } => {
            let can_use = match binding {
                Some(binding) => format!("{name} can `use` PodSecurityPolicy {psp} through {binding}"),
                None => format!("{name} can `use` PodSecurityPolicy {psp}"),
            };
            (
                Some(namespace),
                format!(
                    "{place}, {can_use}, and pods that this policy admits would be denied with this default"
                ),
                format!(
                    "set the same default in both policies, or run again with `--bystander '{name}'` if it creates no such pods"
                ),
            )
        }
    };
    Some(Cause {
        what,
        help,
        namespace: namespace.map(ToOwned::to_owned),
    })
}
