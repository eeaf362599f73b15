//! The pages in `docs/controls` equal the documentation of the modules, and `docs/losses.md` what `explain` says.
//!
//! `UPDATE_DOCS=1 cargo test --test docs` writes them anew.
#![expect(
    clippy::disallowed_methods,
    reason = "a test reads and writes files of its project"
)]

use std::fs;
use std::path::Path;

use psp2gatekeeper::controls::{CONTROLS, page};
use psp2gatekeeper::diagnostic::CODES;
use psp2gatekeeper::loss::LossKind;

#[test]
fn each_control_has_its_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/controls");
    let update = std::env::var_os("UPDATE_DOCS").is_some();
    let mut expected = Vec::new();
    for control in CONTROLS {
        let file = format!("{}.md", control.name().replace('-', "_"));
        let page = page(control.name()).unwrap_or_else(|| panic!("{} has no page", control.name()));
        for section in ["## PSP", "## Gatekeeper", "## Losses"] {
            assert!(page.contains(section), "{file} lacks `{section}`");
        }
        let path = folder.join(&file);
        if update {
            fs::write(&path, &page).unwrap();
        }
        assert!(
            fs::read_to_string(&path).is_ok_and(|it| it == page),
            "{file} differs from its source; `UPDATE_DOCS=1 cargo test --test docs` writes it anew"
        );
        expected.push(file);
    }
    let mut found: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn losses_have_their_page() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/losses.md");
    let introduction = "# Losses\n\nEvery behavior that differs between PodSecurityPolicy and Gatekeeper, wherever a pod shows it.\n\
        `psp2gatekeeper explain run-as-user/default-on-pod` prints the same text, with what is particular to that control.\n";
    let pages = LossKind::ALL
        .into_iter()
        .map(|it| format!("\n#{}", it.page(it.name(), "")));
    let page = format!("{introduction}{}", pages.collect::<String>());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert!(
        fs::read_to_string(&path).is_ok_and(|it| it == page),
        "losses.md differs from its source; `UPDATE_DOCS=1 cargo test --test docs` writes it anew"
    );
}

#[test]
fn each_code_of_a_diagnostic_is_explained() {
    fn visit(folder: &Path, acc: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, acc);
            } else {
                acc.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut texts = Vec::new();
    visit(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut texts,
    );
    let mut used = Vec::new();
    for text in &texts {
        for constructor in ["Diagnostic::warning(", "Diagnostic::note("] {
            for (_, rest) in text
                .match_indices(constructor)
                .map(|(at, it)| (at, &text[at + it.len()..]))
            {
                let rest = rest.trim_start();
                if let Some(rest) = rest.strip_prefix('"') {
                    used.extend(rest.split('"').next().map(str::to_owned));
                }
            }
        }
    }
    used.sort();
    used.dedup();
    assert!(used.len() > 5, "{used:?}");
    for code in &used {
        assert!(
            CODES.iter().any(|(known, _)| known == code),
            "`{code}` is not explained in `diagnostic::CODES`"
        );
    }
    assert!(CODES.is_sorted(), "the codes are sorted");
}
