//! What would change, for machines.

use serde_json::{Value, json};

use super::unified::write_unified;
use super::{DifferenceReport, how};
use crate::admission::Verdict;
use crate::diff::workloads::Treatment;
use crate::report::API_VERSION;
use crate::verify::differences;

impl DifferenceReport<'_> {
    /// Returns it for machines.
    pub fn to_json(&self) -> Value {
        let matrix = self.matrix().into_iter();
        let matrix = matrix.map(|((namespace, account), counts)| {
            json!({ "namespace": namespace, "serviceAccount": account, "counts": counts })
        });
        let summary = self.objects().map(
            |[changed, added, removed]| json!({ "changed": changed, "added": added, "removed": removed }),
        );
        json!({
            "apiVersion": API_VERSION,
            "kind": "Diff",
            "differs": self.differs(),
            "summary": { "objects": summary, "workloads": self.counts() },
            "objects": self.objects_json(usize::MAX),
            "workloads": self.treatments.iter().map(|it| self.treatment_json(it)).collect::<Vec<_>>(),
            "serviceAccounts": matrix.collect::<Vec<_>>(),
        })
    }

    /// The first so many objects that are not the same; absent where none were compared.
    pub(in crate::report) fn objects_json(&self, most: usize) -> Option<Vec<Value>> {
        let objects = self.changes?.iter().take(most).map(|it| {
            let mut text = Vec::new();
            let written = write_unified(&mut text, it, self.against, false);
            json!({
                "change": how(&it.kind),
                "apiVersion": it.api_version,
                "kind": it.object.kind,
                "namespace": it.object.namespace,
                "name": it.object.name,
                // A vector takes all that is written to it.
                "diff": written.is_ok().then(|| String::from_utf8_lossy(&text).into_owned()),
            })
        });
        Some(objects.collect())
    }

    /// A workload and what becomes of it.
    pub(in crate::report) fn treatment_json(&self, treatment: &Treatment) -> Value {
        let fills_in = treatment.fills_in.iter();
        let fills_in = fills_in.map(|it| json!({ "path": it.path, "value": it.value }));
        let losses = treatment.explained_by.as_ref().map(|positions| {
            let losses = positions.iter().filter_map(|it| self.losses.get(*it));
            let losses = losses.map(|it| {
                json!({
                    "name": it.name(),
                    "psp": it.psp,
                    "field": it.field,
                    "why": it.why,
                    "causes": it.causes_in(&treatment.namespace),
                })
            });
            losses.collect::<Vec<_>>()
        });
        let answers = treatment.answers.as_ref();
        let stored = answers.and_then(|it| it.pods()).map(|(psp, gatekeeper)| {
            let places = differences(psp, gatekeeper).into_iter();
            let places =
                places.map(|it| json!({ "path": it.path, "psp": it.left, "gatekeeper": it.right }));
            places.collect::<Vec<_>>()
        });
        json!({
            "kind": treatment.kind,
            "namespace": treatment.namespace,
            "name": treatment.name,
            "serviceAccount": treatment.request.pod.service_account_name(),
            "userInfo": treatment.request.user_info,
            "fate": treatment.fate,
            "psp": answers.map(|it| json!({
                "allowed": matches!(it.psp, Verdict::Admitted { .. }),
                "policy": it.policy,
                "fillsIn": fills_in.collect::<Vec<_>>(),
                "violations": violations(&it.psp),
            })),
            "gatekeeper": answers.map(|it| json!({
                "allowed": matches!(it.gatekeeper, Verdict::Admitted { .. }),
                "violations": violations(&it.gatekeeper),
            })),
            "apiServer": treatment.api_server,
            "storedDifferently": stored,
            "losses": losses,
        })
    }
}

fn violations(verdict: &Verdict) -> Value {
    match verdict {
        Verdict::Admitted { .. } => json!([]),
        Verdict::Forbidden { violations } => json!(violations),
    }
}
