//! What would change, for people and for machines.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::count;
use super::losses::write_remedies;
use crate::admission::Verdict;
use crate::api::validation::API_SERVER;
use crate::diff::workloads::{Fate, Treatment};
use crate::diff::{Change, Kind};
use crate::loss::{Cause, Loss};
use crate::verify::differences;
use unified::write_unified;

mod ci;
mod json;
mod unified;

/// What manifests are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// What an earlier run wrote into a directory.
    Directory,
    /// What a cluster runs.
    Cluster,
}

impl Against {
    /// What the old and the new side are called; kubectl's words where there is a cluster.
    pub fn sides(self) -> [&'static str; 2] {
        match self {
            Self::Directory => ["WRITTEN", "NOW"],
            Self::Cluster => ["LIVE", "MERGED"],
        }
    }
}

/// Everything that a comparison has to say.
#[derive(Clone, Debug)]
pub struct DifferenceReport<'a> {
    /// The objects that are not the same; absent where no manifests were compared.
    pub changes: Option<&'a [Change]>,
    /// What they are not the same as.
    pub against: Against,
    /// What becomes of each workload.
    pub treatments: &'a [Treatment],
    /// The losses that [`Treatment::explained_by`] counts in.
    pub losses: &'a [Loss],
}

/// How much of it is written for people, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// All of it.
    Full {
        /// Whether colors are used.
        color: bool,
    },
    /// All but the texts of objects, which are shown by other means.
    Listed,
    /// Objects by name, workloads in numbers.
    Summary,
}

/// How many workloads there are of each fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// All of them.
    pub workloads: usize,
    /// Nothing changes.
    pub same: usize,
    /// How many of those are forbidden, before as now.
    pub forbidden: usize,
    /// Admitted before and forbidden now.
    pub now_forbidden: usize,
    /// Forbidden before and admitted now.
    pub newly_admitted: usize,
    /// Admitted before and now, as another pod.
    pub stored_differently: usize,
    /// An API server refuses them, as they are sent or with what PSP fills in.
    pub not_judged: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            workloads,
            same,
            forbidden,
            now_forbidden,
            newly_admitted,
            stored_differently,
            not_judged,
        } = self;
        let workloads = count(*workloads, "workload", "workloads");
        write!(f, "{workloads}: {same} same")?;
        if *forbidden > 0 {
            write!(f, " ({forbidden} forbidden before as now)")?;
        }
        write!(
            f,
            ", {now_forbidden} now forbidden, {newly_admitted} newly admitted, {stored_differently} stored differently"
        )?;
        if *not_judged > 0 {
            write!(f, ", {not_judged} not judged")?;
        }
        Ok(())
    }
}

impl Counts {
    /// Counts workloads by what becomes of them.
    pub fn of(treatments: &[Treatment]) -> Self {
        let mut res = Self::default();
        for it in treatments {
            res.add(it);
        }
        res
    }

    fn add(&mut self, treatment: &Treatment) {
        self.workloads += 1;
        self.forbidden += usize::from(treatment.refused_as_before().is_some());
        *match treatment.fate {
            Fate::Same => &mut self.same,
            Fate::NowForbidden => &mut self.now_forbidden,
            Fate::NewlyAdmitted => &mut self.newly_admitted,
            Fate::StoredDifferently => &mut self.stored_differently,
            Fate::NotJudged => &mut self.not_judged,
        } += 1;
    }
}

impl DifferenceReport<'_> {
    /// Whether anything would change, as far as could be judged.
    pub fn differs(&self) -> bool {
        let counts = self.counts();
        self.changes.is_some_and(|it| !it.is_empty())
            || counts.same + counts.not_judged < counts.workloads
    }

    /// Returns how many workloads there are of each fate.
    pub fn counts(&self) -> Counts {
        Counts::of(self.treatments)
    }

    /// The number of objects changed, added and removed.
    fn objects(&self) -> Option<[usize; 3]> {
        let changes = self.changes?;
        let count =
            |wanted: fn(&Kind) -> bool| changes.iter().filter(|it| wanted(&it.kind)).count();
        Some([
            count(|it| matches!(it, Kind::Changed { .. })),
            count(|it| matches!(it, Kind::Added { .. })),
            count(|it| matches!(it, Kind::Removed { .. })),
        ])
    }

    /// The counts by namespace and service account.
    fn matrix(&self) -> BTreeMap<(&str, &str), Counts> {
        let mut res = BTreeMap::<_, Counts>::new();
        for it in self.treatments {
            let account = it.request.pod.service_account_name();
            res.entry((it.namespace.as_str(), account))
                .or_default()
                .add(it);
        }
        res
    }

    /// Returns all in one line, which begins with `diff: `.
    pub fn footer(&self) -> String {
        let objects = match self.objects() {
            Some([changed, added, removed]) => format!(
                "{changed} object{} changed, {added} added, {removed} removed",
                if changed == 1 { "" } else { "s" }
            ),
            None => "objects not compared".to_owned(),
        };
        format!("diff: {objects}; {}", self.counts())
    }

    /// Writes it for people: objects, workloads, who they belong to, and [`Self::footer`].
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub fn write_text(&self, out: &mut dyn Write, detail: Detail) -> io::Result<()> {
        for change in self.changes.unwrap_or_default() {
            if let Detail::Full { color } = detail {
                write_unified(out, change, self.against, color)?;
            }
        }
        if let (Some(changes), Detail::Listed | Detail::Summary) = (self.changes, detail) {
            for change in changes {
                writeln!(out, "{:<8} {}", how(&change.kind), change.object)?;
            }
        }
        if detail != Detail::Summary {
            for (fate, title) in SECTIONS {
                self.write_section(out, fate, title)?;
            }
            self.write_forbidden(out)?;
        }
        self.write_matrix(out)?;
        writeln!(out, "{}", self.footer())
    }

    fn write_section(&self, out: &mut dyn Write, fate: Fate, title: &str) -> io::Result<()> {
        let mut own = self
            .treatments
            .iter()
            .filter(|it| it.fate == fate)
            .peekable();
        if own.peek().is_none() {
            return Ok(());
        }
        writeln!(out, "\n{title}")?;
        own.try_for_each(|it| self.write_treatment(out, it))
    }

    /// Writes a line for each of those that neither admits, with the first reason of PSP.
    fn write_forbidden(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut own = self
            .treatments
            .iter()
            .filter_map(|it| Some((it, it.refused_as_before()?)))
            .peekable();
        if own.peek().is_none() {
            return Ok(());
        }
        writeln!(
            out,
            "\nForbidden before as now: neither lets these in; of those that run, the input lacks what lets them\n"
        )?;
        own.try_for_each(|(it, why)| {
            let account = it.request.pod.service_account_name();
            writeln!(
                out,
                "  {} {}/{}, service account {account}: {why}",
                it.kind, it.namespace, it.name
            )
        })
    }

    fn write_treatment(&self, out: &mut dyn Write, treatment: &Treatment) -> io::Result<()> {
        let Treatment {
            kind,
            namespace,
            name,
            request,
            ..
        } = treatment;
        let account = request.pod.service_account_name();
        writeln!(
            out,
            "\n  {kind} {namespace}/{name}, service account {}, created by {}",
            if account.is_empty() {
                "(none)"
            } else {
                account
            },
            request.user_info.username
        )?;
        let refused = |out: &mut dyn Write, what| match &treatment.api_server {
            Some(why) => writeln!(out, "    the API server refuses {what}: {why}"),
            None => writeln!(out, "    the API server refuses {what}"),
        };
        let Some(answers) = &treatment.answers else {
            return refused(out, "such a pod by itself");
        };
        let is_undecided = answers.undecided().is_some();
        match &answers.psp {
            Verdict::Forbidden { violations } if !is_undecided => {
                writeln!(out, "    PSP forbids it")?;
                for it in violations {
                    writeln!(out, "      {}: {}", it.by, it.message)?;
                }
            }
            _ => {
                let by = match &answers.policy {
                    Some(policy) => format!(" by PodSecurityPolicy {policy}"),
                    None => String::new(),
                };
                let filled = match treatment.fills_in.as_slice() {
                    [] => "as it is",
                    _ => "once it has filled in",
                };
                writeln!(out, "    PSP admits it{by}, {filled}")?;
                for it in &treatment.fills_in {
                    writeln!(out, "      {} = {}", it.path, it.value)?;
                }
            }
        }
        if is_undecided {
            refused(out, "the pod with these defaults")?;
        }
        match &answers.gatekeeper {
            Verdict::Admitted { .. } => writeln!(out, "    Gatekeeper admits it")?,
            Verdict::Forbidden { violations } => {
                let is_api_server = violations.iter().any(|it| it.by == API_SERVER);
                let what = if is_api_server {
                    "Gatekeeper admits it, and the API server refuses what mutators make of it"
                } else {
                    "Gatekeeper forbids it"
                };
                writeln!(out, "    {what}")?;
                for line in violations.iter().flat_map(|it| it.message.lines()) {
                    writeln!(out, "      {line}")?;
                }
            }
        }
        if let Some((psp, gatekeeper)) = answers.pods() {
            for it in differences(psp, gatekeeper) {
                writeln!(
                    out,
                    "    stored: {}: PSP {}, Gatekeeper {}",
                    it.path,
                    or_absent(&it.left),
                    or_absent(&it.right)
                )?;
            }
        }
        if answers.direction().is_none() {
            return Ok(());
        }
        match &treatment.explained_by {
            None => writeln!(
                out,
                "    explained by no declared loss; `psp2gatekeeper verify` makes the pod smaller and shows both answers"
            ),
            Some(explained_by) => {
                let losses = explained_by.iter().filter_map(|it| self.losses.get(*it));
                for it in losses {
                    writeln!(
                        out,
                        "    explained by {} of {}: `{}`: {}",
                        it.name(),
                        it.psp,
                        it.field,
                        it.why
                    )?;
                }
                write_remedies(out, self.causes(treatment), "    ")
            }
        }
    }

    /// What keeps the defaults of a workload from being set, by the losses that explain what becomes of it.
    pub(super) fn causes(&self, treatment: &Treatment) -> Vec<&Cause> {
        let losses = treatment.explained_by.iter().flatten();
        let losses = losses.filter_map(|it| self.losses.get(*it));
        losses
            .flat_map(|it| it.causes_in(&treatment.namespace))
            .collect()
    }

    fn write_matrix(&self, out: &mut dyn Write) -> io::Result<()> {
        let matrix = self.matrix();
        if matrix.is_empty() {
            return Ok(());
        }
        let mut lines = vec![
            [
                "NAMESPACE",
                "SERVICE ACCOUNT",
                "SAME",
                "NOW FORBIDDEN",
                "NEWLY ADMITTED",
                "STORED DIFFERENTLY",
                "NOT JUDGED",
            ]
            .map(str::to_owned),
        ];
        for ((namespace, account), counts) in matrix {
            lines.push([
                namespace.to_owned(),
                if account.is_empty() {
                    "(none)"
                } else {
                    account
                }
                .to_owned(),
                counts.same.to_string(),
                counts.now_forbidden.to_string(),
                counts.newly_admitted.to_string(),
                counts.stored_differently.to_string(),
                counts.not_judged.to_string(),
            ]);
        }
        let mut widths = [0; 7];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        writeln!(out)?;
        for line in &lines {
            let cells: Vec<String> = line
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            writeln!(out, "{}", cells.join("  ").trim_end())?;
        }
        writeln!(out)
    }
}

const SECTIONS: [(Fate, &str); 4] = [
    (
        Fate::NewlyAdmitted,
        "NEWLY ADMITTED: Gatekeeper would let these in, and PSP does not",
    ),
    (
        Fate::NowForbidden,
        "Now forbidden: PSP lets these in, and Gatekeeper would not",
    ),
    (
        Fate::StoredDifferently,
        "Stored differently: both let these in, with other values filled in",
    ),
    (
        Fate::NotJudged,
        "Not judged: the API server refuses these, as they are sent or with the defaults of PSP; no policy decides",
    ),
];

fn how(kind: &Kind) -> &'static str {
    match kind {
        Kind::Added { .. } => "added",
        Kind::Changed { .. } => "changed",
        Kind::Removed { .. } => "removed",
    }
}

fn or_absent(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        value => value.to_string(),
    }
}
