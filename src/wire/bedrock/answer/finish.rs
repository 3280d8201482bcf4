//! Why an answer ended, in this format's words.

use crate::wire::ir::{Finish, FinishReason};
use crate::wire::json::Text;

/// Reads `stopReason`.
pub(in crate::wire::bedrock) fn read(word: Text<'_>) -> Finish<'_> {
    let (reason, is_exact) = match &*word {
        "end_turn" => (FinishReason::Stop, true),
        "stop_sequence" => (FinishReason::StopSequence, true),
        "max_tokens" => (FinishReason::Length, true),
        "model_context_window_exceeded" => (FinishReason::ContextWindow, true),
        "tool_use" => (FinishReason::ToolCalls, true),
        "content_filtered" => (FinishReason::ContentFilter, true),
        "guardrail_intervened" => (FinishReason::ContentFilter, false),
        // `malformed_model_output`, `malformed_tool_use`, and those of the future.
        _ => (FinishReason::Other, false),
    };
    Finish { reason, raw: (!is_exact).then_some(word), stop_sequence: None }
}

/// Returns the word for a reason.
pub(in crate::wire::bedrock) const fn word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::Pause | FinishReason::Other => "end_turn",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::Length => "max_tokens",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filtered",
    }
}
