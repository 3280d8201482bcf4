//! The parser's errors in words that say what to do.

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use crate::spec::codes;
use crate::spec::{Diagnostic, Location};

/// Turns a parser's error into a finding.
pub(super) fn explain(error: &ScanError, text: &str, file: usize) -> Diagnostic {
    let start = error.marker().byte_offset().unwrap_or_default().min(text.len());
    let (code, message, help) = words(error.kind());
    let start = if code == codes::TABS { tab_before(text, start) } else { start };
    let place = Location { file, start, end: start };
    let problem = Diagnostic::error(code, message).at(Some(place));
    let line = line_at(text, start);
    if let Some(help) = help {
        problem.help(help)
    } else if line.contains("${") {
        problem.help("inside `{…}` and `[…]` an interpolation is quoted: `\"${env:NAME}\"`")
    } else if line.contains("{{") || line.contains("{%") {
        problem.help("a value that begins with `{` is quoted: `\"{{ key.team }}\"`")
    } else {
        problem
    }
}

/// Returns whether a `{` or `[` that is still open explains the error.
pub(super) const fn is_about_brackets(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnclosedFlowCollection { .. }
            | ErrorKind::MismatchedFlowCollectionEnd { .. }
            | ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
            | ErrorKind::UnexpectedEofFlowMapping
            | ErrorKind::UnexpectedEofFlowSequence
    )
}

/// The parser notices a tab when it is behind it.
fn tab_before(text: &str, at: usize) -> usize {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    text.get(start..at).and_then(|line| line.find('\t')).map_or(at, |found| start + found)
}

fn line_at(text: &str, at: usize) -> &str {
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default()
}

type Words = (&'static str, String, Option<&'static str>);

fn words(kind: &ErrorKind) -> Words {
    let syntax = |message: &str, help| (codes::SYNTAX, message.to_owned(), help);
    match kind {
        ErrorKind::TabNotAllowed | ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation | ErrorKind::TabAtBlockScalarStart => {
            (codes::TABS, "a tab is used for indentation".to_owned(), Some("indent with spaces"))
        }
        ErrorKind::TabInPlainScalar => (codes::TABS, "a tab stands where a space belongs".to_owned(), Some("use spaces")),
        ErrorKind::RecursionLimitExceeded => (codes::TOO_DEEP, "more than 32 maps and lists inside one another".to_owned(), None),
        ErrorKind::DirectiveDisallowed => syntax("directives (`%YAML`, `%TAG`) are not allowed", Some("remove the line")),
        ErrorKind::UndeclaredTagHandle
        | ErrorKind::InvalidGlobalTagCharacter
        | ErrorKind::InvalidTagTerminator
        | ErrorKind::MissingTagUri
        | ErrorKind::UnclosedVerbatimTag => (
            codes::TAG,
            "a YAML tag is not allowed".to_owned(),
            Some("a text that begins with `!` must be quoted; secrets are written `{env: NAME}` or `{file: PATH}`"),
        ),
        ErrorKind::MissingAnchorOrAliasName => {
            syntax("`*` and `&` begin an alias or an anchor, whose name is missing", Some("quote the text: `[\"*\"]`, `\"*-mini\"`"))
        }
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidColonPlacement => {
            syntax("a `:` makes this a second `name: value` on one line", Some("quote a text that holds `: `, or begin a new line"))
        }
        ErrorKind::SimpleKeyExpected | ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidSimpleKey => {
            syntax("expected `name: value` here", Some("is a `:` missing, or is the line indented differently from its neighbours?"))
        }
        ErrorKind::InvalidIndentation | ErrorKind::InvalidFlowScalarIndent | ErrorKind::InvalidQuotedScalarIndent => {
            syntax("the line is indented differently from what it belongs to", None)
        }
        ErrorKind::UnclosedQuotedScalar => syntax("the quote is never closed", None),
        ErrorKind::UnclosedFlowCollection { open } => syntax(&format!("the `{open}` is never closed"), None),
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => syntax(&format!("`{open}` is closed with `{close}`"), None),
        ErrorKind::ExpectedFlowMappingSeparator => syntax("expected `,` or `}`", None),
        ErrorKind::ExpectedFlowSequenceSeparator => syntax("expected `,` or `]`", None),
        ErrorKind::UnexpectedCharacter { character: '@' | '`' } => {
            syntax("a text may not begin with this character", Some("quote the text"))
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            syntax("unknown escape after `\\`", Some("between single quotes `\\` is an ordinary character"))
        }
        ErrorKind::BlockSequenceEntryNotAllowed | ErrorKind::BlockEntryInFlowCollection => {
            syntax("a `- ` entry may not begin here", Some("begin a new line"))
        }
        // The parser's own words. None of them repeats the text; its custom errors, which could, arise only in adapters.
        ErrorKind::Custom(_) | ErrorKind::InputDecoding { .. } | ErrorKind::InputIo { .. } => syntax("the text cannot be read", None),
        other => (codes::SYNTAX, other.to_string(), None),
    }
}
