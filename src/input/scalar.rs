//! What plain YAML words mean to kubectl.
//!
//! kubectl reads YAML 1.1 through `sigs.k8s.io/yaml` and yaml.v2 (`resolve.go`), so `yes` is a boolean and `0777` is
//! octal, while dates and numbers in base 60 stay words.

use std::borrow::Cow;

use super::node::Value;

/// A plain word without a tag.
///
/// # Errors
///
/// Infinities and the value that is no number, which JSON has no words for.
pub(super) fn plain(word: Cow<'_, str>) -> Result<Value<'_>, String> {
    match word.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => return Err(format!("`{word}` cannot be written as JSON")),
        _ => {}
    }
    let number = match word.bytes().next() {
        Some(b'0'..=b'9' | b'+' | b'-') => number(&word.replace('_', "")),
        Some(b'.') if word.bytes().nth(1).is_some_and(|it| it.is_ascii_digit()) => {
            float(&word.replace('_', ""))
        }
        _ => None,
    };
    Ok(number.unwrap_or(Value::String(word)))
}

/// A word with one of YAML's own tags, such as `!!int`, given without `!!`.
///
/// # Errors
///
/// A word that is not of that kind.
pub(super) fn tagged<'a>(tag: &str, word: Cow<'a, str>) -> Result<Value<'a>, String> {
    if !matches!(tag, "null" | "bool" | "int" | "float" | "binary") {
        return Ok(Value::String(word));
    }
    let mismatch = format!("`{word}` is not a value for the tag `!!{tag}`");
    match (tag, plain(word.clone())?) {
        ("null", value @ Value::Null)
        | ("bool", value @ Value::Bool(_))
        | ("int", value @ (Value::Int(_) | Value::UInt(_)))
        | ("float", value @ (Value::Int(_) | Value::UInt(_) | Value::Float(_))) => Ok(value),
        ("binary", _) => Err("the tag `!!binary` is not supported".to_owned()),
        _ => Err(mismatch),
    }
}

/// An integer as Go's `strconv.ParseInt` with base 0 reads it, else a float in YAML's notation.
fn number(word: &str) -> Option<Value<'static>> {
    let (negative, unsigned) = match word.as_bytes().first() {
        Some(b'-') => (true, word.get(1..)?),
        Some(b'+') => (false, word.get(1..)?),
        _ => (false, word),
    };
    let (radix, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, unsigned.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, unsigned.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, unsigned.get(2..)?),
        [b'0', _, ..] => (8, unsigned.get(1..)?),
        _ => (10, unsigned),
    };
    // A second sign is none of ours, though Rust would read it.
    if digits.bytes().all(|it| it.is_ascii_alphanumeric()) {
        let signed = if negative {
            format!("-{digits}")
        } else {
            digits.to_owned()
        };
        if let Ok(number) = i64::from_str_radix(&signed, radix) {
            return Some(Value::Int(number));
        }
        if unsigned == word
            && let Ok(number) = u64::from_str_radix(digits, radix)
        {
            return Some(Value::UInt(number));
        }
    }
    let mut bytes = unsigned.bytes();
    match bytes.next()? {
        b'0'..=b'9' => float(word),
        b'.' if bytes.next()?.is_ascii_digit() => float(word),
        _ => None,
    }
}

/// A float, unless it is too large for one; then it is a word.
fn float(word: &str) -> Option<Value<'static>> {
    let in_notation =
        |it: u8| it.is_ascii_digit() || matches!(it, b'.' | b'e' | b'E' | b'+' | b'-');
    if !word.bytes().all(in_notation) {
        return None;
    }
    let number: f64 = word.parse().ok()?;
    number.is_finite().then(|| Value::number(number))
}
