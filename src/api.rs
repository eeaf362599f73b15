//! Kubernetes objects as we use them.
//!
//! What is read of policy and RBAC is parsed once, from k8s-openapi's types, into values that cannot be ill-formed.
//! Pods stay JSON with typed accessors, so that no field a user has is lost.

pub mod apparmor;
pub mod core;
pub mod meta;
pub mod policy;
pub mod rbac;
pub mod seccomp;
pub mod validation;
pub mod workload;
