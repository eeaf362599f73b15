//! `selinux`.

use serde_json::json;

use super::translate::{Parameters, Translate, parameters};
use crate::api::policy::{PodSecurityPolicySpec, SeLinuxStrategy};

#[derive(Debug)]
pub(crate) struct SeLinux;

impl Translate for SeLinux {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let strategy = match &psp.se_linux {
            SeLinuxStrategy::RunAsAny => json!({ "rule": "RunAsAny" }),
            SeLinuxStrategy::MustRunAs(options) => json!({
                "rule": "MustRunAs",
                "seLinuxOptions": {
                    "user": options.user,
                    "role": options.role,
                    "type": options.type_,
                    "level": options.level,
                },
            }),
        };
        parameters([("seLinux", strategy)])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.se_linux == SeLinuxStrategy::RunAsAny || wide.se_linux == narrow.se_linux
    }
}
