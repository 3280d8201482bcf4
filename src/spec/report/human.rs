//! For a person: what rustc does. Files in order, each finding with the lines that it is about, a count at the end.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::super::{Diagnostic, Severity, Sources};
use super::place::{Place, Text, Texts};
use super::{in_file_order, shown, tally};

/// A span over more lines is pointed at by its first line only.
const TALLEST: usize = 8;
/// Related places this many lines away share a picture.
const NEAR: usize = 20;
/// Related places that are shown.
const MOST_RELATED: usize = 8;
/// Bytes of a line before a span: beyond, the place is named without a picture.
const DEEPEST: usize = 4_096;
/// Bytes of a line that are shown from the start of a span.
const WIDEST: usize = 400;

/// Writes diagnostics for a person, as rustc does; empty when there are none.
pub fn human(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let texts = Texts::new(diagnostics, sources);
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in in_file_order(diagnostics) {
        out.push_str(&renderer.render(&[group(diagnostic, &texts)]));
        out.push_str("\n\n");
    }
    out.push_str(&tally(diagnostics));
    out.push('\n');
    out
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Info => Level::NOTE,
    }
}

fn group<'a>(diagnostic: &Diagnostic, texts: &Texts<'_>) -> Group<'a> {
    let mut group = Group::with_title(level(diagnostic.severity).primary_title(shown::line(&diagnostic.message)).id(diagnostic.code));
    let place = diagnostic.location.and_then(|location| texts.place(location));
    match (place, &diagnostic.pointer) {
        (Some(place), _) => {
            for picture in pictures(place, diagnostic, texts) {
                group = picture.add_to(group, texts);
            }
        }
        (None, Some(pointer)) if !pointer.is_empty() => group = group.element(Level::NOTE.message(format!("at {}", shown::line(pointer)))),
        (None, _) => {}
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(shown::line(help)));
    }
    group
}

/// One place to point at.
struct Mark {
    place: Place,
    label: Option<String>,
    kind: AnnotationKind,
}

/// Marks that are near each other in one file.
struct Picture {
    marks: Vec<Mark>,
}

/// Puts related places beside the blamed one where they are near, and into pictures of their own where they are not.
fn pictures(place: Place, diagnostic: &Diagnostic, texts: &Texts<'_>) -> Vec<Picture> {
    let mut first = Picture { marks: vec![Mark { place, label: None, kind: AnnotationKind::Primary }] };
    let mut others = Vec::new();
    for (location, label) in diagnostic.related.iter().take(MOST_RELATED) {
        let Some(related) = texts.place(*location) else { continue };
        let mark = Mark { place: related, label: Some(shown::line(label)), kind: AnnotationKind::Context };
        if related.file == place.file && related.line.abs_diff(place.line) <= NEAR {
            first.marks.push(mark);
        } else {
            others.push(Picture { marks: vec![mark] });
        }
    }
    others.insert(0, first);
    others
}

impl Picture {
    fn add_to<'a>(self, group: Group<'a>, texts: &Texts<'_>) -> Group<'a> {
        let Some(first) = self.marks.first() else { return group };
        let Some(file) = texts.file(first.place) else { return group };
        let too_deep = |mark: &Mark| mark.place.start - file.line_start(mark.place.line) > DEEPEST;
        if self.marks.iter().any(too_deep) {
            let mut group = group;
            for mark in self.marks {
                group = group.element(Origin::path(file.path.clone()).line(mark.place.line).char_column(mark.place.column));
            }
            return group;
        }
        let spans: Vec<Range<usize>> = self.marks.iter().map(|mark| span(file, mark.place)).collect();
        let excerpt = Excerpt::new(file, &self.marks, &spans);
        let annotations = self.marks.into_iter().zip(&spans).map(|(mark, span)| {
            let annotation = mark.kind.span(excerpt.offset(file, span.start)..excerpt.offset(file, span.end));
            annotation.label(mark.label)
        });
        let annotations: Vec<Annotation<'a>> = annotations.collect();
        let snippet = Snippet::source(excerpt.text).path(file.path.clone()).line_start(excerpt.first_line).annotations(annotations);
        group.element(snippet)
    }
}

/// Decides which bytes are pointed at: never a line ending, never more than a screen.
fn span(file: &Text<'_>, place: Place) -> Range<usize> {
    let first = file.line(place.line);
    let end = if place.end_line - place.line >= TALLEST { first.end.max(place.start) } else { place.end };
    let end = file.before_line_ending(&(place.start..end));
    // The last line may be endless too.
    let limit = if end > first.end { end } else { place.start + WIDEST };
    place.start..file.floor(end.min(limit)).max(place.start)
}

/// The lines of a picture as they are shown, with lines between that nobody points at left empty: they are folded away.
struct Excerpt {
    text: String,
    first_line: usize,
    /// Line, where it starts in the file, where it starts in `text`.
    lines: Vec<(usize, Range<usize>, usize)>,
}

impl Excerpt {
    fn new(file: &Text<'_>, marks: &[Mark], spans: &[Range<usize>]) -> Self {
        let wanted: Vec<(usize, usize)> = marks
            .iter()
            .map(|mark| {
                let last = if mark.place.end_line - mark.place.line >= TALLEST { mark.place.line } else { mark.place.end_line };
                (mark.place.line, last)
            })
            .collect();
        let first_line = wanted.iter().map(|(first, _)| *first).min().unwrap_or(1);
        let last_line = wanted.iter().map(|(_, last)| *last).max().unwrap_or(first_line);
        let mut excerpt = Self { text: String::new(), first_line, lines: Vec::new() };
        for line in first_line..=last_line {
            if line > first_line {
                excerpt.text.push('\n');
            }
            if wanted.iter().any(|(first, last)| (*first..=*last).contains(&line)) {
                excerpt.push(file, line, spans);
            }
        }
        // A last line without text would not count as a line.
        if last_line > first_line && excerpt.text.ends_with('\n') {
            excerpt.text.push(' ');
        }
        excerpt
    }

    fn push(&mut self, file: &Text<'_>, line: usize, spans: &[Range<usize>]) {
        let whole = file.line(line);
        let pointed = spans.iter().flat_map(|span| [span.start, span.end]).filter(|at| (whole.start..=whole.end).contains(at)).max();
        let end = file.floor(whole.end.min(pointed.unwrap_or(whole.start) + WIDEST)).max(whole.start);
        self.lines.push((line, whole.start..whole.end.max(whole.start), self.text.len()));
        self.text.push_str(&file.shown(whole.start..end));
        if end < whole.end {
            self.text.push('…');
        }
    }

    /// Maps a byte of the file to a byte of the excerpt.
    fn offset(&self, file: &Text<'_>, at: usize) -> usize {
        let Some((_, whole, start)) = self.lines.iter().rev().find(|(_, whole, _)| whole.start <= at) else { return 0 };
        start + file.shown(whole.start..at.min(whole.end)).len()
    }
}
