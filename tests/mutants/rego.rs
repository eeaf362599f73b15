//! Changes to the Rego libraries.
//!
//! Nothing is built anew: the changed text takes the place of the library in the rendered ConstraintTemplate.

use std::time::Instant;

use psp2gatekeeper::manifest::Manifest;
use rayon::prelude::*;
use regex::Regex;
use serde_yaml::Value;

use crate::questions::{Golden, Group, golden, people, tables};
use crate::{Mutant, Outcome, Report, files};

/// Operators and calls with what is put in their place, outside of strings.
const SWAPS: &[(&str, &str)] = &[
    (" == ", " != "),
    (" != ", " == "),
    (" <= ", " < "),
    (" >= ", " > "),
    (" > ", " >= "),
    (" < ", " <= "),
    (" | ", " & "),
    (" - ", " & "),
    ("not ", ""),
    ("startswith(", "endswith("),
    ("endswith(", "startswith("),
    ("trim_suffix(", "trim_prefix("),
    ("some index, ", "some _, "),
    ("container.add", "container.drop"),
    ("container.drop", "container.add"),
    ("container.run_as_user", "container.run_as_group"),
    ("container.run_as_group", "container.run_as_user"),
    ("rules.allowed", "rules.required_drop"),
    ("rules.default_add", "rules.required_drop"),
    ("true", "false"),
    ("false", "true"),
    ("null", "0"),
    ("[]", "[\"mutant\"]"),
    ("{}", "{\"mutant\": 1}"),
    ("pod_annotation", "\"\""),
    ("pod_field", "null"),
];

/// Tries all changes to the libraries whose name has `filter` in it.
///
/// # Errors
///
/// When the questions cannot be made.
pub(crate) fn run(report: &mut Report, filter: &str) -> anyhow::Result<()> {
    let mut groups = tables()?;
    groups.push(people()?);
    let mut files = files("templates/rego/lib", "rego");
    files.retain(|(file, _)| file.contains(filter));
    let controls: Vec<String> = groups.iter().map(|it| it.name.clone()).collect();
    let is_asked = |name: &str| files.iter().any(|(file, _)| notices(&controls, file, name));
    groups.retain(|it| is_asked(&it.name));
    for group in &groups {
        let holds = group.holds(&group.manifests)?;
        assert!(
            holds,
            "{}: without a change the answers must be right",
            group.name
        );
    }
    let golden = golden(is_asked)?;
    for (file, text) in &files {
        let start = Instant::now();
        let mutants = mutants(file, text);
        let fates: Vec<Fate> = mutants
            .par_iter()
            .map(|(_, changed)| {
                let is_asked = |name: &str| notices(&controls, file, name);
                try_text(&groups, &golden, &is_asked, text, changed)
            })
            .collect();
        let mut outcome = Outcome {
            file: file.clone(),
            killed: 0,
            invalid: 0,
            survived: Vec::new(),
            took: start.elapsed(),
        };
        for ((mutant, _), fate) in mutants.into_iter().zip(fates) {
            match fate {
                Fate::Killed => outcome.killed += 1,
                Fate::Invalid => outcome.invalid += 1,
                Fate::Survived => outcome.survived.push(mutant),
            }
        }
        report.tell(&outcome);
    }
    Ok(())
}

enum Fate {
    Killed,
    Invalid,
    Survived,
}

/// Whether the questions of this name are to notice a change to the file: the table and the golden case of its control, and
/// what people ask; of what the controls share, all of them.
fn notices(controls: &[String], file: &str, name: &str) -> bool {
    let own = file.trim_end_matches(".rego");
    let is_shared = !controls.iter().any(|it| it == own);
    is_shared || name == own || name == "people"
}

/// Asks those questions of a changed text that `is_asked` says.
fn try_text(
    groups: &[Group],
    golden: &[Golden],
    is_asked: &(dyn Fn(&str) -> bool + Sync),
    text: &str,
    changed: &str,
) -> Fate {
    let to_ask = groups.iter().filter(|it| is_asked(&it.name));
    for group in to_ask {
        let manifests: Vec<Manifest> = group
            .manifests
            .iter()
            .map(|it| with_library(it, text, changed))
            .collect();
        match group.holds(&manifests) {
            Ok(true) => {}
            Ok(false) => return Fate::Killed,
            Err(_) => return Fate::Invalid,
        }
    }
    for it in golden.iter().filter(|it| is_asked(&it.name)) {
        let mut written = it.written.clone();
        for (path, it) in &mut written {
            if path.contains("constrainttemplate-") {
                *it = exchanged(it, text, changed);
            }
        }
        if !it.holds(&written) {
            return Fate::Killed;
        }
    }
    Fate::Survived
}

/// The manifest with the changed library, if it is the one to have it.
fn with_library(manifest: &Manifest, text: &str, changed: &str) -> Manifest {
    let mut res = manifest.clone();
    if manifest.kind == "ConstraintTemplate" {
        res.text = exchanged(&manifest.text, text, changed);
    }
    res
}

/// The ConstraintTemplate with the changed library; it lacks the one for parameters where policies stand in tables.
fn exchanged(template: &str, text: &str, changed: &str) -> String {
    let mut object: Value = serde_yaml::from_str(template).expect("it is YAML");
    let libraries = object["spec"]["targets"][0]["libs"].as_sequence_mut();
    for library in libraries.into_iter().flatten() {
        if library
            .as_str()
            .is_some_and(|it| it.trim_end() == text.trim_end())
        {
            *library = changed.into();
        }
    }
    serde_yaml::to_string(&object).expect("it can be written")
}

/// All changes to a library, each with the whole changed text.
fn mutants(file: &str, text: &str) -> Vec<(Mutant, String)> {
    let string = Regex::new(r#""(?:[^"\\]|\\.)*""#).expect("it is a pattern");
    let number = Regex::new(r"(?-u:\b)[0-9]+(?-u:\b)").expect("it is a pattern");
    let mut res = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        // What is said to people is not judged.
        let prose = ["#", "package ", "import ", "message := sprintf(", "[", "\""];
        if prose.iter().any(|it| line.trim_start().starts_with(it)) {
            continue;
        }
        let mut add = |changed: String| {
            let mut all: Vec<String> = lines.iter().map(|it| (*it).to_owned()).collect();
            let mutant = Mutant {
                file: file.to_owned(),
                line: index + 1,
                before: line.trim().to_owned(),
                after: changed.trim().to_owned(),
            };
            all[index] = changed;
            res.push((mutant, all.join("\n")));
        };
        let strings: Vec<_> = string.find_iter(line).map(|it| it.range()).collect();
        let outside = |at: usize| !strings.iter().any(|it| it.contains(&at));
        for (from, to) in SWAPS {
            for (at, _) in line.match_indices(from).filter(|it| outside(it.0)) {
                add(format!("{}{to}{}", &line[..at], &line[at + from.len()..]));
            }
        }
        for it in number.find_iter(line).filter(|it| outside(it.start())) {
            let next = it.as_str().parse::<u64>().unwrap_or_default() + 1;
            add(format!(
                "{}{next}{}",
                &line[..it.start()],
                &line[it.end()..]
            ));
        }
        for range in &strings {
            let words = &line[range.clone()];
            if words.contains(['%', ' ', ':']) {
                continue;
            }
            let other = match words {
                "\"min\"" => "\"max\"",
                "\"max\"" => "\"min\"",
                "\"\"" => "\"mutant\"",
                _ => "\"\"",
            };
            add(format!(
                "{}{other}{}",
                &line[..range.start],
                &line[range.end..]
            ));
        }
        if is_condition(line) {
            add("\ttrue".to_owned());
        }
    }
    res
}

/// Whether the line is a condition of a rule's body that can be left out.
fn is_condition(line: &str) -> bool {
    let inner = line.trim();
    let opens = inner.ends_with(['{', '(', '[', ',', '|']);
    let closes = inner.starts_with(['}', ')', ']', '"']);
    let binds = inner.contains(":=") || inner.starts_with("some ");
    let is_whole = !(inner.is_empty() || opens || closes || binds);
    is_whole && line.starts_with('\t')
}
