//! What becomes of the user's pods: admitted before and after, by what, and what explains a difference.

use serde::Serialize;

use crate::admission::{AdmissionRequest, Verdict, Violation};
use crate::diagnostic::Location;
use crate::input::Workload;
use crate::loss::{Direction, Loss};
use crate::psp::{Change, Outcome, PLUGIN, PspAdmission};
use crate::requests::OwnPod;
use crate::verify::{Answerers, Answers, explain};

/// What becomes of the pods of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Fate {
    /// Nothing changes: admitted and stored alike, or forbidden by both.
    Same,
    /// PSP admits them and Gatekeeper does not.
    NowForbidden,
    /// PSP forbids them and Gatekeeper does not.
    NewlyAdmitted,
    /// Both admit them, and another pod is stored.
    StoredDifferently,
    /// An API server refuses them, as they are sent or with what PSP fills in, so that neither side decides.
    NotJudged,
}

/// A workload or a pod, and what both sides say to its pods.
#[derive(Clone, Debug, PartialEq)]
pub struct Treatment {
    /// The kind, such as `Deployment`.
    pub kind: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// Where the input has it.
    pub location: Location,
    /// The request for such a pod, as both were asked.
    pub request: AdmissionRequest,
    /// What becomes of it.
    pub fate: Fate,
    /// The answers; absent where an API server refuses the pod as it is sent.
    pub answers: Option<Answers>,
    /// Why the API server refuses it, in its words; of those that are not judged alone.
    pub api_server: Option<String>,
    /// What the policy that admits the pod fills in.
    pub fills_in: Vec<Change>,
    /// The losses that explain a difference, as positions; absent where none does, or there is no difference.
    pub explained_by: Option<Vec<usize>>,
}

impl Treatment {
    /// Returns the first reason of PSP to forbid the pods, where Gatekeeper does not admit them either.
    pub fn refused_as_before(&self) -> Option<String> {
        match (self.fate, &self.answers.as_ref()?.psp) {
            (Fate::Same, Verdict::Forbidden { violations }) => Some(match violations.first() {
                Some(Violation { by, message }) if by != PLUGIN => format!("{by}: {message}"),
                // The plugin has nothing to say where it tries no policy.
                _ => "nobody involved may use a policy".to_owned(),
            }),
            _ => None,
        }
    }
}

/// Asks both about the pods of a workload; `psp` tells more of its answers.
///
/// # Errors
///
/// When an answer cannot be known.
pub fn treat<A: Answerers>(
    psp: &PspAdmission<'_>,
    answerers: &A,
    losses: &[Loss],
    (workload, pod): (&Workload, OwnPod),
) -> Result<Treatment, A::Error> {
    let request = pod.request;
    let mut res = Treatment {
        kind: workload.kind.clone(),
        namespace: workload.namespace.clone(),
        name: workload.name.clone(),
        location: workload.location.clone(),
        request: request.clone(),
        fate: Fate::NotJudged,
        answers: None,
        api_server: None,
        fills_in: Vec::new(),
        explained_by: None,
    };
    let Some(answers) = answerers.ask(&request)? else {
        res.api_server = answerers.refused_as_sent(&request);
        return Ok(res);
    };
    res.api_server = answers.undecided().map(ToOwned::to_owned);
    let direction = answers.direction();
    res.fate = match direction {
        None if res.api_server.is_some() => Fate::NotJudged,
        None => Fate::Same,
        Some(Direction::Stricter) => Fate::NowForbidden,
        Some(Direction::Looser | Direction::Harmless) => Fate::NewlyAdmitted,
        Some(Direction::Differs) => Fate::StoredDifferently,
    };
    if let Some(direction) = direction {
        res.explained_by = explain(answerers, losses, &request, &answers, direction)?;
    }
    // Also where the API server then refuses the pod for it.
    if let Some(policy) = &answers.policy {
        let mut trials = psp.trials(&answers.asked).into_iter();
        if let Some(Outcome::Defaulted(changes)) =
            trials.find(|it| it.policy == *policy).map(|it| it.outcome)
        {
            res.fills_in = changes;
        }
    }
    res.request = answers.asked.clone();
    res.answers = Some(answers);
    Ok(res)
}
