//! Why an answer ended, in this format's words.

use crate::wire::ir::{Finish, FinishReason};
use crate::wire::json::Text;

/// Reads `finish_reason`. `ERROR` and `TIMEOUT` are no ends; they are read elsewhere.
pub(in crate::wire::cohere) fn read(word: Text<'_>) -> Finish<'_> {
    let (reason, is_exact) = match &*word {
        "COMPLETE" => (FinishReason::Stop, true),
        "STOP_SEQUENCE" => (FinishReason::StopSequence, true),
        "MAX_TOKENS" => (FinishReason::Length, true),
        "TOOL_CALL" => (FinishReason::ToolCalls, true),
        _ => (FinishReason::Other, false),
    };
    Finish { reason, raw: (!is_exact).then_some(word), stop_sequence: None }
}

/// Returns the word for a reason. The format has none for an answer that was filtered.
pub(in crate::wire::cohere) const fn word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::Pause | FinishReason::Other | FinishReason::ContentFilter | FinishReason::Refusal => "COMPLETE",
        FinishReason::StopSequence => "STOP_SEQUENCE",
        FinishReason::Length | FinishReason::ContextWindow => "MAX_TOKENS",
        FinishReason::ToolCalls => "TOOL_CALL",
    }
}
