//! Texts, tokens and names that follow from their input.

use serde_json::Value;

use crate::base::Digest;

/// Longest piece, in characters.
const PIECE: usize = 12;

/// Cuts text into pieces: a word with the space before it, at most twelve characters. One piece is one token.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut length, mut in_word) = (0, 0, false);
    for (at, c) in text.char_indices() {
        if (in_word && c.is_whitespace()) || length == PIECE {
            out.push(text.get(start..at).unwrap_or_default());
            (start, length, in_word) = (at, 0, false);
        }
        length += 1;
        in_word |= !c.is_whitespace();
    }
    if start < text.len() {
        out.push(text.get(start..).unwrap_or_default());
    }
    out
}

/// Counts the tokens of a text.
pub(in crate::mock) fn tokens(text: &str) -> u64 {
    pieces(text).len() as u64
}

/// Returns the text of a message's content: a string, or its text parts joined.
pub(super) fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<_> = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect();
            texts.join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// Counts the parts of a message's content that are no text: pictures, files, sound.
pub(super) fn attachments(content: &Value) -> u64 {
    let parts = content.as_array().into_iter().flatten();
    parts.filter(|part| part.get("text").is_none() && part.get("refusal").is_none()).count() as u64
}

/// Makes a name of letters and digits from its parts; at most 62 characters.
pub(super) fn name(parts: &[&[u8]], length: usize) -> String {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let first = Digest::of_parts(parts.iter().copied());
    let second = Digest::of(first.as_bytes());
    let bytes = first.as_bytes().iter().chain(second.as_bytes());
    bytes.take(length).map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied().map_or('x', char::from)).collect()
}

/// Repeats or cuts pieces to a number.
pub(super) fn fit(pieces: &[&str], count: usize) -> Vec<String> {
    let mut out: Vec<String> = pieces.iter().cycle().take(count).map(|piece| (*piece).to_owned()).collect();
    if pieces.is_empty() {
        out.resize(count, " mock".to_owned());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_words_and_join_to_the_text() {
        assert_eq!(pieces("mock: say  hello"), ["mock:", " say", "  hello"]);
        assert_eq!(pieces("unbelievablylong"), ["unbelievably", "long"]);
        assert_eq!(pieces(""), [""; 0]);
        for text in ["größe ändern\n\tx", "  ", "日本語のテキストは長いので切られます", "a b"] {
            assert_eq!(pieces(text).concat(), text);
        }
    }

    #[test]
    fn a_name_follows_from_its_parts() {
        assert_eq!(name(&[b"a", b"b"], 29), name(&[b"a", b"b"], 29));
        assert_ne!(name(&[b"a", b"b"], 29), name(&[b"ab", b""], 29));
        assert_eq!(name(&[b"a"], 29).len(), 29);
        assert_eq!(fit(&["a", " b"], 3), ["a", " b", "a"]);
    }
}
