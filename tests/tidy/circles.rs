//! Which files import each other, by their `use` lines.

use std::collections::{BTreeMap, BTreeSet};

use super::{files_below, without_tests};

/// Files that import each other in a circle, each circle sorted.
///
/// What is broken up is taken out here; no new circle is put in.
const KNOWN: &[&str] = &[
    "advice advice/narrower",
    "cli/cluster cli/cluster/failure cli/cluster/trim",
    "gatekeeper gatekeeper/document gatekeeper/mutate gatekeeper/mutator gatekeeper/rego gatekeeper/review gatekeeper/template",
    "gatekeeper/wire/pod gatekeeper/wire/volume",
    "input input/excerpt",
    "input/documents input/yaml",
    "loss loss/kinds",
    "psp psp/trial",
    "rbac rbac/effective",
    "report report/clean_up report/difference report/difference/unified report/losses report/steps",
    "requests requests/cast requests/crossing requests/generated",
    "verify verify/explain",
];

/// Folders, with the file beside each, that have no circles and only short files.
const WITHOUT: &[&str] = &["access", "losses", "plan", "witness"];

/// No file of these folders has more lines.
const MOST_LINES: usize = 400;

/// A file by its module path.
type File = Vec<String>;

#[test]
fn no_files_import_each_other_in_a_circle() {
    let found: BTreeSet<String> = circles(&imports()).into_iter().collect();
    for it in &found {
        let folder = it.split(['/', ' ']).next().unwrap_or_default();
        assert!(!WITHOUT.contains(&folder), "these import each other: {it}");
    }
    let known: BTreeSet<String> = KNOWN.iter().map(|it| (*it).to_owned()).collect();
    let [more, fewer] = [&found - &known, &known - &found];
    assert!(more.is_empty(), "these import each other: {more:#?}");
    assert!(
        fewer.is_empty(),
        "no longer a circle, take it out of KNOWN: {fewer:#?}"
    );
}

#[test]
fn no_file_is_long() {
    for (path, text) in files_below("src") {
        let folder = path.split(['/', '.']).next().unwrap_or_default();
        let lines = text.lines().count();
        let is_short = lines <= MOST_LINES || !WITHOUT.contains(&folder);
        assert!(is_short, "src/{path} has {lines} lines");
    }
}

#[test]
fn imports_are_read_as_rust_does() {
    let files = ["a", "a/b", "a/b/c", "d", "d/e"].map(path).into();
    let text = "use std::fmt;\nuse crate::{a::b::{self, c::X}, d};\npub use e::Y;\npub(super) use super::d::e::Z as W;\n// use crate::a::B;\nmod f;\n";
    let found: BTreeSet<File> = used(&path("d"), text, &files);
    assert_eq!(found, ["a/b", "a/b/c", "d/e"].map(path).into());
    let found = used(
        &path("a/b/c"),
        "use super::super::T;\nuse self::U;\n    use super::V;\n",
        &files,
    );
    assert_eq!(found, ["a", "a/b"].map(path).into());
}

#[test]
fn a_circle_is_found_whatever_its_length() {
    let edges = [
        ("a", "b"),
        ("b", "c"),
        ("c", "a"),
        ("c", "d"),
        ("d", "e"),
        ("e", "d"),
        ("f", "a"),
    ];
    let mut all = BTreeMap::<File, BTreeSet<File>>::new();
    for (from, to) in edges {
        all.entry(path(from)).or_default().insert(path(to));
    }
    assert_eq!(circles(&all), ["a b c", "d e"]);
}

fn path(text: &str) -> File {
    text.split('/').map(str::to_owned).collect()
}

/// What each file of the library imports, outside of its tests.
fn imports() -> BTreeMap<File, BTreeSet<File>> {
    let all = files_below("src").into_iter().filter_map(|(name, text)| {
        let name = name.strip_suffix(".rs")?;
        let is_test = name.contains("/tests");
        (!is_test && !["lib", "main"].contains(&name)).then(|| (path(name), text))
    });
    let all: BTreeMap<File, String> = all.collect();
    let files = all.keys().cloned().collect();
    let used = all
        .iter()
        .map(|(file, text)| (file.clone(), used(file, text, &files)));
    used.collect()
}

/// The files that the `use` lines of one name.
fn used(file: &File, text: &str, files: &BTreeSet<File>) -> BTreeSet<File> {
    let mut res = BTreeSet::new();
    let mut statement = None;
    for line in without_tests(text).lines().map(str::trim) {
        if statement.is_none() && is_use(line) {
            statement = Some(String::new());
        }
        if let Some(open) = &mut statement {
            open.push_str(line);
            if line.ends_with(';') {
                let (_, tree) = open.split_once("use ").expect("it is one");
                let named = expanded(tree);
                res.extend(named.iter().filter_map(|it| resolved(file, it, files)));
                statement = None;
            }
        }
    }
    res.remove(file);
    res
}

/// Whether a `use` statement begins in the line, with what is before it of its visibility.
fn is_use(line: &str) -> bool {
    let visibility = line.split("use ").next().unwrap_or_default().trim();
    let is_visibility = visibility.is_empty()
        || visibility == "pub"
        || (visibility.starts_with("pub(") && visibility.ends_with(')'));
    line.contains("use ") && is_visibility
}

/// The file that a path names, or that has what it names.
fn resolved(file: &File, named: &[String], files: &BTreeSet<File>) -> Option<File> {
    let first = named.first()?.as_str();
    let supers = named.iter().take_while(|it| *it == "super").count();
    let (from, rest) = match first {
        "crate" => (&[][..], &named[1..]),
        "self" => (&file[..], &named[1..]),
        "super" => (&file[..file.len() - supers], &named[supers..]),
        first => {
            let child = [file.as_slice(), &[first.to_owned()]].concat();
            files.contains(&child).then_some((&file[..], named))?
        }
    };
    let mut res = [from, rest].concat();
    while !res.is_empty() && !files.contains(&res) {
        res.pop();
    }
    (!res.is_empty()).then_some(res)
}

/// The paths of a `use` statement, each by itself.
fn expanded(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim().trim_end_matches(';');
    let Some((head, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|it| it.trim().to_owned()).collect()];
    };
    let head = head.split("::").map(|it| it.trim().to_owned());
    let head: Vec<String> = head.filter(|it| !it.is_empty()).collect();
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let mut depth = 0;
    let parts = inner.split(|it| {
        depth += i32::from(it == '{') - i32::from(it == '}');
        it == ',' && depth == 0
    });
    let parts = parts.filter(|it| !it.trim().is_empty());
    let paths = parts.flat_map(expanded).map(|it| {
        let mut res = head.clone();
        res.extend(it.into_iter().filter(|it| it != "self"));
        res
    });
    paths.collect()
}

/// The files that reach each other, each circle as its files by name.
fn circles(imports: &BTreeMap<File, BTreeSet<File>>) -> Vec<String> {
    let reached = imports.keys().map(|from| {
        let mut reached = BTreeSet::new();
        let mut left: Vec<&File> = imports[from].iter().collect();
        while let Some(it) = left.pop() {
            if reached.insert(it) {
                left.extend(imports.get(it).into_iter().flatten());
            }
        }
        (from, reached)
    });
    let reached: BTreeMap<&File, BTreeSet<&File>> = reached.collect();
    let circles = reached
        .iter()
        .filter(|(from, to)| to.contains(*from))
        .map(|(from, to)| {
            let back = to
                .iter()
                .filter(|it| reached.get(*it).is_some_and(|it| it.contains(from)));
            let names: BTreeSet<String> = back.map(|it| it.join("/")).collect();
            names.into_iter().collect::<Vec<_>>().join(" ")
        });
    circles.collect::<BTreeSet<_>>().into_iter().collect()
}
