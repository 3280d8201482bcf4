//! OpenAI's Responses API, as OpenAI, Azure, xAI, Bedrock, DeepSeek, OpenRouter and local servers speak it.
//!
//! Where the chat format has messages, this one has *items*: messages, thoughts, calls and results stand side by side. One turn of the model,
//! from its thoughts to its calls, is one message of the middle form. Members inside `reasoning` and `text` that nobody understood are extras
//! of the request under their dotted name (`reasoning.context`), so that they come back where they stood.

mod annotation;
mod answer;
mod codec;
mod error;
mod events;
mod maker;
mod request;

pub use codec::OpenaiResponses;

/// Reads a raw `usage` object, which endpoints beside this one have in the same words; none where it is no JSON.
pub fn usage(raw: &[u8]) -> Option<super::ir::Usage> {
    super::json::Document::parse(raw).ok().map(|document| answer::read_usage(document.root()))
}
