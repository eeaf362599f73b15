//! The ledger of a verification, for CI systems.

use super::{VerificationReport, write_story};
use crate::diagnostic::Location;
use crate::loss::Direction;
use crate::report::ci::{Case, Level, Outcome, Rule};
use crate::verify::Finding;

const LOOSER: Rule = Rule {
    id: "undeclared-looser",
    level: Level::Error,
    text: "Gatekeeper admits what PodSecurityPolicy forbids, and no loss declares it.",
};
const STRICTER: Rule = Rule {
    id: "undeclared-stricter",
    level: Level::Error,
    text: "Gatekeeper forbids what PodSecurityPolicy admits, and no loss declares it.",
};
const DIFFERS: Rule = Rule {
    id: "undeclared-differs",
    level: Level::Error,
    text: "Both admit a pod, another one is stored, and no loss declares it.",
};

impl VerificationReport<'_> {
    /// Returns each finding as a case that failed; where there is none, one that passed.
    ///
    /// `judged` is the file or directory in which to look.
    pub fn cases(&self, judged: &str) -> Vec<Case> {
        let location = Location::start_of(judged);
        let findings = self.verification.findings.iter().enumerate();
        let mut res: Vec<Case> = findings
            .map(|(index, it)| finding(index + 1, it, &location))
            .collect();
        if res.is_empty() {
            res.push(Case {
                suite: SUITE,
                class: String::new(),
                name: "every difference is declared".to_owned(),
                location,
                outcome: Outcome::Passed,
            });
        }
        res
    }
}

const SUITE: &str = "requests";

fn finding(number: usize, finding: &Finding, location: &Location) -> Case {
    let rule = match finding.direction {
        Direction::Looser | Direction::Harmless => LOOSER,
        Direction::Stricter => STRICTER,
        Direction::Differs => DIFFERS,
    };
    let mut text = Vec::new();
    // A vector takes all that is written to it.
    let _ = write_story(&mut text, number, finding);
    Case {
        suite: SUITE,
        class: finding.answers.asked.namespace.clone(),
        name: match finding.fields.as_slice() {
            [] => format!("{}: any pod", finding.direction),
            fields => format!("{}: {}", finding.direction, fields.join(", ")),
        },
        location: location.clone(),
        outcome: Outcome::Failed {
            rule,
            message: format!("{} Found by {}.", rule.text, finding.origin),
            text: String::from_utf8_lossy(&text).into_owned(),
        },
    }
}
