//! Making what the user wrote harmless where it is shown.

use std::fmt::Write as _;

use crate::base::visible;

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
