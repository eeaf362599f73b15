//! Labels that tell some pods of a namespace from the others.
//!
//! A mutator sees the labels of a pod, and not its service account.
//! So where the workloads of a namespace need different defaults, their labels stand for them, best those of their own
//! `spec.selector`: Kubernetes' API has it that no other workload of the namespace shares these.
//! That pods to come have them is up to their authors; what becomes of the others is declared as losses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use crate::api::core::Pod;

/// The most bytes of a label's value.
///
/// Kubernetes 1.24, `staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go`: `LabelValueMaxLength`.
const LONGEST: usize = 63;

/// No requirement has more values than this.
const MOST_VALUES: usize = 20;

/// Pods by their labels, printed as kubectl reads it: `app=web`, `app in (cache,web)` or `app notin (agent)`, with `,` between.
///
/// A selector without requirements selects all pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelSelector(pub Vec<LabelRequirement>);

/// What one label of a pod must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelRequirement {
    /// The key of the label.
    pub key: String,
    /// How its value is compared.
    pub operator: LabelOperator,
    /// The values, at least one.
    pub values: BTreeSet<String>,
}

/// How the value of a label is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LabelOperator {
    /// It must be one of the values.
    In,
    /// It must be none of the values; a pod without the label is selected.
    NotIn,
}

impl LabelOperator {
    /// The operator as Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
        }
    }
}

/// The labels of a pod.
pub(super) type PodLabels = BTreeMap<String, String>;

impl LabelSelector {
    /// Whether a pod with these labels is selected.
    pub(super) fn matches(&self, labels: &PodLabels) -> bool {
        self.0.iter().all(|it| {
            let is_one = labels
                .get(&it.key)
                .is_some_and(|own| it.values.contains(own));
            is_one == (it.operator == LabelOperator::In)
        })
    }

    /// What a pod lacks that is to be selected.
    pub fn labels(&self) -> Value {
        let wanted = self.0.iter().filter(|it| it.operator == LabelOperator::In);
        let labels: BTreeMap<&str, &str> = wanted
            .filter_map(|it| Some((it.key.as_str(), it.values.first()?.as_str())))
            .collect();
        json!({ "metadata": { "labels": labels } })
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, it) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            let values: Vec<&str> = it.values.iter().map(String::as_str).collect();
            match (it.operator, values.as_slice()) {
                (LabelOperator::In, [value]) => write!(f, "{}={value}", it.key)?,
                (LabelOperator::NotIn, [value]) => write!(f, "{}!={value}", it.key)?,
                (LabelOperator::In, values) => write!(f, "{} in ({})", it.key, values.join(","))?,
                (LabelOperator::NotIn, values) => {
                    write!(f, "{} notin ({})", it.key, values.join(","))?;
                }
            }
        }
        Ok(())
    }
}

/// The labels of a pod that a selector can name.
pub(super) fn labels_of(pod: &Pod) -> PodLabels {
    let labels = pod.get(&["metadata", "labels"]).and_then(Value::as_object);
    let labels = labels.into_iter().flatten().filter_map(|(key, value)| {
        let value = value.as_str()?;
        (is_plain(key) && is_plain(value)).then(|| (key.clone(), value.to_owned()))
    });
    labels.collect()
}

/// The keys of a workload's own `spec.selector`.
pub(super) fn selector_keys(object: &Value) -> BTreeSet<String> {
    let selector = object.pointer("/spec/selector");
    let labels = selector.map(|it| it.get("matchLabels").unwrap_or(it));
    let labels = labels.and_then(Value::as_object).into_iter().flatten();
    labels.map(|(key, _)| key.clone()).collect()
}

/// Pods of a workload, by what a mutator can see of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labelled<'a> {
    pub(super) labels: &'a PodLabels,
    /// The keys of the workload's own selector.
    pub(super) selector: &'a BTreeSet<String>,
}

/// Returns the label that all of the own pods have, with values that none of the others has.
///
/// Of several it is the one with the fewest values, then one of the workloads' own selectors, then the first by its key.
pub(super) fn telling_apart(
    own: &[Labelled<'_>],
    others: &[Labelled<'_>],
) -> Option<LabelRequirement> {
    let keys = own.first()?.labels.keys();
    let requirements = keys.filter_map(|key| {
        let values: Option<BTreeSet<&String>> = own.iter().map(|it| it.labels.get(key)).collect();
        let values = values?;
        let is_theirs = |it: &Labelled<'_>| {
            let value = it.labels.get(key);
            value.is_some_and(|it| values.contains(it))
        };
        let is_own = own.iter().all(|it| it.selector.contains(key));
        (values.len() <= MOST_VALUES && !others.iter().any(is_theirs)).then(|| {
            let requirement = LabelRequirement {
                key: key.clone(),
                operator: LabelOperator::In,
                values: values.into_iter().cloned().collect(),
            };
            (requirement, is_own)
        })
    });
    let best = requirements.min_by_key(|(it, is_own)| (it.values.len(), !is_own));
    best.map(|(it, _)| it)
}

/// Returns the labels of the pods' own selector together, where no other pod has all of them.
pub(super) fn own_selector(own: Labelled<'_>, others: &[Labelled<'_>]) -> Option<LabelSelector> {
    let labels = own.labels.iter();
    let labels = labels.filter(|(key, _)| own.selector.contains(*key));
    let requirements = labels.map(|(key, value)| LabelRequirement {
        key: key.clone(),
        operator: LabelOperator::In,
        values: BTreeSet::from([value.clone()]),
    });
    let res = LabelSelector(requirements.collect());
    let is_own = !res.0.is_empty() && !others.iter().any(|it| res.matches(it.labels));
    is_own.then_some(res)
}

/// Whether a selector may have it as a key or value; an API server refuses labels of which some are not.
fn is_plain(text: &str) -> bool {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_' | '.' | '/');
    !text.is_empty()
        && text.len() <= LONGEST
        && text.chars().all(is_plain)
        && text.starts_with(|it: char| it.is_ascii_alphanumeric())
        && text.ends_with(|it: char| it.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> PodLabels {
        let pairs = pairs.iter();
        pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[track_caller]
    fn check(own: &[&[(&str, &str)]], others: &[&[(&str, &str)]], expected: Option<&str>) {
        let selector = BTreeSet::from(["app".to_owned()]);
        let [own, others] =
            [own, others].map(|it| it.iter().map(|it| labels(it)).collect::<Vec<_>>());
        let labelled = |all: &'_ [PodLabels]| -> Vec<PodLabels> { all.to_vec() };
        let (own, others) = (labelled(&own), labelled(&others));
        let of = |all: &[PodLabels]| all.len();
        assert!(of(&own) > 0);
        let own: Vec<_> = own
            .iter()
            .map(|labels| Labelled {
                labels,
                selector: &selector,
            })
            .collect();
        let others: Vec<_> = others
            .iter()
            .map(|labels| Labelled {
                labels,
                selector: &selector,
            })
            .collect();
        let res = telling_apart(&own, &others).map(|it| LabelSelector(vec![it]).to_string());
        assert_eq!(res.as_deref(), expected);
    }

    #[test]
    fn a_label_of_all_that_no_other_has_tells_them_apart() {
        let web = [("app", "web"), ("tier", "front")];
        let api = [("app", "api"), ("tier", "front")];
        let agent = [("app", "agent")];
        check(&[&web, &api], &[&agent], Some("tier=front"));
        check(&[&web], &[&agent], Some("app=web"));
        check(&[&web], &[&api], Some("app=web"));
        check(&[&web], &[&web], None);
        check(&[&web, &[]], &[&agent], None);
    }

    #[test]
    fn a_selector_selects_by_all_its_requirements() {
        let requirement = |key: &str, operator, values: &[&str]| LabelRequirement {
            key: key.to_owned(),
            operator,
            values: values.iter().map(|it| (*it).to_owned()).collect(),
        };
        let selector = LabelSelector(vec![
            requirement("app", LabelOperator::In, &["a", "b"]),
            requirement("tier", LabelOperator::NotIn, &["x"]),
        ]);
        assert_eq!(selector.to_string(), "app in (a,b),tier!=x");
        assert!(selector.matches(&labels(&[("app", "a")])));
        assert!(!selector.matches(&labels(&[("app", "a"), ("tier", "x")])));
        assert!(!selector.matches(&labels(&[("tier", "y")])));
        assert!(LabelSelector::default().matches(&labels(&[])));
    }

    #[test]
    fn the_labels_of_a_selector_together_are_a_workloads_own() {
        let selector: BTreeSet<String> = ["app", "tier"].map(str::to_owned).into();
        let own = labels(&[("app", "web"), ("tier", "a"), ("version", "1")]);
        let other = labels(&[("app", "web"), ("tier", "b"), ("version", "1")]);
        let labelled = |labels| Labelled {
            labels,
            selector: &selector,
        };
        let res = own_selector(labelled(&own), &[labelled(&other)]);
        assert_eq!(
            res.map(|it| it.to_string()).as_deref(),
            Some("app=web,tier=a")
        );
        assert_eq!(own_selector(labelled(&own), &[labelled(&own)]), None);
    }
}
