//! Moves a Kubernetes cluster from PodSecurityPolicy to OPA Gatekeeper.

pub mod admission;
pub mod api;
pub mod diagnostic;
pub mod gatekeeper;
pub mod input;
pub mod manifest;
