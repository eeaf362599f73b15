//! How much is tried, all limits in one place.
//!
//! Each bounds the work for a cluster with very many policies, subjects or namespaces; an ordinary cluster reaches none of them.

/// With more usable policies than this, no pod is made that only one of them accepts.
pub const MOST_UNLIKE: usize = 32;

/// In a search step by step: how many pods are looked at.
pub const MOST_PODS: usize = 128;

/// In a search step by step: how many pods are made of one for each control.
pub const MOST_STEPS: usize = 3;

/// How many samples of policies are tried in a situation, and with more policies than this only one pod each.
pub const MOST_SAMPLED: usize = 12;

/// With more usable policies than this, only a few pods are tried, and what they show is told of all policies with that default.
pub use crate::access::MOST_USED;

/// How often a policy is asked about a pod where very many are usable.
pub const MOST_CHOICES: usize = 8192;

/// With how many subjects of those that have the same grants identities are tried.
pub const MOST_SUBJECTS: usize = 32;

/// In how many namespaces with the same mutators identities are tried.
pub const MOST_NAMESPACES: usize = 8;

/// How many accounts are tried that another service account lets its pods run as.
pub const MOST_ACCOUNTS: usize = 4;

/// How many pods that nearly show a default of the first policy are looked at more closely.
pub const MOST_NEAR: usize = 4;

/// How many profiles of a list are tried.
pub const MOST_PROFILES: usize = 8;
