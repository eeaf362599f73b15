//! How a loss says that it reaches all.

/// What stands for every namespace in the reach of a loss.
pub(super) const EVERYWHERE: &str = "*";

/// What stands for all users, and for all PSPs, in a loss.
pub(super) const ALL: &str = "*";
