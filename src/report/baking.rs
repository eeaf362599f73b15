//! What was made explicit in the workloads, for people and for machines.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::API_VERSION;
use crate::bake::{BakeResult, Baked, immutable};
use crate::version::Version;

/// Everything that there is to say of workloads that were baked.
#[derive(Clone, Debug)]
pub struct BakeReport<'a> {
    /// The release of Kubernetes that the patches are for.
    pub kubernetes: Version,
    /// The workloads, in the order of the input.
    pub baked: &'a [Baked<'a>],
    /// Why a patch could not be written to where it was asked for, by the position of the workload.
    pub left_out: BTreeMap<usize, String>,
    /// The files that were written, in the order in which they were.
    pub files: Vec<String>,
}

/// How many workloads there are of each kind of result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    workloads: usize,
    complete: usize,
    patched: usize,
    refused: usize,
    insufficient: usize,
    not_judged: usize,
    left_out: usize,
}

impl BakeReport<'_> {
    /// Whether every workload passes, as it is or by what was written.
    pub fn is_all_baked(&self) -> bool {
        let counts = self.counts();
        counts.complete + counts.patched == counts.workloads
    }

    fn counts(&self) -> Counts {
        let mut res = Counts::default();
        for (position, it) in self.baked.iter().enumerate() {
            res.workloads += 1;
            *match it.result {
                BakeResult::Complete { .. } => &mut res.complete,
                BakeResult::Patched { .. } if self.left_out.contains_key(&position) => {
                    &mut res.left_out
                }
                BakeResult::Patched { .. } => &mut res.patched,
                BakeResult::Refused { .. } => &mut res.refused,
                BakeResult::Insufficient { .. } => &mut res.insufficient,
                BakeResult::NotJudged { .. } => &mut res.not_judged,
            } += 1;
        }
        res
    }

    /// Writes what is not baked with its reasons, what cannot be changed in place, and the numbers as the last line.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        for (position, Baked { workload, result }) in self.baked.iter().enumerate() {
            let (what, reasons) = match result {
                BakeResult::Refused { reasons } => {
                    ("refused by PodSecurityPolicy", reasons.clone())
                }
                BakeResult::Insufficient { reasons, .. } => {
                    ("refused without defaults", reasons.clone())
                }
                BakeResult::NotJudged { reasons } => ("refused by the API server", reasons.clone()),
                BakeResult::Patched { .. } => {
                    match (self.left_out.get(&position), immutable(&workload.kind)) {
                        (Some(why), _) => ("not written", vec![why.clone()]),
                        (None, Some(note)) => ("patched", vec![format!("note: {note}")]),
                        (None, None) => continue,
                    }
                }
                BakeResult::Complete { .. } => continue,
            };
            writeln!(
                out,
                "{}: {} {}/{}: {what}:",
                workload.location, workload.kind, workload.namespace, workload.name
            )?;
            for reason in reasons {
                writeln!(out, "  {reason}")?;
            }
        }
        let Counts {
            workloads,
            complete,
            patched,
            refused,
            insufficient,
            not_judged,
            left_out,
        } = self.counts();
        let s = if workloads == 1 { "" } else { "s" };
        let not_judged = match not_judged {
            0 => String::new(),
            some => format!("{some} refused by the API server, "),
        };
        writeln!(
            out,
            "bake: {workloads} workload{s}: {patched} patched, {complete} complete already, {refused} refused by PodSecurityPolicy, {insufficient} refused without defaults, {not_judged}{left_out} not written"
        )
    }

    /// Returns it for machines.
    pub fn to_json(&self) -> Value {
        let workloads = self.baked.iter().enumerate();
        let workloads = workloads.map(|(position, Baked { workload, result })| {
            let (name, policy, patch, reasons) = match result {
                BakeResult::Complete { policy } => ("complete", Some(policy), None, None),
                BakeResult::Patched { policy, patch } => {
                    ("patched", Some(policy), Some(patch), None)
                }
                BakeResult::Refused { reasons } => ("refused", None, None, Some(reasons)),
                BakeResult::Insufficient { policy, reasons } => {
                    ("insufficient", Some(policy), None, Some(reasons))
                }
                BakeResult::NotJudged { reasons } => ("notJudged", None, None, Some(reasons)),
            };
            json!({
                "kind": workload.kind,
                "namespace": workload.namespace,
                "name": workload.name,
                "location": workload.location.to_string(),
                "result": name,
                "policy": policy,
                "patch": patch,
                "reasons": reasons,
                "note": patch.and_then(|_| immutable(&workload.kind)),
                "leftOut": self.left_out.get(&position),
            })
        });
        let files = self.files.iter().map(|it| json!({ "file": it }));
        json!({
            "apiVersion": API_VERSION,
            "kind": "Baking",
            "kubernetesVersion": self.kubernetes.to_string(),
            "summary": self.counts(),
            "workloads": workloads.collect::<Vec<_>>(),
            "files": files.collect::<Vec<_>>(),
        })
    }
}
