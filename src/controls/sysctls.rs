//! `sysctls`.

use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters};
use crate::api::policy::{ALL, PodSecurityPolicySpec};

#[derive(Debug)]
pub(crate) struct Sysctls;

impl Translate for Sysctls {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([
            ("allowedUnsafeSysctls", as_set(&psp.allowed_unsafe_sysctls)),
            ("forbiddenSysctls", as_set(&psp.forbidden_sysctls)),
        ])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        is_subset(&wide.forbidden_sysctls, &narrow.forbidden_sysctls)
            && (has(&wide.allowed_unsafe_sysctls, ALL)
                || is_subset(&narrow.allowed_unsafe_sysctls, &wide.allowed_unsafe_sysctls))
    }
}
