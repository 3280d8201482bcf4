//! A whole answer: its usage, and whether it can be an answer at all.

use serde::Deserialize;

use super::Usage;

/// Reads the usage of a whole answer from its last `usage` member, without parsing the rest.
///
/// O(length) for the search from the end, which stops at the first hit; `None` where there is none.
pub fn answer_usage(body: &[u8]) -> Option<Usage> {
    let at = memchr::memmem::rfind(body, b"\"usage\"")?;
    let rest = body.get(at + b"\"usage\"".len()..)?;
    let rest = rest.trim_ascii_start().strip_prefix(b":")?;
    let mut reader = serde_json::Deserializer::from_slice(rest);
    Usage::deserialize(&mut reader).ok()
}

/// Returns whether a body is one whole JSON object with paired brackets: what every answer of these endpoints is.
pub fn is_json_object(body: &[u8]) -> bool {
    let body = body.trim_ascii();
    body.first() == Some(&b'{') && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_the_last_member_of_that_name() {
        let body = br#"{"choices":[{"message":{"content":"\"usage\": {\"prompt_tokens\":9}"}}],"usage" : {"prompt_tokens":3,"completion_tokens":4,"x":{"y":[1]}},"id":"a"}"#;
        assert_eq!(answer_usage(body), Some(Usage { input: 3, output: 4 }));
        assert_eq!(answer_usage(br#"{"usage":{"prompt_tokens":8,"total_tokens":8}}"#), Some(Usage { input: 8, output: 0 }));
        assert_eq!(answer_usage(br#"{"usage":null}"#), None);
        assert_eq!(answer_usage(b"{}"), None);
    }

    #[test]
    fn only_a_whole_object_counts_as_an_answer() {
        assert!(is_json_object(b" {\"a\":1}\n"));
        for bad in [&b""[..], b"[]", b"{\"a\":1", b"<html>", b"{} {}"] {
            assert!(!is_json_object(bad));
        }
    }
}
