//! The canonical form of a spec file: where its blanks and line breaks stand.
//!
//! Only white space changes, and whole sections of the top level change places. No value is written anew, so quotes, anchors, block
//! texts and comments stay what they are. Not a check: what does not parse is for [`super::load`]. Rule: the text that comes out means
//! what the text meant that went in, and says every comment; where that cannot be kept, nothing comes out.
//!
//! | file | is |
//! |---|---|
//! | `layout` | the scanner's tokens as pieces of text, each with where it stands at the start of a line |
//! | `block` | the texts of `|` and `>` |
//! | `lines` | pieces into lines; comments beside values |
//! | `sections` | the sections of the top level, in the schema's order |

mod block;
mod layout;
mod lines;
mod sections;

use layout::{Kind, Piece};
use lines::Line;

pub(in crate::spec) use layout::column_of;

use super::load::parsed;

/// Why a text was not formatted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The text does not parse.
    #[error("it does not parse")]
    Syntax,
    /// The result would have meant something else. A fault of this program.
    #[error("the values would not be the same afterwards")]
    Values,
    /// The result would have lost or moved a comment. A fault of this program.
    #[error("the comments would not be the same afterwards")]
    Comments,
}

/// Returns the canonical form of a spec's text: of a whole spec, an included file or an overlay.
///
/// Idempotent. Line ends stay LF or CR LF, as the first one is. Takes a text that the loader parses.
///
/// # Errors
/// [`FormatError`]; the caller keeps the text as it is then.
pub fn format(text: &str) -> Result<String, FormatError> {
    in_unix(text, |text| {
        let (formatted, comments) = arrange(text)?;
        verify(text, &formatted, &comments)?;
        Ok(formatted)
    })
}

/// Does work on a text without its byte order mark and with LF alone, and gives both back to the result.
pub(in crate::spec) fn in_unix<E>(text: &str, work: impl FnOnce(&str) -> Result<String, E>) -> Result<String, E> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let crlf = body.find('\n').is_some_and(|at| body.get(..at).is_some_and(|line| line.ends_with('\r')));
    let done = work(&body.replace("\r\n", "\n"))?;
    let mark = if body.len() < text.len() { "\u{feff}" } else { "" };
    Ok(mark.to_owned() + &if crlf { done.replace('\n', "\r\n") } else { done })
}

/// Lists the comments of a text, from their `#`, with where each begins; nothing where the text does not parse.
pub(in crate::spec) fn comments(text: &str) -> Option<Vec<(usize, String)>> {
    let laid = layout::lay_out(text)?;
    let comments = laid.pieces.iter().filter(|piece| piece.kind == Kind::Comment);
    Some(comments.map(|piece| (piece.start, piece.text.to_owned())).collect())
}

/// Writes the canonical form, and returns the comments as they should stand in it.
fn arrange(text: &str) -> Result<(String, Vec<String>), FormatError> {
    let laid = layout::lay_out(text).ok_or(FormatError::Syntax)?;
    let lines = sections::arrange(lines::assemble(text, &laid.pieces), laid.movable);
    let comments: Vec<String> = lines.iter().filter_map(Line::comment).collect();
    let mut told: Vec<&str> = comments.iter().map(String::as_str).collect();
    let mut written = said(&laid.pieces);
    told.sort_unstable();
    written.sort_unstable();
    if told != written {
        return Err(FormatError::Comments);
    }
    Ok((lines.into_iter().map(|line| line.text + "\n").collect(), comments))
}

/// The last guard: reads the result again, and compares values and comments.
fn verify(before: &str, after: &str, comments: &[String]) -> Result<(), FormatError> {
    let (value, _) = parsed(before).ok_or(FormatError::Syntax)?;
    if parsed(after).map(|(value, _)| value) != Some(value) {
        return Err(FormatError::Values);
    }
    let laid = layout::lay_out(after).ok_or(FormatError::Values)?;
    if said(&laid.pieces) == comments { Ok(()) } else { Err(FormatError::Comments) }
}

/// Returns the comments among pieces, in order.
fn said<'t>(pieces: &[Piece<'t>]) -> Vec<&'t str> {
    pieces.iter().filter(|piece| piece.kind == Kind::Comment).map(|piece| piece.text).collect()
}
