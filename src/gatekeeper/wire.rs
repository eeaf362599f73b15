//! Pods as the webhooks get them.
//!
//! Before a webhook sees a pod, the API server has read it into its Go type and written it again.
//! Nulls and unknown fields are gone then, so are empty lists, empty maps, empty strings, zeros and `false` unless the Go
//! field is a pointer or lacks `omitempty`, and structures held by value are there even if nobody wrote them.
//! The tables in the submodules say which field is which, and since which release of Kubernetes there is one that 1.24 lacks.
//! A field that a release knows is taken to be enabled, also where the release has it behind a feature gate.
//! Quantities keep the spelling they came with, where the API server would write the canonical one.

mod container;
mod pod;
mod volume;

use regorus::Value as RegoValue;
use serde_json::{Map, Value};

use crate::api::core::Pod;
use crate::version::Version;

/// The fields of a Go type, sorted by JSON name.
type Fields = &'static [(&'static str, Presence, Shape)];

/// When a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Always, with the zero value if need be: no `omitempty`, or a structure by value.
    Always,
    /// Always, as null if need be: a pointer without `omitempty`.
    Nullable,
    /// When it is not the zero value: `omitempty`.
    NonEmpty,
    /// When it was set, to whatever: a pointer with `omitempty`.
    IfSet,
    /// As that says, from this minor release of Kubernetes 1 on; the type of an earlier one lacks the field.
    Since(u32, &'static Presence),
}

impl Presence {
    /// When a release of Kubernetes writes the field; nothing where it does not know it.
    fn on(&self, kubernetes: Version) -> Option<Self> {
        match self {
            Self::Since(minor, presence) => {
                (kubernetes >= Version::new(1, *minor)).then_some(**presence)
            }
            presence => Some(*presence),
        }
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Any,
    Bool,
    Int32,
    Int64,
    IntOrText,
    Quantity,
    Text,
    List(&'static Shape),
    Map(&'static Shape),
    Object(Fields),
}

/// A pod that the API server cannot read into its Go type, so that it refuses the request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: expected {expected}")]
pub(super) struct Undecodable {
    path: String,
    expected: &'static str,
}

impl Undecodable {
    fn below(self, segment: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        Self {
            path: format!("{segment}{separator}{}", self.path),
            ..self
        }
    }
}

/// A kind of value that pods can be written as.
pub(super) trait Build: Sized {
    /// The null value.
    fn null() -> Self;
    /// A boolean.
    fn bool(value: bool) -> Self;
    /// An integer.
    fn int(value: i64) -> Self;
    /// A string.
    fn text(value: &str) -> Self;
    /// A list.
    fn list(items: Vec<Self>) -> Self;
    /// An object; no name comes twice.
    fn object(fields: Vec<(&str, Self)>) -> Self;
    /// Whatever JSON there is.
    fn any(value: &Value) -> Self {
        match value {
            Value::Null => Self::null(),
            Value::Bool(value) => Self::bool(*value),
            Value::Number(number) => Self::number(number),
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::list(items.iter().map(Self::any).collect()),
            Value::Object(map) => Self::object(
                map.iter()
                    .map(|(key, value)| (key.as_str(), Self::any(value)))
                    .collect(),
            ),
        }
    }
    /// A number of any kind.
    fn number(number: &serde_json::Number) -> Self;
}

impl Build for Value {
    fn null() -> Self {
        Self::Null
    }
    fn bool(value: bool) -> Self {
        Self::Bool(value)
    }
    fn int(value: i64) -> Self {
        Self::from(value)
    }
    fn text(value: &str) -> Self {
        Self::from(value)
    }
    fn list(items: Vec<Self>) -> Self {
        Self::Array(items)
    }
    fn object(fields: Vec<(&str, Self)>) -> Self {
        Self::Object(
            fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }
    fn number(number: &serde_json::Number) -> Self {
        Self::Number(number.clone())
    }
}

impl Build for RegoValue {
    fn null() -> Self {
        Self::Null
    }
    fn bool(value: bool) -> Self {
        Self::Bool(value)
    }
    fn int(value: i64) -> Self {
        Self::from(value)
    }
    fn text(value: &str) -> Self {
        Self::from(value)
    }
    fn list(items: Vec<Self>) -> Self {
        Self::from(items)
    }
    fn object(fields: Vec<(&str, Self)>) -> Self {
        let map: std::collections::BTreeMap<Self, Self> = fields
            .into_iter()
            .map(|(name, value)| (Self::from(name), value))
            .collect();
        Self::from(map)
    }
    fn number(number: &serde_json::Number) -> Self {
        match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => Self::from(int),
            (None, Some(float)) => Self::from(float),
            (None, None) => Self::Null,
        }
    }
}

/// Writes a pod as the API server of that release sends it to a webhook, in the namespace of the request.
///
/// A pod of an UPDATE comes with its name; one that is being created may still lack it in the mutating phase.
pub(super) fn encode<B: Build>(
    pod: &Pod,
    namespace: &str,
    name: &str,
    kubernetes: Version,
) -> Result<B, Undecodable> {
    let none = Map::new();
    let metadata = match pod.0.get("metadata") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(map)) => map,
        Some(_) => return Err(expected("an object").below("metadata")),
    };
    let mut meta =
        object_fields(pod::OBJECT_META, metadata, kubernetes).map_err(|it| it.below("metadata"))?;
    for (key, value) in [("name", name), ("namespace", namespace)] {
        if !value.is_empty() {
            meta.retain(|(field, _)| *field != key);
            meta.push((key, B::text(value)));
        }
    }
    let mut fields = Vec::with_capacity(5);
    fields.push(("apiVersion", B::text("v1")));
    fields.push(("kind", B::text("Pod")));
    fields.push(("metadata", B::object(meta)));
    for (key, shape) in [
        ("spec", Shape::Object(pod::POD_SPEC)),
        ("status", Shape::Object(pod::POD_STATUS)),
    ] {
        let value = element(shape, pod.0.get(key).unwrap_or(&Value::Null), kubernetes);
        fields.push((key, value.map_err(|it| it.below(key))?));
    }
    Ok(B::object(fields))
}

fn expected(expected: &'static str) -> Undecodable {
    Undecodable {
        path: String::new(),
        expected,
    }
}

fn object_fields<B: Build>(
    fields: Fields,
    map: &Map<String, Value>,
    kubernetes: Version,
) -> Result<Vec<(&'static str, B)>, Undecodable> {
    let mut written = Vec::with_capacity(map.len() + 2);
    for (key, value) in map {
        let Ok(index) = fields.binary_search_by(|(name, _, _)| (*name).cmp(key.as_str())) else {
            continue; // unknown fields are dropped
        };
        let Some((name, presence, shape)) = fields.get(index) else {
            continue;
        };
        let Some(presence) = presence.on(kubernetes) else {
            continue; // unknown to this release
        };
        if value.is_null() {
            continue; // as if absent
        }
        let element = |it| element(*shape, it, kubernetes).map_err(|it| it.below(name));
        if presence == Presence::NonEmpty && is_zero(value) {
            element(value)?; // a zero of another type is refused like any other value of another type
            continue;
        }
        written.push((*name, element(value)?));
    }
    for (name, presence, shape) in fields {
        let absent = || map.get(*name).is_none_or(Value::is_null);
        match presence.on(kubernetes) {
            Some(Presence::Always) if absent() => written.push((name, zero(*shape, kubernetes)?)),
            Some(Presence::Nullable) if absent() => written.push((name, B::null())),
            _ => {}
        }
    }
    Ok(written)
}

/// Writes one value; null is the zero value.
fn element<B: Build>(shape: Shape, value: &Value, kubernetes: Version) -> Result<B, Undecodable> {
    if value.is_null() {
        return zero(shape, kubernetes);
    }
    match (shape, value) {
        (Shape::Any, _) => Ok(B::any(value)),
        (Shape::Bool, Value::Bool(it)) => Ok(B::bool(*it)),
        (Shape::Bool, _) => Err(expected("a boolean")),
        (Shape::Int32, Value::Number(it)) => match it.as_i64() {
            Some(int) if i32::try_from(int).is_ok() => Ok(B::int(int)),
            _ => Err(expected("a 32-bit integer")),
        },
        (Shape::Int64, Value::Number(it)) => it
            .as_i64()
            .map(B::int)
            .ok_or_else(|| expected("a 64-bit integer")),
        (Shape::Int32 | Shape::Int64, _) => Err(expected("an integer")),
        (Shape::IntOrText, Value::Number(it)) => match it.as_i64() {
            Some(int) if i32::try_from(int).is_ok() => Ok(B::int(int)),
            _ => Err(expected("a 32-bit integer or a string")),
        },
        (Shape::Quantity, Value::Number(it)) => Ok(B::text(&it.to_string())),
        (Shape::Text | Shape::IntOrText | Shape::Quantity, Value::String(it)) => Ok(B::text(it)),
        (Shape::Text, _) => Err(expected("a string")),
        (Shape::IntOrText, _) => Err(expected("an integer or a string")),
        (Shape::Quantity, _) => Err(expected("a quantity")),
        (Shape::List(shape), Value::Array(items)) => items
            .iter()
            .enumerate()
            .map(|(index, it)| {
                element(*shape, it, kubernetes).map_err(|it| it.below(&format!("[{index}]")))
            })
            .collect::<Result<_, _>>()
            .map(B::list),
        (Shape::List(_), _) => Err(expected("a list")),
        (Shape::Map(shape), Value::Object(map)) => map
            .iter()
            .map(|(key, it)| {
                Ok((
                    key.as_str(),
                    element(*shape, it, kubernetes).map_err(|it| it.below(key))?,
                ))
            })
            .collect::<Result<_, _>>()
            .map(B::object),
        (Shape::Object(fields), Value::Object(map)) => {
            object_fields(fields, map, kubernetes).map(B::object)
        }
        (Shape::Map(_) | Shape::Object(_), _) => Err(expected("an object")),
    }
}

fn zero<B: Build>(shape: Shape, kubernetes: Version) -> Result<B, Undecodable> {
    Ok(match shape {
        Shape::Any | Shape::List(_) | Shape::Map(_) => B::null(),
        Shape::Bool => B::bool(false),
        Shape::Int32 | Shape::Int64 | Shape::IntOrText => B::int(0),
        Shape::Quantity => B::text("0"),
        Shape::Text => B::text(""),
        Shape::Object(fields) => B::object(object_fields(fields, &Map::new(), kubernetes)?),
    })
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(it) => !it,
        Value::Number(it) => it.as_i64() == Some(0),
        Value::String(it) => it.is_empty(),
        Value::Array(it) => it.is_empty(),
        Value::Object(it) => it.is_empty(),
    }
}

/// The expectations are what Gatekeeper 3.23 is sent.
#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encoded(pod: Value) -> Result<Value, Undecodable> {
        encoded_on(Version::new(1, 24), pod)
    }

    fn encoded_on(kubernetes: Version, pod: Value) -> Result<Value, Undecodable> {
        encode(&serde_json::from_value(pod).unwrap(), "ns", "p", kubernetes)
    }

    #[test]
    fn empty_values_go_unless_the_field_is_a_pointer_or_has_no_omitempty() {
        let pod = json!({
            "metadata": {"labels": {}, "creationTimestamp": null, "name": "p"},
            "spec": {
                "hostPID": false, "hostname": "", "nodeSelector": {}, "unknown": 1, "securityContext": {"supplementalGroups": []},
                "containers": [{"name": "c", "image": "", "tty": false, "ports": [{"containerPort": 80, "hostPort": 0}],
                    "securityContext": {"privileged": false, "runAsUser": 0, "capabilities": {"drop": []}}}],
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/a", "type": ""}}]}});
        let expected = json!({
            "apiVersion": "v1", "kind": "Pod", "status": {},
            "metadata": {"name": "p", "namespace": "ns"},
            "spec": {
                "securityContext": {},
                "containers": [{"name": "c", "resources": {}, "ports": [{"containerPort": 80}],
                    "securityContext": {"privileged": false, "runAsUser": 0, "capabilities": {}}}],
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/a", "type": ""}}]}});
        assert_eq!(encoded(pod), Ok(expected));
    }

    #[test]
    fn what_the_type_demands_is_there_even_if_nobody_wrote_it() {
        let pod = json!({"spec": {"containers": [{"env": [{}]}]}});
        let expected =
            json!({"containers": [{"name": "", "resources": {}, "env": [{"name": ""}]}]});
        assert_eq!(encoded(pod).unwrap()["spec"], expected);
        assert_eq!(
            encoded(json!({})).unwrap()["spec"],
            json!({"containers": null})
        );
    }

    #[test]
    fn a_value_of_another_type_is_told_with_its_path() {
        for (spec, message) in [
            (
                json!({"securityContext": {"runAsUser": "abc"}}),
                "`spec.securityContext.runAsUser`: expected an integer",
            ),
            (
                json!({"containers": [{"tty": "x"}]}),
                "`spec.containers[0].tty`: expected a boolean",
            ),
            (
                json!({"hostname": false}),
                "`spec.hostname`: expected a string",
            ),
            (
                json!({"priority": 4_000_000_000_u32}),
                "`spec.priority`: expected a 32-bit integer",
            ),
            (
                json!({"nodeSelector": []}),
                "`spec.nodeSelector`: expected an object",
            ),
        ] {
            let error = encoded(json!({"spec": spec})).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }

    /// Which release has which field is the Go type's word: `k8s.io/api/core/v1/types.go` of 1.24 to 1.34.
    #[test]
    fn a_field_is_unknown_before_the_release_that_brings_it() {
        let profile = json!({"type": "Localhost", "localhostProfile": "a"});
        let in_container = |it: Value| {
            let mut container = json!({"name": "c", "resources": {}});
            container
                .as_object_mut()
                .unwrap()
                .extend(it.as_object().unwrap().clone());
            json!({"containers": [container]})
        };
        let in_pod = |it: Value| {
            let mut spec = json!({"containers": null});
            spec.as_object_mut()
                .unwrap()
                .extend(it.as_object().unwrap().clone());
            spec
        };
        for (minor, known, unknown) in [
            (
                30,
                in_pod(json!({"securityContext": {"appArmorProfile": profile}})),
                in_pod(json!({"securityContext": {}})),
            ),
            (
                30,
                in_container(json!({"securityContext": {"appArmorProfile": profile}})),
                in_container(json!({"securityContext": {}})),
            ),
            (25, in_pod(json!({"hostUsers": false})), in_pod(json!({}))),
            (
                28,
                in_container(json!({"restartPolicy": "Always"})),
                in_container(json!({})),
            ),
            (
                31,
                in_pod(json!({"volumes": [{"name": "v", "image": {"reference": "a"}}]})),
                in_pod(json!({"volumes": [{"name": "v"}]})),
            ),
            (
                34,
                in_pod(json!({"hostnameOverride": ""})),
                in_pod(json!({})),
            ),
        ] {
            for (release, expected) in [(minor - 1, &unknown), (minor, &known), (99, &known)] {
                let written = encoded_on(Version::new(1, release), json!({"spec": known})).unwrap();
                assert_eq!(written["spec"], *expected, "1.{release}");
            }
        }
    }

    #[test]
    fn what_a_release_does_not_know_may_be_of_any_type() {
        let pod = json!({"spec": {"securityContext": {"appArmorProfile": 1}}});
        assert!(encoded_on(Version::new(1, 29), pod.clone()).is_ok());
        let error = encoded_on(Version::new(1, 30), pod).unwrap_err();
        let message = "`spec.securityContext.appArmorProfile`: expected an object";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn both_kinds_of_value_say_the_same() {
        let pod = json!({"spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": 1}}}], "priority": 5}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let kubernetes = Version::new(1, 24);
        let json: Value = encode(&pod, "ns", "p", kubernetes).unwrap();
        let rego: RegoValue = encode(&pod, "ns", "p", kubernetes).unwrap();
        assert_eq!(serde_json::to_value(&rego).unwrap(), json);
    }

    #[test]
    fn the_tables_are_sorted() {
        fn check(shape: Shape) {
            match shape {
                Shape::List(shape) | Shape::Map(shape) => check(*shape),
                Shape::Object(fields) => {
                    assert!(fields.is_sorted_by_key(|it| it.0), "{:?}", fields.first());
                    for field in fields {
                        check(field.2);
                    }
                }
                _ => {}
            }
        }
        for fields in [pod::OBJECT_META, pod::POD_SPEC, pod::POD_STATUS] {
            check(Shape::Object(fields));
        }
    }
}
