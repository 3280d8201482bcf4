//! For a pull request's comment or a step summary: GitHub's Markdown, never longer than a comment may be.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::{Diagnostic, Severity, Sources};
use super::place::Texts;
use super::{by_severity, shown, tally};

/// Characters of a comment. GitHub refuses more than 65,536.
const LONGEST: usize = 60_000;
/// Characters kept for the line that counts what did not fit.
const REST: usize = 6_000;
/// Characters of one message or remedy.
const CELL: usize = 500;

/// Writes diagnostics as a Markdown table under a count, errors first.
///
/// At most 60,000 characters: what does not fit is counted by code. Nothing from a file or a message can become markup, a link, or
/// a mention.
pub fn markdown(diagnostics: &[Diagnostic], sources: &Sources) -> String {
    let mut out = format!("**{}**\n", capital(&tally(diagnostics)));
    if diagnostics.is_empty() {
        return out;
    }
    let texts = Texts::new(diagnostics, sources);
    out.push_str("\n| | Code | Place | Finding |\n|---|---|---|---|\n");
    let mut length = out.chars().count();
    let sorted = by_severity(diagnostics);
    let mut left = sorted.iter();
    for diagnostic in left.by_ref() {
        let row = row(diagnostic, &texts);
        let cost = row.chars().count();
        if length + cost + REST > LONGEST {
            let unseen: Vec<&Diagnostic> = std::iter::once(*diagnostic).chain(left.copied()).collect();
            out.push_str(&rest(&unseen));
            break;
        }
        length += cost;
        out.push_str(&row);
    }
    out
}

fn capital(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

fn row(diagnostic: &Diagnostic, texts: &Texts<'_>) -> String {
    let severity = match diagnostic.severity {
        Severity::Error => "❌ error",
        Severity::Warning => "⚠️ warning",
        Severity::Info => "ℹ️ note",
    };
    let place = diagnostic.location.and_then(|location| texts.place(location));
    let place = match place.and_then(|place| Some((place, texts.file(place)?))) {
        Some((place, file)) => code(&format!("{}:{}:{}", file.path, place.line, place.column)),
        None => diagnostic.pointer.as_deref().filter(|pointer| !pointer.is_empty()).map(|pointer| code(&cut(pointer))).unwrap_or_default(),
    };
    let mut finding = prose(&cut(&diagnostic.message));
    if let Some(help) = &diagnostic.help {
        let _ = write!(finding, "<br>**help:** {}", prose(&cut(help)));
    }
    format!("| {severity} | {} | {place} | {finding} |\n", code(diagnostic.code))
}

/// Counts what did not fit, by code.
fn rest(unseen: &[&Diagnostic]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for diagnostic in unseen {
        *counts.entry(diagnostic.code).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{} × {count}", code(name))).collect();
    format!("\n…and {} more that did not fit: {}\n", tally(unseen.iter().copied()), counts.join(", "))
}

fn cut(text: &str) -> String {
    let text = shown::line(text);
    match text.char_indices().nth(CELL) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

/// Turns a message into Markdown: what stands between backticks becomes code, everything else is text and nothing but text.
pub(crate) fn prose(text: &str) -> String {
    let mut parts: Vec<&str> = text.split('`').collect();
    // An odd backtick is no pair.
    let odd = if parts.len().is_multiple_of(2) { parts.pop() } else { None };
    let mut out = String::new();
    for (index, part) in parts.iter().enumerate() {
        out.push_str(&if index % 2 == 1 { code(part) } else { escaped(part) });
    }
    if let Some(odd) = odd {
        out.push_str("&#96;");
        out.push_str(&escaped(odd));
    }
    out
}

/// Turns a name or a place into Markdown.
pub(crate) fn code(text: &str) -> String {
    // Inside <code>, GitHub makes neither links nor mentions.
    if text.is_empty() { String::new() } else { format!("<code>{}</code>", escaped(text)) }
}

/// Escapes everything that Markdown, a table or HTML would read as more than itself. Entities work where backslashes do not.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            // An empty comment ends the word, so that nobody is mentioned and no issue is linked.
            '@' | '#' => {
                out.push(character);
                out.push_str("<!-- -->");
            }
            '&' | '<' | '>' | '|' | '`' | '*' | '_' | '~' | '[' | ']' | '\\' | '!' | '$' | '"' | '\'' => {
                let _ = write!(out, "&#{};", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    // GitHub links bare addresses.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}
