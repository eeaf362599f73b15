//! What CI systems read: JUnit's XML and SARIF 2.1.0.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use crate::diagnostic::Location;

/// What can be found, and how bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// A stable name in kebab-case.
    pub id: &'static str,
    /// How bad it is, as SARIF has it.
    pub level: Level,
    /// What it is, in a sentence.
    pub text: &'static str,
}

/// How bad a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is wrong.
    Error,
    /// Something may be wrong.
    Warning,
    /// Something is worth knowing.
    Note,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What it is one of, such as `workloads`.
    pub suite: &'static str,
    /// What groups it within the suite, such as a namespace; may be empty.
    pub class: String,
    /// Its name, unique within the class.
    pub name: String,
    /// Where to look.
    pub location: Location,
    /// What came out.
    pub outcome: Outcome,
}

/// What came out of a look at something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is to be said.
    Passed,
    /// A rule has something to say.
    Failed {
        /// The rule.
        rule: Rule,
        /// One line.
        message: String,
        /// The whole story.
        text: String,
    },
    /// It could not be looked at, and why.
    Skipped(String),
}

/// Writes a test report as JUnit's consumers take it: a suite for each of the suites, in the order of their first cases.
///
/// There are no times in it, so that the same cases give the same bytes.
///
/// # Errors
///
/// When the XML cannot be written.
pub fn junit(command: &str, cases: &[Case]) -> Result<String, SerializeError> {
    let mut report = Report::new(format!("psp2gatekeeper {command}"));
    let mut known = BTreeSet::new();
    let names = cases
        .iter()
        .map(|it| it.suite)
        .filter(|it| known.insert(*it));
    for name in names {
        let mut suite = TestSuite::new(name);
        for case in cases.iter().filter(|it| it.suite == name) {
            suite.add_test_case(test_case(case));
        }
        report.add_test_suite(suite);
    }
    report.to_string()
}

fn test_case(case: &Case) -> TestCase {
    let status = match &case.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Skipped(message) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(message.as_str());
            status
        }
        Outcome::Failed {
            rule,
            message,
            text,
        } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(rule.id);
            status.set_message(message.as_str());
            status.set_description(text.as_str());
            status
        }
    };
    let mut res = TestCase::new(case.name.as_str(), status);
    // Some consumers leave out what has no class.
    let class = [case.suite, &case.class]
        .into_iter()
        .filter(|it| !it.is_empty());
    res.set_classname(class.collect::<Vec<_>>().join("."));
    res
}

/// Returns a log of SARIF 2.1.0 with a result for each case that failed.
///
/// Each has a place, because consumers such as code scanning refuse a result without one.
pub fn sarif(cases: &[Case]) -> Value {
    let mut rules = BTreeMap::new();
    let mut results = Vec::new();
    for case in cases {
        let Outcome::Failed {
            rule,
            message,
            text,
        } = &case.outcome
        else {
            continue;
        };
        rules.insert(rule.id, rule);
        let Location { file, line, column } = &case.location;
        let name = [case.class.as_str(), &case.name].join(" ");
        results.push(json!({
            "ruleId": rule.id,
            "level": rule.level.name(),
            "message": { "text": format!("{message}\n\n{}", text.trim_end()) },
            "locations": [{
                "physicalLocation": {
                    "artifactLocation": { "uri": uri(file) },
                    "region": { "startLine": line, "startColumn": column },
                },
                "logicalLocations": [{ "name": case.name, "fullyQualifiedName": name.trim_start() }],
            }],
            "partialFingerprints": { "case/v1": format!("{} {}", rule.id, name.trim_start()) },
        }));
    }
    let rules: Vec<Value> = rules
        .into_values()
        .map(|it| {
            json!({
                "id": it.id,
                "shortDescription": { "text": it.text },
                "defaultConfiguration": { "level": it.level.name() },
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "psp2gatekeeper",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

/// A path as a reference to a URI (RFC 3986).
fn uri(path: &str) -> String {
    let mut res = String::new();
    if path.starts_with('/') {
        res.push_str("file://");
    }
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                res.push(char::from(byte));
            }
            b'\\' => res.push('/'),
            // A string takes all that is written to it.
            _ => _ = write!(res, "%{byte:02X}"),
        }
    }
    res
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_uri() {
        assert_eq!(uri("a b/c%.yaml"), "a%20b/c%25.yaml");
        assert_eq!(uri("/etc/ü.yaml"), "file:///etc/%C3%BC.yaml");
        // A colon in the first segment would be a scheme.
        assert_eq!(uri("kubectl: pods"), "kubectl%3A%20pods");
    }

    #[test]
    fn what_xml_cannot_say_is_left_out() {
        let case = Case {
            suite: "workloads",
            class: "shop".to_owned(),
            name: "Pod <&>\"'\u{0}\u{1b}".to_owned(),
            location: Location::start_of("a.yaml"),
            outcome: Outcome::Skipped("]]>".to_owned()),
        };
        let xml = junit("diff", &[case]).unwrap();
        assert!(xml.contains("Pod &lt;&amp;&gt;&quot;"), "{xml}");
        let allowed = |it: char| !it.is_control() || it == '\n';
        assert!(xml.chars().all(allowed), "{xml}");
    }
}
