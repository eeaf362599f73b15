//! `apparmor`.

use serde_json::{Map, Value, json};

use super::translate::{Parameters, Translate, as_set, is_subset, parameters, split};
use crate::api::policy::PodSecurityPolicySpec;

#[derive(Debug)]
pub(crate) struct AppArmor;

impl Translate for AppArmor {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let mut strategy = Map::new();
        if let Some(allowed) = &psp.app_armor.allowed {
            strategy.insert("allowedProfileNames".to_owned(), as_set(&split(allowed)));
        }
        if !psp.app_armor.default.is_empty() {
            strategy.insert(
                "defaultProfileName".to_owned(),
                json!(psp.app_armor.default),
            );
        }
        parameters([("appArmor", Value::Object(strategy))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        let must_be_set = |psp: &PodSecurityPolicySpec| {
            psp.app_armor.allowed.is_some() || !psp.app_armor.default.is_empty()
        };
        let allowed = match (&wide.app_armor.allowed, &narrow.app_armor.allowed) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(outer), Some(inner)) => is_subset(&split(inner), &split(outer)),
        };
        allowed && (!must_be_set(wide) || must_be_set(narrow))
    }
}
