//! Names of filters and tests, which the engine itself looks up only when it gets to them: a rule must not turn out to be
//! misspelt on the day its second half is first evaluated.

use std::ops::Range;

use super::{ExprError, ExprErrorKind};
use crate::plan::finding::{nearest, suggest};

/// Filters that exist.
pub(super) const FILTERS: &[&str] = &["default", "length", "lower", "replace", "trim", "upper"];
/// Tests that exist.
pub(super) const TESTS: &[&str] = &["defined", "endingwith", "in", "startingwith", "undefined"];

/// A word, or a mark that matters, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    text: &'a str,
    start: usize,
}

/// Cuts an expression into words and marks; strings are left out.
pub(super) fn expression(source: &str) -> Vec<Word<'_>> {
    cut(source, 0, source.len())
}

/// Cuts the expressions and statements of a template into words; text, comments and raw blocks are left out.
pub(super) fn template(source: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(open) = source.get(at..).and_then(|rest| rest.find('{')).map(|found| at + found) {
        let close = match source.get(open..open + 2) {
            Some("{{") => "}}",
            Some("{%") => "%}",
            Some("{#") => "#}",
            _ => {
                at = open + 1;
                continue;
            }
        };
        let end = if close == "#}" {
            source.get(open..).and_then(|rest| rest.find(close)).map(|found| open + found)
        } else {
            end_of(source, open + 2, close)
        };
        let Some(end) = end else { break };
        at = end + 2;
        if close == "#}" {
            continue;
        }
        let inner = cut(source, open + 2, end);
        if close == "%}" && inner.iter().any(|word| word.text == "raw") {
            at = source.get(at..).and_then(|rest| rest.find("endraw")).map_or(source.len(), |found| at + found + 6);
            continue;
        }
        words.extend(inner);
        // A boundary, so that the last word of one block and the first of the next are no pair.
        words.push(Word { text: ";", start: end });
    }
    words
}

/// Finds the end of a block, not fooled by strings.
fn end_of(source: &str, from: usize, close: &str) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, c) in source.get(from..)?.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if source.get(from + at..).is_some_and(|rest| rest.starts_with(close)) => return Some(from + at),
            None => {}
        }
    }
    None
}

fn cut(source: &str, from: usize, to: usize) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let Some(text) = source.get(from..to) else { return words };
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '"' || c == '\'' {
            let mut escaped = false;
            for (_, inner) in chars.by_ref() {
                match inner {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    inner if inner == c => break,
                    _ => {}
                }
            }
        } else if c.is_alphabetic() || c == '_' {
            let mut end = at + c.len_utf8();
            while let Some((next, follower)) = chars.next_if(|(_, follower)| follower.is_alphanumeric() || *follower == '_') {
                end = next + follower.len_utf8();
            }
            if let Some(word) = text.get(at..end) {
                words.push(Word { text: word, start: from + at });
            }
        } else if !c.is_whitespace()
            && let Some(mark) = text.get(at..at + c.len_utf8())
        {
            words.push(Word { text: mark, start: from + at });
        }
    }
    words
}

/// Refuses filters and tests that do not exist.
pub(super) fn check(words: &[Word<'_>]) -> Result<(), ExprError> {
    for (index, word) in words.iter().enumerate() {
        let previous = index.checked_sub(1).and_then(|at| words.get(at)).map(|word| word.text);
        let before = index.checked_sub(2).and_then(|at| words.get(at)).map(|word| word.text);
        let is_name = word.text.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if !is_name {
            continue;
        }
        let (kind, known) = match (previous, before) {
            (Some("|"), _) => ("filter", FILTERS),
            (Some("is"), before) if before != Some(".") && word.text != "not" => ("test", TESTS),
            (Some("not"), Some("is")) => ("test", TESTS),
            _ => continue,
        };
        if !known.contains(&word.text) {
            let range = word.start..word.start + word.text.len();
            let mut error = ExprError::new(ExprErrorKind::Syntax, Some(range), format!("there is no {kind} `{}`", word.text));
            error.help = Some(match nearest(word.text, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => suggest(word.text, &format!("{kind}s"), known.iter().copied()),
            });
            return Err(error);
        }
    }
    Ok(())
}

/// Finds where a path such as `key.team` stands in a source.
pub(super) fn find_path(source: &str, path: &str) -> Option<Range<usize>> {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    source.match_indices(path).find_map(|(start, _)| {
        let end = start + path.len();
        let before = source.get(..start)?.chars().next_back().is_some_and(inside);
        let after = source.get(end..)?.chars().next().is_some_and(|c| inside(c) && c != '.');
        (!before && !after).then_some(start..end)
    })
}
