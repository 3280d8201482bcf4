//! For a GitHub workflow: one command per finding, which becomes an annotation on the line of the pull request.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#setting-an-error-message>. GitHub shows
//! ten annotations of each severity per step, so the order decides what is seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::{Diagnostic, Severity, Sources};
use super::place::Texts;
use super::{by_severity, shown};

/// Writes diagnostics as workflow commands, one a line.
///
/// Errors come first; within a severity the first finding of each code, then the second of each, so that one mistake made fifty
/// times does not hide the others. A finding without a place is put on the first line of the first file.
pub fn github(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let texts = Texts::new(diagnostics, sources);
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, &Diagnostic)> = Vec::new();
    for diagnostic in by_severity(diagnostics) {
        let count = seen.entry(diagnostic.code).or_default();
        ranked.push((*count, diagnostic));
        *count += 1;
    }
    // Stable: file order stays within a rank.
    ranked.sort_by_key(|(rank, diagnostic)| (std::cmp::Reverse(diagnostic.severity), *rank));
    let mut out = String::new();
    for (_, diagnostic) in ranked {
        out.push_str(&command(diagnostic, &texts));
        out.push('\n');
    }
    out
}

fn command(diagnostic: &Diagnostic, texts: &Texts<'_>) -> String {
    let name = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "notice",
    };
    let mut out = format!("::{name} ");
    let place = diagnostic.location.and_then(|location| texts.place(location));
    match place.and_then(|place| Some((place, texts.file(place)?))) {
        Some((place, file)) => {
            let _ = write!(out, "file={},line={}", property(&file.path), place.line);
            if place.line == place.end_line {
                // GitHub's end is the last column, ours is one past it.
                let last = place.end_column.saturating_sub(1).max(place.column);
                let _ = write!(out, ",col={},endLine={},endColumn={last}", place.column, place.end_line);
            } else {
                // GitHub takes columns only within one line.
                let _ = write!(out, ",endLine={}", place.end_line);
            }
            out.push(',');
        }
        None => {
            if let Some(file) = texts.first() {
                let _ = write!(out, "file={},line=1,", property(&file.path));
            }
        }
    }
    let mut message = shown::line(&diagnostic.message);
    if let Some(help) = &diagnostic.help {
        message.push_str("\nhelp: ");
        message.push_str(&shown::line(help));
    }
    let _ = write!(out, "title={}::{}", property(diagnostic.code), data(&message));
    out
}

/// Escapes a message, as the runner's toolkit does.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property, as the runner's toolkit does.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
