//! What each policy would do with a pod, for people to read.

use serde_json::Value;

use super::{mutate_pod, validate_pod};
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::FieldError;

/// A policy, tried on a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The name of the policy.
    pub policy: String,
    /// Who may use it; at least one may.
    pub usable_by: Identities,
    /// What came of it.
    pub outcome: Outcome,
}

/// The identities that may let a pod have a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identities {
    /// Whether the service account of the pod may use it.
    pub service_account: bool,
    /// Whether the user who asks may use it.
    pub requester: bool,
}

/// What comes of a policy that is tried on a pod.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The pod is accepted as it is.
    Unchanged,
    /// The pod is accepted with these values filled in; where it may not be changed, it is not accepted.
    Defaulted(Vec<Change>),
    /// The pod is not accepted.
    Refused(Vec<FieldError>),
}

/// A value that a policy fills in.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where, as in `spec.containers[0].securityContext.runAsUser` or `metadata.annotations[kubernetes.io/psp]`.
    pub path: String,
    /// What.
    pub value: Value,
}

impl Outcome {
    /// Tries the policy on the pod.
    pub(super) fn of(psp: &PodSecurityPolicy, pod: &Pod) -> Self {
        let mutated = mutate_pod(psp, pod.clone());
        let errors = validate_pod(psp, &mutated);
        if !errors.is_empty() {
            return Self::Refused(errors);
        }
        if mutated == *pod {
            return Self::Unchanged;
        }
        let mut changes = Vec::new();
        for (key, value) in &mutated.0 {
            collect(&mut changes, key, pod.0.get(key), value);
        }
        Self::Defaulted(changes)
    }
}

/// Adds what is new under a path, down to single values and whole lists of them.
fn collect(acc: &mut Vec<Change>, path: &str, old: Option<&Value>, new: &Value) {
    if old == Some(new) {
        return;
    }
    match (old, new) {
        (_, Value::Object(members)) if !members.is_empty() => {
            for (key, value) in members {
                let old = old.and_then(|it| it.get(key));
                collect(acc, &member_path(path, key), old, value);
            }
        }
        (Some(Value::Array(old)), Value::Array(new))
            if old.len() == new.len() && has_objects(new) =>
        {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                collect(acc, &format!("{path}[{index}]"), Some(old), new);
            }
        }
        _ => acc.push(Change {
            path: path.to_owned(),
            value: new.clone(),
        }),
    }
}

fn has_objects(list: &[Value]) -> bool {
    list.iter().any(Value::is_object)
}

fn member_path(path: &str, key: &str) -> String {
    if key.contains(['.', '/']) {
        format!("{path}[{key}]")
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::policy::{GroupStrategy, SeLinuxOptions, SeLinuxStrategy};
    use crate::controls::testing::{contexts, owned, pod, policy, ranges};

    #[test]
    fn changes_are_told_down_to_values_and_whole_lists() {
        let psp = policy(|it| {
            it.supplemental_groups = GroupStrategy::MustRunAs(ranges(&[(5, 9)]));
            it.required_drop_capabilities = owned(&["X"]);
            it.app_armor.default = "unconfined".to_owned();
            it.se_linux = SeLinuxStrategy::MustRunAs(SeLinuxOptions::default());
        });
        let context = json!({ "capabilities": { "add": ["B", "A"], "drop": ["Y"] } });
        let outcome = Outcome::of(&psp, &pod(contexts(&json!({}), &context)));
        let Outcome::Defaulted(changes) = outcome else {
            panic!("{outcome:?}");
        };
        let changes: Vec<_> = changes.into_iter().map(|it| (it.path, it.value)).collect();
        let app_armor = "metadata.annotations[container.apparmor.security.beta.kubernetes.io/app]";
        let capabilities = "spec.containers[0].securityContext.capabilities";
        let expected = [
            (app_armor.to_owned(), json!("unconfined")),
            (format!("{capabilities}.add"), json!(["A", "B"])),
            (format!("{capabilities}.drop"), json!(["X", "Y"])),
            ("spec.securityContext.seLinuxOptions".to_owned(), json!({})),
            (
                "spec.securityContext.supplementalGroups".to_owned(),
                json!([5]),
            ),
        ];
        assert_eq!(changes, expected);
    }
}
