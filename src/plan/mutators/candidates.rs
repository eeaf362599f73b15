//! All mutations that some policy's default calls for, each once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::controls::CONTROLS;
use crate::controls::defaults::{Mutation, MutationKind};
use crate::input::Inventory;
use crate::version::Version;

/// A mutation that can be chosen.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The name that its mutator has where it acts on all pods.
    pub(super) name: String,
    pub(super) control: &'static str,
    pub(super) field: &'static str,
    /// Without the caveats, which are those of single policies.
    pub(super) mutation: Mutation,
}

/// A default of a policy.
#[derive(Debug)]
pub(super) struct PolicyDefault {
    pub(super) control: &'static str,
    pub(super) field: &'static str,
    /// The candidates that set it, as positions, the one that reaches most first; none where no mutator can.
    pub(super) candidates: Vec<usize>,
}

/// The candidates, in the order in which Gatekeeper applies their mutators.
#[derive(Debug, Default)]
pub(super) struct Candidates<'a> {
    pub(super) all: Vec<Candidate>,
    by_policy: BTreeMap<&'a str, Vec<PolicyDefault>>,
}

impl<'a> Candidates<'a> {
    pub(super) fn new(inventory: &'a Inventory, kubernetes: Version) -> Self {
        let mut all = BTreeMap::<(MutationKind, String), Candidate>::new();
        let mut wanted = BTreeMap::<_, Vec<(_, _, Vec<(MutationKind, String)>)>>::new();
        for psp in &inventory.policies {
            for control in CONTROLS {
                for default in control.defaults(&psp.spec, kubernetes) {
                    let keys = variants(default.mutation).map(|mut mutation| {
                        mutation.caveats.clear();
                        let key = (mutation.kind, name(control.name(), &mutation));
                        all.entry(key.clone()).or_insert_with(|| Candidate {
                            name: key.1.clone(),
                            control: control.name(),
                            field: default.field,
                            mutation,
                        });
                        key
                    });
                    let of_policy = wanted.entry(psp.name.as_str()).or_default();
                    of_policy.push((control.name(), default.field, keys.collect()));
                }
            }
        }
        let positions: BTreeMap<_, _> = all.keys().cloned().zip(0..).collect();
        let by_policy = wanted.into_iter().map(|(psp, defaults)| {
            let defaults = defaults.into_iter().map(|(control, field, keys)| {
                let candidates = keys.iter().filter_map(|it| positions.get(it).copied());
                PolicyDefault {
                    control,
                    field,
                    candidates: candidates.collect(),
                }
            });
            (psp, defaults.collect())
        });
        Self {
            by_policy: by_policy.collect(),
            all: all.into_values().collect(),
        }
    }

    /// The defaults of a policy.
    pub(super) fn of(&self, psp: &str) -> &[PolicyDefault] {
        self.by_policy
            .get(psp)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    /// Whether two candidates cannot act on the same pod: they write different values to one place.
    pub(super) fn exclude_each_other(&self, one: usize, other: usize) -> bool {
        let (Some(a), Some(b)) = (self.all.get(one), self.all.get(other)) else {
            return false;
        };
        one != other
            && a.mutation.location == b.mutation.location
            && a.mutation.kind == MutationKind::Assign
    }
}

/// The mutation, and the one that spares containers with a security context where an API server may refuse the value beside others.
fn variants(mutation: Option<Mutation>) -> impl Iterator<Item = Mutation> {
    let is_sensitive = |it: &&Mutation| {
        it.location == "securityContext.allowPrivilegeEscalation" && it.value == Value::Bool(false)
    };
    let careful = mutation.as_ref().filter(is_sensitive).cloned();
    let careful = careful.map(Mutation::without_context);
    mutation.into_iter().chain(careful)
}

/// A name from what is written: readable where that is short, else with a fingerprint of it.
///
/// With what is appended for a list of containers and for expanded pods, it has the 63 characters at most that Gatekeeper takes.
fn name(control: &str, mutation: &Mutation) -> String {
    let tests_location = mutation.unless == Some(mutation.location);
    if mutation.kind == MutationKind::Assign && !tests_location {
        return fingerprinted(control, mutation, "");
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

/// A name that stands for what is written and for the pods that it is written in.
pub(super) fn fingerprinted(control: &str, mutation: &Mutation, pods: &str) -> String {
    let unless = mutation.unless.unwrap_or_default();
    let all = format!("{} {} {unless} {pods}", mutation.location, mutation.value);
    format!("psp-{control}-{:08x}", fingerprint(&all) >> 32)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_longer_than_gatekeeper_takes_with_its_endings() {
        let escalation = Mutation::on_containers(
            "securityContext.allowPrivilegeEscalation",
            Value::Bool(false),
        );
        let careful = escalation.clone().without_context();
        for (mutation, expected) in [
            (escalation, "psp-allow-privilege-escalation-false"),
            (careful, "psp-privilege-escalation-"),
        ] {
            let name = name("privilege-escalation", &mutation);
            assert!(name.starts_with(expected), "{name}");
            let longest = format!("{name}-init-containers-expanded");
            assert!(longest.len() <= 63, "{longest}");
        }
    }
}
