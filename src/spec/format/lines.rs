//! Pieces into lines: one blank where one belongs, no blanks at the end, comments beside values in their columns.

use super::layout::{Kind, Piece, column_of};

/// A line as it is to be.
#[derive(Debug, Clone, Default)]
pub(super) struct Line {
    /// What is written, the indentation included.
    pub(super) text: String,
    beside: Option<Beside>,
    /// The comment beside a value, from its `#`, once it has its column.
    said: Option<String>,
    /// The column that a comment of its own had; nothing for other lines.
    pub(super) own: Option<usize>,
    /// Whether the comment of its own goes on with one that stands beside a value above.
    pub(super) goes_on: bool,
    /// The section that begins here.
    pub(super) section: Option<String>,
    /// Whether it is text of a block, which nobody may drop or add to.
    pub(super) content: bool,
    /// Whether it ends a block text that keeps its empty lines: one more behind it would be text.
    pub(super) keeps: bool,
    /// Whether it is `---` or `...`.
    pub(super) marker: bool,
}

/// A comment beside a value.
#[derive(Debug, Clone)]
struct Beside {
    text: String,
    /// Its column, before.
    column: usize,
    /// Where what it stands beside ended, before. Columns.
    end: usize,
}

impl Line {
    /// Returns whether there is nothing on it.
    pub(super) const fn is_blank(&self) -> bool {
        self.text.is_empty() && !self.content
    }

    /// Returns the comment on it, from its `#`.
    pub(super) fn comment(&self) -> Option<String> {
        match self.own {
            Some(_) => Some(self.text.trim_start().to_owned()),
            None => self.said.clone(),
        }
    }

    fn width(&self) -> usize {
        self.text.chars().count()
    }
}

/// Writes the pieces as lines.
pub(super) fn assemble(text: &str, pieces: &[Piece<'_>]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut before: Option<&Piece<'_>> = None;
    for piece in pieces {
        match before.filter(|_| piece.breaks == 0) {
            Some(before) => go_on(&mut lines, text, before, piece),
            None => {
                if piece.breaks > 1 && before.is_some() {
                    lines.push(Line::default());
                }
                start(&mut lines, text, piece);
            }
        }
        before = Some(piece);
    }
    align(&mut lines);
    lines
}

/// Writes a piece at the start of a line.
fn start(lines: &mut Vec<Line>, text: &str, piece: &Piece<'_>) {
    match piece.kind {
        Kind::Content { strip, keep } => {
            let lines_of_it = piece.text.split('\n').map(|line| Line {
                text: line.get(strip..).filter(|rest| !rest.is_empty()).map_or_else(String::new, |rest| " ".repeat(piece.indent) + rest),
                content: true,
                keeps: keep,
                ..Line::default()
            });
            lines.extend(lines_of_it);
        }
        Kind::Comment => {
            let own = Some(column_of(text, piece.start));
            lines.push(Line { text: " ".repeat(piece.indent) + piece.text, own, ..Line::default() });
        }
        kind => {
            let section = piece.section.clone();
            lines.push(Line { text: " ".repeat(piece.indent), section, marker: kind == Kind::Marker, ..Line::default() });
            put(lines, piece);
        }
    }
}

/// Writes a piece behind the one before it.
fn go_on(lines: &mut Vec<Line>, text: &str, before: &Piece<'_>, piece: &Piece<'_>) {
    let end = before.start + before.text.len();
    if piece.kind == Kind::Comment {
        if let Some(line) = lines.last_mut() {
            line.beside = Some(Beside { text: piece.text.to_owned(), column: column_of(text, piece.start), end: column_of(text, end) });
        }
        return;
    }
    let apart = text.get(end..piece.start).is_some_and(|between| !between.is_empty());
    if let Some(line) = lines.last_mut()
        && is_apart(before.kind, piece.kind, apart)
    {
        line.text.push(' ');
    }
    put(lines, piece);
}

/// Returns whether a blank stands between two pieces of a line; `apart` is whether one did.
fn is_apart(before: Kind, kind: Kind, apart: bool) -> bool {
    match (before, kind) {
        // `{a: , b: }`: some parsers need the blank.
        (Kind::Colon, Kind::Comma | Kind::Close) => apart,
        // Without the blank the colon would belong to the name.
        (Kind::Alias | Kind::Property, Kind::Colon) => true,
        (Kind::Open, _) | (_, Kind::Comma | Kind::Close | Kind::Colon) => false,
        _ => true,
    }
}

/// Appends a piece, whose further lines hang.
fn put(lines: &mut Vec<Line>, piece: &Piece<'_>) {
    if let Some(line) = lines.last_mut() {
        line.keeps = piece.kind == Kind::Header && piece.text.contains('+');
    }
    let escapes = piece.text.starts_with('"');
    for (number, part) in piece.text.split('\n').enumerate() {
        let kept = part.trim_end_matches([' ', '\t']);
        // `\ ` is a blank that is text.
        let part = if escapes && kept.ends_with('\\') { part } else { kept };
        if number == 0 {
            if let Some(line) = lines.last_mut() {
                line.text.push_str(if piece.text.contains('\n') { part } else { piece.text });
            }
            continue;
        }
        let part = part.trim_start_matches([' ', '\t']);
        let text = if part.is_empty() { String::new() } else { " ".repeat(piece.hang) + part };
        lines.push(Line { text, content: true, ..Line::default() });
    }
}

/// Gives comments beside values their columns: as far behind the value as before, or in one column with their neighbours where they
/// shared one.
fn align(lines: &mut [Line]) {
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let Some(column) = first.beside.as_ref().map(|beside| beside.column) else {
            rest = rest.get_mut(1..).unwrap_or_default();
            continue;
        };
        let shares = |line: &Line| line.beside.as_ref().map(|beside| beside.column).or(line.own) == Some(column);
        let length = rest.iter().position(|line| !shares(line)).unwrap_or(rest.len());
        let (group, others) = rest.split_at_mut(length);
        let grown = |line: &Line| line.beside.as_ref().map(|beside| (line.width() + column).saturating_sub(beside.end));
        let column = group.iter().filter_map(grown).max().unwrap_or(column);
        for line in group {
            match line.beside.take() {
                Some(beside) => {
                    let gap = column.saturating_sub(line.width()).max(1);
                    line.text = format!("{}{}{}", line.text, " ".repeat(gap), beside.text);
                    line.said = Some(beside.text);
                }
                None => {
                    line.text = " ".repeat(column) + line.text.trim_start();
                    line.goes_on = true;
                }
            }
        }
        rest = others;
    }
}
