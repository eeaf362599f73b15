//! `capabilities`.

use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters};
use crate::api::policy::{ALL, PodSecurityPolicySpec};

#[derive(Debug)]
pub(crate) struct Capabilities;

impl Translate for Capabilities {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([
            ("allowedCapabilities", as_set(&psp.allowed_capabilities)),
            (
                "defaultAddCapabilities",
                as_set(&psp.default_add_capabilities),
            ),
            (
                "requiredDropCapabilities",
                as_set(&psp.required_drop_capabilities),
            ),
        ])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        let may_add = |psp: &PodSecurityPolicySpec| {
            [
                psp.allowed_capabilities.clone(),
                psp.default_add_capabilities.clone(),
            ]
            .concat()
        };
        (has(&wide.allowed_capabilities, ALL)
            || (!has(&narrow.allowed_capabilities, ALL)
                && is_subset(&may_add(narrow), &may_add(wide))))
            && is_subset(
                &wide.default_add_capabilities,
                &narrow.default_add_capabilities,
            )
            && is_subset(
                &wide.required_drop_capabilities,
                &narrow.required_drop_capabilities,
            )
    }
}
