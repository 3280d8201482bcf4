//! Making what the user wrote harmless where it is shown.

use std::fmt::Write as _;

/// Shows control characters and invisible marks as escapes, so that a terminal or a reviewer sees what is there.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            hidden if is_hidden(hidden) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(hidden));
            }
            shown => out.push(shown),
        }
    }
    out
}

/// Returns whether a character acts on the terminal or on the direction and width of the text around it.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Cuts a text to a number of characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Escapes for a cell of a Markdown table, as HTML: nothing in it is markup, and it cannot end its cell.
pub(super) fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in visible(text).chars() {
        match character {
            '&' | '<' | '>' | '"' | '\'' | '|' | '`' | '*' | '_' | '[' | ']' | '\\' | '~' | '!' | '$' | ':' => {
                let _ = write!(out, "&#{};", u32::from(character));
            }
            // A comment between the sign and the word keeps `@name` and `#1` from becoming a mention or a link.
            '@' | '#' => {
                let _ = write!(out, "{character}<!-- -->");
            }
            plain => out.push(plain),
        }
    }
    out
}

/// Escapes for a cell, as code.
pub(super) fn code(text: &str) -> String {
    format!("<code>{}</code>", cell(text))
}

/// Escapes a sentence of ours, whose quotations stand between backticks.
pub(super) fn sentence(text: &str) -> String {
    text.split('`').enumerate().map(|(index, part)| if index % 2 == 1 { code(part) } else { cell(part) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown_instead() {
        assert_eq!(visible("a\u{1b}[31mb\u{202e}c\u{200b}\u{9b}d\n"), "a\\u{1b}[31mb\\u{202e}c\\u{200b}\\u{9b}d\\n");
        assert_eq!(visible("ünï→код"), "ünï→код");
    }

    #[test]
    fn nothing_in_a_cell_is_markup() {
        assert_eq!(cell("a|b`<img src=x>`"), "a&#124;b&#96;&#60;img src=x&#62;&#96;");
        assert_eq!(cell("@team #1"), "@<!-- -->team #<!-- -->1");
        assert_eq!(sentence("used by `a*b`, now"), "used by <code>a&#42;b</code>, now");
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("äöü", 2), "äö…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
