//! An upstream's own words about an error, out of all the shapes that they come in.

use super::json::{Document, Kind, Node, Text};

/// Longest message that is passed on, in bytes.
const MAX_MESSAGE: usize = 2_048;

/// Finds the message of an error body: `{error:{message}}`, `{error:"…"}`, `{message}`, `{detail}`, `[{error:…}]`; OpenRouter's `metadata.raw`
/// within. Empty where there is none, as in HTML.
pub fn message(body: &[u8]) -> String {
    let Ok(document) = Document::parse(body) else { return String::new() };
    let message = find(document.root()).unwrap_or_default();
    let mut end = message.len().min(MAX_MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.get(..end).unwrap_or_default().to_owned()
}

fn find<'a>(node: Node<'_, 'a>) -> Option<Text<'a>> {
    match node.kind() {
        Kind::Text => node.text(),
        // Gemini's OpenAI endpoint and FastAPI answer with lists.
        Kind::Array => node.elements().next().and_then(find),
        Kind::Object => {
            let inner = ["error", "message", "detail", "msg", "errors"];
            inner.into_iter().find_map(|name| node.get(name).and_then(find))
        }
        Kind::Null | Kind::Bool | Kind::Number => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_found_in_every_shape() {
        for (body, expected) in [
            (r#"{"error":{"message":"a","type":"x"}}"#, "a"),
            (r#"{"error":"b"}"#, "b"),
            (r#"{"message":"c"}"#, "c"),
            (r#"{"detail":"d"}"#, "d"),
            (r#"{"detail":[{"loc":["body"],"msg":"e","type":"x"}]}"#, "e"),
            (r#"[{"error":{"code":400,"message":"f"}}]"#, "f"),
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"g"}}"#, "g"),
            (r#"{"code":"invalid-argument","error":"h"}"#, "h"),
            ("<html>", ""),
            ("", ""),
            ("{}", ""),
        ] {
            assert_eq!(message(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let body = format!(r#"{{"message":"a{}"}}"#, "é".repeat(2_000));
        assert_eq!(message(body.as_bytes()).len(), 2_047);
    }
}
