//! Why an answer ended: the format has a status, and a reason where the answer is not complete.

use crate::wire::ir::{Finish, FinishReason};
use crate::wire::json::{Node, Text};

/// Reads `status` and `incomplete_details` of an answer that has not failed.
pub(in crate::wire::openai_responses) fn read<'a>(response: Node<'_, 'a>) -> Finish<'a> {
    if !response.get("status").is_some_and(|status| status.is("incomplete")) {
        return Finish::new(FinishReason::Stop);
    }
    let word = response.get("incomplete_details").and_then(|details| details.get("reason")).and_then(Node::text);
    match word.as_deref() {
        Some("max_output_tokens") => Finish::new(FinishReason::Length),
        Some("content_filter") => Finish::new(FinishReason::ContentFilter),
        // `max_messages`, `steered`, and what is to come.
        Some(_) | None => {
            Finish { reason: FinishReason::Other, raw: Some(word.unwrap_or(Text::Borrowed("incomplete"))), stop_sequence: None }
        }
    }
}

/// Returns why an answer is incomplete; nothing where it is complete.
pub(in crate::wire::openai_responses) const fn incomplete(reason: FinishReason) -> Option<&'static str> {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls | FinishReason::Pause | FinishReason::Other => None,
        FinishReason::Length | FinishReason::ContextWindow => Some("max_output_tokens"),
        FinishReason::ContentFilter | FinishReason::Refusal => Some("content_filter"),
    }
}
