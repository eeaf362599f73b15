//! A text becomes documents.

use super::node::{Fault, Node, Span};
use super::{json, yaml};

/// One document of a text.
#[derive(Debug)]
pub(super) struct Document<'a> {
    pub(super) root: Node<'a>,
    /// What is wrong within it, although it could be read; repeated keys above all.
    pub(super) faults: Vec<Fault>,
}

/// Hands over all documents of a text in their order; for a part of it that cannot be read, what is wrong with it.
///
/// As kubectl does, the text is cut at lines that begin with `---` before anything is read, so one ill-formed document
/// does not hide the others.
pub(super) fn for_each<'a>(text: &'a str, mut visit: impl FnMut(Result<Document<'a>, Fault>)) {
    for part in parts(text) {
        let (documents, fault) = read(text, &part);
        for document in documents {
            visit(Ok(document));
        }
        if let Some(fault) = fault {
            visit(Err(fault));
        }
    }
}

fn read<'a>(text: &'a str, part: &Part) -> (Vec<Document<'a>>, Option<Fault>) {
    let content = text
        .get(part.content.clone())
        .unwrap_or_default()
        .trim_start();
    if let Some(fault) = warning_of_kubectl(text, part) {
        return (Vec::new(), Some(fault));
    }
    let mut fault = None;
    if content.starts_with(['{', '[']) {
        match json::values(text, &part.content) {
            Ok((nodes, faults)) => return (with_faults(nodes, faults), None),
            Err(json_fault) => fault = Some(json_fault),
        }
    }
    let mut documents = Vec::new();
    match yaml::documents(&mut documents, text, &part.whole) {
        Ok(()) => (documents, None),
        // What begins like a JSON object is meant to be one, though YAML has flow mappings.
        Err(yaml_fault) => {
            let json = content
                .strip_prefix('{')
                .is_some_and(|it| it.trim_start().starts_with('"'));
            let fault = fault.filter(|_| json).map(|it| Fault {
                message: format!("this is not JSON: {}", it.message),
                ..it
            });
            (documents, Some(fault.unwrap_or(yaml_fault)))
        }
    }
}

/// Tells of a line that kubectl wrote to stderr, in front of what it wrote to stdout.
fn warning_of_kubectl(text: &str, part: &Part) -> Option<Fault> {
    let content = text.get(part.content.clone())?;
    let blank = content.len() - content.trim_start().len();
    let content = content.trim_start();
    let rest = content.lines().find(|it| !it.starts_with("Warning: "))?;
    let output = ["{", "apiVersion:", "items:", "kind:"];
    let is_one = content.starts_with("Warning: ") && output.iter().any(|it| rest.starts_with(it));
    let start = part.content.start + blank;
    let length = content.lines().next().map_or(0, str::len);
    is_one.then(|| {
        Fault::new(
            start..start + length,
            "this is a warning that kubectl wrote to stderr, and no part of the objects; write only its stdout to the file",
        )
    })
}

fn with_faults<'a>(nodes: Vec<Node<'a>>, faults: Vec<Fault>) -> Vec<Document<'a>> {
    let mut faults = faults.into_iter().peekable();
    let document = |root: Node<'a>| {
        let mine = std::iter::from_fn(|| faults.next_if(|it| it.span.start < root.span.end));
        let mine = mine.collect();
        Document { root, faults: mine }
    };
    nodes.into_iter().map(document).collect()
}

/// The text from one line that begins with `---` to the next.
struct Part {
    /// With the `---`.
    whole: Span,
    /// Without it.
    content: Span,
}

const MARKER: &str = "---";

fn parts(text: &str) -> Vec<Part> {
    let first = if text.starts_with('\u{feff}') {
        '\u{feff}'.len_utf8()
    } else {
        0
    };
    let mut starts = vec![first];
    let mut last = first;
    for (end, _) in text.match_indices("\n---") {
        let start = end + 1;
        let directives = only_directives(text.get(last..end).unwrap_or_default());
        if begins_with_marker(text, start) && !directives {
            starts.push(start);
            last = start;
        }
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let part = |(start, end)| {
        let content = if begins_with_marker(text, start) {
            start + MARKER.len()
        } else {
            start
        };
        Part {
            whole: start..end,
            content: content..end,
        }
    };
    starts.iter().copied().zip(ends).map(part).collect()
}

fn begins_with_marker(text: &str, start: usize) -> bool {
    let after = text.get(start..).and_then(|it| it.strip_prefix(MARKER));
    after.is_some_and(|it| it.is_empty() || it.starts_with([' ', '\t', '\r', '\n']))
}

/// Whether a part is a preamble such as `%YAML 1.1`, which belongs to the document behind the `---` that ends it.
fn only_directives(part: &str) -> bool {
    part.starts_with(['%', '#', '\r', '\n', ' '])
        && part.lines().any(|it| it.starts_with('%'))
        && part
            .lines()
            .all(|it| it.starts_with(['%', '#']) || it.trim().is_empty())
}
