//! What keeps the house in order: which module may use which, and what belongs to each control.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests read files and may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::policy::v1beta1::PodSecurityPolicySpec;
use psp2gatekeeper::controls::CONTROLS;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

#[path = "tidy/circles.rs"]
mod circles;

/// Which modules a module uses, outside of its tests.
///
/// A new edge is a line here, to be looked at in a review.
/// What must stay absent matters most: `psp` knows nothing of Gatekeeper and `gatekeeper` nothing of PSP, for each is held
/// against the other.
/// `plan` chooses without knowing what becomes a loss, and `witness` makes pods for both.
const EDGES: &[(&str, &[&str])] = &[
    ("access", &["admission", "api", "input", "rbac", "resolve"]),
    ("admission", &["api"]),
    (
        "advice",
        &[
            "admission",
            "api",
            "diagnostic",
            "input",
            "plan",
            "psp",
            "requests",
            "standards",
        ],
    ),
    ("api", &["version"]),
    (
        "bake",
        &[
            "admission",
            "api",
            "controls",
            "input",
            "psp",
            "requests",
            "verify",
            "version",
        ],
    ),
    (
        "cli",
        &[
            "access",
            "admission",
            "advice",
            "api",
            "bake",
            "controls",
            "diagnostic",
            "diff",
            "gatekeeper",
            "input",
            "loss",
            "losses",
            "manifest",
            "plan",
            "psp",
            "rbac",
            "render",
            "report",
            "requests",
            "resolve",
            "review",
            "verify",
            "version",
            "witness",
        ],
    ),
    ("controls", &["api", "loss", "version"]),
    ("diagnostic", &["api"]),
    (
        "diff",
        &[
            "admission",
            "api",
            "diagnostic",
            "input",
            "loss",
            "manifest",
            "psp",
            "requests",
            "verify",
        ],
    ),
    ("gatekeeper", &["admission", "api", "manifest", "version"]),
    ("input", &["api", "diagnostic"]),
    ("loss", &["admission"]),
    (
        "losses",
        &[
            "access",
            "admission",
            "api",
            "controls",
            "input",
            "loss",
            "plan",
            "psp",
            "rbac",
            "version",
            "witness",
        ],
    ),
    ("manifest", &["api", "diagnostic"]),
    (
        "plan",
        &[
            "access",
            "api",
            "controls",
            "diagnostic",
            "input",
            "rbac",
            "requests",
            "resolve",
            "version",
            "witness",
        ],
    ),
    (
        "psp",
        &["admission", "api", "controls", "input", "rbac", "version"],
    ),
    ("rbac", &["admission", "api", "input"]),
    ("render", &["controls", "manifest", "plan"]),
    (
        "report",
        &[
            "admission",
            "advice",
            "api",
            "bake",
            "controls",
            "diagnostic",
            "diff",
            "input",
            "loss",
            "manifest",
            "plan",
            "rbac",
            "render",
            "resolve",
            "verify",
            "version",
        ],
    ),
    (
        "requests",
        &["admission", "api", "controls", "input", "rbac", "resolve"],
    ),
    ("resolve", &["api", "diagnostic", "input", "rbac"]),
    (
        "review",
        &[
            "admission",
            "api",
            "gatekeeper",
            "input",
            "loss",
            "psp",
            "rbac",
            "requests",
            "resolve",
        ],
    ),
    ("standards", &["api"]),
    ("verify", &["admission", "api", "loss", "rbac"]),
    ("version", &[]),
    (
        "witness",
        &["access", "admission", "api", "controls", "psp", "version"],
    ),
];

#[test]
fn modules_use_what_they_may() {
    let mut actual: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in files_below("src") {
        let module = path.split('/').next().unwrap_or_default();
        let module = module.trim_end_matches(".rs");
        if ["lib", "main"].contains(&module) || path.contains("/tests") {
            continue;
        }
        let uses = actual.entry(module.to_owned()).or_default();
        uses.extend(modules_named(without_tests(&text)).filter(|it| it != module));
    }
    let written: BTreeMap<String, BTreeSet<String>> = EDGES
        .iter()
        .map(|(module, uses)| {
            let uses = uses.iter().map(|it| (*it).to_owned()).collect();
            ((*module).to_owned(), uses)
        })
        .collect();
    assert_eq!(actual, written, "found in src/, and written in EDGES");
}

#[test]
fn edges_are_sorted_and_there_is_no_circle() {
    assert!(EDGES.is_sorted());
    let mut left: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    while !left.is_empty() {
        let before = left.len();
        let names: BTreeSet<&str> = left.keys().copied().collect();
        left.retain(|_, uses| uses.iter().any(|it| names.contains(it)));
        assert!(left.len() < before, "these use each other: {left:?}");
    }
}

#[test]
fn every_control_has_all_its_files() {
    for control in CONTROLS {
        let stem = stem(control.name());
        let files = [
            format!("src/controls/{stem}.rs"),
            format!("templates/rego/lib/{stem}.rego"),
            format!("tests/conformance/{stem}.yaml"),
            format!("golden/{stem}/verdicts.yaml"),
        ];
        for file in files {
            assert!(root().join(&file).is_file(), "{file} is missing");
        }
    }
}

#[test]
fn every_file_beside_those_of_the_controls_is_one() {
    let stems: BTreeSet<String> = CONTROLS.iter().map(|it| stem(it.name())).collect();
    assert_eq!(stems.len(), CONTROLS.len(), "two controls have one name");
    for (folder, others) in [
        ("src/controls", &["defaults", "probe", "translate"][..]),
        (
            "templates/rego/lib",
            &["parameters", "pod", "request", "value"],
        ),
        (
            "tests/conformance",
            &["as_written", "engines", "rego", "rows"],
        ),
        ("tests/conformance/rego", &[]),
    ] {
        for (path, _) in files_below(folder) {
            let name = path.split(['.', '/']).next().unwrap_or_default();
            assert!(
                stems.contains(name) || others.contains(&name),
                "{folder}/{path} belongs to no control"
            );
        }
    }
}

#[test]
fn every_field_of_a_policy_belongs_to_one_control() {
    let mut owned: Vec<&str> = CONTROLS
        .iter()
        .flat_map(|it| it.fields())
        .copied()
        .collect();
    owned.sort_unstable();
    let mut fields = fields_of::<PodSecurityPolicySpec>();
    // The two pairs of annotations.
    fields.extend(["appArmor", "seccomp"]);
    fields.sort_unstable();
    assert_eq!(owned, fields);
}

#[test]
fn every_template_is_rendered() {
    let text = fs::read_to_string(root().join("src/render.rs")).expect("render.rs is there");
    let included: Vec<&str> = text
        .split("include_str!(\"../templates/")
        .skip(1)
        .filter_map(|it| it.split('"').next())
        .collect();
    let unique: BTreeSet<&str> = included.iter().copied().collect();
    assert_eq!(included.len(), unique.len(), "a template is there twice");
    let files = files_below("templates");
    let files: BTreeSet<&str> = files.keys().map(String::as_str).collect();
    assert_eq!(unique, files);
}

#[test]
fn rego_has_no_template_marks_and_names_its_file() {
    for (path, text) in files_below("templates/rego") {
        assert!(!text.contains("{{") && !text.contains("{%"), "{path}");
        let package = match path.strip_prefix("lib/") {
            Some(name) => format!("package lib.{}", name.trim_end_matches(".rego")),
            None => "package psp".to_owned(),
        };
        assert!(text.lines().any(|it| it == package), "{path}: {package}");
    }
}

#[test]
fn golden_has_no_orphans() {
    for (path, _) in files_below("golden") {
        let Some((case, below)) = path.split_once('/') else {
            assert_eq!(path, "README.md", "golden/ holds cases");
            continue;
        };
        let folder = root().join("golden").join(case);
        assert!(folder.join("case.yaml").is_file(), "{case} is no case");
        if let Some(pod) = below.strip_prefix("pods/") {
            let verdicts = fs::read_to_string(folder.join("verdicts.yaml"));
            let verdicts = verdicts.expect("there are verdicts where there are pods");
            let asked = ["pod: ", "old_pod: "].iter().any(|key| {
                let name = format!("{key}{pod}");
                verdicts.contains(&name)
            });
            assert!(asked, "{case}: nothing is asked about {pod}");
        }
    }
}

#[test]
fn modules_say_what_they_are() {
    for (path, text) in files_below("src") {
        let test = path.contains("/tests/") || path.ends_with("/tests.rs") || path == "main.rs";
        assert!(text.starts_with("//! ") || test, "src/{path}");
    }
}

#[test]
fn nothing_is_left_for_later_and_no_machine_is_named() {
    let home = env!("CARGO_MANIFEST_DIR");
    // Put together here, so that this file does not find itself.
    let words = ["to", "fix"].map(|it| format!("{it}{}", if it == "to" { "do" } else { "me" }));
    let places = ["home", "Users", "root"].map(|it| format!("/{it}/"));
    for folder in [
        ".ci",
        "conformance",
        "docs",
        "examples",
        "golden",
        "src",
        "templates",
        "tests",
    ] {
        for (path, text) in files_below(folder) {
            let lower = text.to_lowercase();
            for word in &words {
                assert!(!lower.contains(word), "{folder}/{path}: {word}");
            }
            for place in places.iter().map(String::as_str).chain([home]) {
                assert!(!text.contains(place), "{folder}/{path}: {place}");
            }
        }
    }
}

#[test]
fn what_is_cut_off_is_tests_alone() {
    let text = "use crate::a::b;\n#[cfg(test)]\nmod tests;\nuse crate::{c, d::e};\n#[cfg(test)]\nmod tests {\n    use crate::f;\n}\n";
    let names: Vec<String> = modules_named(without_tests(text)).collect();
    assert_eq!(names, ["a", "c", "d"]);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn stem(name: &str) -> String {
    name.replace('-', "_")
}

/// The text files in a folder and its subfolders, by path below it; none if it is not there.
fn files_below(folder: &str) -> BTreeMap<String, String> {
    let mut res = BTreeMap::new();
    walk(&root().join(folder), "", &mut res);
    res
}

fn walk(root: &Path, below: &str, acc: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(root.join(below)) else {
        return;
    };
    for entry in entries {
        let entry = entry.expect("the folder can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        if entry.path().is_dir() {
            walk(root, &path, acc);
        } else {
            let text = fs::read_to_string(entry.path());
            acc.insert(
                path.clone(),
                text.unwrap_or_else(|it| panic!("{path}: {it}")),
            );
        }
    }
}

/// Cuts off the module of tests at the end of a file.
fn without_tests(text: &str) -> &str {
    let start = text.match_indices("#[cfg(test)]\n").find(|(index, mark)| {
        let rest = &text[index + mark.len()..];
        rest.lines().next().is_some_and(|it| it.ends_with('{'))
    });
    start.map_or(text, |(index, _)| &text[..index])
}

/// The modules of the crate that a text names, outside of comments.
fn modules_named(text: &str) -> impl Iterator<Item = String> {
    let code: String = text
        .lines()
        .filter(|it| !it.trim_start().starts_with("//"))
        .collect();
    let mut res = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let names = match rest.strip_prefix('{') {
            Some(group) => group
                .split('}')
                .next()
                .unwrap_or_default()
                .split(',')
                .collect(),
            None => vec![rest],
        };
        for name in names {
            let name = name.trim();
            let end = name.find(|it: char| !it.is_ascii_lowercase() && it != '_');
            res.push(name[..end.unwrap_or(name.len())].to_owned());
        }
    }
    res.into_iter()
}

/// The names of the fields of a struct, as they are deserialized.
fn fields_of<T: for<'de> Deserialize<'de>>() -> Vec<&'static str> {
    match T::deserialize(AskForFields) {
        Err(Fields(fields)) => fields.to_vec(),
        Ok(_) => panic!("it is no struct"),
    }
}

/// Answers the question for a struct with the names of its fields, as an error.
struct AskForFields;

#[derive(Debug)]
struct Fields(&'static [&'static str]);

impl<'de> Deserializer<'de> for AskForFields {
    type Error = Fields;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Fields> {
        Err(Fields(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Fields> {
        Err(Fields(fields))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq tuple
        tuple_struct map enum identifier ignored_any
    }
}

impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl std::error::Error for Fields {}

impl de::Error for Fields {
    fn custom<T: fmt::Display>(_msg: T) -> Self {
        Self(&[])
    }
}
