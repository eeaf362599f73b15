//! Constraints asked about a request.
//!
//! Gatekeeper 3.23 with frameworks/constraint, `pkg/client/client.go` and `pkg/client/drivers/rego/driver.go`.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value as RegoValue;
use serde::Deserialize;
use serde_json::Value;

use super::document::Object;
use super::match_::{Match, Namespace};
use super::template::Template;
use super::wire::Build;
use super::{ConstraintViolation, ReviewError};
use crate::admission::{AdmissionRequest, Operation};
use crate::api::core::Pod;

/// All templates with their constraints.
#[derive(Debug, Default)]
pub(super) struct Constraints {
    /// By kind.
    by_template: Vec<(Template, Vec<Constraint>)>,
}

#[derive(Debug)]
struct Constraint {
    name: String,
    match_: Match,
    /// What the webhook does about a violation.
    actions: BTreeSet<EnforcementAction>,
    parameters: RegoValue,
}

/// What Gatekeeper does about a violation.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum EnforcementAction {
    /// The request is refused.
    Deny,
    /// The request is admitted and the violation is in the log.
    Dryrun,
    /// The request is admitted with a warning.
    Warn,
}

impl std::fmt::Display for EnforcementAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Deny => "deny",
            Self::Dryrun => "dryrun",
            Self::Warn => "warn",
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default = "deny")]
    enforcement_action: String,
    scoped_enforcement_actions: Option<Vec<ScopedAction>>,
    #[serde(default, rename = "match")]
    match_: Match,
    parameters: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScopedAction {
    action: EnforcementAction,
    enforcement_points: Vec<EnforcementPoint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnforcementPoint {
    name: String,
}

fn deny() -> String {
    "deny".to_owned()
}

const WEBHOOK: &str = "validation.gatekeeper.sh";
const POINTS: [&str; 5] = [
    WEBHOOK,
    "audit.gatekeeper.sh",
    "gator.gatekeeper.sh",
    "vap.k8s.io",
    "*",
];

impl Constraints {
    /// Reads templates, then the constraints of their kinds.
    pub(super) fn new(templates: &[Object], constraints: &[Object]) -> Result<Self, ReviewError> {
        let mut by_kind = BTreeMap::new();
        for object in templates {
            let template = Template::new(object)?;
            by_kind.insert(template.kind.clone(), (template, Vec::new()));
        }
        for object in constraints {
            let Some((template, of_kind)) = by_kind.get_mut(&object.kind) else {
                return Err(object.error("there is no ConstraintTemplate for this kind"));
            };
            of_kind.push(Constraint::new(object, template)?);
        }
        Ok(Self {
            by_template: by_kind.into_values().collect(),
        })
    }

    /// The violations of all constraints that match the pod or the pod that it replaces.
    ///
    /// They are sorted by constraint, action and message.
    pub(super) fn violations(
        &self,
        asked: &Question<'_>,
    ) -> Result<Vec<ConstraintViolation>, ReviewError> {
        let mut found = Vec::new();
        for (template, constraints) in &self.by_template {
            if !template.is_for(asked.request.operation) {
                continue;
            }
            for constraint in constraints {
                if constraint.actions.is_empty() || !constraint.matches(asked) {
                    continue;
                }
                found.extend(constraint.violations(template, asked)?);
            }
        }
        found.sort();
        Ok(found)
    }
}

/// What the constraints are asked.
pub(super) struct Question<'a> {
    /// The request.
    pub(super) request: &'a AdmissionRequest,
    /// Its pod, as it is after mutation.
    pub(super) pod: &'a Pod,
    /// Its namespace.
    pub(super) namespace: Namespace<'a>,
    /// The name that the pod has or is going to get.
    pub(super) name: &'a str,
    /// `input.review`.
    pub(super) review: RegoValue,
}

impl Constraint {
    fn new(object: &Object, template: &Template) -> Result<Self, ReviewError> {
        let spec: Spec = object.parse_spec()?;
        if object.name.is_empty() || object.name.len() > 63 {
            return Err(object.error("`metadata.name` must have 1 to 63 characters"));
        }
        let actions = match spec.enforcement_action.as_str() {
            "deny" => BTreeSet::from([EnforcementAction::Deny]),
            "dryrun" => BTreeSet::from([EnforcementAction::Dryrun]),
            "warn" => BTreeSet::from([EnforcementAction::Warn]),
            "scoped" => {
                let Some(scoped) = &spec.scoped_enforcement_actions else {
                    return Err(object.error("`spec.scopedEnforcementActions` is missing"));
                };
                at_webhook(scoped).map_err(|it| object.error(it))?
            }
            // Gatekeeper stores it and drops the violations.
            "" => BTreeSet::new(),
            unknown => return Err(object.error(format!("unknown enforcement action `{unknown}`"))),
        };
        Ok(Self {
            name: format!("{}/{}", object.kind, object.name),
            match_: spec.match_,
            actions,
            parameters: RegoValue::any(&template.parameters(object, spec.parameters)?),
        })
    }

    fn matches(&self, asked: &Question<'_>) -> bool {
        let matches = |pod: &Pod, name: &str| {
            let metadata = pod.0.get("metadata");
            self.match_.matches(metadata, name, asked.namespace)
        };
        let old_pod = asked.request.old_pod.as_ref();
        matches(asked.pod, asked.name) || old_pod.is_some_and(|it| matches(it, it.name()))
    }

    fn violations(
        &self,
        template: &Template,
        asked: &Question<'_>,
    ) -> Result<BTreeSet<ConstraintViolation>, ReviewError> {
        let input = RegoValue::object(vec![
            ("parameters", self.parameters.clone()),
            ("review", asked.review.clone()),
        ]);
        let unknown = |reason: String| ReviewError::CannotEvaluate {
            object: self.name.clone(),
            reason,
        };
        let elements = template.violations(input).map_err(unknown)?;
        let elements = match &elements {
            RegoValue::Undefined => return Ok(BTreeSet::new()),
            RegoValue::Set(elements) => elements,
            _ => return Err(unknown("`violation` is not a set".to_owned())),
        };
        let mut found = BTreeSet::new();
        for element in elements.iter() {
            let field = |name: &str| element.as_object().ok()?.get(&RegoValue::from(name));
            let message = match field("msg") {
                None => continue, // as in OPA: no message, no violation
                Some(RegoValue::String(message)) => message,
                Some(_) => {
                    return Err(ReviewError::Refused {
                        reason: format!("{}: `msg` is not a string", self.name),
                    });
                }
            };
            let details =
                field("details").map_or_else(|| Ok("{}".to_owned()), serde_json::to_string);
            let details = details.map_err(|error| unknown(error.to_string()))?;
            found.extend(self.actions.iter().map(|action| ConstraintViolation {
                constraint: self.name.clone(),
                enforcement_action: *action,
                message: message.to_string(),
                details: details.clone(),
            }));
        }
        Ok(found)
    }
}

fn at_webhook(scoped: &[ScopedAction]) -> Result<BTreeSet<EnforcementAction>, String> {
    let mut actions = BTreeSet::new();
    for entry in scoped {
        let points = || entry.enforcement_points.iter().map(|it| it.name.as_str());
        if points().next().is_none() {
            return Err("a scoped action has no enforcement point".to_owned());
        }
        if let Some(unknown) = points().find(|it| !POINTS.contains(it)) {
            return Err(format!("unknown enforcement point `{unknown}`"));
        }
        if points().any(|it| it == WEBHOOK || it == "*") {
            actions.insert(entry.action);
        }
    }
    Ok(actions)
}

/// The parts of `input.review` that are the same for all requests about pods.
#[derive(Debug)]
pub(super) struct ReviewFrame {
    kind: RegoValue,
    resource: RegoValue,
    create_options: RegoValue,
    update_options: RegoValue,
}

impl ReviewFrame {
    /// Builds the parts.
    pub(super) fn new() -> Self {
        let object = |fields: &[(&str, &str)]| {
            let fields = fields
                .iter()
                .map(|(key, value)| (*key, RegoValue::from(*value)));
            RegoValue::object(fields.collect())
        };
        let options = |kind| object(&[("apiVersion", "meta.k8s.io/v1"), ("kind", kind)]);
        Self {
            kind: object(&[("group", ""), ("version", "v1"), ("kind", "Pod")]),
            resource: object(&[("group", ""), ("version", "v1"), ("resource", "pods")]),
            create_options: options("CreateOptions"),
            update_options: options("UpdateOptions"),
        }
    }

    /// Builds `input.review` as the validating webhook does.
    pub(super) fn review(
        &self,
        request: &AdmissionRequest,
        namespace: Namespace<'_>,
        name: &str,
        object: RegoValue,
        old_object: RegoValue,
    ) -> RegoValue {
        let (operation, options) = match request.operation {
            Operation::Create => ("CREATE", &self.create_options),
            Operation::Update => ("UPDATE", &self.update_options),
            Operation::Delete => ("DELETE", &RegoValue::Null),
            Operation::Connect => ("CONNECT", &RegoValue::Null),
        };
        let mut fields = vec![
            ("uid", RegoValue::from(request.uid.as_str())),
            ("kind", self.kind.clone()),
            ("resource", self.resource.clone()),
            ("requestKind", self.kind.clone()),
            ("requestResource", self.resource.clone()),
            ("namespace", RegoValue::from(namespace.name)),
            ("operation", RegoValue::from(operation)),
            ("userInfo", user_info(request)),
            ("object", object),
            ("oldObject", old_object),
            ("dryRun", RegoValue::from(false)),
            ("options", options.clone()),
            ("namespaceObject", namespace_object(namespace)),
        ];
        if !name.is_empty() {
            fields.push(("name", RegoValue::from(name)));
        }
        if !request.subresource.is_empty() {
            let subresource = RegoValue::from(request.subresource.as_str());
            fields.push(("subResource", subresource.clone()));
            fields.push(("requestSubResource", subresource));
        }
        RegoValue::object(fields)
    }
}

fn user_info(request: &AdmissionRequest) -> RegoValue {
    let user = &request.user_info;
    let mut fields = Vec::new();
    if !user.username.is_empty() {
        fields.push(("username", RegoValue::from(user.username.as_str())));
    }
    if !user.groups.is_empty() {
        let groups = user.groups.iter().map(|it| RegoValue::from(it.as_str()));
        fields.push(("groups", RegoValue::list(groups.collect())));
    }
    RegoValue::object(fields)
}

/// The namespace as far as we know it: its name and labels.
fn namespace_object(namespace: Namespace<'_>) -> RegoValue {
    let labels = namespace.all_labels().into_iter();
    let labels = labels.map(|(key, value)| (key, RegoValue::from(value)));
    let metadata = vec![
        ("labels", RegoValue::object(labels.collect())),
        ("name", RegoValue::from(namespace.name)),
    ];
    RegoValue::object(vec![
        ("apiVersion", RegoValue::from("v1")),
        ("kind", RegoValue::from("Namespace")),
        ("metadata", RegoValue::object(metadata)),
        ("spec", RegoValue::object(Vec::new())),
        ("status", RegoValue::object(Vec::new())),
    ])
}
