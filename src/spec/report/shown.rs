//! Text made fit to be shown: nothing in it can move a cursor, colour a terminal, or reorder what is read.

use super::super::load::secret_like;

/// Characters of a message or a remedy that are shown; a longer one comes from a text that was never meant to be read.
const LONGEST: usize = 2_000;

/// What stands for a character of a secret.
pub(super) const MASK: char = '•';

/// Returns what is shown for a character, always exactly one, so that columns stay what they are.
///
/// Controls become their pictures. What is invisible or reorders text (bidirectional controls, see CVE-2021-42574, zero-width
/// characters, tags) becomes `�`. A tab stays: whoever prints decides on its width.
pub(super) fn visible(character: char) -> char {
    match character {
        '\t' => '\t',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(character)).unwrap_or('�'),
        '\u{7f}' => '␡',
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => '�',
        shown => shown,
    }
}

/// Returns whether a character is shown as itself.
pub(in crate::spec) fn is_visible(character: char) -> bool {
    visible(character) == character
}

/// Cleans a message, a remedy, a label or a pointer: one line, cut when endless, without what looks like a secret: messages name what
/// the user wrote, and a name may be a key that was pasted in the wrong place.
pub(super) fn line(text: &str) -> String {
    let secrets = secret_like(text);
    let hidden = |at: usize| secrets.iter().any(|range| range.contains(&at));
    let one = |(at, c): (usize, char)| match c {
        _ if hidden(at) => MASK,
        c if c.is_whitespace() => ' ',
        c => visible(c),
    };
    let mut clean: String = text.char_indices().take(LONGEST).map(one).collect();
    if text.chars().nth(LONGEST).is_some() {
        clean.push('…');
    }
    clean
}

/// Cleans a path.
pub(super) fn path(path: &std::path::Path) -> String {
    let text: String = path.display().to_string().chars().map(|c| if c == '\t' { '␉' } else { visible(c) }).collect();
    // `./gateway.yaml` and `gateway.yaml` are one file; GitHub knows only the second.
    text.strip_prefix("./").map_or(text.clone(), ToOwned::to_owned)
}
