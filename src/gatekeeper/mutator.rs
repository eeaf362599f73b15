//! One `Assign`, `AssignMetadata` or `ModifySet`, read and checked.
//!
//! Gatekeeper 3.23, `apis/mutations/unversioned/` and the constructors in `pkg/mutation/mutators/`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::ReviewError;
use super::conflict::Binding;
use super::document::Object;
use super::location::{self, KeyValue, Step};
use super::match_::Match;
use crate::admission::Operation;

/// A mutator.
#[derive(Debug)]
pub(super) struct Mutator {
    /// Its kind.
    pub(super) kind: &'static str,
    /// Its name.
    pub(super) name: String,
    /// Which pods it changes.
    pub(super) match_: Match,
    /// Which kinds and operations it is for; absent means all.
    apply_to: Option<Vec<ApplyTo>>,
    /// Where it writes; never empty.
    pub(super) location: Vec<Step>,
    /// What must or must not exist, by the number of steps before.
    pub(super) tests: BTreeMap<usize, Condition>,
    /// What it writes.
    pub(super) action: Action,
}

/// What a mutator writes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// A value; its numbers are floating-point ones, as Gatekeeper reads them, and differ from the pod's integers.
    Assign(Value),
    /// The name of the pod.
    AssignName,
    /// The namespace of the pod.
    AssignNamespace,
    /// The elements that a list lacks.
    Merge(Vec<Value>),
    /// A list without these elements.
    Prune(Vec<Value>),
}

/// What a path test asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Condition {
    /// There must be something.
    MustExist,
    /// There must be nothing.
    MustNotExist,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyTo {
    groups: Vec<String>,
    versions: Vec<String>,
    kinds: Vec<String>,
    #[serde(default)]
    operations: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AssignSpec {
    apply_to: Vec<ApplyTo>,
    #[serde(default, rename = "match")]
    match_: Match,
    location: String,
    parameters: AssignParameters,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AssignParameters {
    #[serde(default)]
    path_tests: Vec<PathTest>,
    assign: AssignField,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssignMetadataSpec {
    #[serde(default, rename = "match")]
    match_: Match,
    location: String,
    parameters: AssignMetadataParameters,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssignMetadataParameters {
    assign: AssignField,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ModifySetSpec {
    apply_to: Vec<ApplyTo>,
    #[serde(default, rename = "match")]
    match_: Match,
    location: String,
    parameters: ModifySetParameters,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ModifySetParameters {
    #[serde(default)]
    path_tests: Vec<PathTest>,
    #[serde(default)]
    operation: SetOperation,
    #[serde(default)]
    values: Values,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SetOperation {
    #[default]
    Merge,
    Prune,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Values {
    from_list: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PathTest {
    #[serde(default)]
    sub_path: String,
    condition: Condition,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AssignField {
    value: Option<Value>,
    from_metadata: Option<FromMetadata>,
    external_data: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FromMetadata {
    field: MetadataField,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum MetadataField {
    Name,
    Namespace,
}

impl Mutator {
    /// Reads a mutator of one of the three kinds.
    pub(super) fn new(object: &Object) -> Result<Self, ReviewError> {
        if object.name.is_empty() || object.name.len() > 63 {
            return Err(object.error("`metadata.name` must have 1 to 63 characters"));
        }
        match object.kind.as_str() {
            "Assign" => Self::assign(object),
            "AssignMetadata" => Self::assign_metadata(object),
            "ModifySet" => Self::modify_set(object),
            _ => Err(object.unsupported("mutators of this kind are not evaluated")),
        }
    }

    fn assign(object: &Object) -> Result<Self, ReviewError> {
        let spec: AssignSpec = object.parse_spec()?;
        let location = spec_location(object, &spec.location)?;
        let action = spec.parameters.assign.action(object)?;
        check_assign(&location, &action).map_err(|it| object.error(it))?;
        check_apply_to(&spec.apply_to).map_err(|it| object.error(it))?;
        Ok(Self {
            kind: "Assign",
            name: object.name.clone(),
            match_: spec.match_,
            apply_to: Some(spec.apply_to),
            tests: tests(&location, &spec.parameters.path_tests).map_err(|it| object.error(it))?,
            location,
            action,
        })
    }

    fn assign_metadata(object: &Object) -> Result<Self, ReviewError> {
        let spec: AssignMetadataSpec = object.parse_spec()?;
        let location = location::parse(&spec.location).map_err(|it| object.error(it))?;
        let is_label_or_annotation = matches!(
            location.as_slice(),
            [Step::Field(metadata), Step::Field(map), Step::Field(_)]
                if metadata == "metadata" && (map == "labels" || map == "annotations")
        );
        if !is_label_or_annotation {
            return Err(object.error("`spec.location` must be one label or annotation"));
        }
        let action = spec.parameters.assign.action(object)?;
        if matches!(&action, Action::Assign(value) if !value.is_string()) {
            return Err(object.error("`spec.parameters.assign.value` must be a string"));
        }
        Ok(Self {
            kind: "AssignMetadata",
            name: object.name.clone(),
            match_: spec.match_,
            apply_to: None,
            tests: BTreeMap::from([(location.len() - 1, Condition::MustNotExist)]),
            location,
            action,
        })
    }

    fn modify_set(object: &Object) -> Result<Self, ReviewError> {
        let spec: ModifySetSpec = object.parse_spec()?;
        let location = spec_location(object, &spec.location)?;
        if matches!(location.last(), Some(Step::Element { .. })) {
            return Err(object.error("`spec.location` must end in a field"));
        }
        check_apply_to(&spec.apply_to).map_err(|it| object.error(it))?;
        let values = spec.parameters.values.from_list;
        Ok(Self {
            kind: "ModifySet",
            name: object.name.clone(),
            match_: spec.match_,
            apply_to: Some(spec.apply_to),
            tests: tests(&location, &spec.parameters.path_tests).map_err(|it| object.error(it))?,
            location,
            action: match spec.parameters.operation {
                SetOperation::Merge => Action::Merge(values),
                SetOperation::Prune => Action::Prune(values),
            },
        })
    }

    /// Whether it is for pods under this operation.
    pub(super) fn applies_to(&self, operation: Operation) -> bool {
        let operation = match operation {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete | Operation::Connect => return false,
        };
        let is_in = |list: &[String], wanted: &str| list.iter().any(|it| it == wanted);
        self.apply_to.as_ref().is_none_or(|entries| {
            entries.iter().any(|it| {
                is_in(&it.groups, "")
                    && is_in(&it.versions, "v1")
                    && is_in(&it.kinds, "Pod")
                    && it.effective_operations().contains(&operation)
            })
        })
    }

    /// Where its location makes a claim about the shape of objects.
    pub(super) fn bindings(&self) -> BTreeSet<Binding> {
        let mut bindings = BTreeSet::new();
        for entry in self.apply_to.iter().flatten() {
            for group in &entry.groups {
                for version in &entry.versions {
                    for kind in &entry.kinds {
                        for operation in entry.effective_operations() {
                            bindings.insert((
                                group.clone(),
                                version.clone(),
                                kind.clone(),
                                operation.to_owned(),
                            ));
                        }
                    }
                }
            }
        }
        bindings
    }
}

impl ApplyTo {
    fn effective_operations(&self) -> Vec<&'static str> {
        let all = self.operations.is_empty() || self.operations.iter().any(|it| it == "*");
        ["CREATE", "UPDATE"]
            .into_iter()
            .filter(|wanted| all || self.operations.iter().any(|it| it == wanted))
            .collect()
    }
}

impl AssignField {
    fn action(self, object: &Object) -> Result<Action, ReviewError> {
        match (self.value, self.from_metadata, self.external_data) {
            (Some(value), None, None) => Ok(Action::Assign(floating(value))),
            (None, Some(it), None) => Ok(match it.field {
                MetadataField::Name => Action::AssignName,
                MetadataField::Namespace => Action::AssignNamespace,
            }),
            (None, None, Some(_)) => {
                Err(object.unsupported("external data comes from outside the manifests"))
            }
            _ => Err(object.error(
                "`spec.parameters.assign` must have exactly one of `value`, `fromMetadata` and `externalData`",
            )),
        }
    }
}

fn spec_location(object: &Object, text: &str) -> Result<Vec<Step>, ReviewError> {
    let steps = location::parse(text).map_err(|it| object.error(it))?;
    match steps.first() {
        None => Err(object.error("`spec.location` is empty")),
        Some(Step::Field(field)) if field == "metadata" => {
            Err(object.error("`spec.location` is in the metadata"))
        }
        Some(_) => Ok(steps),
    }
}

fn check_assign(location: &[Step], action: &Action) -> Result<(), String> {
    if let [.., Step::Element { key, .. }, Step::Field(field)] = location
        && key == field
    {
        return Err("`spec.location` is the key of a list element".to_owned());
    }
    let Some(Step::Element { key, value }) = location.last() else {
        return Ok(());
    };
    // A number in the value is floating-point to Gatekeeper and never equal to an integer key.
    match (value, action) {
        (KeyValue::Text(text), Action::Assign(Value::Object(map)))
            if map.get(key).and_then(Value::as_str) == Some(text) =>
        {
            Ok(())
        }
        _ => Err(format!(
            "a list element can only be assigned an object with the same `{key}`"
        )),
    }
}

fn check_apply_to(apply_to: &[ApplyTo]) -> Result<(), String> {
    if apply_to.is_empty() {
        return Err("`spec.applyTo` is empty".to_owned());
    }
    for entry in apply_to {
        if entry.groups.is_empty() || entry.versions.is_empty() || entry.kinds.is_empty() {
            return Err("`spec.applyTo` needs groups, versions and kinds".to_owned());
        }
        let operations: BTreeSet<&str> = entry.operations.iter().map(String::as_str).collect();
        let known = operations
            .iter()
            .all(|it| ["CREATE", "UPDATE", "*"].contains(it));
        let alone = !operations.contains("*") || operations.len() == 1;
        if !known || !alone || operations.len() < entry.operations.len() {
            return Err("`spec.applyTo` has operations that Gatekeeper refuses".to_owned());
        }
    }
    Ok(())
}

fn tests(location: &[Step], tests: &[PathTest]) -> Result<BTreeMap<usize, Condition>, String> {
    let mut by_depth = BTreeMap::new();
    let (mut last_must, mut first_must_not) = (0, usize::MAX);
    for (index, test) in tests.iter().enumerate() {
        let steps = location::parse(&test.sub_path)?;
        if !location.starts_with(&steps) {
            return Err(format!(
                "path test `{}` is not a prefix of the location",
                test.sub_path
            ));
        }
        match test.condition {
            Condition::MustExist => last_must = index,
            Condition::MustNotExist => first_must_not = first_must_not.min(index),
        }
        // A test of the object itself says nothing.
        if let Some(depth) = steps.len().checked_sub(1)
            && by_depth
                .insert(depth, test.condition)
                .is_some_and(|it| it != test.condition)
        {
            return Err(format!(
                "path test `{}` is there with both conditions",
                test.sub_path
            ));
        }
    }
    if last_must > first_must_not {
        return Err("a path test MustExist comes after one MustNotExist".to_owned());
    }
    Ok(by_depth)
}

fn floating(value: Value) -> Value {
    match value {
        Value::Number(number) => number
            .as_f64()
            .and_then(serde_json::Number::from_f64)
            .map_or(Value::Null, Value::Number),
        Value::Array(items) => items.into_iter().map(floating).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, it)| (key, floating(it)))
            .collect(),
        other => other,
    }
}
