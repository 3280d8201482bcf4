//! What a binary stream must look like, read by hand.

use serde_json::Value;

/// One message of a stream.
pub(super) struct Message {
    pub(super) name: String,
    payload: Value,
    /// Where it ends.
    pub(super) end: usize,
}

fn word(bytes: &[u8]) -> usize {
    bytes[..4].iter().fold(0, |word, byte| (word << 8) | usize::from(*byte))
}

/// Cuts a stream at its lengths; what follows the last whole message is left out.
pub(super) fn messages(stream: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut at = 0;
    while stream.len() >= at + 16 && stream.len() >= at + word(&stream[at..]) {
        let message = &stream[at..at + word(&stream[at..])];
        let headers = &message[12..12 + word(&message[4..])];
        let (_, behind) =
            String::from_utf8_lossy(headers).split_once(":event-type\u{7}\0").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
        let name = behind[1..=usize::from(behind.as_bytes()[0])].to_owned();
        let (checked, checksum) = message.split_at(message.len() - 4);
        assert_eq!((crc32fast::hash(&checked[..8]) as usize, crc32fast::hash(checked) as usize), (word(&checked[8..]), word(checksum)));
        at += message.len();
        let payload = serde_json::from_slice(&checked[12 + headers.len()..]).unwrap();
        messages.push(Message { name, payload, end: at });
    }
    messages
}

/// Panics where a stream is not what official clients read.
pub(super) fn check(stream: &[u8]) {
    let messages = messages(stream);
    assert_eq!(messages.last().map(|message| message.end), Some(stream.len()), "the last message is whole");
    let (mut open, mut blocks, mut order) = (None, 0, Vec::new());
    for Message { name, payload, .. } in &messages {
        let index = payload["contentBlockIndex"].as_u64();
        match name.as_str() {
            "contentBlockStart" => {
                assert_eq!((open, index), (None, Some(blocks)), "one block at a time, numbered without gaps: {payload}");
                let call = &payload["start"]["toolUse"];
                let is_call = ["toolUseId", "name"].iter().all(|member| call[member].as_str().is_some_and(|text| !text.is_empty()));
                assert!(is_call || call.is_null(), "{payload}");
                open = index;
                blocks += 1;
            }
            "contentBlockDelta" => {
                if open.is_none() {
                    // Text and thoughts begin with their first delta.
                    assert_eq!(index, Some(blocks), "{payload}");
                    assert!(payload["delta"]["toolUse"].is_null(), "a call is announced: {payload}");
                    open = index;
                    blocks += 1;
                }
                assert_eq!(open, index, "{payload}");
                assert_eq!(payload["delta"].as_object().unwrap().len(), 1, "{payload}");
                assert_ne!(payload["delta"]["text"], "", "an empty text");
            }
            "contentBlockStop" => {
                assert_eq!(open.take(), index, "{payload}");
                assert!(index.is_some());
            }
            other => order.push(other.to_owned()),
        }
        match name.as_str() {
            "messageStop" => assert!(open.is_none() && payload["stopReason"].is_string(), "{payload}"),
            "metadata" => {
                let total: u64 = ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"]
                    .iter()
                    .filter_map(|member| payload["usage"][member].as_u64())
                    .sum();
                assert_eq!(payload["usage"]["totalTokens"], total, "{payload}");
            }
            _ => {}
        }
    }
    assert_eq!(order, ["messageStart", "messageStop", "metadata"]);
}
