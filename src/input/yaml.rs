//! YAML with places, composed from the events of `granit-parser`.
//!
//! Values mean what they mean to kubectl, see [`scalar`]; so do merge keys, which yaml.v2 (`decode.go`, `merge`) applies
//! where they stand: they override what came before them and give way to what comes after.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use super::documents::Document;
use super::json::repeated_key;
use super::node::{Entry, Fault, MAX_DEPTH, Node, ObjectBuilder, Span, Value};
use super::scalar;

/// What `!!` stands for.
const YAML_TAG: &str = "tag:yaml.org,2002:";

/// How much the aliases of one document may copy, in bytes, so that a small text cannot become a huge tree.
const MAX_COPIES: usize = 32 << 20;

/// The documents in a part of a text; what is wrong within a document is told in it.
///
/// # Errors
///
/// The first place that is not YAML; the documents before it are in `documents`.
pub(super) fn documents<'a>(
    documents: &mut Vec<Document<'a>>,
    text: &'a str,
    part: &Span,
) -> Result<(), Fault> {
    let text = text.get(part.clone()).unwrap_or_default();
    let options = granit_parser::options! {
        block_nesting_limit: MAX_DEPTH,
        block_scalar_eof_without_line_feed: true,
        flow_nesting_limit: MAX_DEPTH,
    };
    let mut composer = Composer::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let start = error.marker().byte_offset().unwrap_or_default();
            let char = text.get(start..).and_then(|it| it.chars().next());
            let start = part.start + start;
            let end = start + char.map_or(0, char::len_utf8);
            Fault::new(start..end, format!("this is not YAML: {}", error.kind()))
        })?;
        let span = span.byte_range().unwrap_or_default();
        let span = part.start + span.start..part.start + span.end;
        match event {
            Event::DocumentEnd => {
                let composer = std::mem::take(&mut composer);
                documents.extend(composer.root.map(|root| Document {
                    root,
                    faults: composer.faults,
                }));
            }
            event => composer.event(event, span)?,
        }
    }
    Ok(())
}

#[derive(Default)]
struct Composer<'a> {
    root: Option<Node<'a>>,
    faults: Vec<Fault>,
    open: Vec<Open<'a>>,
    anchors: BTreeMap<usize, Node<'a>>,
    copied: usize,
}

/// A list or an object whose end has not come yet.
struct Open<'a> {
    start: usize,
    anchor: usize,
    content: Content<'a>,
}

enum Content<'a> {
    List(Vec<Node<'a>>),
    Object {
        object: ObjectBuilder<'a>,
        /// The keys that merges have brought, which may be given again.
        merged: BTreeSet<Cow<'a, str>>,
        key: Key<'a>,
    },
}

/// What the next value of an object is for.
enum Key<'a> {
    /// It is itself a key.
    None,
    Name(Cow<'a, str>, Span),
    Merge,
    /// For a key that cannot be one.
    Unusable,
}

impl<'a> Composer<'a> {
    fn event(&mut self, event: Event<'a>, span: Span) -> Result<(), Fault> {
        match event {
            Event::Scalar(word, style, anchor, tag) => {
                self.scalar(word, style, anchor, tag.as_deref(), span)
            }
            Event::SequenceStart(_, anchor, _) => {
                self.open(span, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                let content = Content::Object {
                    object: ObjectBuilder::default(),
                    merged: BTreeSet::new(),
                    key: Key::None,
                };
                self.open(span, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&span),
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        word: Cow<'a, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Fault> {
        let plain = style == ScalarStyle::Plain;
        if plain && tag.is_none() && word == "<<" && self.wants_key() {
            self.set_key(Key::Merge);
            return Ok(());
        }
        let value = match tag {
            None if plain => scalar::plain(word),
            None => Ok(Value::String(word)),
            Some(tag) => {
                let tag = format!("{}{}", tag.handle(), tag.suffix());
                scalar::tagged(tag.strip_prefix(YAML_TAG).unwrap_or_default(), word)
            }
        };
        let value = value.unwrap_or_else(|message| {
            self.faults.push(Fault::new(span.clone(), message));
            Value::Null
        });
        self.add(Node { span, value }, anchor)
    }

    fn open(&mut self, span: Span, anchor: usize, content: Content<'a>) -> Result<(), Fault> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Fault::new(
                span,
                format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.open.push(Open {
            start: span.start,
            anchor,
            content,
        });
        Ok(())
    }

    fn close(&mut self, end: &Span) -> Result<(), Fault> {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let node = Node {
            span: open.start..end.end.max(open.start),
            value: match open.content {
                Content::List(items) => Value::List(items),
                Content::Object { object, .. } => object.finish(),
            },
        };
        self.add(node, open.anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Fault> {
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(Fault::new(span, "the anchor contains itself"));
        };
        self.copied += weight(target);
        if self.copied > MAX_COPIES {
            let message = format!("aliases copy more than {} MiB", MAX_COPIES >> 20);
            return Err(Fault::new(span, message));
        }
        let value = target.value.clone();
        self.add(Node { span, value }, 0)
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node<'a>, anchor: usize) -> Result<(), Fault> {
        if anchor != 0 {
            self.copied += weight(&node);
            if self.copied > MAX_COPIES {
                let message = format!("anchors hold more than {} MiB", MAX_COPIES >> 20);
                return Err(Fault::new(node.span, message));
            }
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|it| &mut it.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Object {
                object,
                merged,
                key,
            }) => match std::mem::replace(key, Key::None) {
                Key::None => match name(&node.value) {
                    Ok(name) => *key = Key::Name(name, node.span),
                    Err(message) => {
                        self.faults.push(Fault::new(node.span, message));
                        *key = Key::Unusable;
                    }
                },
                Key::Unusable => {}
                Key::Merge => {
                    let span = node.span.clone();
                    if !merge(object, merged, node) {
                        self.faults.push(Fault::new(
                            span,
                            "`<<` needs an object or a list of objects",
                        ));
                    }
                }
                Key::Name(name, key_span) => {
                    let entry = Entry {
                        key: name.clone(),
                        key_span: key_span.clone(),
                        value: node,
                    };
                    if let Some(old) = object.insert(entry)
                        && !merged.remove(&name)
                    {
                        self.faults
                            .push(repeated_key(&name, key_span, old.key_span));
                    }
                }
            },
        }
        Ok(())
    }

    fn wants_key(&self) -> bool {
        let content = self.open.last().map(|it| &it.content);
        matches!(content, Some(Content::Object { key: Key::None, .. }))
    }

    fn set_key(&mut self, value: Key<'a>) {
        if let Some(Content::Object { key, .. }) = self.open.last_mut().map(|it| &mut it.content) {
            *key = value;
        }
    }
}

/// Adds the entries of an object or of a list of objects, of which the first wins; returns whether it is one.
fn merge<'a>(
    object: &mut ObjectBuilder<'a>,
    merged: &mut BTreeSet<Cow<'a, str>>,
    from: Node<'a>,
) -> bool {
    match from.value {
        Value::Object(entries) => {
            for entry in entries {
                merged.insert(entry.key.clone());
                object.insert(entry);
            }
            true
        }
        Value::List(items) => {
            let all_objects = items.iter().all(|it| matches!(it.value, Value::Object(_)));
            all_objects && items.into_iter().rev().all(|it| merge(object, merged, it))
        }
        _ => false,
    }
}

/// A key as JSON has it.
fn name<'a>(key: &Value<'a>) -> Result<Cow<'a, str>, String> {
    match key {
        Value::String(name) => Ok(name.clone()),
        Value::Bool(value) => Ok(Cow::Borrowed(if *value { "true" } else { "false" })),
        Value::Int(value) => Ok(Cow::Owned(value.to_string())),
        Value::UInt(value) => Ok(Cow::Owned(value.to_string())),
        Value::Float(value) => Ok(Cow::Owned(value.to_string())),
        Value::Null => Err("a key must not be null".to_owned()),
        Value::List(_) | Value::Object(_) => Err("a key must be a string".to_owned()),
    }
}

/// About how many bytes a copy takes.
fn weight(node: &Node<'_>) -> usize {
    let inner: usize = match &node.value {
        Value::String(text) => text.len(),
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Object(entries) => entries
            .iter()
            .map(|it| it.key.len() + weight(&it.value))
            .sum(),
        _ => 0,
    };
    size_of::<Entry<'_>>() + inner
}
