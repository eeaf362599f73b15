//! `proc_mount`.

use super::translate::{Parameters, Translate, as_set, is_subset, parameters};
use crate::api::policy::PodSecurityPolicySpec;

#[derive(Debug)]
pub(crate) struct ProcMount;

impl Translate for ProcMount {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([(
            "allowedProcMountTypes",
            as_set(&psp.allowed_proc_mount_types),
        )])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        is_subset(
            &narrow.allowed_proc_mount_types,
            &wide.allowed_proc_mount_types,
        )
    }
}
