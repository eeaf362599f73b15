//! Tables of pods, one for each control, asked of both: the model of the admission plugin, and the Rego as it is rendered.
//!
//! The rows restate by hand what the plugin's source and its own tests say; each file of `tests/conformance/` names where.
//! A row is about one policy that everybody may use, and one pod that is to be created.
//! What it leaves out of the policy is the most permissive value, so that it shows one control at work.
//! A row with a `loss` is one in which the Rego accepts more by intention; with `--strict-apparmor` it does not.
//!
//! What is in `tests/conformance/rego/` is asked of the Rego alone, of pods that no API server of Kubernetes 1.24 shows to
//! admission: with what is younger, or without what it writes into each.
//!
//! `conformance/run` has the real engines answer the same, and records what they say in `tests/conformance/engines/`.
//! To that end the rows are written to the folder that the variable `CONFORMANCE_EXPORT` names.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests read files and may panic"
)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use psp2gatekeeper::admission::AdmissionRequest;
use psp2gatekeeper::controls::apparmor::name_unset_profiles;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::Inventory;
use psp2gatekeeper::psp::{Phase, PspAdmission, strategy};
use serde_json::Value;

use engines::{Recorded, export, recorded};
use rows::{Answer, Row, inventory, judge, manifests, strict_manifests};

#[path = "conformance/as_written.rs"]
mod as_written;
#[path = "conformance/engines.rs"]
mod engines;
#[path = "conformance/rows.rs"]
mod rows;
mod support;

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let tables = files(&folder).into_iter().map(|file| {
        let name = stem(&file);
        Trial::test(name, move || check(&file))
    });
    let of_rego = files(&folder.join("rego")).into_iter().map(|file| {
        let name = format!("rego/{}", stem(&file));
        Trial::test(name, move || check_rego(&file))
    });
    let trials = tables.chain(of_rego).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The tables of a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut res: Vec<_> = fs::read_dir(folder)
        .expect("the tables are there")
        .map(|it| it.expect("the folder can be read").path())
        .filter(|it| it.extension().is_some_and(|it| it == "yaml"))
        .collect();
    res.sort();
    res
}

fn stem(file: &Path) -> String {
    let stem = file.file_stem().expect("a file has a name");
    stem.to_string_lossy().into_owned()
}

/// Asks the Rego alone, and of each pod as it is written.
fn check_rego(file: &Path) -> Result<(), Failed> {
    let rows: Vec<Row> = serde_yaml::from_str(&fs::read_to_string(file)?)?;
    let namespaces: Vec<String> = (1..=rows.len()).map(|it| format!("row-{it}")).collect();
    let pairs = rows.iter().zip(&namespaces);
    let all: Vec<Value> = pairs
        .clone()
        .flat_map(|(row, name)| row.cluster(name))
        .collect();
    let manifests = manifests(&inventory(&all)?)?;
    let mut complaints = Vec::new();
    for (row, namespace) in pairs {
        let expected = match row.answer()? {
            Answer::Admitted => &[],
            Answer::Forbidden([]) | Answer::Stored(_) => {
                return Err(format!("{}: the Rego admits or objects", row.note).into());
            }
            Answer::Forbidden(expected) => expected,
        };
        if row.loss.is_some() {
            return Err(format!("{}: what the Rego alone is asked has no loss", row.note).into());
        }
        let request = row.in_file(namespace);
        if let Err(it) = as_written::check(&manifests, &request, row.audited, expected) {
            complaints.push(format!("{}: the Rego: {it}", row.note));
        }
    }
    match complaints.as_slice() {
        [] => Ok(()),
        _ => Err(complaints.join("\n").into()),
    }
}

fn check(file: &Path) -> Result<(), Failed> {
    let rows: Vec<Row> = serde_yaml::from_str(&fs::read_to_string(file)?)?;
    let namespaces: Vec<String> = (1..=rows.len()).map(|it| format!("row-{it}")).collect();
    let inventories = rows
        .iter()
        .zip(&namespaces)
        .map(|(row, name)| inventory(&row.cluster(name)))
        .collect::<Result<Vec<_>, _>>()?;
    let all: Vec<Value> = rows
        .iter()
        .zip(&namespaces)
        .flat_map(|(row, name)| row.cluster(name))
        .collect();
    let cluster = inventory(&all)?;
    let manifests = manifests(&cluster)?;
    let folder = file.parent().expect("the table is in a folder");
    let table = file.file_stem().expect("a file has a name");
    let table = table.to_string_lossy();
    if let Some(target) = env::var_os("CONFORMANCE_EXPORT") {
        let asked: Vec<AdmissionRequest> = rows
            .iter()
            .zip(&namespaces)
            .map(|(row, namespace)| row.sent(namespace))
            .collect();
        let gate = rows.iter().any(Row::proc_mount_type);
        let target = Path::new(&target).join(table.as_ref());
        return Ok(export(&target, &all, &asked, &manifests, gate)?);
    }
    let gatekeeper = GatekeeperAdmission::from_manifests(&manifests, &cluster.namespaces)?;
    let strict = strict_manifests(&cluster)?;
    let strict = (strict != manifests)
        .then(|| GatekeeperAdmission::from_manifests(&strict, &cluster.namespaces))
        .transpose()?;
    let mut complaints = Vec::new();
    let answers = recorded(folder, &table, rows.len())?;
    for (((row, namespace), inventory), answer) in
        rows.iter().zip(&namespaces).zip(&inventories).zip(&answers)
    {
        let checked = row
            .check(namespace, inventory, &gatekeeper, row.loss.as_deref())
            .and_then(|()| match &strict {
                Some(strict) => row.check(namespace, inventory, strict, None),
                None => Ok(()),
            })
            .and_then(|()| row.compare(namespace, inventory, &gatekeeper, answer));
        if let Err(complaint) = checked {
            let why = complaint.message().unwrap_or_default();
            complaints.push(format!("{namespace}, {}: {why}", row.note));
        }
    }
    if rows.len() < 8 {
        complaints.push("fewer than eight rows say little".to_owned());
    }
    match complaints.as_slice() {
        [] => Ok(()),
        _ => Err(complaints.join("\n").into()),
    }
}

impl Row {
    /// Asks both; `loss` is why the Rego accepts what the model of the plugin does not as it stands.
    fn check(
        &self,
        namespace: &str,
        inventory: &Inventory,
        gatekeeper: &GatekeeperAdmission,
        loss: Option<&str>,
    ) -> Result<(), Failed> {
        if self.old.is_some() || self.audited {
            return Err("`old` and `audited` are asked of the Rego alone".into());
        }
        let request = self.request(namespace, inventory);
        let psp = PspAdmission::new(inventory);
        let judge = |request: &AdmissionRequest| judge(gatekeeper, request, self.proc_mount_type());
        let review = psp.review(&request);
        let as_it_stands = psp.validate_only(&request);
        let violations = judge(&request)?;
        let answer = self.answer()?;
        let accepted = matches!(answer, Answer::Admitted);
        if as_it_stands.is_allowed() != accepted {
            return Err(format!("the model, of the pod as it stands: {as_it_stands:?}").into());
        }
        if violations.is_empty() != (accepted || loss.is_some()) {
            return Err(format!("the Rego: {violations:?}").into());
        }
        if let Some(loss) = loss {
            let mut pod = request.pod.clone();
            match (loss, &answer) {
                ("apparmor/unset-profile", Answer::Stored(_)) => name_unset_profiles(&mut pod),
                _ => return Err(format!("`{loss}` is no loss of such a row").into()),
            }
            // That alone is what the policy misses.
            let named = psp.validate_only(&AdmissionRequest {
                pod,
                ..request.clone()
            });
            if !named.is_allowed() {
                return Err(format!("the model, beside {loss}: {named:?}").into());
            }
        }
        match answer {
            Answer::Admitted if review.is_allowed() => Ok(()),
            Answer::Admitted => Err(format!("the model: {:?}", review.admit).into()),
            Answer::Forbidden(expected)
                if violations.len() != self.rego_objections.unwrap_or(expected.len()) =>
            {
                Err(format!("the Rego: {violations:#?}").into())
            }
            Answer::Forbidden(expected) => objections(&review.admit, expected),
            Answer::Stored(expected) => {
                if !review.is_allowed() {
                    return Err(
                        format!("the model: {:?} {:?}", review.admit, review.validate).into(),
                    );
                }
                let stored_at = |path: &[&str]| review.pod.get(path).unwrap_or(&Value::Null);
                let mut expected = Value::Object(expected.clone());
                if let Some(annotations) = expected
                    .as_object_mut()
                    .and_then(|it| it.remove("annotations"))
                {
                    includes(
                        "annotations",
                        stored_at(&["metadata", "annotations"]),
                        &annotations,
                    )?;
                }
                includes("spec", stored_at(&["spec"]), &expected)?;
                let again = AdmissionRequest {
                    pod: review.pod,
                    ..request
                };
                let violations = judge(&again)?;
                if !psp.validate_only(&again).is_allowed() || !violations.is_empty() {
                    return Err(format!("what is stored is not accepted: {violations:?}").into());
                }
                Ok(())
            }
        }
    }
}

impl Row {
    /// Compares our answers with those of the engines.
    fn compare(
        &self,
        namespace: &str,
        inventory: &Inventory,
        gatekeeper: &GatekeeperAdmission,
        answer: &Recorded,
    ) -> Result<(), Failed> {
        let request = self.request(namespace, inventory);
        let psp = PspAdmission::new(inventory);
        let mut arriving = request.clone();
        strategy::prepare_for_create(&mut arriving.pod, self.proc_mount_type());
        let violations = gatekeeper.validate(&arriving)?;
        let messages: Vec<String> = violations.into_iter().map(|it| it.message).collect();
        answer.compare(
            &request,
            &psp.review(&request),
            &psp.validate_only(&request),
            &messages,
        )?;
        Ok(())
    }
}

/// Compares what the plugin objects to with how its objections are written to begin.
fn objections(phase: &Phase, expected: &[String]) -> Result<(), Failed> {
    let Phase::Refused { violations, .. } = phase else {
        return Err(format!("the model: {phase:?}").into());
    };
    let fit = violations.len() == expected.len()
        && violations
            .iter()
            .zip(expected)
            .all(|(actual, expected)| actual.message.starts_with(expected));
    if fit && !expected.is_empty() {
        return Ok(());
    }
    let messages: Vec<&str> = violations.iter().map(|it| it.message.as_str()).collect();
    Err(format!("the model: {messages:#?}").into())
}

/// Whether a value has all that is expected; lists must have the same length, objects may have more.
fn includes(path: &str, actual: &Value, expected: &Value) -> Result<(), Failed> {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            for (key, expected) in expected {
                let actual = actual.get(key).unwrap_or(&Value::Null);
                includes(&format!("{path}.{key}"), actual, expected)?;
            }
            Ok(())
        }
        (Value::Array(actual), Value::Array(expected)) if actual.len() == expected.len() => {
            for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
                includes(&format!("{path}[{index}]"), actual, expected)?;
            }
            Ok(())
        }
        _ if actual == expected => Ok(()),
        _ => Err(format!("stored is {path}: {actual}").into()),
    }
}
