//! `csi_drivers`.

use serde_json::json;

use super::translate::{Parameters, Translate, allows_volume, is_subset, parameters, sorted};
use crate::api::policy::PodSecurityPolicySpec;

#[derive(Debug)]
pub(crate) struct CsiDrivers;

impl Translate for CsiDrivers {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let drivers = sorted(&psp.allowed_csi_drivers);
        let entries: Vec<_> = drivers.iter().map(|it| json!({ "name": it })).collect();
        parameters([("allowedCSIDrivers", json!(entries))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.allowed_csi_drivers.is_empty()
            || !allows_volume(narrow, "csi")
            || (!narrow.allowed_csi_drivers.is_empty()
                && is_subset(&narrow.allowed_csi_drivers, &wide.allowed_csi_drivers))
    }
}
