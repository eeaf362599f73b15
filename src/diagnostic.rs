//! What the user should be told about the input.

use std::fmt;

use serde::Serialize;

use crate::api::meta::ObjectRef;

/// The codes of all diagnostics, sorted, and what to do about each.
pub const CODES: &[(&str, &str)] = &[
    (
        "duplicate-object",
        "The same object is in the input twice with the same content. It was read once; nothing to do.",
    ),
    (
        "enforcement-weakened",
        "The output directory forbids or warns where what is written now would not: `--deny`, `--warn` or `--enforcement-action` were given to an earlier run and not to this one. Where PodSecurityPolicy stepped aside already, nothing would forbid any more.",
    ),
    (
        "everything-for-everybody",
        "A policy that lets a pod take over its node may be used by everybody, in every namespace; EKS ships such a grant for `eks.privileged`. The output forbids as little as PSP did. Bind the policy to those who need it and run again, or delete the subject from `grants` in the constraint.",
    ),
    (
        "namespace-not-found",
        "A namespace that you name occurs nowhere in the input. It may be misspelled: with `--deny` or `--warn` the one that you mean is then enforced like the rest, and `resolve` tells only what holds everywhere. If it is yet to come, nothing is wrong.",
    ),
    (
        "not-kubernetes",
        "A document has no `kind`, so it is no Kubernetes object: values of a Helm chart, for instance. It was left aside; hand over what the chart renders to.",
    ),
    (
        "object-too-large",
        "An object of the output is larger than 1 MiB. What an API server stores has a limit of about 1.5 MiB, set by etcd's `--max-request-bytes`.",
    ),
    (
        "policy-not-found",
        "A role lets somebody use a PodSecurityPolicy that is not in the input. The name may be misspelled, or the policy deleted; if the cluster has it, hand it over too.",
    ),
    (
        "proc-mount-type-dropped",
        "An API server whose feature gate `ProcMountType` is off, as it is by default in Kubernetes 1.24, drops `allowedProcMountTypes` from a policy, so that only `Default` passes. If the gate was on, say so: `--feature-gates ProcMountType=true`.",
    ),
    (
        "role-not-found",
        "A binding refers to a role that is not in the input, so it grants nothing. If the cluster has the role, hand it over too.",
    ),
    (
        "rule-never-matches",
        "A rule comes close to granting a PodSecurityPolicy and does not, because names are case-sensitive, short names such as `psp` are kubectl's alone, and subresources do not count. It grants nothing, in the cluster as here.",
    ),
    (
        "subject-never-matches",
        "A subject matches nobody: names are no patterns, `system:authenticated` is a group and no user, and `system:serviceaccount:NAMESPACE:NAME` is a user and no group. It is granted nothing, in the cluster as here.",
    ),
    (
        "superfluous-policy",
        "Whoever may use the policy may use a wider one too, which admits every pod that this one admits as it stands. So it never decides, and the constraint does without it where that is so.",
    ),
    (
        "too-many-mutators",
        "Namespaces want so many different values of one field that a mutator for each would slow down the admission of every pod: Gatekeeper cannot look a value up by namespace. So none is written, and a pod that leaves the field open is refused there, as a loss tells. Let the authors set the field, or raise `--max-mutators`.",
    ),
    (
        "unknown-field",
        "An API server drops a field that it does not know. If it is misspelled, the policy has never done what its author meant; mend it and run again.",
    ),
    (
        "unknown-kind",
        "An object has no kind that an API server knows, and comes close to one that matters here; a cluster would refuse it. It was left aside, so what it was meant to grant or to forbid is missing. Mend the kind or the version and run again.",
    ),
    (
        "unknown-workload",
        "An object has a pod template, as a Rollout of Argo or a Service of Knative have, but only what Kubernetes itself makes pods of is known, or the version is misspelled. Constraint and mutators reach its pods all the same; but `diff`, `bake` and the report do not tell what becomes of them. Give the pods or ReplicaSets that its controller made.",
    ),
    (
        "unusable-policy",
        "An API server stores the policy, and the admission plugin skips it, because a strategy lacks what it needs, such as `MustRunAs` without ranges. Nobody can use it, in the cluster as here.",
    ),
    (
        "unused-policy",
        "No role that somebody is bound to grants the policy; only whoever is bound to `cluster-admin` may use it.",
    ),
];

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something to look at; `--strict` makes it a failure.
    Warning,
    /// Something good to know.
    Note,
}

/// A place in a source: a file as the user named it, with line and column counted from one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Location {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

impl Location {
    /// Where a file begins, for what is about all of it.
    pub fn start_of(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            line: 1,
            column: 1,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Something about the input that the user should know; it does not end the run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// How much it matters; warnings sort first.
    pub severity: Severity,
    /// A stable kebab-case code, part of the interface.
    pub code: &'static str,
    /// The object that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
    /// The field, as Kubernetes writes paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// One sentence, lower case, without a full stop.
    pub message: String,
    /// Where in the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
}

impl Diagnostic {
    /// A warning about the input as a whole; see the `with_` functions for the rest.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            code,
            object: None,
            field: None,
            message: message.into(),
            location: None,
        }
    }

    /// A note about the input as a whole.
    pub fn note(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Note,
            ..Self::warning(code, message)
        }
    }

    /// The same about an object.
    #[must_use]
    pub fn about(mut self, object: ObjectRef) -> Self {
        self.object = Some(object);
        self
    }

    /// The same about a field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same with its place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{severity}[{}]: ", self.code)?;
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if let Some(field) = &self.field {
            write!(f, "`{field}`: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Returns a text from the input as one line, without what a terminal would obey.
pub fn printable(text: &str) -> String {
    let escaped = |it: char| {
        if it.is_control() {
            it.escape_debug().to_string()
        } else {
            it.to_string()
        }
    };
    text.chars().map(escaped).collect()
}
