//! The scanner's tokens as pieces of text, each with its indentation should it stand at the start of a line.
//!
//! Between two pieces there is white space and nothing else, so whoever writes them again in this order with other white space has
//! lost nothing. Every level is indented by two more than the one around it, the dashes of a list under a key included.

use serde_yaml::granit_parser::{ScalarStyle, Scanner, StrInput, TokenType};

use super::block;

/// Columns by which a level is indented.
pub(super) const STEP: usize = 2;

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `?`
    Question,
    /// `:`
    Colon,
    /// `-`
    Dash,
    /// `,`
    Comma,
    /// `{` or `[`
    Open,
    /// `}` or `]`
    Close,
    /// A scalar in or without quotes.
    Scalar,
    /// `|` or `>` with what belongs to it.
    Header,
    /// The lines of a block text, from their start to before their last line break.
    Content {
        /// Columns that are indentation and not text.
        strip: usize,
        /// Whether the empty lines at its end belong to it.
        keep: bool,
    },
    /// An anchor, or a tag.
    Property,
    /// `*name`
    Alias,
    /// `---` or `...`
    Marker,
    /// `# …`, without its line break.
    Comment,
}

/// A piece of the text.
#[derive(Debug, Clone)]
pub(super) struct Piece<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    /// Where it begins. Bytes.
    pub(super) start: usize,
    /// Line breaks between the piece before and this one.
    pub(super) breaks: usize,
    /// Its column at the start of a line; of block texts, the column of their lines.
    pub(super) indent: usize,
    /// The column of its further lines.
    pub(super) hang: usize,
    /// The name of the section of the top level that begins here.
    pub(super) section: Option<String>,
}

/// The pieces of a text.
#[derive(Debug, Default)]
pub(super) struct Laid<'t> {
    pub(super) pieces: Vec<Piece<'t>>,
    /// Whether sections may change places: every alias stands in the section of its anchor, and every key is a plain one.
    pub(super) movable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Map,
    List,
    /// A list whose dashes stand under the first letter of its key.
    FlatList,
}

/// A map or list in block style that is still open.
#[derive(Debug, Clone, Copy)]
struct Level {
    form: Form,
    old: usize,
    new: usize,
}

struct Layout<'t> {
    text: &'t str,
    /// Behind the last piece.
    at: usize,
    pieces: Vec<Piece<'t>>,
    levels: Vec<Level>,
    /// The levels as they were when the last piece was written.
    settled: Vec<Level>,
    /// Where lines stand inside each `{` and `[` that is open.
    flow: Vec<usize>,
    line_base: usize,
    /// Whether the next piece begins a key.
    key: bool,
    /// Whether the next piece belongs to the dash before it.
    of_dash: bool,
    /// Anchors with the section in which each stands.
    anchors: Vec<(&'t str, usize)>,
    sections: usize,
    movable: bool,
}

/// Cuts a text into pieces. `None` where the scanner refuses it.
pub(super) fn lay_out(text: &str) -> Option<Laid<'_>> {
    let mut layout = Layout {
        text,
        at: 0,
        pieces: Vec::new(),
        levels: Vec::new(),
        settled: Vec::new(),
        flow: Vec::new(),
        line_base: 0,
        key: false,
        of_dash: false,
        anchors: Vec::new(),
        sections: 0,
        movable: true,
    };
    for token in Scanner::new(StrInput::new(text)) {
        let (span, token) = token.ok()?.into_parts();
        let range = span.byte_range()?;
        layout.token(&token, range.start, range.end, span.start.col())?;
    }
    layout.gap(text.len(), None)?;
    Some(Laid { pieces: layout.pieces, movable: layout.movable })
}

impl<'t> Layout<'t> {
    fn token(&mut self, token: &TokenType<'_>, start: usize, end: usize, column: usize) -> Option<()> {
        let empty = start == end;
        match token {
            TokenType::BlockMappingStart => self.open(Form::Map, column),
            TokenType::BlockSequenceStart => self.open(Form::List, column),
            TokenType::BlockEnd => {
                self.close_flat();
                self.levels.pop();
                self.of_dash = false;
            }
            TokenType::Key => {
                self.close_flat();
                self.key = empty;
                if !empty {
                    self.movable &= self.levels.len() != 1;
                    self.piece(Kind::Question, end - start)?;
                }
            }
            TokenType::Value => {
                self.close_flat();
                self.piece(Kind::Colon, 1)?;
            }
            TokenType::BlockEntry => self.dash()?,
            TokenType::FlowSequenceStart | TokenType::FlowMappingStart if !empty => self.bracket()?,
            TokenType::FlowSequenceEnd | TokenType::FlowMappingEnd if !empty => {
                self.piece(Kind::Close, end - start)?;
                self.flow.pop();
            }
            TokenType::FlowEntry => self.piece(Kind::Comma, end - start)?,
            TokenType::Alias(_) => {
                self.piece(Kind::Alias, end - start)?;
                let name = self.text.get(start + 1..end)?;
                let known = self.anchors.iter().rev().find(|(anchor, _)| *anchor == name);
                self.movable &= known.is_some_and(|(_, section)| *section == self.sections);
            }
            TokenType::Anchor(_) | TokenType::Tag(..) => {
                self.movable &= !(self.key && self.levels.len() == 1);
                self.piece(Kind::Property, end - start)?;
                self.anchors.push((self.text.get(start + 1..end)?, self.sections));
            }
            TokenType::Scalar(ScalarStyle::Literal | ScalarStyle::Folded, _) => self.block_text(end)?,
            TokenType::Scalar(_, name) => {
                let root = self.key && self.levels.len() == 1 && self.flow.is_empty();
                self.sections += usize::from(root);
                self.piece(Kind::Scalar, end - start)?;
                if let Some(piece) = self.pieces.last_mut().filter(|_| root) {
                    piece.section = Some(name.to_string());
                }
            }
            TokenType::DocumentStart | TokenType::DocumentEnd => self.piece(Kind::Marker, end - start)?,
            // Comments are what stands between the other tokens.
            TokenType::Comment(_)
            | TokenType::StreamStart
            | TokenType::StreamEnd
            | TokenType::FlowSequenceStart
            | TokenType::FlowMappingStart
            | TokenType::FlowSequenceEnd
            | TokenType::FlowMappingEnd => {}
            // Directives; the loader refuses them.
            _ => return None,
        }
        Some(())
    }

    fn open(&mut self, form: Form, column: usize) {
        let new = self.levels.last().map_or(0, |level| level.new + STEP);
        self.levels.push(Level { form, old: column, new });
        self.of_dash &= form == Form::Map || matches!(self.pieces.last(), Some(Piece { kind: Kind::Dash, .. }));
    }

    fn close_flat(&mut self) {
        if self.flow.is_empty() && self.levels.last().is_some_and(|level| level.form == Form::FlatList) {
            self.levels.pop();
            self.of_dash = false;
        }
    }

    fn dash(&mut self) -> Option<()> {
        let start = self.next_piece()?;
        if self.flow.is_empty() && self.levels.last().is_some_and(|level| level.form == Form::Map) {
            self.open(Form::FlatList, column_of(self.text, start));
            self.of_dash = false;
        }
        // An empty item is followed by the next one, and not by a list inside of it.
        let opened = self.levels.len() > self.settled.len();
        self.of_dash &= opened;
        self.piece(Kind::Dash, 1)?;
        self.of_dash = true;
        Some(())
    }

    fn bracket(&mut self) -> Option<()> {
        self.piece(Kind::Open, 1)?;
        let piece = self.pieces.last()?;
        let starts_line = piece.breaks > 0 || self.pieces.len() == 1;
        if self.flow.is_empty() {
            let beside = match self.levels.last() {
                None => 0,
                Some(level) => level.new + if level.form == Form::Map { 0 } else { STEP },
            };
            self.line_base = if starts_line { piece.indent } else { beside };
        }
        self.flow.push(self.line_base + STEP);
        Some(())
    }

    fn block_text(&mut self, end: usize) -> Option<()> {
        let start = self.next_piece()?;
        let rest = self.text.get(start..)?;
        let header = rest.find([' ', '\t', '\n']).unwrap_or(rest.len());
        self.piece(Kind::Header, header)?;
        // What the line still holds is a comment, or nothing.
        let first = self.text.get(self.at..)?.find('\n').map_or(self.text.len(), |at| self.at + at);
        self.comments(first, None)?;
        let parent = self.levels.iter().rev().find(|level| level.form != Form::FlatList).map_or(0, |level| level.old);
        let head = block::Header::read(self.text.get(start..start + header)?);
        let Some(found) = block::content(self.text, first + 1, end, parent, &head) else { return Some(()) };
        let base = self.levels.last().map_or(0, |level| level.new);
        let kind = Kind::Content { strip: found.strip, keep: head.keep };
        let text = self.text.get(found.range.clone())?;
        let indent = base + head.digit.unwrap_or(STEP);
        self.pieces.push(Piece { kind, text, start: found.range.start, breaks: 1, indent, hang: indent, section: None });
        self.at = found.range.end;
        Some(())
    }

    /// Finds where the next piece begins: only white space and comments stand before it.
    fn next_piece(&self) -> Option<usize> {
        let mut at = self.at;
        loop {
            let rest = self.text.get(at..)?;
            at += rest.len() - rest.trim_start_matches([' ', '\t', '\n']).len();
            if !self.text.get(at..)?.starts_with('#') {
                return Some(at);
            }
            at += self.text.get(at..)?.find('\n').unwrap_or(self.text.len() - at);
        }
    }

    fn piece(&mut self, kind: Kind, length: usize) -> Option<()> {
        let start = self.next_piece()?;
        let text = self.text.get(start..start + length)?;
        let indent = self.indent(kind);
        self.gap(start, Some(indent))?;
        let starts_line = self.pieces.is_empty() || self.text.get(self.at..start)?.contains('\n');
        let of_dash = std::mem::take(&mut self.of_dash) && matches!(self.pieces.last(), Some(Piece { kind: Kind::Dash, .. }));
        let breaks = if of_dash { 0 } else { self.text.get(self.at..start)?.matches('\n').count() };
        if starts_line && !self.flow.is_empty() {
            self.line_base = indent;
        }
        let hang = self.flow.last().copied().unwrap_or_else(|| self.levels.last().map_or(0, |level| level.new + STEP));
        self.pieces.push(Piece { kind, text, start, breaks, indent, hang, section: None });
        self.at = start + length;
        self.key = false;
        self.settled.clone_from(&self.levels);
        Some(())
    }

    fn indent(&self, kind: Kind) -> usize {
        if let Some(inside) = self.flow.last() {
            return if kind == Kind::Close { inside.saturating_sub(STEP) } else { *inside };
        }
        let Some(level) = self.levels.last() else { return 0 };
        match kind {
            Kind::Marker => 0,
            Kind::Question | Kind::Colon | Kind::Dash => level.new,
            _ if self.key => level.new,
            _ => level.new + STEP,
        }
    }

    /// Takes the comments before `end`, where the next piece begins; `next` is its indentation.
    fn gap(&mut self, end: usize, next: Option<usize>) -> Option<()> {
        let next = next.map(|indent| (column_of(self.text, end), indent));
        self.comments(end, next)
    }

    fn comments(&mut self, end: usize, next: Option<(usize, usize)>) -> Option<()> {
        while let Some(found) = self.text.get(self.at..end)?.find('#').map(|at| self.at + at) {
            let between = self.text.get(self.at..found)?;
            if !between.trim_matches([' ', '\t', '\n']).is_empty() {
                return None;
            }
            let breaks = between.matches('\n').count();
            let stop = self.text.get(found..)?.find('\n').map_or(self.text.len(), |at| found + at);
            let text = self.text.get(found..stop)?.trim_end();
            let indent = self.comment_indent(column_of(self.text, found), next);
            self.pieces.push(Piece { kind: Kind::Comment, text, start: found, breaks, indent, hang: indent, section: None });
            self.at = stop;
        }
        Some(())
    }

    /// A comment belongs to what stands below it, unless it is indented deeper: then to the level above whose column it has reached.
    fn comment_indent(&self, column: usize, next: Option<(usize, usize)>) -> usize {
        if let Some(inside) = self.flow.last() {
            return *inside;
        }
        match next {
            Some((below, indent)) if column <= below => indent,
            _ => {
                let reached = self.settled.iter().rev().find(|level| level.old <= column).map_or(0, |level| level.new);
                reached.max(next.map_or(0, |(_, indent)| indent))
            }
        }
    }
}

/// Returns the column of a byte, from 0. Characters.
pub(in crate::spec) fn column_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.rsplit('\n').next().unwrap_or_default().chars().count()
}
