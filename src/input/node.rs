//! A document as a tree in which every key and value knows where it stands.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Number};

use super::path::{Path, Step};

/// A byte range in the text of a source.
pub(super) type Span = Range<usize>;

/// How deep lists and objects may nest; Kubernetes' own schemas stay far below.
pub(super) const MAX_DEPTH: usize = 200;

/// What is wrong with a text or with a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) span: Span,
    pub(super) message: String,
    /// The place that the message refers to, told as its line.
    pub(super) earlier: Option<Span>,
}

impl Fault {
    pub(super) fn new(span: Span, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            earlier: None,
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node<'a> {
    pub(super) span: Span,
    pub(super) value: Value<'a>,
}

/// What JSON can say, with integers and other numbers told apart.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer above the range of [`Value::Int`].
    UInt(u64),
    /// A number that is no integer of 64 bits.
    Float(f64),
    String(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<Entry<'a>>),
}

impl Value<'_> {
    /// A number as Kubernetes passes it on: `1.0` and `1e3` are integers.
    pub(super) fn number(number: f64) -> Self {
        if number.fract() == 0.0
            && let Ok(integer) = format!("{number:.0}").parse()
        {
            return Self::Int(integer);
        }
        Self::Float(number)
    }

    /// What Go's JSON decoder calls such a value.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::UInt(_) | Self::Float(_) => "number",
            Self::String(_) => "string",
            Self::List(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

/// A key of an object with its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) key_span: Span,
    pub(super) value: Node<'a>,
}

impl Entry<'_> {
    /// Where to point for the value: a scalar itself, else the key.
    pub(super) fn place(&self) -> &Span {
        match self.value.value {
            Value::List(_) | Value::Object(_) | Value::Null => &self.key_span,
            _ => &self.value.span,
        }
    }
}

impl<'a> Node<'a> {
    /// The value of `key`, where this is an object that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.entry(key).map(|it| &it.value)
    }

    /// The value of `key`, where it is a string.
    pub(super) fn string(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The first text in it with a placeholder such as `{{ .Values.name }}`, but for annotations, which may quote one.
    pub(super) fn placeholder(&self) -> Option<(Span, &str)> {
        let found = |text: &str| {
            let start = text.find("{{");
            start.is_some_and(|it| text.get(it..).is_some_and(|it| it.contains("}}")))
        };
        match &self.value {
            Value::String(text) => found(text).then(|| (self.span.clone(), &**text)),
            Value::List(items) => items.iter().find_map(Node::placeholder),
            Value::Object(entries) => entries
                .iter()
                .filter(|it| it.key != "annotations")
                .find_map(|it| {
                    if found(&it.key) {
                        return Some((it.key_span.clone(), &*it.key));
                    }
                    it.value.placeholder()
                }),
            _ => None,
        }
    }

    /// Where to point for the whole object: its kind, else its first key.
    pub(super) fn head(&self) -> Span {
        match (&self.value, self.get("kind")) {
            (_, Some(kind)) => kind.span.clone(),
            (Value::Object(entries), None) => entries
                .first()
                .map_or(self.span.clone(), |it| it.key_span.clone()),
            _ => self.span.clone(),
        }
    }

    fn entry(&self, key: &str) -> Option<&Entry<'a>> {
        match &self.value {
            Value::Object(entries) => entries.iter().find(|it| it.key == key),
            _ => None,
        }
    }

    /// Where to point for the value at `path`, or, where the way breaks off, the last key on it.
    pub(super) fn locate(&self, path: &Path<'_>) -> Span {
        let mut node = self;
        let mut last_key = self.head();
        let mut place = self.head();
        for step in path.steps() {
            match (step, &node.value) {
                (Step::Field(key) | Step::Key(key), _) => {
                    let Some(entry) = node.entry(key) else {
                        return last_key;
                    };
                    last_key = entry.key_span.clone();
                    place = entry.place().clone();
                    node = &entry.value;
                }
                (Step::Index(index), Value::List(items)) => {
                    let Some(item) = items.get(index) else {
                        return last_key;
                    };
                    last_key = item.head();
                    place = item.head();
                    node = item;
                }
                (Step::Index(_), _) => return last_key,
            }
        }
        place
    }

    /// The same value without places.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => serde_json::Value::Bool(*value),
            Value::Int(value) => serde_json::Value::Number(Number::from(*value)),
            Value::UInt(value) => serde_json::Value::Number(Number::from(*value)),
            Value::Float(value) => {
                Number::from_f64(*value).map_or(serde_json::Value::Null, serde_json::Value::Number)
            }
            Value::String(value) => serde_json::Value::String(value.to_string()),
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Object(entries) => serde_json::Value::Object(
                entries
                    .iter()
                    .map(|it| (it.key.to_string(), it.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// An object in the making; keys stay in the order in which they first stood.
#[derive(Debug, Default)]
pub(super) struct ObjectBuilder<'a> {
    entries: Vec<Entry<'a>>,
    /// Where each key stands in `entries`, once there are too many to look at one after the other.
    index: Option<BTreeMap<Cow<'a, str>, usize>>,
}

impl<'a> ObjectBuilder<'a> {
    const LINEAR: usize = 16;

    /// Adds an entry; one that has the same key gives way and is returned.
    pub(super) fn insert(&mut self, entry: Entry<'a>) -> Option<Entry<'a>> {
        if let Some(old) = self
            .position(&entry.key)
            .and_then(|it| self.entries.get_mut(it))
        {
            return Some(std::mem::replace(old, entry));
        }
        if let Some(index) = &mut self.index {
            index.insert(entry.key.clone(), self.entries.len());
        }
        self.entries.push(entry);
        if self.index.is_none() && self.entries.len() > Self::LINEAR {
            let keys = self.entries.iter().map(|it| it.key.clone());
            self.index = Some(keys.enumerate().map(|(at, key)| (key, at)).collect());
        }
        None
    }

    fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.entries.iter().position(|it| it.key == key),
        }
    }

    pub(super) fn finish(self) -> Value<'a> {
        Value::Object(self.entries)
    }
}
