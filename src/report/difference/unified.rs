//! The text of an object before and after, as a unified diff.

use std::io::{self, Write};

use similar::udiff::UnifiedHunkHeader;
use similar::{ChangeTag, TextDiff};

use super::Against;
use crate::diff::Change;

/// So many lines that are the same are shown around those that are not.
const CONTEXT: usize = 3;

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const REVERSE: &str = "\x1b[7m";
const NOT_REVERSE: &str = "\x1b[27m";

/// Writes how an object changes; in color with emphasis on the words that do.
pub(super) fn write_unified(
    out: &mut dyn Write,
    change: &Change,
    against: Against,
    color: bool,
) -> io::Result<()> {
    let (old, new) = change.texts();
    let diff = TextDiff::from_lines(old, new);
    let file = change.file_name();
    let name = |side: &str, text: &str| match text {
        "" => "/dev/null".to_owned(),
        _ => format!("{side}/{file}"),
    };
    let [old_side, new_side] = against.sides();
    let (old, new) = (name(old_side, old), name(new_side, new));
    if !color {
        let mut unified = diff.unified_diff();
        return write!(
            out,
            "{}",
            unified.context_radius(CONTEXT).header(&old, &new)
        );
    }
    writeln!(out, "{BOLD}--- {old}{RESET}\n{BOLD}+++ {new}{RESET}")?;
    for group in diff.grouped_ops(CONTEXT) {
        writeln!(out, "{CYAN}{}{RESET}", UnifiedHunkHeader::new(&group))?;
        for line in group.iter().flat_map(|it| diff.iter_inline_changes(it)) {
            let color = match line.tag() {
                ChangeTag::Equal => "",
                ChangeTag::Delete => RED,
                ChangeTag::Insert => GREEN,
            };
            write!(out, "{color}{}", line.tag())?;
            for (emphasized, text) in line.iter_strings_lossy() {
                let text = text.trim_end_matches('\n');
                if emphasized {
                    write!(out, "{REVERSE}{text}{NOT_REVERSE}")?;
                } else {
                    write!(out, "{text}")?;
                }
            }
            writeln!(out, "{}", if color.is_empty() { "" } else { RESET })?;
        }
    }
    Ok(())
}
