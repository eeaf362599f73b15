//! `privileged`.

use serde_json::json;

use super::translate::{Parameters, Translate, parameters};
use crate::api::policy::PodSecurityPolicySpec;

#[derive(Debug)]
pub(crate) struct Privileged;

impl Translate for Privileged {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([("privileged", json!(psp.privileged))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.privileged || !narrow.privileged
    }
}
