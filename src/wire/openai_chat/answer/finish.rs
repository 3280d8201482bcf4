//! Why an answer ended, in this format's words.

use crate::wire::ir::{Finish, FinishReason};
use crate::wire::json::Text;

/// Reads `finish_reason`, in the words of all servers that speak the format.
pub(in crate::wire::openai_chat) fn read(word: Text<'_>) -> Finish<'_> {
    let (reason, is_exact) = match &*word {
        "stop" => (FinishReason::Stop, true),
        "length" => (FinishReason::Length, true),
        "tool_calls" => (FinishReason::ToolCalls, true),
        "content_filter" => (FinishReason::ContentFilter, true),
        "function_call" => (FinishReason::ToolCalls, false),
        // Together, Mistral, Zhipu.
        "eos" => (FinishReason::Stop, false),
        "model_length" => (FinishReason::ContextWindow, false),
        "sensitive" => (FinishReason::ContentFilter, false),
        _ => (FinishReason::Other, false),
    };
    Finish { reason, raw: (!is_exact).then_some(word), stop_sequence: None }
}

/// Returns the word for a reason.
pub(in crate::wire::openai_chat) const fn word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::Pause | FinishReason::Other => "stop",
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
    }
}
