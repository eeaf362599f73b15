//! `run_as_user`.

use serde_json::json;

use super::translate::{Parameters, Translate, id_ranges, parameters, ranges_within};
use crate::api::policy::{PodSecurityPolicySpec, RunAsUserStrategy};

#[derive(Debug)]
pub(crate) struct RunAsUser;

impl Translate for RunAsUser {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let strategy = match &psp.run_as_user {
            RunAsUserStrategy::MustRunAs(ranges) => {
                json!({ "rule": "MustRunAs", "ranges": id_ranges(ranges) })
            }
            RunAsUserStrategy::MustRunAsNonRoot => json!({ "rule": "MustRunAsNonRoot" }),
            RunAsUserStrategy::RunAsAny => json!({ "rule": "RunAsAny" }),
        };
        parameters([("runAsUser", strategy)])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        match (&wide.run_as_user, &narrow.run_as_user) {
            (RunAsUserStrategy::RunAsAny, _)
            | (RunAsUserStrategy::MustRunAsNonRoot, RunAsUserStrategy::MustRunAsNonRoot) => true,
            (RunAsUserStrategy::MustRunAs(outer), RunAsUserStrategy::MustRunAs(inner)) => {
                ranges_within(inner, outer)
            }
            // A user within ranges passes even with `runAsNonRoot: false`, which `MustRunAsNonRoot` refuses.
            _ => false,
        }
    }
}
