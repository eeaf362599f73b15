//! The syntax tree of a Rego module, as the engine prints it in JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

/// An expression.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expr<'a> {
    /// What it is, such as `Call`.
    pub(super) kind: &'a str,
    fields: &'a Value,
}

impl<'a> Expr<'a> {
    /// Reads `{kind: fields}`.
    pub(super) fn new(node: &'a Value) -> Option<Self> {
        let mut members = node.as_object()?.iter();
        let (kind, fields) = members.next()?;
        (members.next().is_none() && fields.get("eidx").is_some()).then_some(Self { kind, fields })
    }

    /// Where it is in the text, in bytes.
    pub(super) fn span(self) -> Option<Range<usize>> {
        span(self.fields)
    }

    /// A field that is a string.
    pub(super) fn text(self, field: &str) -> Option<&'a str> {
        self.fields.get(field)?.as_str()
    }

    /// A field that is an expression.
    pub(super) fn child(self, field: &str) -> Option<Self> {
        Self::new(self.fields.get(field)?)
    }

    /// What it is made of, in order: arguments, sides, elements, keys and values.
    pub(super) fn operands(self) -> Vec<Self> {
        let listed = ["params", "items"].into_iter();
        let listed = listed
            .filter_map(|it| self.fields.get(it)?.as_array())
            .flatten();
        let fields = self.fields.get("fields").and_then(Value::as_array);
        let fields = fields
            .into_iter()
            .flatten()
            .filter_map(Value::as_array)
            .flatten();
        let single = ["key", "lhs", "rhs", "value", "collection"].into_iter();
        let single = single.filter_map(|it| self.fields.get(it));
        listed
            .chain(fields)
            .chain(single)
            .filter_map(Self::new)
            .collect()
    }

    /// The components of a reference whose parts are all known, such as `data.lib.pod`.
    ///
    /// It ends before the first part that is not.
    pub(super) fn path(self) -> Vec<&'a str> {
        match self.kind {
            "Var" => self.text("value").into_iter().collect(),
            "RefDot" => {
                let mut path = self.child("refr").map(Self::path).unwrap_or_default();
                let field = self.fields.get("field").and_then(|it| it.get(1)?.as_str());
                path.extend(field);
                path
            }
            "RefBrack" => {
                let mut path = self.child("refr").map(Self::path).unwrap_or_default();
                let index = self.child("index").filter(|it| it.kind.ends_with("String"));
                path.extend(index.and_then(|it| it.text("value")));
                path
            }
            _ => Vec::new(),
        }
    }
}

/// Where a node is in the text, in bytes.
pub(super) fn span(node: &Value) -> Option<Range<usize>> {
    range(node.get("span")?)
}

fn range(span: &Value) -> Option<Range<usize>> {
    let offset = |field: &str| usize::try_from(span.get(field)?.as_u64()?).ok();
    Some(offset("start")?..offset("end")?)
}

/// All expressions of a tree, outer ones before those within.
pub(super) fn expressions<'a>(node: &'a Value, found: &mut Vec<Expr<'a>>) {
    found.extend(Expr::new(node));
    match node {
        Value::Array(items) => items.iter().for_each(|it| expressions(it, found)),
        Value::Object(fields) => fields.values().for_each(|it| expressions(it, found)),
        _ => {}
    }
}

/// The paths that a module imports.
pub(super) fn imports(module: &Value) -> impl Iterator<Item = Vec<&str>> {
    nodes(module, "imports").map(|it| {
        it.get("refr")
            .and_then(Expr::new)
            .map(Expr::path)
            .unwrap_or_default()
    })
}

/// The path of the package of a module.
pub(super) fn package(module: &Value) -> Vec<&str> {
    let refr = module.pointer("/package/refr");
    refr.and_then(Expr::new).map(Expr::path).unwrap_or_default()
}

/// The rules of a module: the path below the package, and the whole node.
pub(super) fn rules(module: &Value) -> impl Iterator<Item = (Vec<&str>, &Value)> {
    nodes(module, "rules").map(|rule| {
        let heads = [
            "/Spec/head/Compr/refr",
            "/Spec/head/Set/refr",
            "/Spec/head/Func/refr",
            "/Default/refr",
        ];
        let head = heads
            .iter()
            .find_map(|it| rule.pointer(it))
            .and_then(Expr::new);
        (head.map(Expr::path).unwrap_or_default(), rule)
    })
}

/// The bodies of a rule: the value each has, if one is written, and where its last statement is, if there is one.
pub(super) fn bodies(rule: &Value) -> Vec<(Option<Expr<'_>>, Option<Range<usize>>)> {
    let head = rule.pointer("/Spec/head").and_then(Value::as_object);
    let head = head.and_then(|it| it.values().next());
    let bodies = rule.pointer("/Spec/bodies").and_then(Value::as_array);
    let bodies = bodies.into_iter().flatten().enumerate();
    bodies
        .map(|(index, body)| {
            let owner = if index == 0 { head } else { Some(body) };
            let value = owner.and_then(|it| Expr::new(it.pointer("/assign/value")?));
            let statements = body.pointer("/query/stmts").and_then(Value::as_array);
            (value, statements.and_then(|it| span(it.last()?)))
        })
        .collect()
}

/// The names by which a module refers to its rules and imports; `text` is what it was parsed from.
pub(super) fn names<'a>(module: &'a Value, text: &'a str) -> BTreeSet<&'a str> {
    let rules = rules(module).filter_map(|(path, _)| path.first().copied());
    rules.chain(aliases(module, text).into_keys()).collect()
}

/// The paths that a module imports, by the name it uses for them.
pub(super) fn aliases<'a>(module: &'a Value, text: &'a str) -> BTreeMap<&'a str, Vec<&'a str>> {
    let alias = |import: &'a Value| {
        let path = Expr::new(import.get("refr")?)?.path();
        let name = match import.get("as") {
            Some(alias) => text.get(range(alias)?)?,
            None => path.last()?,
        };
        Some((name, path))
    };
    nodes(module, "imports").filter_map(alias).collect()
}

fn nodes<'a>(module: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    module
        .get(field)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}
