//! What manifests enforce where.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::cli::out_dir;
use crate::diagnostic::Diagnostic;
use crate::manifest::{Folder, Manifest};
use crate::plan::CONSTRAINT_KIND;

/// The enforcement actions, the weakest first.
const ACTIONS: [&str; 3] = ["dryrun", "warn", "deny"];

/// What stands for the namespaces that no other constraint has.
const OTHERS: &str = "*";

/// Warns of namespaces in which the manifests would enforce less than what stands in the directory.
pub(super) fn weakened(directory: &Path, manifests: &[Manifest]) -> Vec<Diagnostic> {
    // What cannot be read was not written by this program, which is told when it is written to.
    let Ok(there) = out_dir::read(directory) else {
        return Vec::new();
    };
    let now = actions(
        manifests
            .iter()
            .filter(|it| it.folder == Folder::Constraints),
    );
    let mut res = Vec::new();
    for (namespace, before) in actions(&there) {
        let after = now.get(&namespace).or_else(|| now.get(OTHERS));
        let rank = |it: &str| ACTIONS.iter().position(|action| *action == it);
        let Some(after) = after.filter(|it| rank(it) < rank(&before)) else {
            continue;
        };
        let (whom, keep) = if namespace == OTHERS {
            (
                "the other namespaces".to_owned(),
                format!("--enforcement-action {before}"),
            )
        } else {
            (
                format!("namespace `{namespace}`"),
                format!("--{before} {namespace}"),
            )
        };
        let message = format!(
            "`{}` says `{before}` for {whom}, and what is written now says `{after}`; `{keep}` keeps it",
            directory.display()
        );
        res.push(Diagnostic::warning("enforcement-weakened", message));
    }
    res
}

/// Whether any constraint forbids anything.
pub(super) fn denies(manifests: &[Manifest]) -> bool {
    actions(manifests).values().any(|it| it == "deny")
}

/// The enforcement actions of the constraints by namespace.
fn actions<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> BTreeMap<String, String> {
    let mut res = BTreeMap::new();
    let documents = manifests
        .into_iter()
        .flat_map(|it| serde_yaml::Deserializer::from_str(&it.text))
        .filter_map(|it| Value::deserialize(it).ok());
    for constraint in documents {
        let text = |path| constraint.pointer(path).and_then(Value::as_str);
        if text("/kind") != Some(CONSTRAINT_KIND) {
            continue;
        }
        let action = text("/spec/enforcementAction").unwrap_or("deny");
        let namespaces = constraint
            .pointer("/spec/match/namespaces")
            .and_then(Value::as_array);
        match namespaces {
            Some(names) => {
                let names = names.iter().filter_map(Value::as_str);
                res.extend(names.map(|it| (it.to_owned(), action.to_owned())));
            }
            None => _ = res.insert(OTHERS.to_owned(), action.to_owned()),
        }
    }
    res
}
