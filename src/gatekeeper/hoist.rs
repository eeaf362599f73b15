//! Rego's negation and `else` as OPA has them.
//!
//! OPA takes calls and references out of a negated expression before it evaluates it: `not f(input.x)` becomes
//! `y := input.x; not f(y)`, so that the whole body is undefined where `input.x` is.
//! The engine used here makes the negation true there.
//!
//! OPA goes on to `else` where the value in the head is undefined.
//! The engine gives up there, and it takes a variable of the body for a free one in the value.
//!
//! So the text is rewritten as OPA rewrites its syntax tree.
//!
//! OPA 1.17, `v1/ast/compile.go`: `rewriteExprTermsInHead`, `rewriteExprTermsInBody` and `rewriteDynamics`.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;

use super::syntax::{self, Expr};

/// Expressions that are always defined.
const SCALARS: [&str; 5] = ["Bool", "Null", "Number", "RawString", "String"];

/// A change of the text: what is between the two offsets is replaced.
#[derive(Debug)]
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

/// Rewrites a module; `parse` turns a text into its syntax tree.
///
/// # Errors
///
/// Those of `parse`.
pub(super) fn hoist<E>(
    mut text: String,
    parse: impl Fn(&str) -> Result<Value, E>,
) -> Result<String, E> {
    let module = parse(&text)?;
    let mut hoister = Hoister::new(&text, &module, 0);
    syntax::rules(&module).for_each(|(_, rule)| hoister.else_chain(rule));
    let mut names = hoister.names;
    apply(hoister.edits, &mut text);
    if syntax::imports(&module).any(|it| it == ["future", "keywords", "not"]) {
        return Ok(text); // its negation is the one that the engine has
    }
    loop {
        let module = parse(&text)?;
        let mut hoister = Hoister::new(&text, &module, names);
        hoister.visit(&module);
        names = hoister.names;
        if hoister.edits.is_empty() {
            return Ok(text);
        }
        apply(hoister.edits, &mut text);
    }
}

fn apply(mut edits: Vec<Edit>, text: &mut String) {
    edits.sort_by_key(|it| std::cmp::Reverse(it.start));
    for edit in edits {
        text.replace_range(edit.start..edit.end, &edit.text);
    }
}

struct Hoister<'a> {
    text: &'a str,
    /// Names that stand for rules or imports, which may be undefined; a local variable never is.
    rules: BTreeSet<&'a str>,
    names: usize,
    edits: Vec<Edit>,
}

impl<'a> Hoister<'a> {
    fn new(text: &'a str, module: &'a Value, names: usize) -> Self {
        Self {
            text,
            rules: syntax::names(module, text),
            names,
            edits: Vec::new(),
        }
    }

    /// Moves the values of a rule with `else` into the bodies.
    ///
    /// The value of a last `else` without body stays: nothing comes after it, and it has no variables.
    fn else_chain(&mut self, rule: &Value) {
        let bodies = syntax::bodies(rule);
        if bodies.len() < 2 {
            return;
        }
        for (value, body) in bodies {
            let (Some(value), Some(body)) = (value, body) else {
                continue;
            };
            let is_constant = match value.kind {
                "Var" => !value
                    .text("value")
                    .is_some_and(|it| self.rules.contains(it)),
                kind => SCALARS.contains(&kind),
            };
            if !is_constant
                && let Some(end) = self.whole(body).map(|it| it.end)
                && let Some(statement) = self.take_out(value, &[])
            {
                // The engine wants a variable to be defined before it is used.
                self.edits.push(Edit {
                    start: end,
                    end,
                    text: format!("; {statement}"),
                });
            }
        }
    }

    /// Puts a name in the place of an expression, and returns the statement that gives it its value.
    fn take_out(&mut self, expr: Expr<'_>, modifiers: &[&str]) -> Option<String> {
        let span = self.whole(expr.span()?)?;
        let text = self.text.get(span.clone())?;
        let name = format!("hoisted__{}", self.names);
        self.names += 1;
        let parts = [&[name.as_str(), ":=", text], modifiers].concat();
        let statement = parts.join(" ");
        self.edits.push(Edit {
            start: span.start,
            end: span.end,
            text: name,
        });
        Some(statement)
    }

    /// A span with the quotes that the engine leaves out of it.
    fn whole(&self, span: Range<usize>) -> Option<Range<usize>> {
        let is_quote = |it: char| it == '"' || it == '`';
        let before = self.text.get(..span.start)?.ends_with(is_quote);
        let after = self.text.get(span.end..)?.starts_with(is_quote);
        Some(span.start - usize::from(before)..span.end + usize::from(after))
    }

    /// Rewrites the innermost negations below a node, and says whether there was anything to do.
    fn visit(&mut self, node: &Value) -> bool {
        match node {
            Value::Array(items) => items.iter().fold(false, |done, it| self.visit(it) | done),
            Value::Object(fields) => {
                let inner = fields
                    .values()
                    .fold(false, |done, it| self.visit(it) | done);
                inner || (fields.contains_key("literal") && self.statement(node))
            }
            _ => false,
        }
    }

    fn statement(&mut self, statement: &Value) -> bool {
        let Some(negation) = statement.pointer("/literal/NotExpr") else {
            return false;
        };
        let Some(start) = syntax::span(negation).and_then(|it| Some(self.whole(it)?.start)) else {
            return false;
        };
        let mut found = Vec::new();
        if let Some(expr) = negation.get("expr").and_then(Expr::new) {
            self.negated(expr, &mut found);
        }
        let modifiers = statement.get("with_mods").and_then(Value::as_array);
        let modifiers = modifiers.into_iter().flatten();
        let modifiers: Vec<&str> = modifiers
            .filter_map(|it| self.text.get(syntax::span(it)?))
            .collect();
        let statements = found.into_iter();
        let statements: String = statements
            .filter_map(|it| self.take_out(it, &modifiers))
            .flat_map(|it| [it, "; ".to_owned()])
            .collect();
        if statements.is_empty() {
            return false;
        }
        self.edits.push(Edit {
            start,
            end: start,
            text: statements,
        });
        true
    }

    /// Collects what OPA takes out of a negated expression.
    fn negated<'e>(&self, expr: Expr<'e>, found: &mut Vec<Expr<'e>>) {
        match expr.kind {
            "BoolExpr" if expr.text("op") == Some("Eq") => self.unified(expr, found),
            "AssignExpr" => self.unified(expr, found),
            "Call" | "BoolExpr" | "ArithExpr" | "BinExpr" | "Membership" => {
                for operand in expr.operands() {
                    self.operand(operand, found);
                }
            }
            _ => self.term(expr, found),
        }
    }

    fn unified<'e>(&self, expr: Expr<'e>, found: &mut Vec<Expr<'e>>) {
        for side in expr.operands() {
            self.term(side, found);
        }
    }

    /// A side of an equation, or a whole expression: a reference stays, what is computed within it goes.
    fn term<'e>(&self, expr: Expr<'e>, found: &mut Vec<Expr<'e>>) {
        match expr.kind {
            "RefDot" | "RefBrack" => {
                if let Some(head) = expr.child("refr") {
                    self.term(head, found);
                }
                if let Some(index) = expr.child("index") {
                    self.operand(index, found);
                }
            }
            "Call" | "BoolExpr" | "ArithExpr" | "BinExpr" | "Membership" | "UnaryExpr" => {
                found.push(expr);
            }
            "Array" | "Set" | "Object" => self.operand(expr, found),
            _ => {}
        }
    }

    /// An argument: everything that may be undefined goes.
    fn operand<'e>(&self, expr: Expr<'e>, found: &mut Vec<Expr<'e>>) {
        match expr.kind {
            "Var" => {
                if expr.text("value").is_some_and(|it| self.rules.contains(it)) {
                    found.push(expr);
                }
            }
            "Array" | "Set" | "Object" => {
                for item in expr.operands() {
                    self.operand(item, found);
                }
            }
            kind if SCALARS.contains(&kind) => {}
            _ => found.push(expr),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let module =
            |body: &str| format!("package a\nrule := input.rule\nf(x) {{ x }}\nr {{ {body} }}\n");
        let parse = |text: &str| super::super::rego::parse(text, false);
        assert_eq!(hoist(module(body), parse).unwrap(), module(expected));
    }

    #[test]
    fn arguments_that_may_be_undefined_are_taken_out() {
        check("not f(input.x)", "hoisted__0 := input.x; not f(hoisted__0)");
        check("not f(rule)", "hoisted__0 := rule; not f(hoisted__0)");
        check("y := 1; not f(y)", "y := 1; not f(y)");
        check(
            "not count(input.x) > 0",
            "hoisted__0 := count(input.x); not hoisted__0 > 0",
        );
        check(
            "not input.x != 1",
            "hoisted__0 := input.x; not hoisted__0 != 1",
        );
        check(
            "not f([input.x, 1])",
            "hoisted__0 := input.x; not f([hoisted__0, 1])",
        );
    }

    #[test]
    fn references_stay_in_an_equation_but_not_what_they_are_indexed_by() {
        check("not input.x", "not input.x");
        check("not input.x == 1", "not input.x == 1");
        check(
            "not input.x[input.y]",
            "hoisted__0 := input.y; not input.x[hoisted__0]",
        );
        check(
            "not count(input.x) == 0",
            "hoisted__0 := count(input.x); not hoisted__0 == 0",
        );
    }

    #[test]
    fn values_go_into_the_body_where_there_is_an_else() {
        check(
            "true } else = input.x { true",
            "true } else = hoisted__0 { true; hoisted__0 := input.x",
        );
        check("true } else = 1 { true", "true } else = 1 { true");
        check(
            "true } else = f(\"a\") { \"a\" == \"b\"",
            "true } else = hoisted__0 { \"a\" == \"b\"; hoisted__0 := f(\"a\")",
        );
    }

    #[test]
    fn modifiers_go_with_what_is_taken_out_and_inner_negations_come_first() {
        check(
            "not f(input.x) with input as {}",
            "hoisted__0 := input.x with input as {}; not f(hoisted__0) with input as {}",
        );
        check(
            "not f([1 | not f(input.x)])",
            "hoisted__1 := [1 | hoisted__0 := input.x; not f(hoisted__0)]; not f(hoisted__1)",
        );
    }
}
