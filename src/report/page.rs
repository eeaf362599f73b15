//! The report as one page for a browser.

use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;
use serde_json::json;

use super::Report;
use super::difference::DifferenceReport;
use super::losses::{Summaries, remedies};
use super::matrix::Matrix;
use crate::diff::workloads::{Fate, Treatment};
use crate::render::RenderError;

/// So many entries of a list are on the page.
const MOST: usize = 500;

/// What a page shows.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The migration.
    pub report: &'a Report,
    /// What becomes of workloads, and of objects where they were compared.
    pub difference: &'a DifferenceReport<'a>,
    /// Who may use what.
    pub matrix: &'a Matrix,
}

/// The workloads of one fate.
#[derive(Serialize)]
struct Section {
    fate: Fate,
    title: &'static str,
    count: usize,
    /// The first of them.
    workloads: Vec<Entry>,
}

/// A workload and what becomes of it.
#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    treatment: serde_json::Value,
    /// What keeps its defaults from being set, and what helps.
    remedies: serde_json::Value,
}

impl Entry {
    fn new(difference: &DifferenceReport<'_>, treatment: &Treatment) -> Self {
        Self {
            treatment: difference.treatment_json(treatment),
            remedies: json!(remedies(difference.causes(treatment))),
        }
    }
}

/// All fates, those that matter most first.
const FATES: [(Fate, &str); 5] = [
    (Fate::NewlyAdmitted, "Newly admitted"),
    (Fate::NowForbidden, "Now forbidden"),
    (Fate::StoredDifferently, "Stored differently"),
    (Fate::NotJudged, "Not judged"),
    (Fate::Same, "Nothing changes"),
];

impl Page<'_> {
    /// Writes the page: HTML that needs nothing else, neither a network nor a script.
    ///
    /// Long lists are cut, and the page says so.
    ///
    /// # Errors
    ///
    /// When the template asks for what it is not given.
    pub fn to_html(&self, environment: &Environment<'_>) -> Result<String, RenderError> {
        let treatments = self.difference.treatments;
        let sections: Vec<Section> = FATES
            .into_iter()
            .map(|(fate, title)| {
                let own = || treatments.iter().filter(|it| it.fate == fate);
                Section {
                    fate,
                    title,
                    count: own().count(),
                    workloads: own()
                        .take(MOST)
                        .map(|it| Entry::new(self.difference, it))
                        .collect(),
                }
            })
            .collect();
        let losses = Summaries::of(&self.report.losses);
        let template = environment.get_template("report.html.j2")?;
        Ok(template.render(context! {
            most => MOST,
            advised => !self.report.advice.is_empty(),
            sections => Serde(sections),
            workloads => treatments.len(),
            objects_compared => self.difference.changes.is_some(),
            changes => Serde(self.difference.objects_json(MOST)),
            changed => self.difference.changes.map_or(0, <[_]>::len),
            by_direction => Serde(losses.by_direction()),
            loss_summaries => losses.any(),
            met_losses => Serde(&losses.met),
            unmet => losses.unmet.len(),
            unmet_losses => Serde(&losses.unmet),
            labels => self.report.labels(),
            reaches => self.report.reaches(),
            matrix => Serde(self.matrix),
            ..Value::from(Serde(self.report))
        })?)
    }
}
