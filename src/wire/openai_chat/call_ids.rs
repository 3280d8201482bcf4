//! Ids of tool calls for a server that takes only short ones. A call and its result get the same, in every request again.

use std::borrow::Cow;

use crate::base::Digest;
use crate::wire::quirks::Quirks;

const LENGTH: usize = 9;

fn is_short(id: &str) -> bool {
    id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Returns the id as the server takes it.
pub(super) fn sent<'i>(id: &'i str, quirks: &Quirks) -> Cow<'i, str> {
    if !quirks.has_short_call_ids || is_short(id) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(Digest::of(id.as_bytes()).to_string().chars().filter(char::is_ascii_alphanumeric).take(LENGTH).collect())
}

/// Returns whether a chat, as bytes, has ids that such a server refuses.
pub fn has_long(body: &[u8]) -> bool {
    memchr::memmem::find_iter(body, NAME).any(|at| {
        let value = body.get(at + NAME.len()..).unwrap_or_default().trim_ascii_start();
        let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii_start();
        let text = value.strip_prefix(b"\"").and_then(|text| text.split(|byte| *byte == b'"').next());
        text.is_some_and(|id| !std::str::from_utf8(id).is_ok_and(is_short))
    })
}

const NAME: &[u8] = b"\"tool_call_id\"";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_are_replaced_by_the_same_short_one_and_short_ones_stay() {
        let quirks = Quirks { has_short_call_ids: true, ..Quirks::COMPATIBLE };
        let short = sent("toolu_01A09q90qw90lq917835lq9", &quirks);
        assert!(is_short(&short), "{short}");
        assert_eq!(sent("toolu_01A09q90qw90lq917835lq9", &quirks), short);
        assert_ne!(sent("toolu_01A09q90qw90lq917835lq8", &quirks), short);
        assert_eq!(sent("aB3456789", &quirks), "aB3456789");
        assert_eq!(sent("call_1", &Quirks::COMPATIBLE), "call_1");
    }

    #[test]
    fn a_body_tells_whether_it_has_long_ids() {
        assert!(has_long(br#"{"tool_call_id" : "call_1"}"#));
        assert!(has_long(br#"{"tool_call_id":"aB3456789"},{"tool_call_id":"x"}"#));
        for none in [&br#"{"tool_call_id":"aB3456789"}"#[..], b"{}", br#"{"tool_call_id":null}"#, br#""tool_call_id""#] {
            assert!(!has_long(none), "{}", String::from_utf8_lossy(none));
        }
    }
}
