//! How a server differs from the one whose format it speaks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How an OpenAI-compatible server differs from OpenAI's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quirks {
    /// The name this server knows the output limit by; the other spelling is renamed.
    pub max_tokens_field: Option<MaxTokensField>,
    /// Whether `stream_options.include_usage` is understood (and so may be added). Default: true.
    pub stream_options: Option<bool>,
    /// Whether streams end with `data: [DONE]`. Default: true.
    pub done_marker: Option<bool>,
    /// Whether the server has `/responses` beside `/chat/completions`; otherwise such requests are translated. Default: false.
    pub responses: Option<bool>,
    /// Whether messages may have the role `developer`; others send it as `system`. For translated requests. Default: false.
    pub developer_role: Option<bool>,
    /// The member of a message that carries thoughts back to the server. For translated requests. Default: none.
    pub reasoning_field: Option<ReasoningField>,
    /// How the server is told where to cache. For translated requests. Default: none.
    pub cache_marks: Option<CacheMarks>,
    /// Whether `top_k` is understood. For translated requests. Default: false.
    pub top_k: Option<bool>,
    /// What the server calls the members of requests for an order of documents. Default: cohere.
    pub rerank: Option<RerankWords>,
    /// What ids of tool calls may be; others are replaced, in calls and results alike. Default: any.
    pub tool_call_ids: Option<ToolCallIds>,
    /// Members of a chat's request that the server refuses. They are left out, and told as lost.
    pub refuses: Option<Vec<String>>,
}

/// The member of a message that carries thoughts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningField {
    /// The server takes none.
    #[default]
    None,
    /// Text, in `reasoning_content`.
    ReasoningContent,
    /// Text, in `reasoning`.
    Reasoning,
    /// Typed and with signatures, in `reasoning_details`.
    ReasoningDetails,
}

/// How a server is told where to cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheMarks {
    /// It is not: it caches on its own, or not at all.
    #[default]
    None,
    /// By `cache_control` on parts and tools, as Anthropic has it.
    CacheControl,
    /// By `prompt_cache_breakpoint` on parts.
    Breakpoint,
}

/// What a server calls the members of requests for an order of documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RerankWords {
    /// As Cohere does, which is nearly all of them.
    #[default]
    Cohere,
    /// `top_k`, and `data` for the results.
    Voyage,
}

/// What ids of tool calls may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolCallIds {
    /// Whatever the client has.
    #[default]
    Any,
    /// Nine letters and digits.
    NineAlphanumerics,
}

/// A spelling of the output limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MaxTokensField {
    /// The older name, which most compatible servers know.
    MaxTokens,
    /// OpenAI's current name.
    MaxCompletionTokens,
}
