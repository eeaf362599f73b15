//! Why a cluster could not be read, and the way out.

use std::collections::BTreeMap;
use std::process::ExitStatus;

use anyhow::anyhow;

use super::Resource;

/// Why kubectl could not read something.
#[derive(Debug)]
pub(super) enum Failure {
    /// The cluster has no such resource, in the words of kubectl.
    NotServed(String),
    /// The user may not read it, in the words of the API server.
    Forbidden(String),
    /// Anything else.
    Other(anyhow::Error),
}

impl Failure {
    /// Tells from what kubectl complains about why it failed.
    pub(super) fn of(complaints: &str, status: ExitStatus) -> Self {
        let lines = complaints.lines().map(str::trim);
        let lines = lines.filter(|it| !is_aside(it));
        // We say that it is an error.
        let error: Vec<&str> = lines
            .map(|it| it.strip_prefix("error: ").unwrap_or(it))
            .collect();
        let message = match error.as_slice() {
            [] => format!("kubectl says nothing and ends with {status}"),
            lines => lines.join("; "),
        };
        if message.contains("(Forbidden)") {
            Self::Forbidden(message)
        } else if message.contains("the server doesn't have a resource type")
            || message.contains("(NotFound)")
            || message.contains("could not find the requested resource")
        {
            Self::NotServed(message)
        } else {
            Self::Other(anyhow!(message))
        }
    }

    /// The same without the distinction.
    pub(super) fn into_error(self) -> anyhow::Error {
        match self {
            Self::NotServed(message) | Self::Forbidden(message) => anyhow!(message),
            Self::Other(error) => error,
        }
    }
}

/// Whether kubectl writes such a line beside its error: nothing, a warning of the API server, or a line of its log, which begins
/// with a letter and the date.
fn is_aside(line: &str) -> bool {
    let mut start = line.bytes();
    let is_log = start.next().is_some_and(|it| b"EIW".contains(&it))
        && start.by_ref().take(4).filter(u8::is_ascii_digit).count() == 4
        && start.next() == Some(b' ');
    line.is_empty() || line.starts_with("Warning:") || is_log
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// A resource that may not be read.
#[derive(Debug)]
pub(super) struct Forbidden {
    pub(super) resource: Resource,
    pub(super) message: String,
}

/// Tells what may not be read and which rules would let it, as a ClusterRole has them.
pub(super) fn what_is_missing(forbidden: &[Forbidden]) -> String {
    let mut by_group = BTreeMap::<&str, Vec<String>>::new();
    for Forbidden { resource, .. } in forbidden {
        let names = by_group.entry(resource.group).or_default();
        names.push(format!("\"{}\"", resource.name));
    }
    let mut res = String::from("the cluster does not let you read everything that is needed:\n");
    for it in forbidden {
        res.extend(["  ", &it.message, "\n"]);
    }
    res.push_str("a ClusterRole with these rules, bound to you by a ClusterRoleBinding, would:\n");
    for (group, names) in by_group {
        let names = names.join(", ");
        res.extend([
            format!("  - apiGroups: [\"{group}\"]\n"),
            format!("    resources: [{names}]\n    verbs: [\"list\"]\n"),
        ]);
    }
    res.truncate(res.trim_end().len());
    res
}
