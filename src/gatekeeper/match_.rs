//! Does a constraint or a mutator match a pod?
//!
//! Gatekeeper 3.23, `pkg/mutation/match/match.go` and `pkg/wildcard/wildcard.go`.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde::Deserialize;
use serde_json::Value;

/// `spec.match`: all parts must hold, a part that is not there holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Match {
    source: Source,
    kinds: Vec<Kinds>,
    scope: Option<String>,
    namespaces: Vec<String>,
    excluded_namespaces: Vec<String>,
    label_selector: Option<Selector>,
    namespace_selector: Option<Selector>,
    name: String,
}

/// Whether objects count that came from a request or from an `ExpansionTemplate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum Source {
    #[default]
    All,
    Original,
    Generated,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Kinds {
    api_groups: Vec<String>,
    kinds: Vec<String>,
}

/// A label selector that is known to be valid.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "LabelSelector")]
struct Selector(LabelSelector);

impl TryFrom<LabelSelector> for Selector {
    type Error = String;

    fn try_from(selector: LabelSelector) -> Result<Self, String> {
        for requirement in selector.match_expressions.iter().flatten() {
            let values = requirement.values.as_ref().is_some_and(|it| !it.is_empty());
            match (requirement.operator.as_str(), values) {
                ("In" | "NotIn", true) | ("Exists" | "DoesNotExist", false) => {}
                ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {
                    return Err(format!(
                        "operator `{}` with the wrong number of values",
                        requirement.operator
                    ));
                }
                (operator, _) => return Err(format!("unknown operator `{operator}`")),
            }
        }
        Ok(Self(selector))
    }
}

impl Selector {
    fn selects<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let has_value = |key: &str, value: &String| label(key) == Some(value.as_str());
        let requirement_holds = |it: &LabelSelectorRequirement| {
            let listed = || {
                it.values
                    .iter()
                    .flatten()
                    .any(|value| has_value(&it.key, value))
            };
            match it.operator.as_str() {
                "In" => listed(),
                "NotIn" => !listed(),
                "Exists" => label(&it.key).is_some(),
                _ => label(&it.key).is_none(),
            }
        };
        let labels = self.0.match_labels.iter().flatten();
        let expressions = self.0.match_expressions.iter().flatten();
        labels.into_iter().all(|(key, value)| has_value(key, value))
            && expressions.into_iter().all(requirement_holds)
    }
}

/// The namespace of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Namespace<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its labels, without the one that the API server sets; absent where the namespace was not given.
    pub(super) labels: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Namespace<'a> {
    /// The label every namespace has.
    const NAME_LABEL: &'static str = "kubernetes.io/metadata.name";

    /// A label; the API server sets the one with the name.
    pub(super) fn label(&self, key: &str) -> Option<&'a str> {
        if key == Self::NAME_LABEL {
            return Some(self.name);
        }
        self.labels?.get(key).map(String::as_str)
    }

    /// All labels, by key.
    pub(super) fn all_labels(&self) -> BTreeMap<&'a str, &'a str> {
        let given = self.labels.into_iter().flatten();
        given
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .chain([(Self::NAME_LABEL, self.name)])
            .collect()
    }
}

impl Match {
    /// Whether a pod matches that has this metadata and this name, which may yet be empty.
    pub(super) fn matches(
        &self,
        metadata: Option<&Value>,
        name: &str,
        namespace: Namespace<'_>,
    ) -> bool {
        let generate_name = || metadata.and_then(|it| it.get("generateName")?.as_str());
        let label = |key: &str| metadata.and_then(|it| it.get("labels")?.get(key)?.as_str());
        let is_in = |globs: &[String]| globs.iter().any(|glob| glob_matches(glob, namespace.name));
        let name_matches = || {
            glob_matches(&self.name, name)
                || (self.name.ends_with('*')
                    && glob_matches(&self.name, generate_name().unwrap_or_default()))
        };
        (self.kinds.is_empty() || self.kinds.iter().any(Kinds::include_pods))
            && self.scope.as_deref() != Some("Cluster")
            && (self.namespaces.is_empty() || is_in(&self.namespaces))
            && !is_in(&self.excluded_namespaces)
            && self
                .label_selector
                .as_ref()
                .is_none_or(|it| it.selects(label))
            && self
                .namespace_selector
                .as_ref()
                .is_none_or(|it| it.selects(|key| namespace.label(key)))
            && (self.name.is_empty() || name_matches())
            && self.source != Source::Generated
    }
}

impl Kinds {
    fn include_pods(&self) -> bool {
        let includes = |list: &[String], wanted: &str| {
            list.is_empty() || list.iter().any(|it| it == "*" || it == wanted)
        };
        includes(&self.kinds, "Pod") && includes(&self.api_groups, "")
    }
}

/// Whether a glob, which may have a star in front and at the end, matches.
fn glob_matches(glob: &str, candidate: &str) -> bool {
    match (glob.strip_prefix('*'), glob.strip_suffix('*')) {
        (Some(rest), Some(_)) => candidate.contains(rest.strip_suffix('*').unwrap_or(rest)),
        (Some(suffix), None) => candidate.ends_with(suffix),
        (None, Some(prefix)) => candidate.starts_with(prefix),
        (None, None) => candidate == glob,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(match_: Value, expected: bool) {
        let text = match_.to_string();
        let match_: Match = serde_json::from_value(match_).unwrap();
        let metadata = json!({"name": "web-1", "labels": {"app": "web"}});
        let labels = BTreeMap::from([("team".to_owned(), "a".to_owned())]);
        let namespace = Namespace {
            name: "kube-system",
            labels: Some(&labels),
        };
        assert_eq!(
            match_.matches(Some(&metadata), "web-1", namespace),
            expected,
            "{text}"
        );
    }

    #[test]
    fn an_absent_part_holds_and_all_given_parts_must_hold() {
        check(json!({}), true);
        check(
            json!({"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}], "name": "web-1"}),
            true,
        );
        check(
            json!({"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}], "name": "db"}),
            false,
        );
    }

    #[test]
    fn kinds_compare_group_and_kind_of_one_entry() {
        check(
            json!({"kinds": [{"apiGroups": ["apps"], "kinds": ["Pod"]}, {"kinds": ["Job"]}]}),
            false,
        );
        check(
            json!({"kinds": [{"apiGroups": ["*"], "kinds": ["*"]}]}),
            true,
        );
        check(json!({"kinds": [{}]}), true);
    }

    #[test]
    fn globs_have_stars_at_the_ends_alone() {
        for (glob, expected) in [
            ("kube-*", true),
            ("*-system", true),
            ("*be-sys*", true),
            ("kube-system", true),
            ("kube", false),
            ("*", true),
            ("k*m", false),
        ] {
            check(json!({"namespaces": [glob]}), expected);
            check(json!({"excludedNamespaces": [glob]}), !expected);
        }
    }

    #[test]
    fn a_name_yet_to_be_generated_is_matched_by_a_final_star_alone() {
        let metadata = json!({"generateName": "web-"});
        let namespace = Namespace {
            name: "a",
            labels: None,
        };
        for (name, expected) in [
            ("web-*", true),
            ("*web*", true),
            ("*web-", false),
            ("web-", false),
        ] {
            let match_: Match = serde_json::from_value(json!({"name": name})).unwrap();
            assert_eq!(
                match_.matches(Some(&metadata), "", namespace),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn selectors_read_the_labels_of_the_pod_and_of_its_namespace() {
        check(
            json!({"labelSelector": {"matchLabels": {"app": "web"}}}),
            true,
        );
        check(
            json!({"labelSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}}),
            false,
        );
        check(
            json!({"labelSelector": {"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["web"]}]}}),
            true,
        );
        check(
            json!({"labelSelector": {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}}),
            true,
        );
        check(
            json!({"namespaceSelector": {"matchLabels": {"team": "a"}}}),
            true,
        );
        check(
            json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}),
            true,
        );
        check(
            json!({"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["b"]}]}}),
            false,
        );
    }

    #[test]
    fn scope_and_source_can_leave_pods_out() {
        check(json!({"scope": "Cluster"}), false);
        check(json!({"scope": "Namespaced"}), true);
        check(json!({"scope": "*", "source": "Original"}), true);
        check(json!({"source": "Generated"}), false);
    }

    #[test]
    fn what_gatekeeper_refuses_is_an_error() {
        for match_ in [
            json!({"operations": ["CREATE"]}),
            json!({"source": "Any"}),
            json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "in", "values": ["b"]}]}}),
            json!({"labelSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
        ] {
            assert!(
                serde_json::from_value::<Match>(match_.clone()).is_err(),
                "{match_}"
            );
        }
    }
}
