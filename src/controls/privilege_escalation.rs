//! `privilege_escalation`.

use serde_json::json;

use super::translate::{Parameters, Translate, parameters};
use crate::api::policy::PodSecurityPolicySpec;

#[derive(Debug)]
pub(crate) struct PrivilegeEscalation;

impl Translate for PrivilegeEscalation {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let mut res = parameters([(
            "allowPrivilegeEscalation",
            json!(psp.allow_privilege_escalation),
        )]);
        if let Some(default) = psp.default_allow_privilege_escalation {
            res.insert("defaultAllowPrivilegeEscalation", json!(default));
        }
        res
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        let must_be_set = |psp: &PodSecurityPolicySpec| {
            !psp.allow_privilege_escalation || psp.default_allow_privilege_escalation.is_some()
        };
        (wide.allow_privilege_escalation || !narrow.allow_privilege_escalation)
            && (!must_be_set(wide) || must_be_set(narrow))
    }
}
