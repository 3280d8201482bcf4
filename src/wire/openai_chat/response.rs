//! A whole answer: its usage.

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
}
