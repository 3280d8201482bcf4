//! What differs from format to format, as data.

use crate::mock::Failure;
use crate::mock::openai::LIMITS;
use crate::wire::Format;

/// What a path asks for, by its method and its end; the more special first.
pub(super) const OPERATIONS: [(&str, &str, Format, Operation); 14] = [
    ("POST", "/messages/count_tokens", Format::Anthropic, Operation::Count),
    ("POST", "/messages", Format::Anthropic, Operation::Answer),
    ("POST", "/responses", Format::OpenaiResponses, Operation::Answer),
    ("POST", ":generateContent", Format::Gemini, Operation::Answer),
    ("POST", ":streamGenerateContent", Format::Gemini, Operation::Stream),
    ("POST", ":countTokens", Format::Gemini, Operation::Count),
    ("POST", "/converse", Format::Bedrock, Operation::Answer),
    ("POST", "/converse-stream", Format::Bedrock, Operation::Stream),
    ("POST", "/count-tokens", Format::Bedrock, Operation::Count),
    ("POST", "/v2/chat", Format::Cohere, Operation::Answer),
    ("POST", "/v2/embed", Format::Cohere, Operation::Embed),
    ("POST", "/v2/rerank", Format::Cohere, Operation::Rerank),
    ("POST", "/api/chat", Format::Ollama, Operation::Answer),
    ("POST", "/api/embed", Format::Ollama, Operation::Embed),
];

/// Formats whose model stands in the path, before the operation.
pub(super) const MODEL_IN_PATH: [Format; 2] = [Format::Gemini, Format::Bedrock];

/// Who asks for the models, by a header that only clients of the format send.
pub(super) const LISTS: [(&str, Format); 2] = [("anthropic-version", Format::Anthropic), ("x-goog-api-key", Format::Gemini)];

/// Where Ollama lists its models.
pub(super) const TAGS: &str = "/api/tags";

/// Formats whose errors are those of chats.
pub(super) const SAME_ERRORS: [Format; 1] = [Format::OpenaiResponses];

/// Members that a request for an answer must have, where the codec is more patient than the provider.
pub(super) const REQUIRED: [(Format, &str); 2] = [(Format::Anthropic, "max_tokens"), (Format::Bedrock, "messages")];

/// Errors that are told by their words and not by their status, as the provider words them.
pub(super) const WORDS: [(Format, Failure, u16, &str); 17] = [
    (Format::Anthropic, Failure::ContextLength, 400, "prompt is too long: 9001 tokens > 8192 maximum"),
    (Format::Anthropic, Failure::ContentFilter, 400, "Output blocked by content filtering policy"),
    (Format::Anthropic, Failure::Billing, 400, "Your credit balance is too low to access the API."),
    (Format::Anthropic, Failure::InsufficientQuota, 400, "Your credit balance is too low to access the API."),
    (Format::Gemini, Failure::ContextLength, 400, "The input token count (9001) exceeds the maximum number of tokens allowed (8192)."),
    (Format::Gemini, Failure::InvalidKey, 400, "API key not valid. Please pass a valid API key."),
    (Format::Gemini, Failure::InsufficientQuota, 429, "Your prepayment credits are depleted."),
    (
        Format::Bedrock,
        Failure::ContextLength,
        400,
        "The model returned the following errors: prompt is too long: 9001 tokens > 8192 maximum",
    ),
    (Format::Bedrock, Failure::InvalidKey, 401, "The security token included in the request is invalid."),
    (Format::Bedrock, Failure::ModelNotFound, 400, "The provided model identifier is invalid."),
    (Format::Bedrock, Failure::RateLimit, 429, "Too many tokens, please wait before trying again."),
    (Format::Cohere, Failure::ContextLength, 400, "too many tokens: size limit exceeded by 809 tokens."),
    (Format::Cohere, Failure::InvalidKey, 401, "invalid api token"),
    (Format::Cohere, Failure::InsufficientQuota, 429, "You are using a Trial key, which is limited to 1000 API calls / month."),
    (Format::Ollama, Failure::ContextLength, 400, "prompt too long; exceeded max context length by 809 tokens"),
    (Format::Ollama, Failure::InsufficientQuota, 429, "you've reached your hourly usage limit, please upgrade to continue"),
    (Format::Ollama, Failure::Overloaded, 503, "server busy, please try again.  maximum pending requests exceeded"),
];

/// Formats whose thoughts are signed, with OpenRouter's name of whoever signs them.
pub(super) const SIGNED: [(Format, &str); 3] =
    [(Format::Anthropic, "anthropic-claude-v1"), (Format::Bedrock, "anthropic-claude-v1"), (Format::Gemini, "google-gemini-v1")];

/// How the mock signs. It is base64, which one of the formats needs.
pub(super) const SIGNATURE: &str = "bW9jayBzaWduYXR1cmU=";

/// Names of headers, where they are not OpenAI's.
pub(super) const HEADERS: [(Format, Headers); 4] = [
    (
        Format::Anthropic,
        Headers {
            request_id: Some("request-id"),
            limits: [
                ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
                ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
            ],
        },
    ),
    (Format::Bedrock, Headers { request_id: Some("x-amzn-requestid"), limits: LIMITS }),
    (Format::Cohere, Headers { request_id: Some("x-debug-trace-id"), limits: LIMITS }),
    (Format::Ollama, Headers { request_id: None, limits: LIMITS }),
];

/// Names of headers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Headers {
    pub(super) request_id: Option<&'static str>,
    /// How many requests and tokens are left, and when they are full again.
    pub(super) limits: [(&'static str, &'static str); 2],
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// An answer, whole or, where the body says so, streamed.
    Answer,
    /// A stream, because the path says so.
    Stream,
    /// The tokens of a request.
    Count,
    /// The models.
    Models,
    /// Vectors of texts.
    Embed,
    /// Documents by how well they answer a question.
    Rerank,
}
