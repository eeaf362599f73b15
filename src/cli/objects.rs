//! Objects from files that may be too large to hold.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, anyhow};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::input::{self, Source};

/// Visits the objects in a file of YAML, JSON or JSON lines, `-` for stdin; lists are opened.
///
/// JSON is not held: each item of a list is visited as it is read.
///
/// # Errors
///
/// When it cannot be read, and what `visit` returns.
pub(super) fn for_each(
    path: &Path,
    mut visit: impl FnMut(Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let context = || format!("could not read `{}`", path.display());
    let mut reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(path).with_context(context)?))
    };
    skip_blanks(&mut reader).with_context(context)?;
    if !reader.fill_buf().with_context(context)?.starts_with(b"{") {
        let mut text = String::new();
        reader.read_to_string(&mut text).with_context(context)?;
        let name = path.display().to_string();
        let source = Source { name, text };
        let objects = input::objects(&source).map_err(|error| {
            let first = error.errors.first();
            let first = first.map(|it| format!("{}: {}", it.location, it.message));
            anyhow!(first.unwrap_or_default())
        })?;
        return objects.into_iter().try_for_each(visit);
    }
    let what = format!("`{}`", path.display());
    for_each_json(&what, &mut reader, &mut visit)
}

/// Visits the objects in a stream of JSON, each item of a list as it is read; `what` names the stream.
///
/// # Errors
///
/// When it cannot be read or is not JSON, and what `visit` returns.
pub(super) fn for_each_json(
    what: &str,
    reader: &mut dyn BufRead,
    visit: &mut dyn FnMut(Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let context = || format!("could not read {what}");
    skip_blanks(reader).with_context(context)?;
    while !reader.fill_buf().with_context(context)?.is_empty() {
        let mut failure = None;
        let read = Document {
            visit: &mut *visit,
            failure: &mut failure,
        }
        .deserialize(&mut serde_json::Deserializer::from_reader(&mut *reader));
        if let Some(failure) = failure {
            return Err(failure);
        }
        read.with_context(context)?;
        skip_blanks(reader).with_context(context)?;
    }
    Ok(())
}

fn skip_blanks(reader: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let buffer = reader.fill_buf()?;
        let blanks = buffer
            .iter()
            .take_while(|it| it.is_ascii_whitespace())
            .count();
        if blanks == 0 {
            return Ok(());
        }
        reader.consume(blanks);
    }
}

/// An object, or a list of them whose items go to `visit` one by one.
struct Document<'a> {
    visit: &'a mut dyn FnMut(Value) -> anyhow::Result<()>,
    /// Why `visit` did not want to go on.
    failure: &'a mut Option<anyhow::Error>,
}

impl Document<'_> {
    fn one<E: Error>(&mut self, object: Value) -> Result<(), E> {
        (self.visit)(object).map_err(|failure| {
            *self.failure = Some(failure);
            E::custom("stopped")
        })
    }
}

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object or a list of them")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut object = Map::new();
        let mut is_list = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == "items" {
                is_list = true;
                map.next_value_seed(Items(&mut self))?;
            } else {
                object.insert(key, map.next_value()?);
            }
        }
        if is_list {
            Ok(())
        } else {
            self.one(Value::Object(object))
        }
    }
}

struct Items<'a, 'b>(&'a mut Document<'b>);

impl<'de> DeserializeSeed<'de> for Items<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the items of a list")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(mut item) = items.next_element::<Value>()? {
            // The items of a typed list may leave out their kind; of lists of pods alone they are known without it.
            if let Value::Object(item) = &mut item {
                item.entry("kind").or_insert_with(|| "Pod".into());
            }
            self.0.one(item)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pods");
        std::fs::write(&path, text).unwrap();
        let mut names = Vec::new();
        for_each(&path, |it| {
            names.push(
                it.pointer("/metadata/name")
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .to_owned(),
            );
            Ok(())
        })
        .unwrap();
        assert_eq!(names, expected);
    }

    #[test]
    fn json_lines_lists_and_yaml_are_read() {
        let pod = |name: &str| format!(r#"{{"kind": "Pod", "metadata": {{"name": "{name}"}}}}"#);
        check(&format!("{}\n{}\n", pod("a"), pod("b")), &["a", "b"]);
        let list = format!(
            r#"{{"items": [{}, {}], "kind": "List"}}"#,
            pod("a"),
            pod("b")
        );
        check(&format!("\n{list}{}", pod("c")), &["a", "b", "c"]);
        check(r#"{"kind": "PodList", "items": null}"#, &[]);
        check(
            "kind: Pod\nmetadata: {name: a}\n---\nkind: Pod\nmetadata: {name: b}\n",
            &["a", "b"],
        );
    }

    #[test]
    fn what_stops_the_visit_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pods");
        std::fs::write(&path, r#"{"items": [{}, {}]}"#).unwrap();
        let error = for_each(&path, |_| anyhow::bail!("enough")).unwrap_err();
        assert_eq!(error.to_string(), "enough");
        std::fs::write(&path, r#"{"items": [}"#).unwrap();
        for_each(&path, |_| Ok(())).unwrap_err();
    }
}
