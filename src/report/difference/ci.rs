//! What would change, for CI systems.

use super::unified::write_unified;
use super::{Against, DifferenceReport, how};
use crate::diagnostic::Location;
use crate::diff::Change;
use crate::diff::workloads::{Fate, Treatment};
use crate::report::ci::{Case, Level, Outcome, Rule};

const NEWLY_ADMITTED: Rule = Rule {
    id: "newly-admitted",
    level: Level::Error,
    text: "Gatekeeper would admit a pod that PodSecurityPolicy forbids.",
};
const NOW_FORBIDDEN: Rule = Rule {
    id: "now-forbidden",
    level: Level::Error,
    text: "Gatekeeper would forbid a pod that PodSecurityPolicy admits.",
};
const STORED_DIFFERENTLY: Rule = Rule {
    id: "stored-differently",
    level: Level::Warning,
    text: "Both admit a pod, with other values filled in.",
};
const OBJECT_CHANGED: Rule = Rule {
    id: "object-changed",
    level: Level::Note,
    text: "An object is not what `migrate` would write now.",
};

impl DifferenceReport<'_> {
    /// Returns each workload, and each object that is not the same, as a case.
    ///
    /// `compared_with` is the directory or cluster in which objects are to be looked for.
    pub fn cases(&self, compared_with: &str) -> Vec<Case> {
        let objects = self.changes.unwrap_or_default().iter();
        let mut res: Vec<Case> = objects
            .map(|it| object(it, self.against, compared_with))
            .collect();
        if self.changes.is_some_and(<[_]>::is_empty) {
            res.push(Case {
                suite: "objects",
                class: String::new(),
                name: "all objects are what would be written".to_owned(),
                location: Location::start_of(compared_with),
                outcome: Outcome::Passed,
            });
        }
        res.extend(self.treatments.iter().map(|it| self.workload(it)));
        res
    }

    fn workload(&self, treatment: &Treatment) -> Case {
        let failed = |rule: Rule, what: &str| {
            let mut text = Vec::new();
            // A vector takes all that is written to it.
            let _ = self.write_treatment(&mut text, treatment);
            Outcome::Failed {
                rule,
                message: format!(
                    "{} {}/{} {what}",
                    treatment.kind, treatment.namespace, treatment.name
                ),
                text: String::from_utf8_lossy(&text).trim_matches('\n').to_owned(),
            }
        };
        Case {
            suite: "workloads",
            class: treatment.namespace.clone(),
            name: format!("{} {}", treatment.kind, treatment.name),
            location: treatment.location.clone(),
            outcome: match treatment.fate {
                Fate::Same => Outcome::Passed,
                Fate::NotJudged => Outcome::Skipped(match &treatment.api_server {
                    Some(why) => format!("the API server refuses the pod: {why}"),
                    None => "the API server refuses the pod".to_owned(),
                }),
                Fate::NewlyAdmitted => failed(NEWLY_ADMITTED, "would be newly admitted"),
                Fate::NowForbidden => failed(NOW_FORBIDDEN, "would be forbidden"),
                Fate::StoredDifferently => {
                    failed(STORED_DIFFERENTLY, "would be stored differently")
                }
            },
        }
    }
}

fn object(change: &Change, against: Against, compared_with: &str) -> Case {
    let mut text = Vec::new();
    // A vector takes all that is written to it.
    let _ = write_unified(&mut text, change, against, false);
    Case {
        suite: "objects",
        class: String::new(),
        name: change.object.to_string(),
        location: Location::start_of(compared_with),
        outcome: Outcome::Failed {
            rule: OBJECT_CHANGED,
            message: format!("{} would be {}", change.object, how(&change.kind)),
            text: String::from_utf8_lossy(&text).into_owned(),
        },
    }
}
