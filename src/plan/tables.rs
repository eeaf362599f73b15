//! Policies that differ in a few values become one pattern and a table of values.
//!
//! A cluster with a policy for each tenant has thousands that are alike but for an id or a path.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::controls::translate::Parameters;

/// The fewest policies that are worth a table.
pub const FEWEST: usize = 8;

/// Policies that are alike but for some values.
#[derive(Clone, Debug, PartialEq)]
pub struct Family {
    /// What they have in common, by field; where they differ, what refuses nothing.
    pub shared: Parameters,
    /// The fields in which they differ.
    pub own: BTreeMap<&'static str, Pattern>,
    /// What each has of its own, by the name of the policy: the values of all columns.
    pub rows: BTreeMap<String, Vec<Value>>,
}

/// A JSON value with some of its leaves left open.
#[derive(Clone, Debug, PartialEq)]
pub enum Pattern {
    /// The same in all policies.
    Value(Value),
    /// The value in this column of the policy's row.
    Column(usize),
    /// A list of patterns.
    List(Vec<Pattern>),
    /// An object of patterns.
    Object(BTreeMap<String, Pattern>),
}

impl Pattern {
    /// Whether it is the same in all policies.
    fn is_closed(&self) -> bool {
        match self {
            Self::Value(_) => true,
            Self::Column(_) => false,
            Self::List(items) => items.iter().all(Self::is_closed),
            Self::Object(members) => members.values().all(Self::is_closed),
        }
    }
}

/// Takes the policies apart into families and those that belong to none, by name.
///
/// Families are sorted by the name of their first policy.
pub(super) fn families(
    policies: &BTreeMap<String, Parameters>,
) -> (Vec<Family>, BTreeMap<String, Parameters>) {
    let mut alike = BTreeMap::<String, Vec<(&String, &Parameters)>>::new();
    for (name, parameters) in policies {
        alike
            .entry(outline(parameters))
            .or_default()
            .push((name, parameters));
    }
    let mut families = Vec::new();
    let mut others = BTreeMap::new();
    for members in alike.into_values() {
        let family = (members.len() >= FEWEST).then(|| family(&members));
        match family.flatten() {
            Some(family) => families.push(family),
            None => others.extend(
                members
                    .into_iter()
                    .map(|(name, parameters)| (name.clone(), parameters.clone())),
            ),
        }
    }
    families.sort_by(|a, b| a.rows.keys().next().cmp(&b.rows.keys().next()));
    (families, others)
}

fn family(members: &[(&String, &Parameters)]) -> Option<Family> {
    let rows: Vec<Vec<&Value>> = members
        .iter()
        .map(|(_, parameters)| {
            let mut acc = Vec::new();
            for (field, value) in *parameters {
                if unbounded(field).is_some() {
                    open_leaves(&mut acc, field, value);
                }
            }
            acc
        })
        .collect();
    let (first, others) = rows.split_first()?;
    // For each open leaf: the column that it became, or nothing where all policies agree.
    let mut columns = Vec::new();
    let mut kept = Vec::<usize>::new();
    for leaf in 0..first.len() {
        let value = |row: &[&Value], leaf: usize| row.get(leaf).copied().cloned();
        let agree = others
            .iter()
            .all(|row| value(row, leaf) == value(first, leaf));
        let column = if agree {
            None
        } else if let Some(known) = kept.iter().position(|other| {
            rows.iter()
                .all(|row| value(row, leaf) == value(row, *other))
        }) {
            Some(known)
        } else {
            kept.push(leaf);
            Some(kept.len() - 1)
        };
        columns.push(column);
    }
    let mut columns = columns.into_iter();
    let mut shared = Parameters::new();
    let mut own = BTreeMap::new();
    for (field, value) in members.first()?.1 {
        let unbounded = unbounded(field).map(|it| (it, pattern(&mut columns, field, value)));
        match unbounded.filter(|(_, pattern)| !pattern.is_closed()) {
            Some((unbounded, pattern)) => {
                shared.insert(*field, unbounded);
                own.insert(*field, pattern);
            }
            None => {
                shared.insert(*field, value.clone());
            }
        }
    }
    let rows = members
        .iter()
        .zip(&rows)
        .map(|((name, _), row)| {
            let values = kept.iter().filter_map(|leaf| row.get(*leaf));
            ((*name).clone(), values.map(|it| (*it).clone()).collect())
        })
        .collect();
    Some(Family { shared, own, rows })
}

/// The value of a field under which nothing is refused for it, for the fields in which policies of a family may differ; `admit.rego`
/// judges each of them for itself.
fn unbounded(field: &str) -> Option<Value> {
    match field {
        "allowedHostPaths" => Some(json!([])),
        "hostPorts" => Some(json!([{ "min": 0, "max": u16::MAX }])),
        "fsGroup" | "runAsGroup" | "runAsUser" | "seLinux" | "supplementalGroups" => {
            Some(json!({ "rule": "RunAsAny" }))
        }
        _ => None,
    }
}

/// Whether a leaf under this key may differ within a family: ids and ports, paths, SELinux labels.
fn is_open(key: &str, value: &Value) -> bool {
    value.is_number()
        || (value.is_string() && ["pathPrefix", "user", "role", "type", "level"].contains(&key))
}

/// Adds the leaves that may differ, in the order of the document.
fn open_leaves<'a>(acc: &mut Vec<&'a Value>, key: &str, value: &'a Value) {
    match value {
        Value::Array(items) => items.iter().for_each(|it| open_leaves(acc, key, it)),
        Value::Object(members) => members
            .iter()
            .for_each(|(key, it)| open_leaves(acc, key, it)),
        _ if is_open(key, value) => acc.push(value),
        _ => {}
    }
}

/// The policy with its open leaves left out: the same text for all that may be a family.
pub fn outline(parameters: &Parameters) -> String {
    fn closed(key: &str, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|it| closed(key, it)).collect(),
            Value::Object(members) => members
                .iter()
                .map(|(key, it)| (key.clone(), closed(key, it)))
                .collect(),
            _ if is_open(key, value) => Value::Null,
            _ => value.clone(),
        }
    }
    let parts: Vec<String> = parameters
        .iter()
        .map(|(field, value)| match unbounded(field) {
            Some(_) => format!("{field}:{}", closed(field, value)),
            None => format!("{field}:{value}"),
        })
        .collect();
    parts.join(",")
}

/// Leaves open what became a column; visits the leaves in the order of [`open_leaves`].
fn pattern(columns: &mut impl Iterator<Item = Option<usize>>, key: &str, value: &Value) -> Pattern {
    match value {
        Value::Array(items) => {
            Pattern::List(items.iter().map(|it| pattern(columns, key, it)).collect())
        }
        Value::Object(members) => Pattern::Object(
            members
                .iter()
                .map(|(key, it)| (key.clone(), pattern(columns, key, it)))
                .collect(),
        ),
        _ if is_open(key, value) => match columns.next().flatten() {
            Some(column) => Pattern::Column(column),
            None => Pattern::Value(value.clone()),
        },
        _ => Pattern::Value(value.clone()),
    }
}
