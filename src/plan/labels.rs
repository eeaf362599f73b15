//! Labels that tell the pods of some service accounts of a namespace from the others'.
//!
//! A mutator sees the labels of a pod, and not its service account.
//! So where the service accounts of a namespace want different defaults, the labels of the workloads in the input stand for them.
//! That pods to come have them is up to their authors: both those that lack the label and those of others that have it are told as
//! losses.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Value, json};

use crate::input::Inventory;
use crate::requests::own_pod;

/// The most bytes of a label's value.
///
/// Kubernetes 1.24, `staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go`: `LabelValueMaxLength`.
const LONGEST: usize = 63;

/// No selector has more values than this.
const MOST_VALUES: usize = 20;

/// The pods with one of some values of a label, printed as kubectl reads it: `app=web` or `app in (cache,web)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LabelSelector {
    /// The key of the label.
    pub key: String,
    /// The values, at least one.
    pub values: BTreeSet<String>,
}

impl LabelSelector {
    /// What a pod lacks that is to have the label.
    pub(super) fn pod(&self) -> Value {
        let labels = self
            .values
            .first()
            .map(|it| (self.key.clone(), it.as_str()));
        json!({ "metadata": { "labels": labels.into_iter().collect::<BTreeMap<_, _>>() } })
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&str> = self.values.iter().map(String::as_str).collect();
        match values.as_slice() {
            [value] => write!(f, "{}={value}", self.key),
            values => write!(f, "{} in ({})", self.key, values.join(",")),
        }
    }
}

/// The labels of a pod.
type PodLabels = BTreeMap<String, String>;

/// The labels of the pods in the input, by namespace and service account.
pub(super) struct Labels(BTreeMap<String, BTreeMap<String, BTreeSet<PodLabels>>>);

impl Labels {
    /// Reads the pods of the namespaces that are wanted.
    pub(super) fn new(inventory: &Inventory, is_wanted: impl Fn(&str) -> bool) -> Self {
        let mut res = BTreeMap::<_, BTreeMap<_, BTreeSet<_>>>::new();
        let workloads = inventory.workloads.iter();
        let pods = workloads
            .filter(|it| is_wanted(&it.namespace))
            .filter_map(|it| own_pod(&it.object));
        for own in pods {
            let pod = &own.request.pod;
            let account = match pod.service_account_name() {
                "" => "default",
                name => name,
            };
            let labels = pod.get(&["metadata", "labels"]).and_then(Value::as_object);
            let labels = labels.into_iter().flatten().filter_map(|(key, value)| {
                let value = value.as_str()?;
                (is_plain(key) && is_plain(value)).then(|| (key.clone(), value.to_owned()))
            });
            let namespace = res.entry(own.request.namespace.clone()).or_default();
            let pods = namespace.entry(account.to_owned()).or_default();
            pods.insert(labels.collect());
        }
        Self(res)
    }

    /// The service accounts of the pods in a namespace.
    pub(super) fn accounts(&self, namespace: &str) -> impl Iterator<Item = &str> {
        let accounts = self.0.get(namespace).into_iter().flatten();
        accounts.map(|(name, _)| name.as_str())
    }

    /// The label that all pods of these service accounts have with values that no other pod of the namespace has.
    ///
    /// Of several it is the one with the fewest values, then the first by its key.
    pub(super) fn selector(
        &self,
        namespace: &str,
        accounts: &BTreeSet<&str>,
    ) -> Option<LabelSelector> {
        let all = self.0.get(namespace)?.iter();
        let (own, others): (Vec<_>, Vec<_>) =
            all.partition(|(account, _)| accounts.contains(account.as_str()));
        let [own, others] = [own, others]
            .map(|of| -> Vec<&PodLabels> { of.into_iter().flat_map(|(_, pods)| pods).collect() });
        let keys = own.first()?.keys();
        let selectors = keys.filter_map(|key| {
            let values: Option<BTreeSet<&String>> = own.iter().map(|it| it.get(key)).collect();
            let values = values?;
            let is_theirs = |it: &&PodLabels| it.get(key).is_some_and(|it| values.contains(it));
            (values.len() <= MOST_VALUES && !others.iter().any(is_theirs)).then(|| LabelSelector {
                key: key.clone(),
                values: values.into_iter().cloned().collect(),
            })
        });
        selectors.min_by_key(|it| it.values.len())
    }
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
