//! Rego's negation as OPA has it.
//!
//! OPA takes calls and references out of a negated expression before it evaluates it: `not f(input.x)` becomes
//! `y := input.x; not f(y)`, so that the whole body is undefined where `input.x` is.
//! The engine used here makes the negation true there.
//! So the text is rewritten as OPA rewrites its syntax tree.
//!
//! OPA 1.17, `v1/ast/compile.go`: `rewriteExprTermsInBody` and `rewriteDynamics`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::syntax::{self, Expr};

/// A change of the text: what is between the two offsets is replaced.
#[derive(Debug)]
struct Edit {
    start: usize,
    end: usize,
    text: String,
}

/// Rewrites the negations of a module; `parse` turns a text into its syntax tree.
///
/// # Errors
///
/// Those of `parse`.
pub(super) fn hoist<E>(
    mut text: String,
    parse: impl Fn(&str) -> Result<Value, E>,
) -> Result<String, E> {
    let mut names = 0;
    loop {
        let module = parse(&text)?;
        if syntax::imports(&module).any(|it| it == ["future", "keywords", "not"]) {
            return Ok(text); // its negation is the one this engine has
        }
        let mut hoister = Hoister {
            text: &text,
            rules: syntax::names(&module, &text),
            names,
            edits: Vec::new(),
        };
        hoister.visit(&module);
        names = hoister.names;
        let mut edits = hoister.edits;
        if edits.is_empty() {
            return Ok(text);
        }
        edits.sort_by_key(|it| std::cmp::Reverse(it.start));
        for edit in edits {
            text.replace_range(edit.start..edit.end, &edit.text);
        }
    }
}

struct Hoister<'a> {
    text: &'a str,
    /// Names that stand for rules or imports, which may be undefined; a local variable never is.
    rules: BTreeSet<&'a str>,
    names: usize,
    edits: Vec<Edit>,
}

impl Hoister<'_> {
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
        let Some(start) = syntax::span(negation).map(|it| it.start) else {
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
        let mut statements = String::new();
        for span in found.into_iter().filter_map(Expr::span) {
            let Some(text) = self.text.get(span.clone()) else {
                continue;
            };
            let name = format!("hoisted__{}", self.names);
            self.names += 1;
            let parts = [&[name.as_str(), ":=", text], modifiers.as_slice()].concat();
            statements.push_str(&parts.join(" "));
            statements.push_str("; ");
            self.edits.push(Edit {
                start: span.start,
                end: span.end,
                text: name,
            });
        }
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
            "String" | "RawString" | "Number" | "Bool" | "Null" => {}
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
