//! What is not equivalent, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::count;
use crate::admission::AdmissionRequest;
use crate::api::apparmor;
use crate::controls::CONTROLS;
use crate::loss::{DIRECTIONS, Direction, Loss, LossKind};
use crate::version::Version;

/// How many fields of a PodSecurityPolicy are translated how well, each counted once, by the worst that is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Nothing is known in which they differ, but for what is harmless.
    pub exact: usize,
    /// Some pod is forbidden that was admitted.
    pub stricter: usize,
    /// Some pod is admitted that was forbidden.
    pub looser: usize,
    /// Some pod is stored otherwise.
    pub differs: usize,
}

impl Ledger {
    pub(super) fn new(losses: &[Loss]) -> Self {
        let mut res = Self::default();
        for field in CONTROLS.iter().flat_map(|it| it.fields()) {
            let worst = losses
                .iter()
                .filter(|it| is_about(it, field))
                .map(Loss::direction)
                .min();
            match worst {
                // The constraint judges it as the plugin did; it is the API server that takes out what there is to judge.
                None | Some(Direction::Harmless) => res.exact += 1,
                Some(Direction::Looser) => res.looser += 1,
                Some(Direction::Stricter) => res.stricter += 1,
                Some(Direction::Differs) => res.differs += 1,
            }
        }
        res
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = count(self.exact, "field", "fields");
        write!(
            f,
            "{fields} exact, {} stricter, {} looser, {} differs",
            self.stricter, self.looser, self.differs
        )
    }
}

/// Whether a loss is about the field; `seccomp` and `appArmor` stand for the annotations of their controls.
fn is_about(loss: &Loss, field: &str) -> bool {
    match field {
        "seccomp" | "appArmor" => {
            loss.field.starts_with("metadata.annotations") && loss.control == field.to_lowercase()
        }
        _ => loss.field.strip_prefix("spec.") == Some(field),
    }
}

/// The losses of the same name and direction, for people.
#[derive(Debug, Serialize)]
pub(super) struct LossSummary<'a> {
    name: String,
    pub(super) direction: Direction,
    policies: String,
    fields: String,
    namespaces: String,
    subjects: String,
    why: String,
    /// The request that shows the first of them.
    witness: Option<Witness<'a>>,
}

/// A request that shows a loss, for people.
#[derive(Debug, Serialize)]
struct Witness<'a> {
    namespace: &'a str,
    user: &'a str,
    /// The pod in YAML.
    pod: String,
}

impl<'a> Witness<'a> {
    fn new(request: &'a AdmissionRequest) -> Self {
        Self {
            namespace: &request.namespace,
            user: &request.user_info.username,
            // A pod is JSON, and that can be written as YAML.
            pod: serde_yaml::to_string(&request.pod).unwrap_or_default(),
        }
    }
}

/// Why no mutator writes a default of AppArmor before there is a field for it, and what to do.
const NO_FIELD: &str = "no mutator can write an annotation whose key has the name of a container; for Kubernetes 1.30 or later, which has a field, `--kubernetes-version 1.30` adds one, and until then `bake` makes the profile explicit in workloads";

/// Whether this is a default of AppArmor that no mutator can write, because the release has no field for it.
pub(super) fn is_for_lack_of_a_field(loss: &Loss, kubernetes: Version) -> bool {
    (loss.control, loss.kind) == ("apparmor", LossKind::DefaultNotSet)
        && kubernetes < apparmor::FIELD_SINCE
}

/// How many of them there are of each direction, the worst first.
pub(super) fn by_direction(losses: &[LossSummary<'_>]) -> Vec<(&'static str, usize)> {
    let count = |direction| losses.iter().filter(|it| it.direction == direction).count();
    DIRECTIONS.map(|it| (it.name(), count(it))).to_vec()
}

/// Puts the losses of the same name and direction together, the worst first.
pub(super) fn loss_summaries(losses: &[Loss], kubernetes: Version) -> Vec<LossSummary<'_>> {
    let mut groups = BTreeMap::<_, Vec<&Loss>>::new();
    for loss in losses {
        let key = (loss.direction(), loss.name(), loss.why.as_str());
        groups.entry(key).or_default().push(loss);
    }
    let all = |losses: &[&Loss], of: fn(&Loss) -> &[String]| {
        let names = losses.iter().flat_map(|it| of(it)).cloned();
        some_of(&names.collect())
    };
    groups
        .into_iter()
        .map(|((direction, name, why), losses)| LossSummary {
            name,
            direction,
            policies: some_of(
                &losses
                    .iter()
                    .flat_map(|it| it.alike.iter().chain([&it.psp]))
                    .cloned()
                    .collect(),
            ),
            fields: some_of(&losses.iter().map(|it| it.field.clone()).collect()),
            namespaces: all(&losses, |it| &it.namespaces),
            subjects: all(&losses, |it| &it.subjects),
            why: if losses
                .iter()
                .any(|it| is_for_lack_of_a_field(it, kubernetes))
            {
                format!("{why}; {NO_FIELD}")
            } else {
                why.to_owned()
            },
            witness: losses.first().map(|it| Witness::new(&it.witness)),
        })
        .collect()
}

/// The first of the names, and how many more there are.
pub(super) fn some_of(names: &BTreeSet<String>) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN)
        .map(|it| format!("`{it}`"))
        .collect();
    let more = names.len().saturating_sub(SHOWN);
    let shown = shown.join(", ");
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more")
    }
}
