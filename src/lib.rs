//! Moves a Kubernetes cluster from PodSecurityPolicy to OPA Gatekeeper.

pub mod admission;
pub mod api;
pub mod diagnostic;
pub mod input;
pub mod manifest;
pub mod rbac;
