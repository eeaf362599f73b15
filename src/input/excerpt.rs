//! Errors for people: the line in question with a caret under it.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::InputError;

/// How much of a line is shown on either side of the place, in bytes.
const AROUND: usize = 60;

/// An error with the line it is about, several lines without color.
///
/// The first line is `error: FILE:LINE:COLUMN: MESSAGE`. `text` is the text of the source that the error is about; if it
/// is another one, there may be no excerpt.
pub fn render_error(error: &InputError, text: &str) -> String {
    let title = format!("{}: {}", error.location, error.message);
    let title = Level::ERROR.primary_title(title);
    let group = match Excerpt::new(error, text) {
        None => title.elements(std::iter::empty::<
            Snippet<'_, annotate_snippets::Annotation<'_>>,
        >()),
        Some(excerpt) => title.element(
            Snippet::source(excerpt.line)
                .line_start(error.location.line)
                .annotation(AnnotationKind::Primary.span(excerpt.start..excerpt.end)),
        ),
    };
    Renderer::plain().render(&[group])
}

/// A line, or what is around the place in a long one.
struct Excerpt<'t> {
    line: &'t str,
    start: usize,
    end: usize,
}

impl<'t> Excerpt<'t> {
    fn new(error: &InputError, text: &'t str) -> Option<Self> {
        let before = text.get(..error.span.start)?;
        let after = text.get(error.span.start..)?;
        let before = before.rsplit('\n').next().unwrap_or_default();
        let after = after.split(['\n', '\r']).next().unwrap_or_default();
        let marked = error.span.len().min(after.len());
        let start = before.len() - boundary(before, before.len().saturating_sub(AROUND));
        let end = boundary(after, marked.saturating_add(AROUND).min(after.len()));
        let from = error.span.start - start;
        Some(Self {
            line: text.get(from..error.span.start + end)?,
            start,
            end: start + boundary(after, marked).min(end),
        })
    }
}

/// The end of the character that a byte offset falls into.
fn boundary(text: &str, offset: usize) -> usize {
    (offset..text.len())
        .find(|it| text.is_char_boundary(*it))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::Excerpt;
    use crate::diagnostic::Location;
    use crate::input::InputError;

    #[test]
    fn of_a_long_line_only_the_surroundings_are_taken() {
        let text = format!("x\n{}!{}\ny", "é".repeat(1000), "ü".repeat(1000));
        let at = text.find('!').expect("it is there");
        let error = InputError {
            location: Location {
                file: "a.yaml".to_owned(),
                line: 2,
                column: 1001,
            },
            span: at..at + 1,
            message: String::new(),
        };
        let excerpt = Excerpt::new(&error, &text).expect("the place is in the text");
        assert_eq!(
            excerpt.line,
            format!("{}!{}", "é".repeat(30), "ü".repeat(30))
        );
        assert_eq!(excerpt.line.get(excerpt.start..excerpt.end), Some("!"));
    }
}
