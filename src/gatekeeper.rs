//! What a cluster with Gatekeeper 3.23 answers to an admission request for a pod.
//!
//! The answer comes from manifests alone, parsed again from their text: templates and constraints are evaluated by a Rego
//! engine, mutators are applied as Gatekeeper applies them.
//! What cannot be evaluated is an error and never an admission.
//!
//! The webhooks are configured as Gatekeeper's chart configures them, and no namespace is excluded but Gatekeeper's own and
//! those with the label `admission.gatekeeper.sh/ignore`.
//!
//! The API server is one of Kubernetes 1.24 unless [`GatekeeperAdmission::on`] says otherwise.
//! The webhooks see the fields of a pod that its release knows; those that came after 1.34 they never see.
//!
//! Known differences from a cluster, all in texts that Rego makes:
//!
//! - a number from one million up that a message takes straight from the pod reads `1e+06` in a cluster, `1000000` here;
//! - `json.marshal` escapes `<`, `>` and `&` in a cluster and not here;
//! - an empty set prints as `set()` in a cluster and as `{}` here.
//!
//! Of the object `namespaceObject` no more than name and labels is known.

mod conflict;
mod document;
mod hoist;
mod location;
mod match_;
mod mutate;
mod mutator;
mod rego;
mod review;
mod schema;
mod syntax;
mod template;
mod wire;

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value as RegoValue;
use serde::Serialize;
use serde_json::Value;

use crate::admission::{Admission, AdmissionRequest, Operation, Verdict, Violation};
use crate::api::apparmor;
use crate::api::core::Pod;
use crate::manifest::Manifest;
use crate::version::Version;
use document::Object;
use match_::Namespace;
use mutate::Mutators;
pub use review::EnforcementAction;
use review::{Constraints, Question, ReviewFrame};

/// Why there is no answer, or why the answer is an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReviewError {
    /// A text is not a manifest.
    #[error("{manifest}: {reason}")]
    Malformed {
        /// Which text.
        manifest: String,
        /// What is wrong.
        reason: String,
    },
    /// Gatekeeper or the API server does not accept an object, so nothing would be enforced.
    #[error("{object}: {reason}")]
    Invalid {
        /// Kind and name.
        object: String,
        /// What is wrong.
        reason: String,
    },
    /// An object asks for something whose outcome we cannot tell.
    #[error("{object}: cannot be evaluated: {reason}")]
    CannotEvaluate {
        /// Kind and name.
        object: String,
        /// What it is.
        reason: String,
    },
    /// The request fails: Gatekeeper or the API server refuses it with an error instead of a decision.
    #[error("the request is refused with an error: {reason}")]
    Refused {
        /// The error.
        reason: String,
    },
}

/// What the mutating webhook makes of a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutated {
    /// The pod as the API server reads it then, without what its type does not have.
    pub pod: Pod,
    /// Whether Gatekeeper asks for changes.
    pub changed: bool,
}

/// A violation of a constraint that the validating webhook reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConstraintViolation {
    /// The constraint, as `Kind/name`.
    pub constraint: String,
    /// What is done about it.
    pub enforcement_action: EnforcementAction,
    /// `msg` of the violation.
    pub message: String,
    /// `details` of the violation in JSON; `{}` if it has none.
    #[serde(skip)]
    pub details: String,
}

/// The answer of both webhooks.
#[derive(Clone, Debug, PartialEq)]
pub struct Review {
    /// Whether the request is admitted.
    pub allowed: bool,
    /// The pod after mutation and what the API server did to it then.
    pub pod: Pod,
    /// What the constraints say, sorted; only those with the action deny refuse the request.
    pub violations: Vec<ConstraintViolation>,
    /// The error that the request is refused with, if there is one.
    pub error: Option<String>,
}

/// Gatekeeper with its templates, constraints and mutators.
///
/// Prepared once and asked often, also from several threads.
#[derive(Debug)]
pub struct GatekeeperAdmission {
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    mutators: Mutators,
    constraints: Constraints,
    frame: ReviewFrame,
    kubernetes: Version,
}

/// The release of an API server that nothing else is said of.
const KUBERNETES: Version = Version::new(1, 24);

/// Gatekeeper's own namespace.
const GATEKEEPER: &str = "gatekeeper-system";
/// Gatekeeper's own service account.
const GATEKEEPER_ACCOUNT: &str = "system:serviceaccount:gatekeeper-system:gatekeeper-admin";
/// A namespace with this label is left alone.
const IGNORE_LABEL: &str = "admission.gatekeeper.sh/ignore";
/// The subresources of pods, and the pod itself, that the chart sends to the validating webhook.
const VALIDATED: [&str; 10] = [
    "",
    "attach",
    "binding",
    "ephemeralcontainers",
    "eviction",
    "exec",
    "log",
    "portforward",
    "proxy",
    "resize",
];
/// The one of them that the chart does not send to the mutating webhook.
const NOT_MUTATED: &str = "resize";

impl GatekeeperAdmission {
    /// Reads the manifests; `namespaces` has the labels of each namespace that is known.
    ///
    /// A namespace that is not known has no label but `kubernetes.io/metadata.name`.
    /// Objects of kinds that are not Gatekeeper's are passed over.
    ///
    /// # Errors
    ///
    /// The first text that is ill-formed, object that the cluster would not accept, or object whose effect on pods cannot be
    /// evaluated.
    pub fn from_manifests(
        manifests: &[Manifest],
        namespaces: &BTreeMap<String, BTreeMap<String, String>>,
    ) -> Result<Self, ReviewError> {
        let (mut templates, mut constraints, mut mutators) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for manifest in manifests {
            for object in document::objects(&manifest.to_string(), &manifest.text)? {
                let place = match place_of(&object)? {
                    Place::Template => &mut templates,
                    Place::Constraint => &mut constraints,
                    Place::Mutator => &mut mutators,
                    Place::Nowhere => continue,
                };
                let key = (
                    object.group.clone(),
                    object.kind.clone(),
                    object.name.clone(),
                );
                if !seen.insert(key) {
                    return Err(object.error("is there twice"));
                }
                place.push(object);
            }
        }
        Ok(Self {
            namespaces: namespaces.clone(),
            mutators: Mutators::new(&mutators)?,
            constraints: Constraints::new(&templates, &constraints)?,
            frame: ReviewFrame::new(),
            kubernetes: KUBERNETES,
        })
    }

    /// Puts Gatekeeper on a cluster of another release of Kubernetes than 1.24.
    #[must_use]
    pub fn on(self, kubernetes: Version) -> Self {
        Self { kubernetes, ..self }
    }

    /// Returns the release of Kubernetes that Gatekeeper is on.
    pub fn kubernetes(&self) -> Version {
        self.kubernetes
    }

    /// Returns the pod of a request as an API server of that release reads and writes it: without what its type does not have,
    /// and without what says nothing.
    ///
    /// # Errors
    ///
    /// When an API server cannot read it and so refuses the request by itself.
    pub fn read(request: &AdmissionRequest, kubernetes: Version) -> Result<Pod, ReviewError> {
        encode(&request.pod, request, request.pod.name(), kubernetes).map(pod)
    }

    /// Asks the mutating webhook.
    ///
    /// # Errors
    ///
    /// When the request is refused with an error.
    pub fn mutate(&self, request: &AdmissionRequest) -> Result<Mutated, ReviewError> {
        let namespace = self.namespace(request);
        let before: Value = encode(&request.pod, request, request.pod.name(), self.kubernetes)?;
        if self.mutators.is_empty()
            || request.subresource == NOT_MUTATED
            || is_exempt(request, namespace)
        {
            return Ok(Mutated {
                pod: pod(before),
                changed: false,
            });
        }
        let mut after = before.clone();
        self.mutators
            .mutate(&mut after, namespace, request.operation)
            .map_err(|reason| ReviewError::Refused { reason })?;
        if after == before {
            return Ok(Mutated {
                pod: pod(before),
                changed: false,
            });
        }
        let after = pod(after);
        Ok(Mutated {
            pod: pod(encode(&after, request, after.name(), self.kubernetes)?),
            changed: true,
        })
    }

    /// Asks the validating webhook; the violations are sorted by constraint, action and message.
    ///
    /// A pod that is created with `metadata.generateName` alone gets that and `xxxxx` for its name, where an API server appends
    /// five random characters.
    ///
    /// # Errors
    ///
    /// When the request is refused with an error, or the answer cannot be known.
    pub fn validate(
        &self,
        request: &AdmissionRequest,
    ) -> Result<Vec<ConstraintViolation>, ReviewError> {
        self.validate_pod(request, &request.pod)
    }

    /// Asks both webhooks; `between` is what the API server does to the pod after the first and before the second.
    ///
    /// What it does since Kubernetes 1.30 alone is done by itself: a container whose AppArmor profile is an annotation gets the
    /// field.
    ///
    /// # Errors
    ///
    /// When the answer cannot be known; a request that is refused with an error is an answer.
    pub fn review_with(
        &self,
        request: &AdmissionRequest,
        between: impl FnOnce(Pod) -> Pod,
    ) -> Result<Review, ReviewError> {
        let mutated = match self.mutate(request) {
            Err(ReviewError::Refused { reason }) => {
                return Ok(Review::refused(request.pod.clone(), reason));
            }
            other => other?,
        };
        let mut pod = between(mutated.pod);
        let is_new = request.operation == Operation::Create && request.subresource.is_empty();
        if is_new && self.kubernetes >= apparmor::FIELD_SINCE {
            apparmor::sync(&mut pod);
        }
        match self.validate_pod(request, &pod) {
            Ok(violations) => Ok(Review {
                allowed: !violations
                    .iter()
                    .any(|it| it.enforcement_action == EnforcementAction::Deny),
                pod,
                violations,
                error: None,
            }),
            Err(ReviewError::Refused { reason }) => Ok(Review::refused(pod, reason)),
            Err(error) => Err(error),
        }
    }

    /// Asks the validating webhook about a request whose pod has become another one.
    fn validate_pod(
        &self,
        request: &AdmissionRequest,
        pod: &Pod,
    ) -> Result<Vec<ConstraintViolation>, ReviewError> {
        let namespace = self.namespace(request);
        if is_exempt(request, namespace) {
            return Ok(Vec::new());
        }
        let name = match (pod.name(), request.operation) {
            ("", Operation::Create) => generated_name(pod),
            (name, _) => name.to_owned(),
        };
        let object: RegoValue = encode(pod, request, &name, self.kubernetes)?;
        let old_object = match &request.old_pod {
            None => RegoValue::Null,
            Some(old_pod) => encode(old_pod, request, old_pod.name(), self.kubernetes)?,
        };
        let review = self
            .frame
            .review(request, namespace, &name, object, old_object);
        self.constraints.violations(&Question {
            request,
            pod,
            namespace,
            name: &name,
            review,
        })
    }

    fn namespace<'a>(&'a self, request: &'a AdmissionRequest) -> Namespace<'a> {
        Namespace {
            name: &request.namespace,
            labels: self.namespaces.get(&request.namespace),
        }
    }
}

impl Review {
    fn refused(pod: Pod, reason: String) -> Self {
        Self {
            allowed: false,
            pod,
            violations: Vec::new(),
            error: Some(reason),
        }
    }
}

impl Admission for GatekeeperAdmission {
    type Error = ReviewError;

    /// Asks both webhooks, with nothing between.
    fn review(&self, request: &AdmissionRequest) -> Result<Verdict, ReviewError> {
        let review = self.review_with(request, |pod| pod)?;
        if review.allowed {
            return Ok(Verdict::Admitted { pod: review.pod });
        }
        let denied = review.violations.into_iter();
        let denied = denied.filter(|it| it.enforcement_action == EnforcementAction::Deny);
        let mut violations: Vec<_> = denied
            .map(|it| Violation {
                by: it.constraint,
                message: it.message,
            })
            .collect();
        violations.extend(review.error.map(|message| Violation {
            by: "gatekeeper".to_owned(),
            message,
        }));
        Ok(Verdict::Forbidden { violations })
    }
}

enum Place {
    Template,
    Constraint,
    Mutator,
    Nowhere,
}

/// What an object is to us.
fn place_of(object: &Object) -> Result<Place, ReviewError> {
    let versions: &[&str] = match object.group.as_str() {
        "templates.gatekeeper.sh" | "mutations.gatekeeper.sh" => &["v1", "v1beta1", "v1alpha1"],
        "constraints.gatekeeper.sh" => &["v1beta1", "v1alpha1"],
        "config.gatekeeper.sh" => {
            return Err(object.unsupported("it changes what the webhooks see"));
        }
        "syncset.gatekeeper.sh" => {
            return Err(object.unsupported("its data comes from outside the manifests"));
        }
        // ExpansionTemplates and Providers do not touch pods by themselves.
        _ => return Ok(Place::Nowhere),
    };
    if !versions.contains(&object.version.as_str()) {
        return Err(object.error(format!("unknown version `{}`", object.version)));
    }
    Ok(match (object.group.as_str(), object.kind.as_str()) {
        ("templates.gatekeeper.sh", "ConstraintTemplate") => Place::Template,
        ("templates.gatekeeper.sh", _) => return Err(object.error("unknown kind")),
        ("mutations.gatekeeper.sh", _) => Place::Mutator,
        _ => Place::Constraint,
    })
}

/// Whether the webhooks are not asked.
fn is_exempt(request: &AdmissionRequest, namespace: Namespace<'_>) -> bool {
    !matches!(request.operation, Operation::Create | Operation::Update)
        || !VALIDATED.contains(&request.subresource.as_str())
        || request.user_info.username == GATEKEEPER_ACCOUNT
        || namespace.name == GATEKEEPER
        || namespace.label(IGNORE_LABEL).is_some()
}

fn encode<B: wire::Build>(
    pod: &Pod,
    request: &AdmissionRequest,
    name: &str,
    kubernetes: Version,
) -> Result<B, ReviewError> {
    let own = pod.namespace();
    if !own.is_empty() && own != request.namespace {
        return Err(ReviewError::Refused {
            reason: format!(
                "the pod's namespace `{own}` is not the request's, `{}`",
                request.namespace
            ),
        });
    }
    wire::encode(pod, &request.namespace, name, kubernetes).map_err(|error| ReviewError::Refused {
        reason: format!("the pod cannot be read: {error}"),
    })
}

fn generated_name(pod: &Pod) -> String {
    match pod
        .get(&["metadata", "generateName"])
        .and_then(Value::as_str)
    {
        None | Some("") => String::new(),
        Some(base) => format!("{base}xxxxx"),
    }
}

fn pod(value: Value) -> Pod {
    match value {
        Value::Object(map) => Pod(map),
        _ => Pod::default(), // the encoder makes an object
    }
}

#[cfg(test)]
mod tests;
