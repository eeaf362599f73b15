//! How the written verdicts are put to the model of the admission plugin, and to what was rendered.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use libtest_mimic::Failed;
use psp2gatekeeper::admission::{AdmissionRequest, Operation, UserInfo};
use psp2gatekeeper::api::core::Pod;
use psp2gatekeeper::gatekeeper::{GatekeeperAdmission, ReviewError};
use psp2gatekeeper::input::{Source, load};
use psp2gatekeeper::manifest::{Folder, Manifest};
use psp2gatekeeper::psp::{PspAdmission, strategy};
use psp2gatekeeper::requests::prepare;
use serde::Deserialize;
use serde_json::Value;

use crate::case::Case;

/// A question and its answer; `conformance/README.md` has the format.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    pod: String,
    old_pod: Option<String>,
    namespace: Option<String>,
    service_account: Option<String>,
    user: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default = "yes")]
    authenticated: bool,
    #[serde(default)]
    operation: Operation,
    #[serde(default)]
    subresource: String,
    #[serde(default = "yes")]
    as_it_stands: bool,
    admitted: bool,
    by: Option<String>,
    #[serde(default)]
    because: Vec<String>,
    #[expect(dead_code, reason = "for who reads the file")]
    note: Option<String>,
}

fn yes() -> bool {
    true
}

/// What somebody answers.
struct Answer {
    who: &'static str,
    admitted: bool,
    /// The policy that admits, where the answer says so.
    by: Option<String>,
    message: String,
}

/// Holds both answers against each row, and tells all that do not hold; `written` has what was written, by path.
pub(crate) fn check(case: &Case, written: &BTreeMap<String, String>) -> Result<(), Failed> {
    let path = case.folder.join("verdicts.yaml");
    if !path.exists() {
        return match case.exit_code {
            0 => Err("verdicts.yaml is missing: write down how the output decides".into()),
            _ => Ok(()),
        };
    }
    let rows: Vec<Row> = serde_yaml::from_str(&fs::read_to_string(path)?)?;
    if rows.is_empty() {
        return Err("verdicts.yaml has no rows".into());
    }
    if rows.iter().any(Row::contradicts_itself) {
        return Err("`by` is for admitted pods, `because` for forbidden ones".into());
    }
    let inventory = case.cluster()?;
    let psp = PspAdmission::new(&inventory);
    let gatekeeper =
        GatekeeperAdmission::from_manifests(&manifests(written), &inventory.namespaces)?;
    let proc_mount_type = case.load_options().proc_mount_type;
    let mut complaints = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let request = prepare(&inventory, row.request(case)?);
        let answers = [
            row.ask_psp(&psp, &request),
            row.ask_gatekeeper(&gatekeeper, &request, proc_mount_type)?,
        ];
        complaints.extend(
            row.complaints(&answers)
                .into_iter()
                .map(|it| format!("row {} ({}): {it}", index + 1, row.pod)),
        );
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("\n").into())
    }
}

/// The manifests as they were written, without what is not applied.
fn manifests(written: &BTreeMap<String, String>) -> Vec<Manifest> {
    written
        .iter()
        .filter(|(path, _)| {
            let path = Path::new(path);
            let in_folder = path.components().count() > 2;
            let is_yaml = path.extension().is_some_and(|it| it == "yaml");
            in_folder && is_yaml && !path.ends_with("kustomization.yaml")
        })
        .map(|(path, text)| Manifest {
            folder: Folder::Templates,
            kind: "file".to_owned(),
            name: path.clone(),
            text: text.clone(),
        })
        .collect()
}

impl Row {
    fn contradicts_itself(&self) -> bool {
        self.admitted && !self.because.is_empty() || !self.admitted && self.by.is_some()
    }

    /// The question as a client would send it.
    fn request(&self, case: &Case) -> Result<AdmissionRequest, Failed> {
        let pod = self.read_pod(case, &self.pod)?;
        let old_pod = match &self.old_pod {
            None => None,
            Some(name) => Some(self.read_pod(case, name)?),
        };
        Ok(AdmissionRequest {
            uid: self.pod.clone(),
            namespace: pod.namespace().to_owned(),
            operation: self.operation,
            subresource: self.subresource.clone(),
            user_info: self.requester(),
            pod,
            old_pod,
        })
    }

    fn read_pod(&self, case: &Case, name: &str) -> Result<Pod, Failed> {
        let text = fs::read_to_string(case.folder.join("pods").join(name))?;
        let source = Source {
            name: name.to_owned(),
            text,
        };
        let workloads = load(&[source], case.load_options())?.0.workloads;
        let Some(Value::Object(object)) = workloads.into_iter().next().map(|it| it.object) else {
            return Err(format!("{name} is no pod").into());
        };
        let mut pod = Pod(object);
        if let Some(namespace) = &self.namespace {
            pod.set(&["metadata", "namespace"], namespace.as_str().into());
        }
        if pod.namespace().is_empty() {
            pod.set(&["metadata", "namespace"], "default".into());
        }
        if let Some(name) = &self.service_account {
            pod.set(&["spec", "serviceAccountName"], name.as_str().into());
        }
        Ok(pod)
    }

    /// Who sends the request: the controller of most pods, unless the row names somebody.
    fn requester(&self) -> UserInfo {
        let controller = "system:serviceaccount:kube-system:replicaset-controller";
        let username = self.user.as_deref().unwrap_or(controller).to_owned();
        let mut groups = self.groups.clone();
        if let Some((namespace, _)) = username
            .strip_prefix("system:serviceaccount:")
            .and_then(|it| it.split_once(':'))
            && groups.is_empty()
        {
            groups.push("system:serviceaccounts".to_owned());
            groups.push(format!("system:serviceaccounts:{namespace}"));
        }
        if self.authenticated {
            groups.push("system:authenticated".to_owned());
        }
        UserInfo { username, groups }
    }

    fn ask_psp(&self, psp: &PspAdmission<'_>, request: &AdmissionRequest) -> Answer {
        let (admitted, phases) = if self.as_it_stands {
            let phase = psp.validate_only(request);
            (phase.is_allowed(), vec![phase])
        } else {
            let review = psp.review(request);
            (review.is_allowed(), vec![review.admit, review.validate])
        };
        let messages: Vec<&str> = phases.iter().filter_map(|it| it.message()).collect();
        Answer {
            who: "PodSecurityPolicy",
            admitted,
            by: Some(
                phases
                    .last()
                    .and_then(|it| it.policy())
                    .unwrap_or_default()
                    .to_owned(),
            ),
            message: messages.join(" "),
        }
    }

    /// Every violation counts, whatever is done about it.
    fn ask_gatekeeper(
        &self,
        gatekeeper: &GatekeeperAdmission,
        request: &AdmissionRequest,
        proc_mount_type: bool,
    ) -> Result<Answer, Failed> {
        let between = |mut pod: Pod| {
            match (request.operation, &request.old_pod) {
                (Operation::Update, Some(old)) => {
                    strategy::prepare_for_update(&mut pod, old, proc_mount_type);
                }
                _ => strategy::prepare_for_create(&mut pod, proc_mount_type),
            }
            pod
        };
        let messages: Vec<String> = if self.as_it_stands {
            let stored = AdmissionRequest {
                pod: between(request.pod.clone()),
                ..request.clone()
            };
            match gatekeeper.validate(&stored) {
                Ok(violations) => violations.into_iter().map(|it| it.message).collect(),
                Err(ReviewError::Refused { reason }) => vec![reason],
                Err(error) => return Err(error.into()),
            }
        } else {
            let review = gatekeeper.review_with(request, between)?;
            review
                .violations
                .into_iter()
                .map(|it| it.message)
                .chain(review.error)
                .collect()
        };
        Ok(Answer {
            who: "Gatekeeper",
            admitted: messages.is_empty(),
            by: None,
            message: messages.join(" "),
        })
    }

    fn complaints(&self, answers: &[Answer]) -> Vec<String> {
        let mut res = Vec::new();
        for answer in answers {
            if answer.admitted != self.admitted {
                let (does, written) = if self.admitted {
                    ("forbids", "admitted")
                } else {
                    ("admits", "forbidden")
                };
                res.push(format!(
                    "{} {does} it, it is written to be {written} {}",
                    answer.who, answer.message
                ));
            }
            if let (Some(written), Some(by)) = (&self.by, &answer.by)
                && written != by
            {
                res.push(format!("admitted by `{by}`, written is `{written}`"));
            }
        }
        if !res.is_empty() {
            return res;
        }
        for reason in &self.because {
            if !answers.iter().any(|it| it.message.contains(reason)) {
                let said: Vec<String> = answers
                    .iter()
                    .map(|it| format!("\n  {}: {}", it.who, it.message))
                    .collect();
                res.push(format!("no message holds `{reason}`{}", said.concat()));
            }
        }
        res
    }
}
