//! Pods that show what PSP and the generated manifests do: samples, what becomes of them, and searches for one that is unlike others.
//!
//! [`memo`] answers what policies decide, [`samples`] has pods that are easy to think of, [`reshape`] makes one of another, and
//! [`boundaries`] and [`steps`] find those that only one of several policies accepts.
//! [`budget`] has all limits.

pub mod boundaries;
pub mod budget;
pub mod memo;
pub mod reshape;
pub mod samples;
pub mod steps;
#[cfg(test)]
mod tests;
