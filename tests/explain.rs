//! `explain` has something to say of whatever the report names.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read files and may panic"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use psp2gatekeeper::controls::{CONTROLS, page};
use psp2gatekeeper::diagnostic::CODES;
use psp2gatekeeper::loss::{DIRECTIONS, GATEKEEPER, LossKind};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn explain(topic: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
        .arg("explain")
        .args(topic)
        .output()
        .expect("the program runs")
}

/// What is printed about a topic.
#[track_caller]
fn explained(topic: &str) -> String {
    let output = explain(&[topic]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{topic}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

/// What is said where there is nothing to explain.
#[track_caller]
fn refused(topic: &str) -> String {
    let output = explain(&[topic]);
    assert_eq!(output.status.code(), Some(2), "{topic}");
    assert!(output.stdout.is_empty(), "{topic}");
    String::from_utf8(output.stderr).expect("text")
}

#[test]
fn kinds_of_losses_are_sorted_and_of_controls_that_exist() {
    let names: Vec<&str> = LossKind::ALL.iter().map(|it| it.name()).collect();
    assert!(names.is_sorted());
    for kind in LossKind::ALL {
        for of in kind.of() {
            let is_control = CONTROLS.iter().any(|it| it.name() == *of);
            assert!(is_control || *of == GATEKEEPER, "{kind} of {of}");
        }
    }
}

#[test]
fn what_reports_declare_has_the_direction_that_is_explained() {
    let mut seen = 0;
    for case in fs::read_dir(root().join("golden")).expect("golden cases") {
        let path = case.expect("a case").path().join("output/report.json");
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let report: Value = serde_json::from_str(&text).expect("JSON");
        for loss in report["losses"].as_array().expect("losses") {
            let name = loss["name"].as_str().expect("a name");
            let (of, name) = name.split_once('/').expect("a slash");
            let kind = LossKind::ALL
                .into_iter()
                .find(|it| it.name() == name)
                .unwrap_or_else(|| panic!("{}: {of}/{name} is not explained", path.display()));
            assert!(
                kind.of().is_empty() || kind.of().contains(&of),
                "{of}/{name}"
            );
            assert_eq!(loss["direction"], kind.direction().name(), "{of}/{name}");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn a_loss_is_explained_with_its_direction_reason_and_remedy() {
    for kind in LossKind::ALL {
        let of = kind.of().first().unwrap_or(&"privilege-escalation");
        for topic in [kind.name().to_owned(), format!("{of}/{}", kind.name())] {
            let text = explained(&topic);
            assert!(text.starts_with(&format!("# {topic}\n\n")), "{text}");
            let direction = format!("; {}: ", kind.direction());
            let why = format!("\n\nWhy: {}\n\n", kind.why());
            for part in [&direction, &why, "\n\nWhat to do: "] {
                assert!(text.contains(part), "{part}: {text}");
            }
            // Between the direction and the reason one paragraph tells what happens.
            let paragraphs: Vec<&str> = text.split("\n\n").collect();
            assert!(paragraphs[3].starts_with("Why: "), "{text}");
            assert!(paragraphs[2].len() > 20, "{text}");
        }
    }
}

#[test]
fn what_is_particular_to_a_control_stands_in_its_loss() {
    let text = explained("apparmor/default-not-set");
    for part in [
        "whose key contains the name of the container",
        "--kubernetes-version 1.30",
        "bake",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!explained("default-not-set").contains("1.30"));
    assert!(!explained("groups/default-not-set").contains("1.30"));
    assert!(explained("groups/default-on-pod").contains("`runAsGroup`"));
}

#[test]
fn fields_and_annotations_lead_to_their_control() {
    for (topic, control) in [
        ("spec.fsGroup", "groups"),
        ("fsGroup", "groups"),
        ("spec.runAsUser.rule", "run-as-user"),
        ("spec.allowedHostPaths[0].pathPrefix", "host-paths"),
        ("appArmor", "apparmor"),
        (
            "metadata.annotations[apparmor.security.beta.kubernetes.io/defaultProfileName]",
            "apparmor",
        ),
        (
            "seccomp.security.alpha.kubernetes.io/allowedProfileNames",
            "seccomp",
        ),
        (
            "container.apparmor.security.beta.kubernetes.io/web",
            "apparmor",
        ),
        ("volumes", "volumes"),
    ] {
        assert_eq!(Some(explained(topic)), page(control), "{topic}");
    }
    let ignored = explained("metadata.labels[admission.gatekeeper.sh/ignore]");
    assert!(ignored.starts_with("# gatekeeper/namespace-ignored\n"));
    assert!(explained("looser").contains("`namespace-ignored`"));
}

#[test]
fn what_is_no_topic_is_refused_with_what_is_like_it() {
    for (topic, words) in [
        (
            "groups/nonsense",
            "the losses of `groups` are `default-admits`, `default-for-all`, ",
        ),
        ("host-paths/default-not-set", "`host-paths` has no losses"),
        ("groups/annotation-alone", "the losses of `groups` are "),
        ("defualt-not-set", "similar: `default-not-set`"),
        ("spec.runAsUsr", "similar: `runAsUser`"),
        ("run-as-usr", "similar: `run-as-user`"),
        ("strict", "similar: `stricter`"),
        ("nonsense", "`psp2gatekeeper explain` lists the topics"),
        ("", "`psp2gatekeeper explain` lists the topics"),
        ("/", "`psp2gatekeeper explain` lists the topics"),
    ] {
        let message = refused(topic);
        assert!(message.contains(words), "{topic}: {message}");
    }
}

#[test]
fn every_topic_that_is_listed_is_explained() {
    let output = explain(&[]);
    let text = String::from_utf8(output.stdout).expect("text");
    let topics = text.lines().filter_map(|it| it.strip_prefix("  "));
    let topics: Vec<&str> = topics.filter_map(|it| it.split(' ').next()).collect();
    assert_eq!(
        topics.len(),
        CONTROLS.len() + LossKind::ALL.len() + DIRECTIONS.len() + CODES.len()
    );
    for topic in topics {
        explained(topic);
    }
}
