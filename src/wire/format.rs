//! The formats, and the one place where a format's codec is looked up.

use super::codec::Codec;
use super::{anthropic, bedrock, cohere, gemini, ollama, openai_chat, openai_responses};

/// A wire format. Adding one makes the compiler list the places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Format {
    /// OpenAI's chat completions, and all that speak like it.
    OpenaiChat,
    /// OpenAI's Responses API.
    OpenaiResponses,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini's generateContent, on AI Studio and on Vertex.
    Gemini,
    /// AWS Bedrock's Converse.
    Bedrock,
    /// Cohere's chat, version 2.
    Cohere,
    /// Ollama's own chat.
    Ollama,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] =
        [Self::OpenaiChat, Self::OpenaiResponses, Self::Anthropic, Self::Gemini, Self::Bedrock, Self::Cohere, Self::Ollama];

    /// Returns the format's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
            Self::Ollama => "ollama",
        }
    }

    /// Returns the format's codec.
    pub fn codec(self) -> &'static dyn Codec {
        match self {
            Self::OpenaiChat => &openai_chat::OpenaiChat,
            Self::OpenaiResponses => &openai_responses::OpenaiResponses,
            Self::Anthropic => &anthropic::Anthropic,
            Self::Gemini => &gemini::Gemini,
            Self::Bedrock => &bedrock::Bedrock,
            Self::Cohere => &cohere::Cohere,
            Self::Ollama => &ollama::Ollama,
        }
    }
}
