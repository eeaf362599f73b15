//! Byte offsets become lines and columns.

use std::cell::Cell;

use crate::diagnostic::Location;

use super::Source;

/// Finds lines and columns in one source.
pub(super) struct Locator<'a> {
    source: &'a Source,
    /// Where each line begins.
    lines: Vec<usize>,
    /// The last column found, with the offset of it and of its line: most questions go forward, and a whole file may be one
    /// line.
    last: Cell<Found>,
}

#[derive(Clone, Copy)]
struct Found {
    line_start: usize,
    offset: usize,
    column: usize,
}

impl<'a> Locator<'a> {
    pub(super) fn new(source: &'a Source) -> Self {
        let first = if source.text.starts_with('\u{feff}') {
            '\u{feff}'.len_utf8()
        } else {
            0
        };
        let breaks = source.text.match_indices('\n').map(|(at, _)| at + 1);
        Self {
            source,
            lines: std::iter::once(first).chain(breaks).collect(),
            last: Cell::new(Found {
                line_start: first,
                offset: first,
                column: 1,
            }),
        }
    }

    /// The place of a byte offset.
    pub(super) fn location(&self, offset: usize) -> Location {
        let line = self.line(offset);
        let line_start = self
            .lines
            .get(line.saturating_sub(1))
            .copied()
            .unwrap_or_default();
        let mut from = self.last.get();
        if from.line_start != line_start || from.offset > offset {
            from = Found {
                line_start,
                offset: line_start,
                column: 1,
            };
        }
        let skipped = self
            .source
            .text
            .get(from.offset..offset)
            .unwrap_or_default();
        let column = from.column + skipped.chars().count();
        self.last.set(Found {
            line_start,
            offset,
            column,
        });
        Location {
            file: self.source.name.clone(),
            line,
            column,
        }
    }

    /// The number of the line that holds a byte offset, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|it| *it <= offset).max(1)
    }
}
