//! How a server differs from the one whose format it speaks, as data.
//!
//! Rule: a difference that a request's encoder must know is a field here, with the provider that needs it; never a name in code.

/// The member that limits an answer's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenLimit {
    /// OpenAI since the o-series, Azure, Groq, Cerebras, xAI, OpenRouter.
    MaxCompletionTokens,
    /// Mistral, DeepSeek, Moonshot, Qwen, Zhipu, Together, Fireworks, Perplexity, Ollama, older vLLM.
    MaxTokens,
}

/// The member of a message that carries thoughts back to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningField {
    /// None: OpenAI, and Groq, which refuses the request.
    None,
    /// `reasoning_content`: DeepSeek and Kimi need it in tool loops; Qwen, Zhipu, older vLLM.
    ReasoningContent,
    /// `reasoning`: newer vLLM, Ollama, Cerebras.
    Reasoning,
    /// `reasoning_details`, typed and with signatures: OpenRouter.
    ReasoningDetails,
}

/// How a server is told where to cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheMarks {
    /// It is not: it caches on its own, or not at all.
    None,
    /// Anthropic's `cache_control` on parts and tools: OpenRouter, DashScope.
    CacheControl,
    /// `prompt_cache_breakpoint` on parts: OpenAI since gpt-5.6.
    Breakpoint,
}

/// What a server calls the members of requests for an order of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RerankWords {
    /// As Cohere does: Jina, Together, vLLM, and nearly all others.
    Cohere,
    /// `top_k`, and `data` for the results: Voyage.
    Voyage,
}

/// How an OpenAI-compatible server differs from OpenAI's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// The member that limits an answer's tokens.
    pub token_limit: TokenLimit,
    /// Whether the role `developer` is known.
    pub has_developer_role: bool,
    /// The member that carries thoughts back.
    pub reasoning_field: ReasoningField,
    /// How it is told where to cache.
    pub cache_marks: CacheMarks,
    /// Whether `top_k` is known.
    pub has_top_k: bool,
    /// Whether `stream_options` is known.
    pub has_stream_options: bool,
    /// Whether ids of tool calls must be nine letters and digits: Mistral.
    pub has_short_call_ids: bool,
    /// What it calls the members of requests for an order of documents.
    pub rerank: RerankWords,
}

impl Quirks {
    /// OpenAI's own server.
    pub const OPENAI: Self = Self {
        token_limit: TokenLimit::MaxCompletionTokens,
        has_developer_role: true,
        reasoning_field: ReasoningField::None,
        cache_marks: CacheMarks::None,
        has_top_k: false,
        has_stream_options: true,
        has_short_call_ids: false,
        rerank: RerankWords::Cohere,
    };

    /// A server that we know nothing of but that it speaks like OpenAI's.
    pub const COMPATIBLE: Self = Self { token_limit: TokenLimit::MaxTokens, has_developer_role: false, ..Self::OPENAI };
}
