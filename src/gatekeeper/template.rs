//! A ConstraintTemplate, read and compiled.
//!
//! Gatekeeper 3.23 with frameworks/constraint, `pkg/client/drivers/rego/compilers.go`.

use regorus::{CompiledPolicy, Value as RegoValue};
use serde::Deserialize;
use serde_json::Value;

use super::ReviewError;
use super::document::Object;
use super::rego;
use super::schema::{self, SchemaError};
use crate::admission::Operation;

/// A constraint template.
pub(super) struct Template {
    /// The kind of its constraints.
    pub(super) kind: String,
    operations: Vec<String>,
    schema: Option<Value>,
    lenient_schema: bool,
    policy: CompiledPolicy,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Spec {
    crd: Crd,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Crd {
    spec: CrdSpec,
}

#[derive(Deserialize)]
struct CrdSpec {
    names: Names,
    validation: Option<Validation>,
}

#[derive(Deserialize)]
struct Names {
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Validation {
    legacy_schema: Option<bool>,
    #[serde(rename = "openAPIV3Schema")]
    schema: Option<Value>,
}

#[derive(Deserialize)]
struct Target {
    #[serde(rename = "target")]
    name: String,
    #[serde(default)]
    rego: String,
    #[serde(default)]
    libs: Vec<String>,
    #[serde(default)]
    operations: Vec<String>,
    #[serde(default)]
    code: Vec<Code>,
}

#[derive(Deserialize)]
struct Code {
    engine: String,
    source: Value,
}

#[derive(Deserialize)]
struct RegoSource {
    rego: String,
    #[serde(default)]
    libs: Vec<String>,
    #[serde(default)]
    version: String,
}

/// The longest kind whose list kind, with `List` at the end, is a legal name.
const LONGEST_KIND: usize = 59;

impl Template {
    /// Reads a template and compiles its Rego.
    pub(super) fn new(object: &Object) -> Result<Self, ReviewError> {
        let spec: Spec = object.parse_spec()?;
        let kind = spec.crd.spec.names.kind;
        if object.name != kind.to_lowercase() || kind.is_empty() {
            return Err(object.error(format!("the name must be `{}`", kind.to_lowercase())));
        }
        if kind.len() > LONGEST_KIND {
            return Err(object.error("the kind is longer than 59 characters"));
        }
        let Ok([target]) = <[Target; 1]>::try_from(spec.targets) else {
            return Err(object.error("`spec.targets` must have one entry"));
        };
        if target.name != "admission.k8s.gatekeeper.sh" {
            return Err(object.error(format!("unknown target `{}`", target.name)));
        }
        let operations = target.operations.clone();
        let source = rego_source(object, target)?;
        let validation = spec.crd.spec.validation;
        Ok(Self {
            lenient_schema: validation
                .as_ref()
                .and_then(|it| it.legacy_schema)
                .unwrap_or(object.version != "v1"),
            schema: validation.and_then(|it| it.schema),
            operations,
            policy: rego::compile(object, &source.rego, &source.libs, source.version == "v1")?,
            kind,
        })
    }

    /// Whether the webhook asks it about requests with this operation.
    pub(super) fn is_for(&self, operation: Operation) -> bool {
        let name = match operation {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        };
        self.operations.is_empty() || self.operations.iter().any(|it| it == "*" || it == name)
    }

    /// The parameters of a constraint as an API server stores them; absent ones are `{}` to Rego.
    pub(super) fn parameters(
        &self,
        constraint: &Object,
        parameters: Option<Value>,
    ) -> Result<Value, ReviewError> {
        let Some(mut parameters) = parameters else {
            return Ok(Value::Object(serde_json::Map::new()));
        };
        let Some(schema) = &self.schema else {
            if self.lenient_schema {
                return Ok(parameters);
            }
            return Err(constraint.error("`spec.parameters`: its template has no schema for them"));
        };
        schema::complete(
            schema,
            &mut parameters,
            "spec.parameters",
            self.lenient_schema,
        )
        .map_err(|error| match error {
            SchemaError::Refused(reason) => constraint.error(reason),
            SchemaError::UnknownKeyword(keyword) => constraint.unsupported(format!(
                "the schema of its template uses `{keyword}`, which is not evaluated"
            )),
        })?;
        Ok(parameters)
    }

    /// Evaluates `violation`.
    ///
    /// # Errors
    ///
    /// Whatever keeps the answer from being known: also a built-in function that fails, since OPA takes its result for
    /// undefined and might not fail where this engine does.
    pub(super) fn violations(&self, input: RegoValue) -> Result<RegoValue, String> {
        self.policy
            .eval_with_input(input)
            .map_err(|error| error.to_string())
    }
}

fn rego_source(object: &Object, target: Target) -> Result<RegoSource, ReviewError> {
    if let Some(code) = target.code.iter().find(|it| it.engine != "Rego") {
        return Err(object.unsupported(format!("code for the engine {}", code.engine)));
    }
    if !target.rego.is_empty() {
        return Ok(RegoSource {
            rego: target.rego,
            libs: target.libs,
            version: String::new(),
        });
    }
    let mut code = target.code.into_iter();
    let Some(code) = code.next() else {
        return Err(object.error("there is no Rego"));
    };
    serde_json::from_value(code.source).map_err(|error| object.error(format!("source: {error}")))
}
