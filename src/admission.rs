//! The question, the answer, and anyone who can answer.

use serde::{Deserialize, Deserializer, Serialize};

use crate::api::core::Pod;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// A new pod.
    #[default]
    Create,
    /// A change to a pod through its main resource or a subresource.
    Update,
    /// The end of a pod; PSP was never asked.
    Delete,
    /// A connection, such as `exec`; PSP was never asked.
    Connect,
}

/// Who asks, as authenticated or impersonated.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct UserInfo {
    /// The name, such as `alice` or `system:serviceaccount:kube-system:replicaset-controller`.
    pub username: String,
    /// The groups, normally with `system:authenticated`.
    #[serde(deserialize_with = "null_is_empty")]
    pub groups: Vec<String>,
}

/// Clients in Go write an empty list as `null`.
fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A request to create or change a pod.
///
/// It is written as the `request` of an `AdmissionReview` of `admission.k8s.io/v1`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionRequest {
    /// What the asker calls it; the answer carries it back.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// The namespace of the request.
    pub namespace: String,
    /// What is asked for.
    pub operation: Operation,
    /// The subresource; empty for the pod itself.
    #[serde(rename = "subResource", skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Who asks.
    pub user_info: UserInfo,
    /// The pod as it shall be.
    #[serde(rename = "object")]
    pub pod: Pod,
    /// The pod as it is; absent on CREATE.
    #[serde(rename = "oldObject", skip_serializing_if = "Option::is_none")]
    pub old_pod: Option<Pod>,
}

/// One reason why a pod is forbidden.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// What forbids it: a PSP for the plugin, a constraint for Gatekeeper.
    pub by: String,
    /// The whole text, path included.
    pub message: String,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Admitted, with the pod as it would be stored.
    Admitted {
        /// The pod.
        pod: Pod,
    },
    /// Forbidden, with all reasons.
    Forbidden {
        /// The reasons.
        violations: Vec<Violation>,
    },
}

/// Anyone who can answer.
pub trait Admission {
    /// Why there may be no answer.
    type Error;

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// When the answer cannot be known, which is never the same as admitted.
    fn review(&self, request: &AdmissionRequest) -> Result<Verdict, Self::Error>;
}
