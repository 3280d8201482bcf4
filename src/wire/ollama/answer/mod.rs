//! Whole answers, both ways, and what they share with streams: why an answer ended, and what it used.

mod decode;
mod encode;

pub(super) use decode::decode;
pub(super) use encode::encode;

use crate::wire::ir::{Finish, FinishReason, Usage};
use crate::wire::json::{Node, Text, Writer};

/// Reads `done_reason`. `load` and `unload` answer a request without messages.
pub(super) fn read_finish(word: Text<'_>) -> Finish<'_> {
    let (reason, is_exact) = match &*word {
        // The server does not say whether a stop sequence was met.
        "stop" => (FinishReason::Stop, true),
        "length" => (FinishReason::Length, true),
        _ => (FinishReason::Other, false),
    };
    Finish { reason, raw: (!is_exact).then_some(word), stop_sequence: None }
}

/// Returns the word for a reason. The format has none for an answer that was filtered, or that calls tools.
pub(super) const fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop
        | FinishReason::StopSequence
        | FinishReason::ToolCalls
        | FinishReason::ContentFilter
        | FinishReason::Refusal
        | FinishReason::Pause
        | FinishReason::Other => "stop",
        FinishReason::Length | FinishReason::ContextWindow => "length",
    }
}

/// Reads the counts of an answer, or of the last line of a stream. The cache of the server is not counted, nor are thoughts apart.
pub(super) fn read_usage(input: Option<Node<'_, '_>>, output: Option<Node<'_, '_>>) -> Option<Usage> {
    let count = |node: Option<Node<'_, '_>>| node.and_then(Node::number).and_then(|number| number.as_u64());
    let (input, output) = (count(input), count(output));
    (input.is_some() || output.is_some()).then(|| Usage {
        input: input.unwrap_or_default(),
        output: output.unwrap_or_default(),
        ..Usage::default()
    })
}

/// Writes the counts.
pub(super) fn write_usage(writer: &mut Writer<'_>, usage: &Usage) {
    writer.key("prompt_eval_count").count(usage.whole_input());
    writer.key("eval_count").count(usage.output);
}

/// Reads a time of RFC 3339, in seconds since 1970.
pub(super) fn read_time(text: &str) -> Option<u64> {
    text.parse::<jiff::Timestamp>().ok().and_then(|time| u64::try_from(time.as_second()).ok())
}

/// Writes a time of seconds since 1970.
pub(super) fn write_time(seconds: u64) -> String {
    i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_fractions_and_their_zones() {
        for text in ["2024-05-24T20:57:43Z", "2024-05-24T20:57:43.314639Z", "2024-05-24T13:57:43.31-07:00"] {
            assert_eq!(read_time(text), Some(1_716_584_263), "{text}");
        }
        assert_eq!(read_time("yesterday"), None);
        assert_eq!(write_time(1_716_584_263), "2024-05-24T20:57:43Z");
        assert_eq!(write_time(u64::MAX), "1970-01-01T00:00:00Z");
    }
}
