//! A whole answer: its usage.

use super::Usage;
use crate::wire::edit::Object;
use crate::wire::scan::{ScanError, member};

/// Checks that an answer is one whole JSON object, and reads its usage where it has one. One pass; what else it holds is not judged.
///
/// # Errors
/// [`ScanError`] for anything but a whole object.
pub fn answer_usage(body: &[u8]) -> Result<Option<Usage>, ScanError> {
    Ok(member(body, "usage")?.and_then(Usage::read))
}

impl Usage {
    /// Reads the raw value of a `usage` member; `None` where it is null or none that can be counted with.
    pub(super) fn read(raw: &[u8]) -> Option<Self> {
        let usage = Object::scan(raw).ok()?;
        let count = |name| if usage.has(name) { usage.integer(name) } else { Some(0) };
        Some(Self { input: count("prompt_tokens")?, output: count("completion_tokens")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_the_top_of_the_answer() {
        let body = br#"{"choices":[{"message":{"content":"\"usage\": {\"prompt_tokens\":9}"},"usage":{"prompt_tokens":8}}],"usage" : {"prompt_tokens":3,"completion_tokens":4,"x":{"y":[1]}},"id":"a"}"#;
        assert_eq!(answer_usage(body), Ok(Some(Usage { input: 3, output: 4 })));
        assert_eq!(answer_usage(br#"{"usage":{"prompt_tokens":8,"completion_tokens":null}}"#), Ok(Some(Usage { input: 8, output: 0 })));
        for none in [&br#"{"usage":null}"#[..], br#"{"usage":{"prompt_tokens":"3"}}"#, br#"{"usage":[]}"#, b"{}"] {
            assert_eq!(answer_usage(none), Ok(None));
        }
        assert_eq!(answer_usage(b"[]"), Err(ScanError::NotObject));
    }
}
