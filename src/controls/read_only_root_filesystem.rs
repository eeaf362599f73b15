//! The root filesystem of containers: `readOnlyRootFilesystem`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! Where the policy says `true`, a container that does not say gets `true`, and one that says `false` is refused.
//! Only the container's own value counts; the pod has none.
//!
//! ## Gatekeeper
//!
//! `readOnlyRootFilesystem` travels as it is; what the plugin would have set must be set.
//! `templates/rego/lib/read_only_root_filesystem.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::{Value, json};

use super::translate::{Parameters, Translate, parameters};
use super::{Control, FieldError, NULL, Semantics};
use crate::api::core::{Container, ContainerRef, Pod};
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `read_only_root_filesystem`.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnlyRootFilesystem;

impl Control for ReadOnlyRootFilesystem {
    fn name(&self) -> &'static str {
        "read-only-root-filesystem"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["readOnlyRootFilesystem"]
    }
}

impl Semantics for ReadOnlyRootFilesystem {
    fn mutate_container(&self, psp: &PodSecurityPolicy, pod: &mut Pod, at: ContainerRef) {
        if psp.spec.read_only_root_filesystem
            && let Some(container) = pod.container(at)
            && container.own("readOnlyRootFilesystem").is_none()
        {
            pod.set_container_security(at, "readOnlyRootFilesystem", true.into());
        }
    }

    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        if !psp.spec.read_only_root_filesystem {
            return;
        }
        let path = container.security_path("readOnlyRootFilesystem");
        match container
            .own("readOnlyRootFilesystem")
            .and_then(Value::as_bool)
        {
            Some(true) => {}
            Some(false) => {
                let detail = "ReadOnlyRootFilesystem must be set to true";
                acc.push(FieldError::invalid(path, false, detail));
            }
            None => {
                let detail = "ReadOnlyRootFilesystem may not be nil and must be set to true";
                acc.push(FieldError::invalid(path, NULL, detail));
            }
        }
    }
}

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
