//! `groups`.

use serde_json::{Value, json};

use super::translate::{Parameters, Translate, id_ranges, parameters, ranges_within};
use crate::api::policy::{GroupStrategy, PodSecurityPolicySpec};

#[derive(Debug)]
pub(crate) struct Groups;

impl Translate for Groups {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([
            ("runAsGroup", strategy(&psp.run_as_group)),
            ("supplementalGroups", strategy(&psp.supplemental_groups)),
            ("fsGroup", strategy(&psp.fs_group)),
        ])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        strategy_covers(&wide.run_as_group, &narrow.run_as_group)
            && strategy_covers(&wide.supplemental_groups, &narrow.supplemental_groups)
            && strategy_covers(&wide.fs_group, &narrow.fs_group)
    }
}

fn strategy(strategy: &GroupStrategy) -> Value {
    match strategy {
        GroupStrategy::MustRunAs(ranges) => {
            json!({ "rule": "MustRunAs", "ranges": id_ranges(ranges) })
        }
        GroupStrategy::MayRunAs(ranges) => {
            json!({ "rule": "MayRunAs", "ranges": id_ranges(ranges) })
        }
        GroupStrategy::RunAsAny => json!({ "rule": "RunAsAny" }),
    }
}

fn strategy_covers(wide: &GroupStrategy, narrow: &GroupStrategy) -> bool {
    match (wide, narrow) {
        (GroupStrategy::RunAsAny, _) => true,
        (
            GroupStrategy::MayRunAs(outer),
            GroupStrategy::MayRunAs(inner) | GroupStrategy::MustRunAs(inner),
        )
        | (GroupStrategy::MustRunAs(outer), GroupStrategy::MustRunAs(inner)) => {
            ranges_within(inner, outer)
        }
        _ => false,
    }
}
