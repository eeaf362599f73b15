//! Whether a disagreement is one of those that were declared.

use std::collections::BTreeSet;

use super::{Answerers, Answers, differences};
use crate::admission::{AdmissionRequest, Operation, Verdict};
use crate::api::validation::API_SERVER;
use crate::loss::{ALL, Direction, Loss, LossKind};
use crate::rbac::service_account_of;

/// Returns the positions of the losses that together explain the disagreement, or nothing where something remains.
///
/// # Errors
///
/// When an answer that this takes cannot be known.
pub fn explain<A: Answerers>(
    answerers: &A,
    losses: &[Loss],
    request: &AdmissionRequest,
    answers: &Answers,
    direction: Direction,
) -> Result<Option<Vec<usize>>, A::Error> {
    let reaching = || {
        let all = losses.iter().enumerate();
        all.filter(|(_, it)| it.direction() == direction && reaches(it, &answers.asked))
    };
    if reaching().next().is_none() {
        return Ok(None);
    }
    let explained: Option<Vec<usize>> = match direction {
        // Of all policies at once only this can be said: Gatekeeper is not asked.
        Direction::Looser | Direction::Differs
            if let Some((index, _)) = reaching().find(|(_, it)| it.psp == ALL) =>
        {
            Some(vec![index])
        }
        Direction::Harmless => {
            // What a policy objected to in the pod as it was sent was set by mutators, or reset by the API server.
            let is_update = request.operation == Operation::Update;
            let tried = answerers.tried(request).into_iter();
            let mut explained = tried.filter_map(|mut tried| {
                if is_update {
                    tried.refuses.extend(&tried.fills_in);
                }
                by_controls(reaching(), &tried.refuses)
            });
            explained.next()
        }
        Direction::Looser => {
            // Gatekeeper overlooks all that some policy refuses.
            let tried = answerers.tried(request);
            tried.into_iter().find_map(|tried| {
                let of_policy = reaching().filter(|(_, it)| it.is_about(&tried.policy));
                by_controls(of_policy, &tried.refuses)
            })
        }
        Direction::Stricter
            if let Some((index, _)) =
                reaching().find(|(_, it)| it.kind == LossKind::WindowsPod)
                && is_for_windows(&answers.asked)
                && is_by_api_server(&answers.gatekeeper) =>
        {
            Some(vec![index])
        }
        Direction::Stricter => {
            let Some(policy) = &answers.policy else {
                return Ok(None);
            };
            let tried = answerers.tried(request);
            let Some(chosen) = tried.iter().find(|it| it.policy == *policy) else {
                return Ok(None);
            };
            // Either the plugin filled something in and Gatekeeper does not, or its mutators get in the way.
            let by_mutators = answerers.mutators_fill_in(request)?;
            let missing = answerers.missing(request, policy)?;
            let mut used: Vec<_> = reaching()
                .filter(|(_, it)| {
                    let of_policy = it.is_about(policy);
                    let of_mutators = of_policy || it.kind == LossKind::DefaultInTheWay;
                    of_policy
                        && chosen.fills_in.contains(it.control)
                        && missing.contains(it.field.as_str())
                        || of_mutators && by_mutators.contains(it.control)
                })
                .collect();
            if used.is_empty() {
                return Ok(None);
            }
            // Nothing else disagrees: with these values as the plugin leaves them, Gatekeeper admits the pod.
            let Verdict::Admitted { pod } = &answers.psp else {
                return Ok(None);
            };
            let mut controls: BTreeSet<&str> = used.iter().map(|it| it.1.control).collect();
            if answerers.admits_with(request, pod, &controls)? {
                // What makes no difference is no cause.
                for control in controls.clone() {
                    let others: BTreeSet<&str> = controls
                        .iter()
                        .copied()
                        .filter(|it| *it != control)
                        .collect();
                    if answerers.admits_with(request, pod, &others)? {
                        controls = others;
                    }
                }
                used.retain(|it| controls.contains(it.1.control));
                Some(used.iter().map(|it| it.0).collect())
            } else {
                None
            }
        }
        Direction::Differs => {
            let (Some(policy), Some((psp, gatekeeper))) = (&answers.policy, answers.pods()) else {
                return Ok(None);
            };
            let mut used = BTreeSet::new();
            for difference in differences(psp, gatekeeper) {
                let control = answerers.control_of(&difference.path);
                // Best one that speaks of the policy; what mutators do to pods that they were not made for has no policy.
                let by = reaching().filter(|(_, it)| Some(it.control) == control);
                match by.min_by_key(|(_, it)| !it.is_about(policy)) {
                    Some((index, _)) => used.insert(index),
                    None => return Ok(None),
                };
            }
            Some(used.into_iter().collect())
        }
    };
    match explained {
        Some(used) if answerers.is_as_declared(answers)? => Ok(Some(used)),
        _ => Ok(None),
    }
}

/// The positions of the losses that are about these controls, if they are about all of them.
fn by_controls<'a>(
    losses: impl Iterator<Item = (usize, &'a Loss)>,
    controls: &BTreeSet<&'static str>,
) -> Option<Vec<usize>> {
    let used: Vec<_> = losses
        .filter(|(_, it)| controls.contains(it.control))
        .collect();
    let known: BTreeSet<&str> = used.iter().map(|(_, it)| it.control).collect();
    let is_whole = !used.is_empty() && controls.iter().all(|it| known.contains(it));
    is_whole.then(|| used.into_iter().map(|(index, _)| index).collect())
}

/// Whether the API server refuses what Gatekeeper left.
fn is_by_api_server(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Admitted { .. } => false,
        Verdict::Forbidden { violations } => violations.iter().any(|it| it.by == API_SERVER),
    }
}

/// Whether the pod is for Windows, where an API server refuses most of what mutators set.
fn is_for_windows(request: &AdmissionRequest) -> bool {
    let os = request.pod.get(&["spec", "os", "name"]);
    os.is_some_and(|it| it == "windows")
}

/// Whether the request is among those that the loss speaks of.
fn reaches(loss: &Loss, request: &AdmissionRequest) -> bool {
    let among =
        |list: &[String], wanted: &[String]| list.iter().any(|it| it == ALL || wanted.contains(it));
    among(&loss.namespaces, std::slice::from_ref(&request.namespace))
        && among(&loss.subjects, &subjects(request))
}

/// All that the one who asks and the service account of the pod are called by.
fn subjects(request: &AdmissionRequest) -> Vec<String> {
    let user = &request.user_info;
    let mut res: Vec<String> = user.groups.iter().map(|it| format!("Group {it}")).collect();
    res.push(format!("User {}", user.username));
    if let Some((namespace, name)) = service_account_of(&user.username) {
        res.push(format!("ServiceAccount {namespace}/{name}"));
    }
    let name = request.pod.service_account_name();
    if !name.is_empty() {
        let namespace = &request.namespace;
        res.extend([
            format!("ServiceAccount {namespace}/{name}"),
            format!("User system:serviceaccount:{namespace}:{name}"),
            "Group system:serviceaccounts".to_owned(),
            format!("Group system:serviceaccounts:{namespace}"),
        ]);
    }
    res
}
