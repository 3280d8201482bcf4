//! Why an answer ended, in this format's words.

use crate::wire::ir::{Finish, FinishReason};
use crate::wire::json::Text;

/// Reads `stop_reason` and `stop_sequence`.
pub(in crate::wire::anthropic) fn read<'a>(word: Text<'a>, stop_sequence: Option<Text<'a>>) -> Finish<'a> {
    let (reason, is_exact) = match &*word {
        "end_turn" => (FinishReason::Stop, true),
        "stop_sequence" => (FinishReason::StopSequence, true),
        "max_tokens" => (FinishReason::Length, true),
        "model_context_window_exceeded" => (FinishReason::ContextWindow, true),
        "tool_use" => (FinishReason::ToolCalls, true),
        "refusal" => (FinishReason::Refusal, true),
        "pause_turn" => (FinishReason::Pause, true),
        _ => (FinishReason::Other, false),
    };
    Finish { reason, raw: (!is_exact).then_some(word), stop_sequence }
}

/// Returns the word for a reason. A model that declined in its own words (`is_refusal`) has refused, whatever else the upstream says.
pub(in crate::wire::anthropic) const fn word(reason: FinishReason, is_refusal: bool) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::Other if is_refusal => "refusal",
        FinishReason::Stop | FinishReason::Other => "end_turn",
        FinishReason::StopSequence => "stop_sequence",
        FinishReason::Length => "max_tokens",
        FinishReason::ContextWindow => "model_context_window_exceeded",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter | FinishReason::Refusal => "refusal",
        FinishReason::Pause => "pause_turn",
    }
}
