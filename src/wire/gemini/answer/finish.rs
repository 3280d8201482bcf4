//! Why an answer ended, in this format's words.

use crate::error::Kind;
use crate::wire::codec::Failure;
use crate::wire::ir::{Finish, FinishReason};
use crate::wire::json::{Node, Text};

/// Reads `finishReason`. Vertex writes numbers to clients that ask it to; up to the eighth they mean the same in every version.
///
/// # Errors
/// A [`Failure`], where the model's answer could not be made out: there is no call then that anybody could run, and the next attempt may
/// well succeed.
pub(in crate::wire::gemini) fn read<'a>(node: Node<'_, 'a>, message: Option<Node<'_, 'a>>) -> Result<Finish<'a>, Failure> {
    let word = node.text().unwrap_or_else(|| Text::Borrowed(node.raw()));
    let (reason, is_exact) = match &*word {
        "STOP" | "1" => (FinishReason::Stop, true),
        "MAX_TOKENS" | "2" => (FinishReason::Length, true),
        // It may be continued, by a token that no other format has.
        "CONTINUATION" => (FinishReason::Length, false),
        "SAFETY" | "3" => (FinishReason::ContentFilter, true),
        "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "MODEL_ARMOR" | "4" | "6" | "7" | "8" => {
            (FinishReason::ContentFilter, false)
        }
        "IMAGE_SAFETY" | "IMAGE_PROHIBITED_CONTENT" | "IMAGE_RECITATION" => (FinishReason::ContentFilter, false),
        "MALFORMED_FUNCTION_CALL" | "UNEXPECTED_TOOL_CALL" | "TOO_MANY_TOOL_CALLS" | "MALFORMED_RESPONSE" => {
            return Err(failure(Kind::UpstreamServerError, &word, message));
        }
        "MISSING_THOUGHT_SIGNATURE" => return Err(failure(Kind::UpstreamRejected, &word, message)),
        _ => (FinishReason::Other, false),
    };
    Ok(Finish { reason, raw: (!is_exact).then_some(word), stop_sequence: None })
}

fn failure(kind: Kind, word: &str, message: Option<Node<'_, '_>>) -> Failure {
    let message = message.and_then(Node::text).unwrap_or_default();
    let words = format!("the model's answer ended with {word}: {message}");
    Failure::new(kind, words.trim_end_matches(": "))
}

/// Reads `promptFeedback.blockReason`: the prompt was refused, and there is no answer.
pub(in crate::wire::gemini) fn blocked<'a>(answer: Node<'_, 'a>) -> Option<Finish<'a>> {
    let feedback = answer.get("promptFeedback").or_else(|| answer.get("prompt_feedback"))?;
    let reason = feedback.get("blockReason").or_else(|| feedback.get("block_reason"))?;
    let word = reason.text().unwrap_or_else(|| Text::Borrowed(reason.raw()));
    Some(Finish { reason: FinishReason::ContentFilter, raw: Some(word), stop_sequence: None })
}

/// Words of this format that are finer than our reasons.
const FINER: [&str; 16] = [
    "RECITATION",
    "LANGUAGE",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "OTHER",
    "ESCALATION",
    "PUP_LIMITED_DISABLED",
    "CONTINUATION",
    "FINISH_REASON_UNSPECIFIED",
];

/// Returns the word for a reason; the upstream's own where it is one of this format's.
pub(in crate::wire::gemini) fn word<'f>(finish: &'f Finish<'_>) -> &'f str {
    let Finish { reason, raw, stop_sequence: _ } = finish;
    if let Some(raw) = raw.as_deref().filter(|raw| FINER.contains(raw) && *reason != FinishReason::ToolCalls) {
        return raw;
    }
    match reason {
        // A turn that calls functions is over like any other.
        FinishReason::Stop | FinishReason::StopSequence | FinishReason::ToolCalls | FinishReason::Pause => "STOP",
        FinishReason::Length | FinishReason::ContextWindow => "MAX_TOKENS",
        FinishReason::ContentFilter | FinishReason::Refusal => "SAFETY",
        FinishReason::Other => "OTHER",
    }
}
