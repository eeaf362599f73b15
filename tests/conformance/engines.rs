//! What the real engines said of the rows, recorded in `engines/` by `conformance/run`; and the rows as these are asked.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use psp2gatekeeper::admission::AdmissionRequest;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::manifest::Manifest;
use psp2gatekeeper::psp::{Phase, Review};
use psp2gatekeeper::version::Version;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::includes;

/// The answers to one row.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recorded {
    id: String,
    admit: RecordedPhase,
    validate: RecordedPhase,
    validate_only: RecordedPhase,
    /// The pod as it is stored, where it is admitted.
    pod: Option<Value>,
    /// The messages of Gatekeeper, of the pod as it stands.
    violations: Vec<String>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedPhase {
    allowed: bool,
    policy: String,
    message: String,
}

/// Reads the answers to the rows of a table, in their order.
///
/// # Errors
///
/// When there is not one for each row.
pub(crate) fn recorded(folder: &Path, table: &str, rows: usize) -> anyhow::Result<Vec<Recorded>> {
    let path = folder.join("engines").join(format!("{table}.jsonl"));
    let text = fs::read_to_string(&path).with_context(|| {
        format!("{table}: no answers are recorded; conformance/run records them")
    })?;
    let res: Vec<Recorded> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let names: Vec<String> = (1..=rows).map(|it| format!("row-{it}")).collect();
    ensure!(
        res.iter().map(|it| &it.id).eq(&names),
        "{table}: the recorded answers are to other rows; conformance/run records them anew"
    );
    Ok(res)
}

impl Recorded {
    /// Compares the answers with ours: word for word, and every member of our pod as an API server writes it.
    ///
    /// # Errors
    ///
    /// The first difference.
    pub(crate) fn compare(
        &self,
        request: &AdmissionRequest,
        review: &Review,
        as_it_stands: &Phase,
        violations: &[String],
    ) -> anyhow::Result<()> {
        for (name, theirs, ours) in [
            ("admit", &self.admit, &review.admit),
            ("validate", &self.validate, &review.validate),
            ("validate_only", &self.validate_only, as_it_stands),
        ] {
            let ours = RecordedPhase::from(ours);
            if ours != *theirs {
                bail!("{name}: the engine answered {theirs:?}, the model {ours:?}");
            }
        }
        if let Some(pod) = &self.pod {
            let stored = AdmissionRequest {
                pod: review.pod.clone(),
                ..request.clone()
            };
            let mut ours = GatekeeperAdmission::read(&stored, Version::new(1, 24))?;
            ours.remove(&["metadata", "name"]);
            let ours = nameless(&serde_json::to_value(&ours)?);
            if let Err(it) = includes("pod", &nameless(pod), &ours) {
                bail!("the engine's pod: {}", it.message().unwrap_or_default());
            }
        }
        ensure!(
            self.violations == violations,
            "Gatekeeper answered {:?}, our engine {violations:?}",
            self.violations
        );
        Ok(())
    }
}

impl From<&Phase> for RecordedPhase {
    fn from(phase: &Phase) -> Self {
        Self {
            allowed: phase.is_allowed(),
            policy: phase.policy().unwrap_or_default().to_owned(),
            message: phase.message().unwrap_or_default().to_owned(),
        }
    }
}

/// The pod without what is empty, and without the random end of its token volume's name.
fn nameless(pod: &Value) -> Value {
    const TOKEN: &str = "kube-api-access-";
    match pod {
        Value::String(it) if it.starts_with(TOKEN) => TOKEN.into(),
        Value::Array(items) => items.iter().map(nameless).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, it)| (key.clone(), nameless(it)))
            .filter(|(_, it)| ![json!(null), json!({}), json!([]), json!("")].contains(it))
            .collect(),
        other => other.clone(),
    }
}

/// Writes down a table as the tools of `conformance/` read it: cluster, requests, feature gates and what is rendered.
///
/// # Errors
///
/// When a file cannot be written.
pub(crate) fn export(
    folder: &Path,
    cluster: &[Value],
    requests: &[AdmissionRequest],
    manifests: &[Manifest],
    proc_mount_type: bool,
) -> anyhow::Result<()> {
    fs::create_dir_all(folder.join("out"))?;
    let list = json!({"apiVersion": "v1", "kind": "List", "items": cluster});
    fs::write(folder.join("cluster.json"), list.to_string())?;
    let lines: Vec<String> = requests.iter().map(line).collect();
    fs::write(folder.join("requests.jsonl"), lines.concat())?;
    fs::write(
        folder.join("gates"),
        format!("ProcMountType={proc_mount_type}"),
    )?;
    for it in manifests {
        fs::write(folder.join("out").join(it.file_name()), &it.text)?;
    }
    Ok(())
}

fn line(request: &AdmissionRequest) -> String {
    let mut object = request.pod.0.clone();
    object.insert("apiVersion".to_owned(), "v1".into());
    object.insert("kind".to_owned(), "Pod".into());
    let user = &request.user_info;
    let line = json!({
        "id": request.namespace,
        "operation": request.operation,
        "namespace": request.namespace,
        "user": {"username": user.username, "groups": user.groups},
        "object": object,
    });
    format!("{line}\n")
}
