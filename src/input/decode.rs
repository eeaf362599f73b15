//! A tree becomes a typed value, as the API server's JSON decoder would make it.
//!
//! Names of fields are case-sensitive, unknown ones are left out, and null stands for the value that a field has when it
//! is absent.

use std::cell::RefCell;
use std::fmt;

use serde::Deserialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::node::{Entry, Node, Span, Value};
use super::path::{Path, Step};

/// A field that the type does not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownField {
    /// The path of the field.
    pub(super) path: String,
    /// The place of its name.
    pub(super) span: Span,
    /// The field of the type with the most similar name, if one is similar.
    pub(super) nearest: Option<&'static str>,
}

/// A value that does not fit the type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    message: String,
    /// The path and the place of the value, once they are known.
    at: Option<(String, Span)>,
}

impl Mismatch {
    /// Where the value stands, if it is known.
    pub(super) fn span(&self) -> Option<Span> {
        self.at.as_ref().map(|(_, span)| span.clone())
    }

    fn or_at(mut self, path: &Path<'_>, place: &Span) -> Self {
        self.at
            .get_or_insert_with(|| (path.to_string(), place.clone()));
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Some((path, _)) => write!(f, "{path}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Mismatch {}

impl serde::de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            message: message.to_string(),
            at: None,
        }
    }
}

/// Decodes an object; what fields its type does not have comes with it.
///
/// # Errors
///
/// The first value that does not fit.
pub(super) fn decode<'n, T: Deserialize<'n>>(
    node: &'n Node<'_>,
) -> Result<(T, Vec<UnknownField>), Mismatch> {
    let unknown = RefCell::default();
    let decoder = NodeDecoder {
        node,
        place: &node.span,
        path: None,
        unknown: Some(&unknown),
    };
    let value = T::deserialize(decoder)?;
    Ok((value, unknown.into_inner()))
}

/// Decodes a part of an object, whatever else it has.
///
/// # Errors
///
/// The first value that does not fit.
pub(super) fn decode_part<'n, T: Deserialize<'n>>(node: &'n Node<'_>) -> Result<T, Mismatch> {
    T::deserialize(NodeDecoder {
        node,
        place: &node.span,
        path: None,
        unknown: None,
    })
}

#[derive(Clone, Copy)]
struct NodeDecoder<'n, 'a, 'p> {
    node: &'n Node<'a>,
    /// Where to point for it.
    place: &'n Span,
    path: Option<&'p Path<'p>>,
    /// Where to note fields that a type does not have.
    unknown: Option<&'p RefCell<Vec<UnknownField>>>,
}

impl<'n, 'a> NodeDecoder<'n, 'a, '_> {
    /// In the words of Go's JSON decoder, which the API server passes on.
    fn mismatch(&self, wanted: &str) -> Mismatch {
        let value = &self.node.value;
        let found = match value {
            Value::Int(number) if wanted.contains("int") => format!("number {number}"),
            Value::UInt(number) if wanted.contains("int") => format!("number {number}"),
            Value::Float(number) if wanted.contains("int") => format!("number {number}"),
            _ => value.kind().to_owned(),
        };
        let quotable = matches!(
            value,
            Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_)
        );
        let hint = if quotable && wanted == "string" {
            "; put it in quotes to make it one"
        } else {
            ""
        };
        Mismatch {
            message: format!("cannot unmarshal {found} into a field of type {wanted}{hint}"),
            at: self.path.map(|it| (it.to_string(), self.place.clone())),
        }
    }

    fn child<T: DeserializeSeed<'n>>(
        &self,
        seed: T,
        step: Step<'_>,
        node: &'n Node<'a>,
        place: &'n Span,
    ) -> Result<T::Value, Mismatch> {
        let path = Path::step(self.path, step);
        let decoder = NodeDecoder {
            node,
            place,
            path: Some(&path),
            unknown: self.unknown,
        };
        seed.deserialize(decoder)
            .map_err(|it| it.or_at(&path, place))
    }

    fn note_unknown(&self, entry: &Entry<'_>, fields: &'static [&'static str]) {
        if let Some(unknown) = self.unknown {
            unknown.borrow_mut().push(UnknownField {
                path: Path::step(self.path, Step::Field(&entry.key)).to_string(),
                span: entry.key_span.clone(),
                nearest: nearest(&entry.key, fields.iter().copied()),
            });
        }
    }
}

/// Returns the most similar of some names, the last of several, if it is similar enough to be a slip.
pub(crate) fn nearest<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const SIMILAR: f64 = 0.6;
    let name = name.to_lowercase();
    let similarity = |it: &str| strsim::normalized_damerau_levenshtein(&name, &it.to_lowercase());
    let best = names
        .into_iter()
        .map(|it| (similarity(it), it))
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= SIMILAR).then_some(best.1)
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ident $name:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            let value = match self.node.value {
                Value::Null => Some(0),
                Value::Int(value) => $type::try_from(value).ok(),
                Value::UInt(value) => $type::try_from(value).ok(),
                _ => None,
            };
            visitor.$visit(value.ok_or_else(|| self.mismatch($name))?)
        }
    )*};
}

impl<'de> Deserializer<'de> for NodeDecoder<'de, '_, '_> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::UInt(value) => visitor.visit_u64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_borrowed_str(value),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Object(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.node.value {
            Value::Null => visitor.visit_bool(false),
            Value::Bool(value) => visitor.visit_bool(value),
            _ => Err(self.mismatch("bool")),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8 "int8";
        deserialize_i16 visit_i16 i16 "int16";
        deserialize_i32 visit_i32 i32 "int32";
        deserialize_i64 visit_i64 i64 "int64";
        deserialize_u8 visit_u8 u8 "uint8";
        deserialize_u16 visit_u16 u16 "uint16";
        deserialize_u32 visit_u32 u32 "uint32";
        deserialize_u64 visit_u64 u64 "uint64";
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match &self.node.value {
            Value::Null => visitor.visit_borrowed_str(""),
            Value::String(value) => visitor.visit_borrowed_str(value),
            _ => Err(self.mismatch("string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let items: &[Node<'_>] = match &self.node.value {
            Value::Null => &[],
            Value::List(items) => items,
            _ => return Err(self.mismatch("list")),
        };
        visitor.visit_seq(Items {
            parent: self,
            items: items.iter().enumerate(),
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        let entries = self.entries("map")?;
        visitor.visit_map(Entries {
            parent: self,
            fields: None,
            rest: entries.iter(),
            current: None,
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        let entries = self.entries("object")?;
        visitor.visit_map(Entries {
            parent: self,
            fields: Some(fields),
            rest: entries.iter(),
            current: None,
        })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i128 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct enum identifier
    }
}

impl<'n, 'a> NodeDecoder<'n, 'a, '_> {
    fn entries(&self, wanted: &str) -> Result<&'n [Entry<'a>], Mismatch> {
        match &self.node.value {
            Value::Null => Ok(&[]),
            Value::Object(entries) => Ok(entries),
            _ => Err(self.mismatch(wanted)),
        }
    }
}

struct Items<'n, 'a, 'p> {
    parent: NodeDecoder<'n, 'a, 'p>,
    items: std::iter::Enumerate<std::slice::Iter<'n, Node<'a>>>,
}

impl<'n> SeqAccess<'n> for Items<'n, '_, '_> {
    type Error = Mismatch;

    fn next_element_seed<T: DeserializeSeed<'n>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Mismatch> {
        let item = self.items.next();
        item.map(|(index, node)| {
            self.parent
                .child(seed, Step::Index(index), node, &node.span)
        })
        .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries<'n, 'a, 'p> {
    parent: NodeDecoder<'n, 'a, 'p>,
    /// The fields of the type, unless its keys are the user's.
    fields: Option<&'static [&'static str]>,
    rest: std::slice::Iter<'n, Entry<'a>>,
    current: Option<&'n Entry<'a>>,
}

impl<'n> MapAccess<'n> for Entries<'n, '_, '_> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'n>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Mismatch> {
        self.current = self.rest.next();
        let Some(entry) = self.current else {
            return Ok(None);
        };
        if let Some(fields) = self.fields
            && !fields.contains(&entry.key.as_ref())
        {
            self.parent.note_unknown(entry, fields);
        }
        let key: StrDeserializer<'_, Mismatch> = entry.key.as_ref().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Mismatch> {
        let Some(entry) = self.current else {
            return Err(serde::de::Error::custom("a value without a key"));
        };
        let step = match self.fields {
            Some(_) => Step::Field(&entry.key),
            None => Step::Key(&entry.key),
        };
        self.parent.child(seed, step, &entry.value, entry.place())
    }
}
