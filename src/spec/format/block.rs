//! The texts of `|` and `>`: which lines are theirs, and which of their columns are indentation.

use std::ops::Range;

/// What stands behind `|` or `>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Columns of indentation, where they are written.
    pub(super) digit: Option<usize>,
    /// Whether the empty lines at the end belong to the text (`+`).
    pub(super) keep: bool,
}

impl Header {
    /// Reads `|`, `>-`, `|2+` and their like.
    pub(super) fn read(text: &str) -> Self {
        let digit = text.bytes().find(u8::is_ascii_digit).map(|digit| usize::from(digit - b'0'));
        Self { digit, keep: text.contains('+') }
    }
}

/// Where the lines of a text stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    /// From the start of the first line to before the line break of the last.
    pub(super) range: Range<usize>,
    /// Columns of indentation; more than there are where all lines are empty.
    pub(super) strip: usize,
}

/// Finds the lines of a block text that begins at `start` and does not reach over `end`; `parent` is the column of the level around it.
pub(super) fn content(text: &str, start: usize, end: usize, parent: usize, header: &Header) -> Option<Content> {
    let lines = text.get(start..end.max(start))?;
    let strip = match header.digit {
        Some(digit) => parent + digit,
        None => lines.lines().find(|line| !is_blank(line)).map(indentation).filter(|column| *column > parent).unwrap_or(usize::MAX),
    };
    let (mut at, mut last) = (start, None);
    for line in lines.split_inclusive('\n') {
        let bare = line.strip_suffix('\n').unwrap_or(line);
        let inside = indentation(bare) >= strip && bare.len() > strip;
        if !inside && !is_blank(bare) {
            break;
        }
        // The scanner's token may end within the blanks of the line that follows. At the end of the text the parser takes them for a line
        // where they are all there is, and for nothing otherwise.
        let whole = line.ends_with('\n') || (at == start && at + line.len() == text.len());
        if inside || (header.keep && whole) {
            last = Some(at + bare.len());
        }
        at += line.len();
    }
    Some(Content { range: start..last?, strip })
}

fn is_blank(line: &str) -> bool {
    line.bytes().all(|byte| byte == b' ')
}

fn indentation(line: &str) -> usize {
    line.bytes().take_while(|byte| *byte == b' ').count()
}
