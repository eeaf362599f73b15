//! Where a mutator writes: `spec.containers[name:*].image`.
//!
//! Gatekeeper 3.23, `pkg/mutation/path/token/scanner.go` and `pkg/mutation/path/parser/parser.go`.

/// A step of a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of an object.
    Field(String),
    /// The elements of a list that have a key, or all of them.
    Element {
        /// The key field.
        key: String,
        /// Its value.
        value: KeyValue,
    },
}

/// What the key field of a list element must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeyValue {
    /// `*`: anything, even absent.
    Any,
    /// A string.
    Text(String),
    /// An integer, written without quotes.
    Int(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Ident(String),
    Int(String),
    Punctuation(char),
}

/// Parses a location; an empty one has no steps.
pub(super) fn parse(location: &str) -> Result<Vec<Step>, String> {
    let tokens = scan(location)?;
    let mut tokens = tokens.into_iter().peekable();
    let mut steps = Vec::new();
    while let Some(token) = tokens.next() {
        let Token::Ident(field) = token else {
            return Err(format!("`{location}`: expected a field name"));
        };
        steps.push(Step::Field(field));
        if tokens.next_if_eq(&Token::Punctuation('[')).is_some() {
            steps.push(element(&mut tokens).ok_or_else(|| {
                format!("`{location}`: expected `[key: value]` or `[key: *]` after a list")
            })?);
        }
        match tokens.next() {
            None => break,
            Some(Token::Punctuation('.')) if tokens.peek().is_some() => {}
            Some(_) => return Err(format!("`{location}`: expected `.` and a field name")),
        }
    }
    Ok(steps)
}

fn element(tokens: &mut impl Iterator<Item = Token>) -> Option<Step> {
    let Some(Token::Ident(key)) = tokens.next() else {
        return None;
    };
    if tokens.next() != Some(Token::Punctuation(':')) {
        return None;
    }
    let value = match tokens.next()? {
        Token::Punctuation('*') => KeyValue::Any,
        Token::Ident(text) => KeyValue::Text(text),
        Token::Int(digits) => KeyValue::Int(digits.parse().ok()?),
        Token::Punctuation(_) => return None,
    };
    (tokens.next() == Some(Token::Punctuation(']'))).then_some(Step::Element { key, value })
}

fn scan(location: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = location.chars().peekable();
    let is_ident = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
    while let Some(&first) = rest.peek() {
        let mut text = String::new();
        match first {
            ' ' | '\t' | '\r' | '\n' => {
                rest.next();
            }
            '0'..='9' => {
                while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                    text.push(digit);
                }
                tokens.push(Token::Int(text));
            }
            '.' | '[' | ']' | '*' | ':' => {
                rest.next();
                tokens.push(Token::Punctuation(first));
            }
            '"' | '\'' => {
                rest.next();
                loop {
                    match rest.next() {
                        Some(it) if it == first => break,
                        Some('\\') => text.extend(rest.next()),
                        Some(it) => text.push(it),
                        None => return Err(format!("`{location}`: a quote is not closed")),
                    }
                }
                tokens.push(Token::Ident(text));
            }
            _ if is_ident(first) => {
                while let Some(letter) = rest.next_if(|it| is_ident(*it)) {
                    text.push(letter);
                }
                tokens.push(Token::Ident(text));
            }
            _ => return Err(format!("`{location}`: unexpected `{first}`")),
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> Step {
        Step::Field(name.to_owned())
    }

    fn element(key: &str, value: KeyValue) -> Step {
        Step::Element {
            key: key.to_owned(),
            value,
        }
    }

    #[test]
    fn fields_and_list_elements_are_steps() {
        assert_eq!(
            parse("spec.containers[name:*].securityContext").unwrap(),
            [
                field("spec"),
                field("containers"),
                element("name", KeyValue::Any),
                field("securityContext")
            ]
        );
        assert_eq!(
            parse("a [ b : 'c.d' ] . \"e\\\"f\"").unwrap(),
            [
                field("a"),
                element("b", KeyValue::Text("c.d".to_owned())),
                field("e\"f")
            ]
        );
        assert_eq!(
            parse("ports[containerPort: 80]").unwrap(),
            [field("ports"), element("containerPort", KeyValue::Int(80))]
        );
        assert_eq!(parse("").unwrap(), []);
    }

    #[test]
    fn what_gatekeeper_does_not_parse_is_an_error() {
        for location in [
            "spec.",
            ".spec",
            "spec..a",
            "a[b]",
            "a[b:]",
            "a[:c]",
            "a[b:c",
            "a[b:c][d:e]",
            "a b",
            "a/b",
            "0a",
            "a.0",
            "'a",
            "*",
            "a[1:b]",
            "a[b:99999999999999999999]",
        ] {
            assert!(parse(location).is_err(), "{location}");
        }
    }
}
