//! Questions whose answers are known, in groups that are asked one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use libtest_mimic::Failed;
use psp2gatekeeper::admission::{AdmissionRequest, Operation};
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::{Inventory, LoadOptions, Source, load};
use psp2gatekeeper::manifest::Manifest;
use psp2gatekeeper::psp::{PspAdmission, strategy};
use psp2gatekeeper::requests::{Foreign, Requests, prepare};
use psp2gatekeeper::resolve;
use serde_json::Value;

use crate::case::Case;
use crate::recording::Recording;
use crate::rows::{Answer, Row, inventory, manifests};
use crate::{as_written, files, root, verdicts};

/// How many requests are made up about who asks.
const GENERATED: u64 = 250;

/// A golden case and what is written for it.
#[derive(Debug)]
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) written: BTreeMap<String, String>,
    case: Case,
}

impl Golden {
    /// Whether the written verdicts hold of these files; Rego that cannot be loaded does not hold.
    pub(crate) fn holds(&self, written: &BTreeMap<String, String>) -> bool {
        verdicts::check(&self.case, written).is_ok()
    }
}

/// The golden cases that end well, of those whose name is asked for.
///
/// # Errors
///
/// When one cannot be read or run.
pub(crate) fn golden(is_asked: impl Fn(&str) -> bool) -> anyhow::Result<Vec<Golden>> {
    let failed = |it: Failed| anyhow!("{}", it.message().unwrap_or_default());
    let mut folders: Vec<PathBuf> = fs::read_dir(root().join("golden"))?
        .map(|it| it.map(|it| it.path()))
        .collect::<Result<_, _>>()?;
    let name = |it: &Path| {
        it.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    folders.retain(|it| it.join("verdicts.yaml").exists() && is_asked(&name(it)));
    folders.sort();
    folders
        .iter()
        .map(|folder| {
            let case = Case::read(folder).map_err(failed)?;
            Ok(Golden {
                name: name(folder),
                written: Recording::of(&case).map_err(failed)?.written,
                case,
            })
        })
        .collect()
}

/// A cluster and questions to its constraint.
#[derive(Debug)]
pub(crate) struct Group {
    /// The control, or another name.
    pub(crate) name: String,
    pub(crate) manifests: Vec<Manifest>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    questions: Vec<(AdmissionRequest, Objections)>,
    /// Whether the Rego is asked itself, of pods as they are written.
    as_written: bool,
}

/// How many objections the Rego must have.
#[derive(Clone, Debug)]
enum Objections {
    Exactly(usize),
    Some,
    /// Of the Rego asked alone: how each begins, sorted.
    Begin {
        audited: bool,
        begin: Vec<String>,
    },
}

impl Group {
    /// Whether every question is answered as it should be by what is rendered.
    ///
    /// # Errors
    ///
    /// When the manifests cannot be loaded.
    pub(crate) fn holds(&self, manifests: &[Manifest]) -> anyhow::Result<bool> {
        if self.as_written {
            return Ok(self.holds_as_written(manifests));
        }
        let gatekeeper = GatekeeperAdmission::from_manifests(manifests, &self.namespaces)?;
        Ok(self.questions.iter().all(|(request, expected)| {
            // Nothing is changed on the way: the questions hold what the validating webhook sees.
            let Ok(violations) = gatekeeper.validate(request) else {
                return false;
            };
            match expected {
                Objections::Exactly(0) => violations.is_empty(),
                Objections::Some => !violations.is_empty(),
                Objections::Exactly(number) => {
                    let details = violations.iter().map(|it| it.details.as_str());
                    details.map(objections).sum::<usize>() == *number
                }
                Objections::Begin { .. } => false,
            }
        }))
    }

    fn holds_as_written(&self, manifests: &[Manifest]) -> bool {
        self.questions.iter().all(|(request, expected)| {
            matches!(expected, Objections::Begin { audited, begin }
                if as_written::check(manifests, request, *audited, begin).is_ok())
        })
    }
}

fn objections(details: &str) -> usize {
    let details: Value = serde_json::from_str(details).unwrap_or_default();
    let by_policy = details["violations"].as_object().cloned();
    by_policy
        .unwrap_or_default()
        .values()
        .filter_map(Value::as_array)
        .map(Vec::len)
        .sum()
}

/// The table of each control, and what is asked of its Rego alone.
///
/// # Errors
///
/// When a table cannot be read or rendered.
pub(crate) fn tables() -> anyhow::Result<Vec<Group>> {
    let of_both = files("tests/conformance", "yaml").into_iter();
    let of_rego = files("tests/conformance/rego", "yaml").into_iter();
    of_both
        .map(|it| (it, false))
        .chain(of_rego.map(|it| (it, true)))
        .map(|((file, text), as_written)| {
            let rows: Vec<Row> = serde_yaml::from_str(&text)?;
            let spaces: Vec<String> = (1..=rows.len()).map(|it| format!("row-{it}")).collect();
            let pairs = rows.iter().zip(&spaces);
            let all: Vec<Value> = pairs
                .clone()
                .flat_map(|(row, it)| row.cluster(it))
                .collect();
            let all = inventory(&all)?;
            let mut questions = Vec::new();
            for (row, name) in pairs {
                if as_written {
                    let expected = Objections::Begin {
                        audited: row.audited,
                        begin: row.forbidden.clone().unwrap_or_default(),
                    };
                    questions.push((row.in_file(name), expected));
                } else {
                    questions.extend(questions_of(row, name)?);
                }
            }
            Ok(Group {
                name: file.trim_end_matches(".yaml").to_owned(),
                manifests: manifests(&all)?,
                namespaces: all.namespaces,
                questions,
                as_written,
            })
        })
        .collect()
}

fn questions_of(row: &Row, name: &str) -> anyhow::Result<Vec<(AdmissionRequest, Objections)>> {
    let inventory = inventory(&row.cluster(name))?;
    let request = row.request(name, &inventory);
    let arriving = |mut request: AdmissionRequest| {
        strategy::prepare_for_create(&mut request.pod, row.proc_mount_type());
        request
    };
    Ok(match row.answer()? {
        Answer::Admitted => vec![(arriving(request), Objections::Exactly(0))],
        Answer::Forbidden(plugin) => {
            let number = row.rego_objections.unwrap_or(plugin.len());
            vec![(arriving(request), Objections::Exactly(number))]
        }
        Answer::Stored(_) => {
            let pod = PspAdmission::new(&inventory).review(&request).pod;
            let stored = AdmissionRequest {
                pod,
                ..request.clone()
            };
            vec![
                (arriving(request), Objections::Some),
                (arriving(stored), Objections::Exactly(0)),
            ]
        }
    })
}

/// Everybody's requests in a cluster with several people, namespaces and policies: all operations, and who may use what.
///
/// # Errors
///
/// When the cluster cannot be read or rendered.
pub(crate) fn people() -> anyhow::Result<Group> {
    let path = root().join("tests/mutants/people.yaml");
    let source = Source {
        name: "people.yaml".to_owned(),
        text: fs::read_to_string(path)?,
    };
    let options = LoadOptions {
        proc_mount_type: false,
    };
    let (inventory, _) = load(&[source], options)?;
    let grants = resolve::grants(&inventory);
    let foreign = Foreign::default();
    let requests = Requests::new(&inventory, &grants, &foreign);
    let psp = PspAdmission::new(&inventory);
    let questions = requests
        .generated(Vec::new(), GENERATED, 1)
        .map(|it| question(&inventory, &psp, it))
        .collect();
    Ok(Group {
        name: "people".to_owned(),
        manifests: manifests(&inventory)?,
        namespaces: inventory.namespaces.clone(),
        questions,
        as_written: false,
    })
}

fn question(
    inventory: &Inventory,
    psp: &PspAdmission<'_>,
    request: AdmissionRequest,
) -> (AdmissionRequest, Objections) {
    let mut request = prepare(inventory, request);
    let expected = if psp.validate_only(&request).is_allowed() {
        Objections::Exactly(0)
    } else {
        Objections::Some
    };
    match (request.operation, request.old_pod.clone()) {
        (Operation::Update, Some(old)) => {
            strategy::prepare_for_update(&mut request.pod, &old, false);
        }
        _ => strategy::prepare_for_create(&mut request.pod, false),
    }
    (request, expected)
}
