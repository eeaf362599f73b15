//! `volumes`.

use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters};
use crate::api::policy::{ALL, PodSecurityPolicySpec};

#[derive(Debug)]
pub(crate) struct Volumes;

impl Translate for Volumes {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([("volumes", as_set(&psp.volumes))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        has(&wide.volumes, ALL) || is_subset(&narrow.volumes, &wide.volumes)
    }
}
