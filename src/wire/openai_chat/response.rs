//! A whole answer: what it says of its cost.

use super::answer::read_usage;
use crate::wire::ir::{Metered, Tier, Usage};
use crate::wire::json::Document;
use crate::wire::scan::{ScanError, members, unquote};

/// Checks that an answer is one whole JSON object, and reads its usage and service tier where it has them. One pass; what else it holds is not
/// judged.
///
/// # Errors
/// [`ScanError`] for anything but a whole object.
pub fn answer_metered(body: &[u8]) -> Result<Metered, ScanError> {
    let [used, tier] = members(body, ["usage", "service_tier"])?;
    Ok(Metered { usage: used.and_then(usage), tier: tier.and_then(service_tier) })
}

/// Reads the raw value of a `usage` member; none where it is null, or says nothing that can be counted with: what is unreadable is unknown,
/// not free.
pub(super) fn usage(raw: &[u8]) -> Option<Usage> {
    if raw == b"null" {
        return None;
    }
    let document = Document::parse(raw).ok()?;
    let root = document.root();
    let counts = ["prompt_tokens", "completion_tokens", "total_tokens"];
    let mut told = counts.iter().filter_map(|name| root.get(name)).filter(|node| !node.is_null()).peekable();
    told.peek()?;
    told.all(|node| node.number().is_some_and(|number| number.as_u64().is_some())).then(|| read_usage(root))
}

/// Reads the raw value of a `service_tier` member.
pub(super) fn service_tier(raw: &[u8]) -> Option<Tier> {
    Tier::read(&unquote(raw)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(body: &[u8]) -> Option<Usage> {
        answer_metered(body).unwrap().usage
    }

    #[test]
    fn usage_is_read_from_the_top_of_the_answer() {
        let body = br#"{"choices":[{"message":{"content":"\"usage\": {\"prompt_tokens\":9}"},"usage":{"prompt_tokens":8}}],"usage" : {"prompt_tokens":3,"completion_tokens":4,"x":{"y":[1]}},"id":"a"}"#;
        assert_eq!(used(body), Some(Usage { input: 3, output: 4, ..Usage::default() }));
        let of_embeddings = br#"{"usage":{"prompt_tokens":8,"completion_tokens":null}}"#;
        assert_eq!(used(of_embeddings), Some(Usage { input: 8, ..Usage::default() }));
        for none in [
            &br#"{"usage":null}"#[..],
            br#"{"usage":{"prompt_tokens":"3"}}"#,
            br#"{"usage":{"prompt_tokens":-3}}"#,
            br#"{"usage":[]}"#,
            br#"{"usage":{}}"#,
            b"{}",
        ] {
            assert_eq!(used(none), None);
        }
        assert_eq!(answer_metered(b"[]"), Err(ScanError::NotObject));
    }

    #[test]
    fn the_tier_that_served_is_read_and_an_unknown_one_is_none() {
        let tier = |word: &str| answer_metered(format!(r#"{{"service_tier":{word},"usage":null}}"#).as_bytes()).unwrap().tier;
        assert_eq!(tier(r#""flex""#), Some(Tier::Flex));
        assert_eq!(tier(r#""default""#), Some(Tier::Standard));
        for none in ["null", r#""auto""#, "3"] {
            assert_eq!(tier(none), None, "{none}");
        }
    }
}
