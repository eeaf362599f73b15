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
//! Judged by `templates/rego/lib/read_only_root_filesystem.rego`.
//!
//! ## Losses
//!
//! None.

use serde_json::Value;

use super::{FieldError, NULL, Semantics};
use crate::api::core::{Container, ContainerRef, Pod};
use crate::api::policy::PodSecurityPolicy;

/// The control `read_only_root_filesystem`.
#[derive(Clone, Copy, Debug)]
pub struct ReadOnlyRootFilesystem;

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
