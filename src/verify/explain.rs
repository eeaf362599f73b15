//! Whether a disagreement is one of those that were declared.

use std::collections::BTreeSet;

use super::{Answerers, Answers, differences};
use crate::admission::{AdmissionRequest, Verdict};
use crate::loss::{Direction, Loss};

/// What stands for every namespace, subject or policy.
const ALL: &str = "*";

/// How losses are called that are about what a mutator does, whichever policy would admit the pod.
const IN_THE_WAY: &str = "/default-in-the-way";

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
        all.filter(|(_, it)| it.direction == direction && reaches(it, &answers.asked))
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
            let Some(reset) = &answers.reset else {
                return Ok(None);
            };
            // Both are asked the same then, and may differ in something else.
            let more = match reset.direction() {
                Some(it) => explain(answerers, losses, &reset.asked, reset, it)?,
                None => Some(Vec::new()),
            };
            more.map(|it| reaching().map(|it| it.0).chain(it).collect())
        }
        Direction::Looser => {
            // Gatekeeper overlooks all that some policy refuses.
            let tried = answerers.tried(request);
            tried.into_iter().find_map(|tried| {
                let of_policy = reaching().filter(|(_, it)| it.is_about(&tried.policy));
                let used: Vec<_> = of_policy
                    .filter(|(_, it)| tried.refuses.contains(it.control()))
                    .collect();
                let controls: BTreeSet<&str> = used.iter().map(|it| it.1.control()).collect();
                let whole = tried.refuses.iter().all(|it| controls.contains(it));
                (whole && !used.is_empty()).then(|| used.iter().map(|it| it.0).collect())
            })
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
            let used: Vec<_> = reaching()
                .filter(|(_, it)| {
                    let (control, of_policy) = (it.control(), it.is_about(policy));
                    let of_mutators = of_policy || it.name.ends_with(IN_THE_WAY);
                    of_policy && chosen.fills_in.contains(control)
                        || of_mutators && by_mutators.contains(control)
                })
                .collect();
            if used.is_empty() {
                return Ok(None);
            }
            // Nothing else disagrees: with these values as the plugin leaves them, Gatekeeper admits the pod.
            let Verdict::Admitted { pod } = &answers.psp else {
                return Ok(None);
            };
            let controls = used.iter().map(|it| it.1.control()).collect();
            let admitted = answerers.admits_with(request, pod, &controls)?;
            admitted.then(|| used.iter().map(|it| it.0).collect())
        }
        Direction::Differs => {
            let (Some(policy), Some((psp, gatekeeper))) = (&answers.policy, answers.pods()) else {
                return Ok(None);
            };
            let mut used = BTreeSet::new();
            for difference in differences(psp, gatekeeper) {
                let control = answerers.control_of(&difference.path);
                // Best one that speaks of the policy; what mutators do to pods that they were not made for has no policy.
                let by = reaching().filter(|(_, it)| Some(it.control()) == control);
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
    let account = user.username.strip_prefix("system:serviceaccount:");
    if let Some((namespace, name)) = account.and_then(|it| it.split_once(':')) {
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
