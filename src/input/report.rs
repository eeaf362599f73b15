//! What reading one source brings to light.

use std::cell::OnceCell;

use crate::api::meta::ObjectRef;
use crate::diagnostic::{Diagnostic, Location, printable};

use super::decode::{Mismatch, UnknownField};
use super::field_errors::FieldErrors;
use super::locator::Locator;
use super::node::{Fault, Span};
use super::objects::Object;
use super::{InputError, Source};

/// Errors and diagnostics about one source.
pub(super) struct Report<'s> {
    source: &'s Source,
    locator: Locator<'s>,
    /// Whether the text looks like a template, once somebody has asked.
    template: OnceCell<bool>,
    errors: Vec<InputError>,
    /// With the place of each.
    diagnostics: Vec<(usize, Diagnostic)>,
}

impl<'s> Report<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self {
            source,
            locator: Locator::new(source),
            template: OnceCell::new(),
            errors: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    pub(super) fn location(&self, span: &Span) -> Location {
        self.locator.location(span.start)
    }

    pub(super) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.errors.push(InputError {
            location: self.location(&span),
            span,
            message: printable(&message.into()),
        });
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        let message = match &fault.earlier {
            Some(earlier) => format!(
                "{}, first on line {}",
                fault.message,
                self.locator.line(earlier.start)
            ),
            None => fault.message,
        };
        self.error(fault.span, message);
    }

    /// A document that cannot be read.
    pub(super) fn unreadable(&mut self, mut fault: Fault) {
        let source = self.source;
        if *self.template.get_or_init(|| source.text.contains("{{")) {
            fault.message.push_str("; it looks like a template, which has to be rendered first, as `helm template` does");
        }
        self.fault(fault);
    }

    /// A document that is no Kubernetes object.
    pub(super) fn not_kubernetes(&mut self, span: &Span) {
        let file = self
            .source
            .name
            .rsplit(['/', '\\'])
            .next()
            .unwrap_or_default();
        let looks_like = match file.split_once('.').map_or(file, |(stem, _)| stem) {
            "kustomization" | "Kustomization" => {
                "; it looks like a kustomization, which `kubectl kustomize` renders"
            }
            "Chart" => "; it looks like a Helm chart, which `helm template` renders",
            stem if stem.starts_with("values") => {
                "; it looks like Helm values, which `helm template` uses"
            }
            _ => "",
        };
        let message = format!(
            "this has no `kind`, so it is no Kubernetes object and was left aside{looks_like}"
        );
        self.diagnostic(span, Diagnostic::note("not-kubernetes", message));
    }

    /// What tells kustomize what to do.
    pub(super) fn kustomization(&mut self, span: &Span) {
        let message = "this is a kustomization and was left aside; what `kubectl kustomize` makes of its bases and patches can be given";
        self.diagnostic(span, Diagnostic::note("not-kubernetes", message));
    }

    /// An object with a pod template, of a kind that is not known.
    pub(super) fn unknown_workload(&mut self, object: &Object<'_, '_>) {
        let metadata = object.node.get("metadata");
        let name = metadata.and_then(|it| it.string("name"));
        let name = name.map_or_else(String::new, |it| format!(" {it}"));
        let message = format!(
            "pods are made of {}{name}, whose kind is not known in version `{}`, so it was left aside; its pods can be given themselves",
            object.kind, object.api_version
        );
        let diagnostic = Diagnostic::note("unknown-workload", message);
        self.diagnostic(&object.node.head(), diagnostic);
    }

    /// A value that the API server cannot decode.
    pub(super) fn mismatch(&mut self, object: &ObjectRef, whole: &Span, mismatch: &Mismatch) {
        let span = mismatch.span().unwrap_or_else(|| whole.clone());
        self.error(span, format!("{}: {mismatch}", called(object)));
    }

    /// What an API server refuses of an object; returns whether there is anything.
    pub(super) fn invalid(&mut self, object: &ObjectRef, errors: FieldErrors<'_>) -> bool {
        let refused = !errors.found.is_empty();
        for (span, reason) in errors.found {
            self.error(span, format!("{} is invalid: {reason}", called(object)));
        }
        refused
    }

    /// A text that a template engine has yet to fill in.
    pub(super) fn unrendered(&mut self, object: &ObjectRef, span: Span, text: &str) {
        let message = format!(
            "{}: `{text}` is a placeholder of a template, which has to be rendered first, as `helm template` does",
            called(object)
        );
        self.error(span, message);
    }

    /// Fields that the API server drops.
    pub(super) fn unknown_fields(&mut self, object: &ObjectRef, fields: Vec<UnknownField>) {
        for field in fields {
            let hint = match field.nearest {
                Some(nearest) => format!("; the nearest field is `{nearest}`"),
                None => String::new(),
            };
            let message = format!(
                "{} has no such field and the API server drops it{hint}",
                object.kind
            );
            let diagnostic = Diagnostic::warning("unknown-field", message).field(field.path);
            self.diagnostic(&field.span, diagnostic.about(object.clone()));
        }
    }

    /// Adds a diagnostic, which gets its place here.
    pub(super) fn diagnostic(&mut self, span: &Span, mut diagnostic: Diagnostic) {
        diagnostic.message = printable(&diagnostic.message);
        diagnostic.field = diagnostic.field.map(|it| printable(&it));
        let diagnostic = diagnostic.at(self.location(span));
        self.diagnostics.push((span.start, diagnostic));
    }

    /// Everything in the order of the text.
    pub(super) fn finish(mut self) -> (Vec<InputError>, Vec<Diagnostic>) {
        self.errors.sort_by_key(|it| it.span.start);
        self.diagnostics.sort_by_key(|(start, _)| *start);
        let diagnostics = self.diagnostics.into_iter().map(|(_, it)| it);
        (self.errors, diagnostics.collect())
    }
}

/// An object by its kind and, if it has one, its name.
pub(super) fn called(object: &ObjectRef) -> String {
    if object.name.is_empty() {
        object.kind.clone()
    } else {
        object.to_string()
    }
}
