//! `host_paths`.

use serde_json::json;

use super::translate::{Parameters, Translate, allows_volume, parameters};
use crate::api::policy::PodSecurityPolicySpec;

#[derive(Debug)]
pub(crate) struct HostPaths;

impl Translate for HostPaths {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let mut paths = psp.allowed_host_paths.clone();
        paths.sort();
        paths.dedup();
        let paths: Vec<_> = paths
            .iter()
            .map(|it| json!({ "pathPrefix": it.path_prefix, "readOnly": it.read_only }))
            .collect();
        parameters([("allowedHostPaths", json!(paths))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.allowed_host_paths.is_empty()
            || !allows_volume(narrow, "hostPath")
            || (!narrow.allowed_host_paths.is_empty()
                && narrow.allowed_host_paths.iter().all(|it| {
                    wide.allowed_host_paths.iter().any(|outer| {
                        outer.path_prefix == it.path_prefix && (it.read_only || !outer.read_only)
                    })
                }))
    }
}
