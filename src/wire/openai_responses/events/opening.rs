//! What is open in a stream that is written.

use crate::wire::ir::ToolCall;

/// What becomes of a part.
#[derive(Debug)]
pub(super) enum Part {
    /// A text or a refusal that begins with its first character.
    Silent {
        is_refusal: bool,
    },
    /// Thoughts that begin with their first character or their signature.
    Unthought,
    /// A text or a refusal: the message's number, and its own in the message.
    Piece {
        message: u64,
        content: u64,
    },
    Call {
        index: u64,
        call: ToolCall<'static>,
        id: String,
    },
    Thoughts(Thoughts),
    /// An item that only this format has, and the item as it ended.
    Opaque {
        index: u64,
        item: String,
    },
    /// Nothing of it is written, or all of it was.
    Hidden,
}

/// Thoughts on their way out.
#[derive(Debug)]
pub(super) struct Thoughts {
    pub(super) index: u64,
    pub(super) text: String,
    pub(super) encrypted: Option<String>,
}

/// A message: texts that follow each other share one.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) index: u64,
    pub(super) pieces: Vec<Piece>,
    /// Pieces that are open.
    pub(super) open: u32,
    /// The next text joins it.
    pub(super) is_current: bool,
}

/// A text or a refusal inside a message.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub(super) is_refusal: bool,
    pub(super) text: String,
    /// Annotations, as JSON without the brackets.
    pub(super) annotations: String,
    pub(super) cited: u64,
    /// Log probabilities, as JSON without the brackets.
    pub(super) logprobs: String,
}

/// Adds to a list of JSON values without the brackets.
pub(super) fn push(list: &mut String, value: &str) {
    if !list.is_empty() && !value.is_empty() {
        list.push(',');
    }
    list.push_str(value);
}

/// Puts the brackets around.
pub(super) fn listed(list: &str) -> String {
    format!("[{list}]")
}
