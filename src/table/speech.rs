//! How a provider speaks, in the words of the wire: its format, and how it differs from it.

use crate::plan::{self, Api, CacheMarks, MaxTokensField, ReasoningField, RerankWords, ToolCallIds};
use crate::wire::Format;
use crate::wire::quirks::{self, Quirks, TokenLimit};

pub(super) const fn format(api: Api) -> Format {
    match api {
        Api::OpenaiChat => Format::OpenaiChat,
        Api::Anthropic => Format::Anthropic,
        Api::Gemini => Format::Gemini,
        Api::Bedrock => Format::Bedrock,
        Api::Cohere => Format::Cohere,
        Api::Ollama => Format::Ollama,
    }
}

pub(super) const fn quirks(spec: &plan::Quirks) -> Quirks {
    Quirks {
        token_limit: match spec.max_tokens_field {
            Some(MaxTokensField::MaxCompletionTokens) => TokenLimit::MaxCompletionTokens,
            // The older name is the one that most servers know.
            Some(MaxTokensField::MaxTokens) | None => TokenLimit::MaxTokens,
        },
        has_developer_role: spec.developer_role,
        reasoning_field: match spec.reasoning_field {
            ReasoningField::None => quirks::ReasoningField::None,
            ReasoningField::ReasoningContent => quirks::ReasoningField::ReasoningContent,
            ReasoningField::Reasoning => quirks::ReasoningField::Reasoning,
            ReasoningField::ReasoningDetails => quirks::ReasoningField::ReasoningDetails,
        },
        cache_marks: match spec.cache_marks {
            CacheMarks::None => quirks::CacheMarks::None,
            CacheMarks::CacheControl => quirks::CacheMarks::CacheControl,
            CacheMarks::Breakpoint => quirks::CacheMarks::Breakpoint,
        },
        has_top_k: spec.top_k,
        has_stream_options: spec.stream_options,
        has_short_call_ids: match spec.tool_call_ids {
            ToolCallIds::Any => false,
            ToolCallIds::NineAlphanumerics => true,
        },
        rerank: match spec.rerank {
            RerankWords::Cohere => quirks::RerankWords::Cohere,
            RerankWords::Voyage => quirks::RerankWords::Voyage,
        },
    }
}
