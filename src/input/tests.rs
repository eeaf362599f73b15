//! Everything through [`load`]: what a text becomes, what it is warned about and what it is refused for.

mod documents;
mod duplicates;
mod errors;
mod mutation;
mod objects;
mod policy;
mod rbac;
mod validation;
mod values;

use super::{Inventory, LoadError, LoadOptions, Source, load};
use crate::diagnostic::Diagnostic;

const OPTIONS: LoadOptions = LoadOptions {
    proc_mount_type: false,
};

fn source(text: &str) -> Source {
    Source {
        name: "a.yaml".to_owned(),
        text: text.to_owned(),
    }
}

#[track_caller]
fn inventory(text: &str) -> Inventory {
    loaded(text).0
}

#[track_caller]
fn loaded(text: &str) -> (Inventory, Vec<Diagnostic>) {
    load(&[source(text)], OPTIONS).unwrap_or_else(|error| panic!("{error}: {:#?}", error.errors))
}

/// The diagnostics as a user reads them.
#[track_caller]
fn diagnostics(text: &str) -> Vec<String> {
    loaded(text).1.iter().map(ToString::to_string).collect()
}

/// The errors, as `LINE:COLUMN: MESSAGE`.
#[track_caller]
fn errors(text: &str) -> Vec<String> {
    let error = load(&[source(text)], OPTIONS).expect_err("the text is accepted");
    lines(&error)
}

fn lines(error: &LoadError) -> Vec<String> {
    let line = |it: &super::InputError| {
        let place = &it.location;
        format!("{}:{}: {}", place.line, place.column, it.message)
    };
    error.errors.iter().map(line).collect()
}

/// The object in a text as kubectl would send it.
#[track_caller]
fn pod(text: &str) -> serde_json::Value {
    let header = "apiVersion: v1\nkind: Pod\n";
    let inventory = inventory(&format!("{header}{text}"));
    let object = inventory.workloads.first().expect("a pod").object.clone();
    object.get("x").cloned().unwrap_or_default()
}

/// A policy that allows nothing much, with more lines under `spec`.
fn policy(spec: &str) -> String {
    format!(
        "apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata:
  name: p
spec:
  runAsUser: {{rule: RunAsAny}}
  seLinux: {{rule: RunAsAny}}
  fsGroup: {{rule: RunAsAny}}
  supplementalGroups: {{rule: RunAsAny}}
{spec}"
    )
}
