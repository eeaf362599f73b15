//! `read_only_root_filesystem`.

use serde_json::json;

use super::translate::{Parameters, Translate, parameters};
use crate::api::policy::PodSecurityPolicySpec;

#[derive(Debug)]
pub(crate) struct ReadOnlyRootFilesystem;

impl Translate for ReadOnlyRootFilesystem {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([(
            "readOnlyRootFilesystem",
            json!(psp.read_only_root_filesystem),
        )])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        !wide.read_only_root_filesystem || narrow.read_only_root_filesystem
    }
}
