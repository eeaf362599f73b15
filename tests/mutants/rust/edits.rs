//! How the text of a Rust file is changed, in all places at once.

use std::collections::BTreeSet;
use std::ops::Range;

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, Lit, Member, ReturnType, Signature, Stmt, UnOp};

use crate::Mutant;

/// Methods with those that take their place.
const METHODS: &[(&str, &str)] = &[
    ("any", "all"),
    ("all", "any"),
    ("min", "max"),
    ("max", "min"),
    ("is_some", "is_none"),
    ("is_none", "is_some"),
    ("is_some_and", "is_none_or"),
    ("is_none_or", "is_some_and"),
    ("starts_with", "ends_with"),
    ("ends_with", "starts_with"),
    ("strip_prefix", "strip_suffix"),
    ("strip_suffix", "strip_prefix"),
    ("first", "last"),
    ("saturating_add", "saturating_sub"),
    ("saturating_sub", "saturating_add"),
];
/// Fields with those that take their place.
const FIELDS: &[(&str, &str)] = &[
    ("min", "max"),
    ("max", "min"),
    ("host_pid", "host_ipc"),
    ("host_ipc", "host_pid"),
    ("host_network", "host_pid"),
];
/// The same where a reference to the field is taken.
const REFERENCES: &[(&str, &str)] = &[
    ("allowed_capabilities", "required_drop_capabilities"),
    ("default_add_capabilities", "required_drop_capabilities"),
    ("required_drop_capabilities", "default_add_capabilities"),
    ("allowed_unsafe_sysctls", "forbidden_sysctls"),
    ("forbidden_sysctls", "allowed_unsafe_sysctls"),
    ("run_as_group", "fs_group"),
    ("supplemental_groups", "fs_group"),
    ("fs_group", "supplemental_groups"),
    ("allowed_flex_volumes", "allowed_csi_drivers"),
    ("allowed_csi_drivers", "allowed_flex_volumes"),
    ("seccomp", "app_armor"),
    ("app_armor", "seccomp"),
    ("user", "role"),
    ("role", "user"),
    ("type_", "level"),
    ("level", "type_"),
];
/// Methods whose closure answers yes or no.
const PREDICATES: &[&str] = &[
    "any",
    "all",
    "filter",
    "find",
    "is_none_or",
    "is_some_and",
    "retain",
];
/// Functions that decide nothing.
const PASSED_OVER: &[&str] = &["name", "fields", "fills_in", "probes", "fmt"];

/// All changes to one file.
pub(crate) struct Edits<'a> {
    file: &'a str,
    text: &'a str,
    mutants: &'a mut Vec<Mutant>,
    refused: &'a BTreeSet<usize>,
    opening: Vec<(usize, String)>,
    closing: Vec<(usize, String)>,
}

impl<'a> Edits<'a> {
    /// Will number its changes after those in `mutants`, from 1; those that are refused are numbered and not made.
    pub(crate) fn new(
        file: &'a str,
        text: &'a str,
        mutants: &'a mut Vec<Mutant>,
        refused: &'a BTreeSet<usize>,
    ) -> Self {
        Self {
            file,
            text,
            mutants,
            refused,
            opening: Vec::new(),
            closing: Vec::new(),
        }
    }

    /// Finds what can be changed.
    ///
    /// # Errors
    ///
    /// When the file is no Rust.
    pub(crate) fn read(&mut self) -> syn::Result<()> {
        let file = syn::parse_file(self.text)?;
        self.visit_file(&file);
        Ok(())
    }

    /// The text with all changes, each behind its switch; lines stay where they are.
    pub(crate) fn text(mut self) -> String {
        // At one place the innermost closes first, and the outermost opens first.
        self.closing.reverse();
        self.closing.sort_by_key(|it| it.0);
        self.opening.sort_by_key(|it| it.0);
        let (mut closing, mut opening) = (
            self.closing.iter().peekable(),
            self.opening.iter().peekable(),
        );
        let mut res = String::new();
        for (at, letter) in self.text.char_indices() {
            while let Some((_, text)) = closing.next_if(|it| it.0 <= at) {
                res.push_str(text);
            }
            while let Some((_, text)) = opening.next_if(|it| it.0 <= at) {
                res.push_str(text);
            }
            res.push(letter);
        }
        closing.for_each(|it| res.push_str(&it.1));
        res
    }

    fn slice(&self, range: Range<usize>) -> String {
        let lines = self.text[range].lines().map(str::trim);
        let lines: Vec<&str> = lines.filter(|it| !it.starts_with("//")).collect();
        lines.join(" ")
    }

    /// Notes a change and returns its number, if it is to be made.
    fn note(&mut self, span: Span, before: String, after: &str) -> Option<usize> {
        self.mutants.push(Mutant {
            file: self.file.to_owned(),
            line: span.start().line,
            before,
            after: after.to_owned(),
        });
        let number = self.mutants.len();
        (!self.refused.contains(&number)).then_some(number)
    }

    /// Puts another expression in the place of one.
    fn replace(&mut self, span: Span, after: &str) {
        let range = span.byte_range();
        let before = self.slice(range.clone());
        if let Some(number) = self.note(span, before, after) {
            let open = format!("(if crate::mutant({number}) {{ {after} }} else {{ ");
            self.opening.push((range.start, open));
            self.closing.push((range.end, " })".to_owned()));
        }
    }

    /// Makes a condition hold always, and never.
    fn decide(&mut self, span: Span) {
        let range = span.byte_range();
        let before = self.slice(range.clone());
        for (after, switch) in [("true", "||"), ("false", "&&")] {
            if let Some(number) = self.note(span, before.clone(), after) {
                let not = if after == "true" { "" } else { "!" };
                let open = format!("({not}crate::mutant({number}) {switch} (");
                self.opening.push((range.start, open));
                self.closing.push((range.end, "))".to_owned()));
            }
        }
    }

    /// Leaves at the beginning of a function.
    fn leave(&mut self, signature: &Signature, block: &Block) {
        let returns: &[&str] = match &signature.output {
            ReturnType::Default => &[""],
            ReturnType::Type(_, ty) => match self.slice(ty.span().byte_range()).as_str() {
                "bool" => &["true", "false"],
                "String" | "Parameters" => &["Default::default()"],
                it if it.starts_with("Vec<") || it.starts_with("Option<") => {
                    &["Default::default()"]
                }
                _ => &[],
            },
        };
        let at = block.brace_token.span.open().byte_range().end;
        for value in returns {
            let before = format!("fn {}", signature.ident);
            if let Some(number) = self.note(block.brace_token.span.open(), before, value) {
                let text = format!(" if crate::mutant({number}) {{ return {value}; }} ");
                self.opening.push((at, text));
            }
        }
    }

    fn operator(&mut self, span: Span, op: &BinOp) {
        let other = match op {
            BinOp::Eq(_) => "!=",
            BinOp::Ne(_) => "==",
            BinOp::Lt(_) => "<=",
            BinOp::Le(_) => "<",
            BinOp::Gt(_) => ">=",
            BinOp::Ge(_) => ">",
            BinOp::And(_) => "||",
            BinOp::Or(_) => "&&",
            BinOp::Add(_) => "-",
            BinOp::Sub(_) => "+",
            _ => return,
        };
        self.substitute(span, op.span(), other);
    }

    /// Replaces an expression by itself with a part exchanged.
    fn substitute(&mut self, whole: Span, part: Span, other: &str) {
        let (whole_range, part) = (whole.byte_range(), part.byte_range());
        let before = self.slice(whole_range.start..part.start);
        let after = self.slice(part.end..whole_range.end);
        let blank = |it: &str| if it.is_empty() { "" } else { " " };
        let spaced = self.text[part.end..].starts_with(' ');
        let (left, right) = if spaced {
            (blank(&before), blank(&after))
        } else {
            ("", "")
        };
        self.replace(whole, &format!("{before}{left}{other}{right}{after}"));
    }

    fn expression(&mut self, expr: &Expr) {
        let span = expr.span();
        match expr {
            Expr::Binary(it) if !self.slice(span.byte_range()).contains("let ") => {
                self.operator(span, &it.op);
            }
            Expr::Unary(it) if matches!(it.op, UnOp::Not(_)) => {
                let inner = self.slice(it.expr.span().byte_range());
                self.replace(span, &inner);
            }
            Expr::Lit(it) => match &it.lit {
                Lit::Bool(it) => self.replace(span, if it.value { "false" } else { "true" }),
                Lit::Int(it) => self.replace(span, &format!("{it} + 1")),
                Lit::Str(it) if it.value().is_empty() => self.replace(span, "\"mutant\""),
                Lit::Str(_) => self.replace(span, "\"\""),
                Lit::Char(_) => self.replace(span, "'~'"),
                _ => {}
            },
            Expr::If(it) if !self.slice(it.cond.span().byte_range()).contains("let ") => {
                self.decide(it.cond.span());
            }
            Expr::Macro(it) if it.mac.path.is_ident("matches") => {
                let whole = self.slice(span.byte_range());
                self.replace(span, &format!("!{whole}"));
            }
            Expr::MethodCall(it) => {
                let method = it.method.to_string();
                if let Some((_, other)) = METHODS.iter().find(|(from, _)| *from == method) {
                    self.substitute(span, it.method.span(), other);
                }
                if ["is_empty", "contains"].contains(&method.as_str()) {
                    let whole = self.slice(span.byte_range());
                    self.replace(span, &format!("!{whole}"));
                }
                if let (true, Some(Expr::Closure(closure))) =
                    (PREDICATES.contains(&method.as_str()), it.args.first())
                {
                    self.decide(closure.body.span());
                }
            }
            Expr::Field(it) => self.field(span, &it.member, FIELDS),
            Expr::Reference(it) if it.mutability.is_none() => {
                if let Expr::Field(field) = &*it.expr {
                    self.field(span, &field.member, REFERENCES);
                }
            }
            _ => {}
        }
    }

    fn field(&mut self, whole: Span, member: &Member, swaps: &[(&str, &str)]) {
        let Member::Named(name) = member else { return };
        if let Some((_, other)) = swaps.iter().find(|(from, _)| name == from) {
            self.substitute(whole, name.span(), other);
        }
    }
}

impl<'ast> Visit<'ast> for Edits<'_> {
    fn visit_expr(&mut self, expr: &'ast Expr) {
        // What lives for ever is exchanged as a whole, or it would not.
        if let Expr::Reference(it) = expr
            && let Expr::Array(array) = &*it.expr
            && array.elems.iter().all(|it| matches!(it, Expr::Lit(_)))
        {
            for it in &array.elems {
                self.substitute(expr.span(), it.span(), "\"\"");
            }
            return;
        }
        self.expression(expr);
        visit::visit_expr(self, expr);
    }

    fn visit_stmt(&mut self, stmt: &'ast Stmt) {
        if let Stmt::Expr(expr, Some(semicolon)) = stmt
            && (matches!(
                expr,
                Expr::MethodCall(_) | Expr::Call(_) | Expr::Assign(_) | Expr::Continue(_)
            ) || matches!(expr, Expr::Return(it) if it.expr.is_none()))
        {
            let (start, end) = (
                expr.span().byte_range().start,
                semicolon.span().byte_range().end,
            );
            let before = self.slice(start..end);
            if let Some(number) = self.note(expr.span(), before, "") {
                self.opening
                    .push((start, format!("if !crate::mutant({number}) {{ ")));
                self.closing.push((end, " }".to_owned()));
            }
        }
        visit::visit_stmt(self, stmt);
    }

    fn visit_item_fn(&mut self, it: &'ast syn::ItemFn) {
        if !PASSED_OVER.iter().any(|name| it.sig.ident == name) {
            self.leave(&it.sig, &it.block);
            self.visit_block(&it.block);
        }
    }

    fn visit_impl_item_fn(&mut self, it: &'ast syn::ImplItemFn) {
        if !PASSED_OVER.iter().any(|name| it.sig.ident == name) {
            self.leave(&it.sig, &it.block);
            self.visit_block(&it.block);
        }
    }

    fn visit_trait_item_fn(&mut self, it: &'ast syn::TraitItemFn) {
        if let Some(block) = &it.default {
            self.visit_block(block);
        }
    }

    // What `let` leaves for must stay.
    fn visit_local(&mut self, it: &'ast syn::Local) {
        if let Some(init) = &it.init {
            self.visit_expr(&init.expr);
        }
    }

    // A place that is written to has no other.
    fn visit_expr_assign(&mut self, it: &'ast syn::ExprAssign) {
        self.visit_expr(&it.right);
    }

    fn visit_expr_let(&mut self, it: &'ast syn::ExprLet) {
        self.visit_expr(&it.expr);
    }

    // Tests stay as they are, and so does what must be constant.
    fn visit_item_mod(&mut self, _: &'ast syn::ItemMod) {}

    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}

    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}

    fn visit_pat(&mut self, _: &'ast syn::Pat) {}

    fn visit_type(&mut self, _: &'ast syn::Type) {}

    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
}
