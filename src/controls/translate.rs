//! How Gatekeeper is asked for the same: the half of a control that writes parameters.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::defaults::DefaultValue;
use crate::api::policy::{ALL, IdRange, IdRanges, PodSecurityPolicySpec};
use crate::version::Version;

/// Parameters of one policy, by the name under which PodSecurityPolicy has them.
pub type Parameters = BTreeMap<&'static str, Value>;

/// How Gatekeeper is asked for one control aspect.
pub trait Translate {
    /// Returns what the control's Rego library reads of a policy, with every default written out.
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters;

    /// Returns whether every pod that `narrow` accepts as it stands is accepted by `wide` too.
    ///
    /// The answer may be a careful no.
    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool;

    /// Returns what a policy fills in, and how Gatekeeper writes it on a release of Kubernetes.
    fn defaults(&self, _psp: &PodSecurityPolicySpec, _kubernetes: Version) -> Vec<DefaultValue> {
        Vec::new()
    }
}

/// Parameters from pairs of name and value.
pub(super) fn parameters<const N: usize>(pairs: [(&'static str, Value); N]) -> Parameters {
    pairs.into_iter().collect()
}

/// The strings sorted and each once: a list whose order means nothing.
pub(super) fn sorted(strings: &[String]) -> Vec<String> {
    let mut res = strings.to_vec();
    res.sort();
    res.dedup();
    res
}

/// The same as a parameter.
pub(super) fn as_set(strings: &[String]) -> Value {
    json!(sorted(strings))
}

/// Ranges as a parameter, in the order of the PSP, whose first is the default.
pub(super) fn id_ranges(ranges: &IdRanges) -> Value {
    ranges
        .iter()
        .map(|it| json!({ "min": it.min, "max": it.max }))
        .collect()
}

/// Whether each inner range lies in one outer range.
pub(super) fn ranges_within(inner: &IdRanges, outer: &IdRanges) -> bool {
    inner.iter().all(|it: IdRange| {
        outer
            .iter()
            .any(|outer| outer.min <= it.min && it.max <= outer.max)
    })
}

/// Whether the list has the string.
pub(super) fn has(strings: &[String], string: &str) -> bool {
    strings.iter().any(|it| it == string)
}

/// Whether all of one list are in the other.
pub(super) fn is_subset(inner: &[String], outer: &[String]) -> bool {
    inner.iter().all(|it| has(outer, it))
}

/// The entries of an annotation that lists profiles; they are not trimmed.
pub(super) fn split(annotation: &str) -> Vec<String> {
    annotation.split(',').map(str::to_owned).collect()
}

/// Whether the policy lets pods have volumes of a type.
pub(super) fn allows_volume(psp: &PodSecurityPolicySpec, volume_type: &str) -> bool {
    has(&psp.volumes, ALL) || has(&psp.volumes, volume_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controls::testing::owned;

    #[test]
    fn a_set_is_sorted_and_has_each_string_once() {
        assert_eq!(sorted(&owned(&["b", "a", "b"])), ["a", "b"]);
    }
}
