//! Places as people count them, and the text that may be shown of them.
//!
//! Never fails: a location that does not fit its file is moved to where it does.

use std::ops::Range;

use super::super::{Diagnostic, Location, Sources};
use super::shown::{self, MASK};

/// Bytes between two counts of characters: what a column costs, however long its line is.
const BLOCK: usize = 1024;

/// Lines and columns from 1, columns in characters; the end is one past the last character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: usize,
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) end_line: usize,
    pub(super) end_column: usize,
    /// First byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
}

/// The files of a report, indexed once.
pub(super) struct Texts<'a> {
    files: Vec<Text<'a>>,
}

/// One file.
pub(super) struct Text<'a> {
    /// The path as it is shown.
    pub(super) path: String,
    text: &'a str,
    /// Where each line starts.
    lines: Vec<usize>,
    /// Characters before each block of bytes.
    blocks: Vec<usize>,
    /// Bytes that are not shown, sorted and apart.
    masked: Vec<Range<usize>>,
}

impl<'a> Texts<'a> {
    /// Indexes every file. O(bytes).
    pub(super) fn new(diagnostics: &[Diagnostic], sources: &'a Sources) -> Self {
        let mut files: Vec<Text<'a>> = sources.0.iter().map(Text::new).collect();
        for diagnostic in diagnostics.iter().filter(|diagnostic| diagnostic.sensitive) {
            if let Some(location) = diagnostic.location
                && let Some(file) = files.get_mut(location.file)
            {
                file.masked.push(location.start..location.end);
            }
        }
        for file in &mut files {
            file.masked = apart(std::mem::take(&mut file.masked));
        }
        Self { files }
    }

    /// Returns the file of a place.
    pub(super) fn file(&self, place: Place) -> Option<&Text<'a>> {
        self.files.get(place.file)
    }

    /// Returns the first file: where a finding without a place is shown by formats that need one.
    pub(super) fn first(&self) -> Option<&Text<'a>> {
        self.files.first()
    }

    /// Counts lines and columns; `None` only when there is no such file.
    pub(super) fn place(&self, location: Location) -> Option<Place> {
        let file = self.files.get(location.file)?;
        let start = floor(file.text, location.start);
        let end = floor(file.text, location.end).max(start);
        let (line, column) = file.line_column(start);
        let (end_line, end_column) = file.line_column(end);
        Some(Place { file: location.file, line, column, end_line, end_column, start, end })
    }
}

/// Joins ranges that overlap, so that at most one holds any byte.
fn apart(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Moves an offset down to a character's first byte.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Counts the characters that begin in `bytes`.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

impl<'a> Text<'a> {
    fn new(source: &'a super::super::Source) -> Self {
        let text = source.text.as_str();
        let lines = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1)).collect();
        let blocks = text.as_bytes().chunks(BLOCK).scan(0, |before, block| {
            let here = *before;
            *before += characters(block);
            Some(here)
        });
        Self { path: shown::path(&source.path), text, lines, blocks: blocks.collect(), masked: source.redacted.clone() }
    }

    fn characters_before(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        match self.blocks.get(block) {
            Some(before) => before + self.text.as_bytes().get(block * BLOCK..offset).map_or(0, characters),
            // The end of a text that fills its last block.
            None => self
                .blocks
                .last()
                .map_or(0, |before| before + self.text.as_bytes().get((self.blocks.len() - 1) * BLOCK..offset).map_or(0, characters)),
        }
    }

    fn line_column(&self, offset: usize) -> (usize, usize) {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.line_start(line);
        (line, self.characters_before(offset) - self.characters_before(start) + 1)
    }

    /// Returns the first byte of a line (from 1).
    pub(super) fn line_start(&self, line: usize) -> usize {
        self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    /// Returns the bytes of a line (from 1), without its ending.
    pub(super) fn line(&self, line: usize) -> Range<usize> {
        let start = self.line_start(line);
        let end = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        let end = if end > start && self.text.as_bytes().get(end - 1) == Some(&b'\r') { end - 1 } else { end };
        start..end
    }

    /// Moves the end of a span over line endings backwards, as long as something of the span is left.
    pub(super) fn before_line_ending(&self, span: &Range<usize>) -> usize {
        let part = self.text.get(span.clone()).unwrap_or_default();
        let kept = part.trim_end_matches(['\n', '\r']).len();
        if kept == 0 { span.end } else { span.start + kept }
    }

    /// Moves an offset down to a character's first byte.
    pub(super) fn floor(&self, offset: usize) -> usize {
        floor(self.text, offset)
    }

    /// Returns part of one line as it may be shown: one character for each.
    pub(super) fn shown(&self, range: Range<usize>) -> String {
        let part = self.text.get(range.clone()).unwrap_or_default();
        let first = self.masked.partition_point(|masked| masked.end <= range.start);
        let masked = self.masked.get(first..).unwrap_or_default();
        let hidden = |at: usize| masked.iter().take_while(|masked| masked.start <= at).any(|masked| masked.contains(&at));
        part.char_indices().map(|(at, c)| if hidden(range.start + at) { MASK } else { shown::visible(c) }).collect()
    }
}
