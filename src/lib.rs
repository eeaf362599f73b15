//! Moves a Kubernetes cluster from PodSecurityPolicy to OPA Gatekeeper.

pub mod access;
pub mod admission;
pub mod advice;
pub mod api;
pub mod bake;
pub mod cli;
pub mod controls;
pub mod diagnostic;
pub mod diff;
pub mod gatekeeper;
pub mod input;
pub mod loss;
pub mod losses;
pub mod manifest;
pub mod plan;
pub mod psp;
pub mod rbac;
pub mod render;
pub mod report;
pub mod requests;
pub mod resolve;
pub mod review;
pub mod standards;
pub mod verify;
pub mod version;
pub mod witness;
