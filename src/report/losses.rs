//! What is not equivalent, for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write};

use serde::Serialize;

use super::count;
use crate::admission::AdmissionRequest;
use crate::api::apparmor;
use crate::controls::CONTROLS;
use crate::loss::{Cause, DIRECTIONS, Direction, Loss, LossKind};
use crate::version::Version;

/// How many fields of a PodSecurityPolicy are translated how well, each counted once, by the worst loss that somebody meets who
/// creates pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ledger {
    /// Nothing is known in which they differ, but for what is harmless.
    pub exact: usize,
    /// Some pod is denied that was admitted.
    pub stricter: usize,
    /// Some pod is admitted that was denied.
    pub looser: usize,
    /// Some pod is stored differently.
    pub differs: usize,
}

impl Ledger {
    pub(super) fn new(losses: &[Loss]) -> Self {
        let mut res = Self::default();
        for field in CONTROLS.iter().flat_map(|it| it.fields()) {
            let worst = losses
                .iter()
                .filter(|it| it.reaches_creators && is_about(it, field))
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
    direction: Direction,
    policies: String,
    fields: String,
    namespaces: String,
    subjects: String,
    why: String,
    /// What keeps the defaults from being set, by what helps.
    remedies: Vec<Remedy<'a>>,
    /// The request that shows the first of them.
    witness: Option<Witness<'a>>,
}

/// What helps, and against what.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Remedy<'a> {
    /// The causes, sorted.
    causes: Vec<&'a str>,
    /// The command or the change that helps against all of them.
    help: &'a str,
}

/// Puts together the causes against which the same helps, each once.
pub(super) fn remedies<'a>(causes: impl IntoIterator<Item = &'a Cause>) -> Vec<Remedy<'a>> {
    let causes: BTreeSet<&Cause> = causes.into_iter().collect();
    let mut res: Vec<Remedy<'_>> = Vec::new();
    for Cause { what, help, .. } in causes {
        match res.iter_mut().find(|it| it.help == help) {
            Some(known) => known.causes.push(what),
            None => res.push(Remedy {
                causes: vec![what],
                help,
            }),
        }
    }
    res
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

/// Writes causes and what helps, each once and on a line of its own.
///
/// # Errors
///
/// Those of the stream.
pub fn write_remedies<'a>(
    out: &mut dyn Write,
    causes: impl IntoIterator<Item = &'a Cause>,
    margin: &str,
) -> io::Result<()> {
    for Remedy { causes, help } in remedies(causes) {
        for cause in causes {
            writeln!(out, "{margin}cause: {cause}")?;
        }
        writeln!(out, "{margin}help: {help}")?;
    }
    Ok(())
}

/// Whether this is a default of AppArmor that no mutator can write, because the release has no field for it.
pub(super) fn is_for_lack_of_a_field(loss: &Loss, kubernetes: Version) -> bool {
    (loss.control, loss.kind) == ("apparmor", LossKind::DefaultNotSet)
        && kubernetes < apparmor::FIELD_SINCE
}

/// All losses for people: those of the same name, direction and reason together, the worst first.
#[derive(Debug)]
pub(super) struct Summaries<'a> {
    /// Those that somebody of the input meets who creates pods.
    pub(super) met: Vec<LossSummary<'a>>,
    /// The others; they count nowhere.
    pub(super) unmet: Vec<LossSummary<'a>>,
}

impl<'a> Summaries<'a> {
    pub(super) fn of(losses: &'a [Loss]) -> Self {
        let (met, unmet) = losses.iter().partition(|it| it.reaches_creators);
        Self {
            met: summaries(met),
            unmet: summaries(unmet),
        }
    }

    /// Whether there is any.
    pub(super) fn any(&self) -> bool {
        !(self.met.is_empty() && self.unmet.is_empty())
    }

    /// How many count of each direction, the worst first.
    pub(super) fn by_direction(&self) -> Vec<(&'static str, usize)> {
        let of = |direction| self.met.iter().filter(move |it| it.direction == direction);
        DIRECTIONS.map(|it| (it.name(), of(it).count())).to_vec()
    }
}

fn summaries(losses: Vec<&Loss>) -> Vec<LossSummary<'_>> {
    let mut groups = BTreeMap::<_, Vec<&Loss>>::new();
    for loss in losses {
        let key = (loss.direction(), loss.name(), loss.why.as_str());
        groups.entry(key).or_default().push(loss);
    }
    let all = |losses: &[&Loss], of: fn(&Loss) -> &[String]| {
        let names = losses.iter().flat_map(|it| of(it)).cloned();
        names.collect::<BTreeSet<String>>()
    };
    let summaries = groups.into_iter();
    let summaries = summaries.map(|((direction, name, why), losses)| {
        let policies = losses
            .iter()
            .flat_map(|it| it.alike.iter().chain([&it.psp]));
        let witness = losses.first().map(|it| &it.witness);
        LossSummary {
            name,
            direction,
            policies: some_of(&policies.cloned().collect()),
            fields: some_of(&losses.iter().map(|it| it.field.clone()).collect()),
            namespaces: some_of(&all(&losses, |it| &it.namespaces)),
            subjects: some_subjects(&all(&losses, |it| &it.subjects), witness),
            why: why.to_owned(),
            remedies: remedies(losses.iter().flat_map(|it| &it.causes)),
            witness: witness.map(Witness::new),
        }
    });
    summaries.collect()
}

/// The first of the subjects, among them whose pod shows the loss.
fn some_subjects(subjects: &BTreeSet<String>, witness: Option<&AdmissionRequest>) -> String {
    let shows = |subject: &&String| {
        witness.is_some_and(|it| {
            let requester = &it.user_info;
            let account = it.pod.service_account_name();
            **subject == format!("ServiceAccount {}/{account}", it.namespace)
                || subject.strip_prefix("User ") == Some(requester.username.as_str())
                || subject
                    .strip_prefix("Group ")
                    .is_some_and(|group| requester.groups.iter().any(|it| it == group))
        })
    };
    let first = subjects.iter().find(shows);
    let others = subjects.iter().filter(|it| first != Some(it));
    some(first.into_iter().chain(others))
}

/// The first of the names, and how many more there are.
pub(super) fn some_of(names: &BTreeSet<String>) -> String {
    some(names.iter())
}

fn some<'a>(mut names: impl Iterator<Item = &'a String>) -> String {
    const SHOWN: usize = 5;
    let shown = names.by_ref().take(SHOWN).map(|it| format!("`{it}`"));
    let shown: Vec<String> = shown.collect();
    let (shown, more) = (shown.join(", "), names.count());
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(what: &str, help: &str) -> Cause {
        Cause {
            what: what.to_owned(),
            help: help.to_owned(),
            namespace: None,
        }
    }

    fn loss(kind: LossKind, reaches_creators: bool) -> Loss {
        Loss {
            control: "groups",
            kind,
            psp: "a".to_owned(),
            alike: Vec::new(),
            field: "spec.fsGroup".to_owned(),
            namespaces: vec!["*".to_owned()],
            subjects: vec!["User alice".to_owned()],
            reaches_creators,
            why: "why".to_owned(),
            causes: Vec::new(),
            witness: AdmissionRequest::default(),
        }
    }

    #[test]
    fn what_no_creator_of_pods_meets_is_listed_apart_and_counts_nowhere() {
        let losses = [
            loss(LossKind::DefaultNotSet, false),
            loss(LossKind::DefaultForAll, true),
        ];
        let ledger = Ledger::new(&losses);
        assert_eq!((ledger.stricter, ledger.differs), (0, 1));
        let summaries = Summaries::of(&losses);
        assert_eq!((summaries.met.len(), summaries.unmet.len()), (1, 1));
        let expected = [
            ("looser", 0),
            ("stricter", 0),
            ("differs", 1),
            ("harmless", 0),
        ];
        assert_eq!(summaries.by_direction(), expected);
    }

    #[test]
    fn causes_with_the_same_help_share_it_and_each_is_there_once() {
        let causes = [
            cause("b", "x"),
            cause("a", "x"),
            cause("c", "y"),
            cause("a", "x"),
        ];
        let mut text = Vec::new();
        write_remedies(&mut text, &causes, "  ").unwrap();
        let expected = "  cause: a\n  cause: b\n  help: x\n  cause: c\n  help: y\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn the_subject_whose_pod_is_shown_is_among_those_that_are_named() {
        let subjects: BTreeSet<String> = ["a", "b", "c", "d", "e", "f", "g"]
            .map(|it| format!("User {it}"))
            .into();
        let mut witness = AdmissionRequest::default();
        assert_eq!(
            some_subjects(&subjects, None),
            "`User a`, `User b`, `User c`, `User d`, `User e` and 2 more"
        );
        "g".clone_into(&mut witness.user_info.username);
        assert_eq!(
            some_subjects(&subjects, Some(&witness)),
            "`User g`, `User a`, `User b`, `User c`, `User d` and 2 more"
        );
    }
}
