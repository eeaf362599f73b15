//! `flex_volumes`.

use serde_json::json;

use super::translate::{Parameters, Translate, allows_volume, is_subset, parameters, sorted};
use crate::api::policy::PodSecurityPolicySpec;

#[derive(Debug)]
pub(crate) struct FlexVolumes;

impl Translate for FlexVolumes {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let drivers = sorted(&psp.allowed_flex_volumes);
        let entries: Vec<_> = drivers.iter().map(|it| json!({ "driver": it })).collect();
        parameters([("allowedFlexVolumes", json!(entries))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.allowed_flex_volumes.is_empty()
            || !allows_volume(narrow, "flexVolume")
            || (!narrow.allowed_flex_volumes.is_empty()
                && is_subset(&narrow.allowed_flex_volumes, &wide.allowed_flex_volumes))
    }
}
