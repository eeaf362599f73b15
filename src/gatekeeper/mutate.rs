//! `Assign`, `AssignMetadata` and `ModifySet`, applied to a pod.
//!
//! Gatekeeper 3.23, `pkg/mutation/system.go` and `pkg/mutation/mutators/`.

use serde_json::Value;

use super::ReviewError;
use super::conflict::{self, Claim, Type};
use super::document::Object;
use super::location::{KeyValue, Step};
use super::match_::Namespace;
use super::mutator::{Action, Condition, Mutator};
use crate::admission::Operation;

/// All mutators, in the order in which they are applied.
#[derive(Debug, Default)]
pub(super) struct Mutators {
    active: Vec<Mutator>,
    /// How often the active ones are applied at most before Gatekeeper gives up.
    most_rounds: usize,
}

impl Mutators {
    /// Reads the mutators; those in conflict with each other are left out.
    pub(super) fn new(objects: &[Object]) -> Result<Self, ReviewError> {
        let mut all = objects
            .iter()
            .map(Mutator::new)
            .collect::<Result<Vec<_>, _>>()?;
        all.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        let claims: Vec<Claim<'_>> = all
            .iter()
            .map(|it| Claim {
                steps: &it.location,
                target: match it.action {
                    Action::Merge(_) | Action::Prune(_) => Type::Set,
                    _ => Type::Unknown,
                },
                bindings: it.bindings(),
            })
            .collect();
        let off = conflict::conflicts(&claims);
        let most_rounds = all.len() + 1;
        let active = all.into_iter().enumerate();
        Ok(Self {
            active: active
                .filter(|(index, _)| !off.contains(index))
                .map(|(_, mutator)| mutator)
                .collect(),
            most_rounds,
        })
    }

    /// Whether there is nothing to apply.
    pub(super) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// Applies all mutators in rounds until a round changes nothing.
    ///
    /// # Errors
    ///
    /// Why Gatekeeper refuses the request.
    pub(super) fn mutate(
        &self,
        pod: &mut Value,
        namespace: Namespace<'_>,
        operation: Operation,
    ) -> Result<(), String> {
        for _ in 0..self.most_rounds {
            // The pod before the first mutator of this round that matches.
            let mut before = None;
            for mutator in &self.active {
                let metadata = pod.get("metadata");
                let name = metadata.and_then(|it| it.get("name")?.as_str());
                let name = name.unwrap_or_default();
                if !mutator.applies_to(operation)
                    || !mutator.match_.matches(metadata, name, namespace)
                {
                    continue;
                }
                before.get_or_insert_with(|| pod.clone());
                apply(mutator, pod)
                    .map_err(|error| format!("{} {}: {error}", mutator.kind, mutator.name))?;
            }
            if before.is_none_or(|before| before == *pod) {
                integral_numbers(pod);
                return Ok(());
            }
        }
        Err("mutation does not converge".to_owned())
    }
}

fn apply(mutator: &Mutator, pod: &mut Value) -> Result<(), String> {
    let metadata = |key: &str| {
        let value = pod.get("metadata").and_then(|it| it.get(key));
        Value::from(value.and_then(Value::as_str).unwrap_or_default())
    };
    let write = match &mutator.action {
        Action::Assign(value) => Write::Value(value.clone()),
        Action::AssignName => Write::Value(metadata("name")),
        Action::AssignNamespace => Write::Value(metadata("namespace")),
        Action::Merge(values) => Write::Merge(values),
        Action::Prune(values) => Write::Prune(values),
    };
    let walk = Walk { mutator, write };
    walk.step(pod, &mutator.location, 0).map(|_| ())
}

/// What is done at the end of the location.
enum Write<'a> {
    Value(Value),
    Merge(&'a [Value]),
    Prune(&'a [Value]),
}

struct Walk<'a> {
    mutator: &'a Mutator,
    write: Write<'a>,
}

impl Walk<'_> {
    /// Takes the first of `steps` from `current`, and says whether the end of the location was reached.
    ///
    /// What was created on the way is kept only if it was.
    fn step(&self, current: &mut Value, steps: &[Step], depth: usize) -> Result<bool, String> {
        match steps.split_first() {
            None => Ok(false),
            Some((Step::Field(field), rest)) => self.field(current, field, rest, depth),
            Some((Step::Element { key, value }, [])) => {
                self.set_element(current, key, value, depth)
            }
            Some((Step::Element { key, value }, rest)) => {
                self.elements(current, key, value, rest, depth)
            }
        }
    }

    fn field(
        &self,
        current: &mut Value,
        field: &str,
        rest: &[Step],
        depth: usize,
    ) -> Result<bool, String> {
        let Value::Object(map) = current else {
            return Err(format!(
                "`{field}` is a field of something that is not an object"
            ));
        };
        if !self.test(depth, map.contains_key(field)) {
            return Ok(false);
        }
        if rest.is_empty() {
            self.set_field(map, field)?;
            return Ok(true);
        }
        if let Some(next) = map.get_mut(field) {
            return self.step(next, rest, depth + 1);
        }
        let mut next = empty_for(rest);
        let reached = self.step(&mut next, rest, depth + 1)?;
        if reached {
            map.insert(field.to_owned(), next);
        }
        Ok(reached)
    }

    fn elements(
        &self,
        current: &mut Value,
        key: &str,
        value: &KeyValue,
        rest: &[Step],
        depth: usize,
    ) -> Result<bool, String> {
        let Value::Array(items) = current else {
            return Err(format!(
                "an element by `{key}` of something that is not a list"
            ));
        };
        let wanted = match value {
            KeyValue::Any if !self.test(depth, true) => return Ok(false),
            KeyValue::Any => None,
            KeyValue::Text(text) => Some(Value::from(text.as_str())),
            KeyValue::Int(int) => Some(Value::from(*int)),
        };
        let (mut found, mut reached) = (false, false);
        for item in &mut *items {
            if wanted.is_some() && item.get(key) != wanted.as_ref() {
                continue;
            }
            if !self.test(depth, true) {
                return Ok(false);
            }
            found = true;
            reached |= self.step(item, rest, depth + 1)?;
        }
        if let Some(wanted) = wanted
            && !found
            && self.test(depth, false)
        {
            let mut item = empty_for(rest);
            let Value::Object(map) = &mut item else {
                return Err("a list right in a list".to_owned());
            };
            map.insert(key.to_owned(), wanted);
            reached = self.step(&mut item, rest, depth + 1)?;
            if reached {
                items.push(item);
            }
        }
        Ok(reached)
    }

    /// Puts a whole element into a list: only Assign of an object comes here.
    fn set_element(
        &self,
        current: &mut Value,
        key: &str,
        value: &KeyValue,
        depth: usize,
    ) -> Result<bool, String> {
        let (Value::Array(items), Write::Value(new)) = (current, &self.write) else {
            return Err(format!(
                "an element by `{key}` of something that is not a list"
            ));
        };
        let wanted = match value {
            KeyValue::Any => return Err("a whole element for all elements".to_owned()),
            KeyValue::Text(text) => Value::from(text.as_str()),
            KeyValue::Int(int) => Value::from(*int),
        };
        for item in &mut *items {
            let Value::Object(map) = item else {
                return Err("a list element is not an object".to_owned());
            };
            if map.get(key) == Some(&wanted) {
                if !self.test(depth, true) {
                    return Ok(false);
                }
                *item = new.clone();
                return Ok(true);
            }
        }
        if !self.test(depth, false) {
            return Ok(false);
        }
        items.push(new.clone());
        Ok(true)
    }

    fn set_field(
        &self,
        map: &mut serde_json::Map<String, Value>,
        field: &str,
    ) -> Result<(), String> {
        let set_of = |value: &mut Value| match value {
            Value::Array(items) => Ok(std::mem::take(items)),
            _ => Err(format!("`{field}` is not a list")),
        };
        match &self.write {
            Write::Value(value) => {
                map.insert(field.to_owned(), value.clone());
            }
            Write::Merge(values) => {
                let Some(existing) = map.get_mut(field) else {
                    // Taken over as they are, duplicates included.
                    map.insert(field.to_owned(), Value::Array(values.to_vec()));
                    return Ok(());
                };
                let mut items = set_of(existing)?;
                for value in *values {
                    if !items.contains(value) {
                        items.push(value.clone());
                    }
                }
                *existing = Value::Array(items);
            }
            Write::Prune(values) => {
                if let Some(existing) = map.get_mut(field) {
                    let mut items = set_of(existing)?;
                    items.retain(|it| !values.contains(it));
                    *existing = Value::Array(items);
                }
            }
        }
        Ok(())
    }

    /// Whether the path test at this depth, if there is one, is content.
    fn test(&self, depth: usize, exists: bool) -> bool {
        match self.mutator.tests.get(&depth) {
            None => true,
            Some(Condition::MustExist) => exists,
            Some(Condition::MustNotExist) => !exists,
        }
    }
}

fn empty_for(steps: &[Step]) -> Value {
    match steps.first() {
        Some(Step::Element { .. }) => Value::Array(Vec::new()),
        _ => Value::Object(serde_json::Map::new()),
    }
}

/// Writes numbers without a fraction as the integers they are in JSON.
fn integral_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let float = number.as_f64().filter(|_| number.is_f64());
            if let Some(float) = float.filter(|it| it.fract() == 0.0)
                && let Ok(int) = format!("{float:.0}").parse::<i64>()
            {
                *number = int.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(integral_numbers),
        Value::Object(map) => map.values_mut().for_each(integral_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;
