//! The ledger of a verification, for people and for machines.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::API_VERSION;
use crate::admission::{AdmissionRequest, Operation, Verdict};
use crate::loss::Loss;
use crate::verify::{Finding, Verification, differences};

mod ci;

/// What a live pod says of its policy and the model does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordedPolicy {
    /// The first pod that says so.
    pub first: String,
    /// The policy that the pod names.
    pub recorded: String,
    /// The policy that the model chooses, if any.
    pub chosen: Option<String>,
    /// How many pods of the namespace say so.
    pub pods: usize,
}

/// Everything that a verification has to say.
#[derive(Clone, Debug)]
pub struct VerificationReport<'a> {
    /// The ledger.
    pub verification: &'a Verification,
    /// The losses that were declared.
    pub losses: &'a [Loss],
    /// What was judged, and how, in one sentence each.
    pub judged: Vec<String>,
    /// How many live pods name the policy that the model chooses.
    pub recorded_agreed: usize,
    /// The others.
    pub recorded: Vec<RecordedPolicy>,
}

impl VerificationReport<'_> {
    /// The losses that no request showed.
    fn unseen(&self) -> impl Iterator<Item = &Loss> {
        let losses = self.losses.iter().enumerate();
        let seen = |index: &usize| self.verification.by_loss.contains_key(index);
        losses
            .filter(move |(index, _)| !seen(index))
            .map(|(_, it)| it)
    }

    /// How many disagreements losses explain, in words and in the order of the losses.
    ///
    /// Losses that differ in whom they reach alone are put together.
    fn explained_by(&self, by_loss: &BTreeMap<usize, usize>) -> Vec<(String, usize)> {
        let mut res = Vec::<(String, usize)>::new();
        for (index, count) in by_loss {
            let Some(loss) = self.losses.get(*index) else {
                continue;
            };
            let note = format!(
                "by {} ({}) of {}, {}",
                loss.name(),
                loss.direction(),
                loss.policies(),
                loss.field
            );
            match res.iter_mut().find(|it| it.0 == note) {
                Some((_, sum)) => *sum += count,
                None => res.push((note, *count)),
            }
        }
        res
    }

    /// Writes it for people: each finding as a story, then the ledger.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let Verification {
            asked,
            repeated,
            invalid,
            agreed,
            explained,
            by_loss,
            unexplained,
            findings,
        } = self.verification;
        for (index, finding) in findings.iter().enumerate() {
            write_story(out, index + 1, finding)?;
        }
        for it in &self.recorded {
            let chosen = match &it.chosen {
                Some(policy) => format!("the model chooses {policy}"),
                None => "the model admits it by none".to_owned(),
            };
            writeln!(
                out,
                "{} was admitted by PodSecurityPolicy {}, and {chosen} ({} such {}): the input is incomplete, or policies or bindings have changed since",
                it.first,
                it.recorded,
                it.pods,
                if it.pods == 1 { "pod" } else { "pods" },
            )?;
        }
        if !self.recorded.is_empty() {
            writeln!(out)?;
        }
        let mut line = |name: &str, count: usize, note: String| {
            writeln!(
                out,
                "{}",
                format!("{name:<13}{count:>9}  {note}").trim_end()
            )
        };
        let plus = match repeated {
            0 => String::new(),
            _ => format!("and {repeated} more that were equal to one of them"),
        };
        line("asked", *asked, plus.trim_end().to_owned())?;
        line("agreed", *agreed, String::new())?;
        line("explained", *explained, String::new())?;
        for (note, count) in self.explained_by(by_loss) {
            line("", count, note)?;
        }
        line("unexplained", *unexplained, String::new())?;
        if *invalid > 0 {
            let note = "which an API server refuses, as they are sent or with what PSP fills in"
                .to_owned();
            line("left out", *invalid, note)?;
        }
        if self.recorded_agreed > 0 {
            let note = "live pods name the policy that the model chooses".to_owned();
            line("recorded", self.recorded_agreed, note)?;
        }
        let unseen = self.unseen().count();
        if unseen > 0 {
            let note = "declared losses that no request showed".to_owned();
            line("unseen", unseen, note)?;
        }
        for it in &self.judged {
            writeln!(out, "{it}")?;
        }
        Ok(())
    }

    /// Returns it for machines.
    pub fn to_json(&self) -> Value {
        let verification = self.verification;
        let by_loss = verification.by_loss.iter().filter_map(|(index, times)| {
            let loss = self.losses.get(*index)?;
            Some(json!({
                "loss": loss.name(), "direction": loss.direction(), "psp": loss.psp, "field": loss.field,
                "namespaces": loss.namespaces, "subjects": loss.subjects, "times": times,
            }))
        });
        json!({
            "apiVersion": API_VERSION,
            "kind": "Verification",
            "asked": verification.asked,
            "repeated": verification.repeated,
            "leftOut": verification.invalid,
            "agreed": verification.agreed,
            "explained": verification.explained,
            "explainedBy": by_loss.collect::<Vec<_>>(),
            "unexplained": verification.unexplained,
            "findings": verification.findings.iter().map(finding_json).collect::<Vec<_>>(),
            "recorded": { "agreed": self.recorded_agreed, "differences": self.recorded },
            "unseen": self.unseen().map(|it| json!({ "loss": it.name(), "psp": it.psp })).collect::<Vec<_>>(),
            "judged": self.judged,
        })
    }
}

fn finding_json(finding: &Finding) -> Value {
    let Finding {
        direction,
        origin,
        request,
        answers,
        fields,
        times,
    } = finding;
    json!({
        "direction": direction,
        "origin": origin,
        "times": times,
        "namespace": answers.asked.namespace,
        "operation": request.operation,
        "subResource": request.subresource,
        "userInfo": request.user_info,
        "serviceAccount": answers.asked.pod.service_account_name(),
        "pod": request.pod,
        "oldPod": request.old_pod,
        "fields": fields,
        "psp": { "allowed": is_admitted(&answers.psp), "policy": answers.policy, "violations": violations(&answers.psp) },
        "gatekeeper": { "allowed": is_admitted(&answers.gatekeeper), "violations": violations(&answers.gatekeeper) },
    })
}

fn is_admitted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Admitted { .. })
}

fn violations(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Admitted { .. } => json!([]),
        Verdict::Forbidden { violations } => json!(violations),
    }
}

fn write_story(out: &mut dyn Write, number: usize, finding: &Finding) -> io::Result<()> {
    let Finding {
        direction,
        origin,
        request,
        answers,
        fields,
        times,
    } = finding;
    writeln!(
        out,
        "finding {number}: {direction}: {}",
        direction.meaning()
    )?;
    writeln!(out, "  who         {}", who(request))?;
    let account = answers.asked.pod.service_account_name();
    let action = match (request.operation, request.subresource.as_str()) {
        (Operation::Update, "") => "changes a pod".to_owned(),
        (Operation::Update, subresource) => format!("changes {subresource} of a pod"),
        _ => "creates a pod".to_owned(),
    };
    writeln!(
        out,
        "  where       {action} of service account `{account}` in namespace `{}`",
        answers.asked.namespace
    )?;
    write_block(out, "pod", &yaml(&request.pod))?;
    if let Some(old_pod) = &request.old_pod {
        write_block(out, "old pod", &yaml(old_pod))?;
    }
    write_verdict(out, "PSP", &answers.psp, answers.policy.as_deref())?;
    write_verdict(out, "Gatekeeper", &answers.gatekeeper, None)?;
    if let Some((psp, gatekeeper)) = answers.pods() {
        for it in differences(psp, gatekeeper) {
            let text = format!("{}: PSP {}, Gatekeeper {}", it.path, it.left, it.right);
            write_block(out, "stored", &text)?;
        }
    }
    if !fields.is_empty() {
        writeln!(out, "  fields      {}", fields.join(", "))?;
    }
    let times = match times {
        1 => String::new(),
        _ => format!(", and {} more like it", times - 1),
    };
    writeln!(out, "  found by    {origin}{times}")?;
    writeln!(out)
}

fn who(request: &AdmissionRequest) -> String {
    let user = &request.user_info;
    let groups = match user.groups.as_slice() {
        [] => "in no group".to_owned(),
        groups => format!("in {}", groups.join(", ")),
    };
    match user.username.as_str() {
        "" => format!("nobody by name, {groups}"),
        name => format!("{name}, {groups}"),
    }
}

fn write_verdict(
    out: &mut dyn Write,
    side: &str,
    verdict: &Verdict,
    policy: Option<&str>,
) -> io::Result<()> {
    match verdict {
        Verdict::Admitted { .. } => {
            let by = policy.map(|it| format!(" by PodSecurityPolicy {it}"));
            writeln!(out, "  {side:<11} admits it{}", by.unwrap_or_default())
        }
        Verdict::Forbidden { violations } => {
            let lines: Vec<String> = violations
                .iter()
                .map(|it| format!("{}: {}", it.by, it.message))
                .collect();
            write_block(out, side, &format!("forbids it\n{}", lines.join("\n")))
        }
    }
}

/// Writes lines beside a title; those after the first are indented as it is.
fn write_block(out: &mut dyn Write, title: &str, text: &str) -> io::Result<()> {
    for (index, line) in text.trim_end().lines().enumerate() {
        let title = if index == 0 { title } else { "" };
        writeln!(out, "  {title:<11} {line}")?;
    }
    Ok(())
}

fn yaml<T: Serialize>(value: &T) -> String {
    // A pod is JSON, and that can be written as YAML.
    serde_yaml::to_string(value).unwrap_or_default()
}
