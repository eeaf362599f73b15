//! The policies that the plugin chose, as live pods tell them, against those that the model chooses.

use std::collections::BTreeMap;

use crate::cli::both::Both;
use crate::report::verification::RecordedPolicy;
use crate::requests::OwnPod;

/// Compares what was recorded with what the model chooses, each combination once.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// What the model chooses, by fingerprint.
    known: BTreeMap<u64, Option<String>>,
    /// How many pods say what the model says.
    pub(super) agreed: usize,
    /// The others, by namespace, recorded and chosen policy.
    differences: BTreeMap<(String, String, Option<String>), RecordedPolicy>,
}

impl Recorded {
    /// Compares what a pod says, if it says something and it is known who asked for it.
    pub(super) fn add(&mut self, both: &Both<'_>, pod: &OwnPod) {
        let Some(recorded) = pod.recorded.as_deref().filter(|_| pod.has_controller) else {
            return;
        };
        let request = &pod.request;
        let chosen = self.known.entry(pod.fingerprint()).or_insert_with(|| {
            let review = both.psp.review(&both.prepare(request));
            review.admit.policy().map(str::to_owned)
        });
        if chosen.as_deref() == Some(recorded) {
            self.agreed += 1;
            return;
        }
        let key = (
            request.namespace.clone(),
            recorded.to_owned(),
            chosen.clone(),
        );
        let difference = self
            .differences
            .entry(key)
            .or_insert_with(|| RecordedPolicy {
                first: request.uid.clone(),
                recorded: recorded.to_owned(),
                chosen: chosen.clone(),
                pods: 0,
            });
        difference.pods += 1;
    }

    /// The differences, by namespace and policy.
    pub(super) fn finish(self) -> Vec<RecordedPolicy> {
        self.differences.into_values().collect()
    }
}
