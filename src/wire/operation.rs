//! What is asked of a model, and which formats have something to ask it with.

use super::Format;

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// To answer a conversation.
    Answer,
    /// To make vectors of texts.
    Embed,
    /// To put documents in the order of their relevance to a query.
    Rerank,
    /// To tell how many tokens a conversation has.
    Count,
}

/// Which formats can serve a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// This one alone: the request passes as it is, or not at all.
    Only(Format),
    /// All that have the operation: the request is translated.
    Any(Operation),
}

impl Demand {
    /// Returns whether a provider of a format can serve.
    pub const fn is_met_by(self, format: Format) -> bool {
        match self {
            Self::Only(only) => only as u8 == format as u8,
            Self::Any(Operation::Answer | Operation::Count) => true,
            Self::Any(Operation::Embed) => match format {
                Format::OpenaiChat | Format::Gemini | Format::Bedrock | Format::Cohere | Format::Ollama => true,
                Format::OpenaiResponses | Format::Anthropic => false,
            },
            Self::Any(Operation::Rerank) => match format {
                Format::OpenaiChat | Format::Cohere => true,
                Format::OpenaiResponses | Format::Anthropic | Format::Gemini | Format::Bedrock | Format::Ollama => false,
            },
        }
    }
}
