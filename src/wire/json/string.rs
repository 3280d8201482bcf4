//! Strings: where they end, and what they say.

/// Moves `at` from an opening quote behind the closing one. Returns whether there is an escape.
///
/// # Errors
/// The byte where the string is broken: a bare control character, an unknown escape, no end.
pub(super) fn skip(bytes: &[u8], at: &mut usize) -> Result<bool, usize> {
    let mut escaped = false;
    *at += 1;
    loop {
        let rest = bytes.get(*at..).unwrap_or_default();
        let length = memchr::memchr2(b'"', b'\\', rest).ok_or(*at)?;
        if let Some(control) = rest.iter().take(length).position(|byte| *byte < 0x20) {
            return Err(*at + control);
        }
        *at += length + 1;
        if rest.get(length) == Some(&b'"') {
            return Ok(escaped);
        }
        escaped = true;
        match bytes.get(*at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => *at += 1,
            Some(b'u') if bytes.get(*at + 1..*at + 5).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => *at += 5,
            _ => return Err(*at),
        }
    }
}

/// Resolves the escapes of a string whose quotes are off. A lone surrogate, which JavaScript sends where it cut an emoji in two and which
/// no UTF-8 can carry, becomes U+FFFD.
pub(super) fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, escape)) = rest.split_once('\\') {
        out.push_str(before);
        let mut characters = escape.chars();
        match characters.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let (character, length) = unicode(escape);
                out.push(character);
                rest = escape.get(length..).unwrap_or_default();
                continue;
            }
            Some(other) => out.push(other),
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out
}

/// Reads `uXXXX`, with a second half where it is a pair. Returns the character and how much of the text it takes.
fn unicode(escape: &str) -> (char, usize) {
    let unit = |from: usize| escape.get(from..from + 4).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let Some(first) = unit(1) else { return (char::REPLACEMENT_CHARACTER, escape.len()) };
    if (0xD800..0xDC00).contains(&first)
        && escape.get(5..7) == Some("\\u")
        && let Some(second @ 0xDC00..0xE000) = unit(7)
    {
        let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 11);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_say_what_they_mean() {
        assert_eq!(unescape(r#"a\"\\\/\b\f\n\r\té\u00e9"#), "a\"\\/\u{8}\u{c}\n\r\té\u{e9}");
        assert_eq!(unescape(r"\ud83d\ude00!"), "😀!");
    }

    #[test]
    fn half_an_emoji_becomes_the_replacement_character() {
        assert_eq!(unescape(r"\ud83d"), "\u{fffd}");
        assert_eq!(unescape(r"\ud83d\u0041\ude00"), "\u{fffd}A\u{fffd}");
    }
}
