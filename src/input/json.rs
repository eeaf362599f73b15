//! JSON with places.
//!
//! `serde_json` reads strings with escapes and numbers; what is here is the structure around them, because `serde_json`
//! tells neither where a value stands nor that a key is repeated.

use std::borrow::Cow;

use super::node::{Entry, Fault, MAX_DEPTH, Node, ObjectBuilder, Span, Value};

/// The values in a part of a text, one after the other as in JSON lines, and the repeated keys in them.
///
/// # Errors
///
/// The first place that is not JSON.
pub(super) fn values<'a>(text: &'a str, part: &Span) -> Result<(Vec<Node<'a>>, Vec<Fault>), Fault> {
    let mut parser = Parser {
        text: text.get(..part.end).unwrap_or(text),
        at: part.start,
        faults: Vec::new(),
    };
    let mut nodes = Vec::new();
    while parser.peek().is_some() {
        nodes.push(parser.value(0)?);
    }
    Ok((nodes, parser.faults))
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Repeated keys.
    faults: Vec<Fault>,
}

impl<'a> Parser<'a> {
    fn value(&mut self, depth: usize) -> Result<Node<'a>, Fault> {
        if depth > MAX_DEPTH {
            return Err(self.fault(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let first = self.peek();
        let start = self.at;
        let value = match first {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node {
            span: start..self.at,
            value,
        })
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        self.at += 1;
        let mut object = ObjectBuilder::default();
        if self.eat(b'}') {
            return Ok(object.finish());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in double quotes"));
            }
            let start = self.at;
            let key = self.string()?;
            let key_span = start..self.at;
            if !self.eat(b':') {
                return Err(self.unexpected("`:`"));
            }
            let value = self.value(depth + 1)?;
            let repeated = object.insert(Entry {
                key: key.clone(),
                key_span: key_span.clone(),
                value,
            });
            if let Some(old) = repeated {
                self.faults.push(repeated_key(&key, key_span, old.key_span));
            }
            if self.eat(b'}') {
                return Ok(object.finish());
            }
            if !self.eat(b',') {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value<'a>, Fault> {
        self.at += 1;
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat(b']') {
                return Ok(Value::List(items));
            }
            if !self.eat(b',') {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.at;
        let mut escaped = false;
        let mut bytes = self.rest().bytes().enumerate().skip(1);
        let length = loop {
            match bytes.next() {
                Some((at, b'"')) => break at,
                Some((_, b'\\')) => {
                    escaped = true;
                    bytes.next();
                }
                Some((at, byte)) if byte < b' ' => {
                    self.at += at;
                    return Err(self.fault("a string must not hold a control character".to_owned()));
                }
                Some(_) => {}
                None => return Err(self.fault("a string that does not end".to_owned())),
            }
        };
        self.at += length + 1;
        let token = self.text.get(start..self.at).unwrap_or_default();
        if escaped {
            return match serde_json::from_str(token) {
                Ok(text) => Ok(Cow::Owned(text)),
                Err(_) => Err(Fault::new(
                    start..self.at,
                    "a string with an ill-formed escape",
                )),
            };
        }
        let inner = token.get(1..token.len().saturating_sub(1));
        Ok(Cow::Borrowed(inner.unwrap_or_default()))
    }

    fn number(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at;
        let token = self.token(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'+' | b'.'));
        let number: serde_json::Number = serde_json::from_str(token)
            .map_err(|_| Fault::new(start..self.at, format!("`{token}` is not a number")))?;
        Ok(if let Some(number) = number.as_i64() {
            Value::Int(number)
        } else if let Some(number) = number.as_u64() {
            Value::UInt(number)
        } else {
            Value::number(number.as_f64().unwrap_or_default())
        })
    }

    fn word(&mut self) -> Result<Value<'a>, Fault> {
        let start = self.at;
        match self.token(|it| it.is_ascii_alphanumeric()) {
            "null" => Ok(Value::Null),
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => {
                self.at = start;
                Err(self.unexpected("a value"))
            }
        }
    }

    fn token(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.bytes().position(|it| !belongs(it));
        let token = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        self.at += token.len();
        token
    }

    /// Skips white space and returns the next byte.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.rest();
        let blank = rest
            .bytes()
            .take_while(|it| matches!(it, b' ' | b'\t' | b'\r' | b'\n'));
        self.at += blank.count();
        self.rest().bytes().next()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn unexpected(&mut self, wanted: &str) -> Fault {
        self.peek();
        let found = match self.rest().chars().next() {
            Some(found) => format!("found `{}`", found.escape_debug()),
            None => "found the end".to_owned(),
        };
        self.fault(format!("expected {wanted}, {found}"))
    }

    fn fault(&self, message: String) -> Fault {
        let length = self.rest().chars().next().map_or(0, char::len_utf8);
        Fault::new(self.at..self.at + length, message)
    }
}

/// A key that stands twice in one object.
pub(super) fn repeated_key(key: &str, span: Span, earlier: Span) -> Fault {
    Fault {
        span,
        message: format!("key `{key}` is repeated"),
        earlier: Some(earlier),
    }
}
