//! Errors: what an upstream's answer means, and how ours are written.

use serde::Serialize;

use crate::error::Kind;
use crate::wire::codec::TooLong;
use crate::wire::scan::members;

/// Our error in OpenAI's shape.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Envelope<'a> {
    error: Inner<'a>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Inner<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attempts: &'a [Attempted],
}

/// One attempt, for clients that may see where they were served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempted {
    /// `provider/model`.
    pub target: String,
    /// The failure's code.
    pub outcome: &'static str,
    /// The upstream's status, if it answered.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

impl<'a> Envelope<'a> {
    /// Makes an envelope; `param` names the blamed member where there is one.
    pub const fn new(kind: Kind, message: &'a str, param: Option<&'a str>, request_id: Option<&'a str>) -> Self {
        Self { error: Inner { message, r#type: error_type(kind), param, code: client_code(kind), request_id, attempts: &[] } }
    }

    /// Adds the attempts that were made.
    #[must_use]
    pub const fn attempts(mut self, attempts: &'a [Attempted]) -> Self {
        self.error.attempts = attempts;
        self
    }

    /// Writes it.
    pub fn to_bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).unwrap_or_default()
    }
}

/// Writes an error as a terminal event of a stream. No `[DONE]` follows it: clients must not mistake the end for a clean one.
pub fn error_event(kind: Kind, message: &str, request_id: &str) -> Vec<u8> {
    let mut out = b"data: ".to_vec();
    out.extend_from_slice(&Envelope::new(kind, message, None, Some(request_id)).to_bytes());
    out.extend_from_slice(b"\n\n");
    out
}

/// The code says it too, but LiteLLM goes by the words, and LangChain looks for the code among them.
pub(in crate::wire) const TOO_LONG: TooLong = TooLong {
    known: &["maximum context length is", "exceeds the context window", "input tokens exceed the configured limit"],
    words: "This model's maximum context length is exceeded (context_length_exceeded)",
};

/// Returns the code that clients see: the one that OpenAI's own API uses where it has one, ours elsewhere. Source: recorded errors of
/// the API.
pub const fn client_code(kind: Kind) -> &'static str {
    match kind {
        Kind::Unauthenticated => "invalid_api_key",
        Kind::NotFound => "model_not_found",
        Kind::ContextWindow => "context_length_exceeded",
        Kind::UpstreamRateLimit => "rate_limit_exceeded",
        _ => kind.code(),
    }
}

/// Returns the error type that stands for a kind.
pub const fn error_type(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest
        | Kind::Unauthenticated
        | Kind::NotFound
        | Kind::UnknownPath
        | Kind::MethodNotAllowed
        | Kind::TooLarge
        | Kind::ClientTimeout
        | Kind::LossyTranslation
        | Kind::ContextWindow
        | Kind::ContentFilter
        | Kind::UpstreamRejected
        | Kind::Revoked => "invalid_request_error",
        Kind::BudgetExceeded => "insufficient_quota",
        Kind::Forbidden | Kind::Denied | Kind::Unpriced => "permission_error",
        Kind::RateLimited | Kind::UpstreamRateLimit => "rate_limit_error",
        Kind::Overloaded
        | Kind::Draining
        | Kind::NoCandidate
        | Kind::LedgerUnavailable
        | Kind::UpstreamConnect
        | Kind::UpstreamQuota
        | Kind::UpstreamAuth
        | Kind::UpstreamOverload
        | Kind::UpstreamServerError
        | Kind::UpstreamTimeout
        | Kind::UpstreamMalformed
        | Kind::UpstreamTruncated
        | Kind::UpstreamTooLarge
        | Kind::TemplateFailed
        | Kind::Internal => "server_error",
    }
}

/// Classifies an upstream's error answer by its status and the first KiBs of its body.
///
/// Bodies are matched loosely, because the field writes the same thing in many ways (recorded samples: OpenAI, DeepSeek,
/// OpenRouter, vLLM, Perplexity, DashScope, Zhipu, Moonshot, xAI).
pub fn classify(status: u16, body: &[u8]) -> Kind {
    let head = body.get(..body.len().min(8192)).unwrap_or_default();
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    match status {
        400 | 413 | 422 if says(&CONTEXT) => Kind::ContextWindow,
        400 | 403 | 422 if says(&FILTER) => Kind::ContentFilter,
        // xAI answers 400 to a wrong key.
        400 if says(&["incorrect api key", "api_key_invalid", "invalid_authentication"]) => Kind::UpstreamAuth,
        401 | 403 => Kind::UpstreamAuth,
        402 => Kind::UpstreamQuota,
        408 | 504 => Kind::UpstreamTimeout,
        429 if says(&QUOTA) => Kind::UpstreamQuota,
        // Moonshot and Mistral say it as a limit.
        429 if says(&["engine_overloaded", "service tier capacity exceeded"]) => Kind::UpstreamOverload,
        429 => Kind::UpstreamRateLimit,
        503 | 529 => Kind::UpstreamOverload,
        500..=599 => Kind::UpstreamServerError,
        _ => Kind::UpstreamRejected,
    }
}

/// Returns what an error is about that came in place of an answer, with the status of one: an `error`, and nothing that answers hold.
pub fn error_in_place(body: &[u8]) -> Option<Kind> {
    let [error, choices, data, results] = members(body, ["error", "choices", "data", "results"]).ok()?;
    let is_told = error.is_some_and(|error| error.starts_with(b"{") || error.starts_with(b"\""));
    (is_told && choices.or(data).or(results).is_none()).then(|| classify_event(body))
}

/// Classifies the data of an error event, which has no status but may name one (`"code": 502`, OpenRouter; `"status_code": 400`, Groq).
pub fn classify_event(data: &[u8]) -> Kind {
    let value: serde_json::Value = serde_json::from_slice(data).unwrap_or_default();
    let error = value.get("error").unwrap_or(&value);
    let status = ["status_code", "status", "code"].iter().find_map(|name| error.get(name)?.as_u64());
    if let Some(status) = status.and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status)) {
        return classify(status, data);
    }
    let head = data.get(..data.len().min(8192)).unwrap_or_default();
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    if says(&QUOTA) {
        Kind::UpstreamQuota
    } else if says(&["rate_limit", "rate limit", "too_many_requests"]) {
        Kind::UpstreamRateLimit
    } else if says(&["overloaded"]) {
        Kind::UpstreamOverload
    } else if says(&CONTEXT) {
        Kind::ContextWindow
    } else if says(&FILTER) {
        Kind::ContentFilter
    } else if error.get("type").is_some_and(|kind| kind == "invalid_request_error") {
        Kind::UpstreamRejected
    } else if error.get("type").is_some_and(|kind| kind == "server_error") {
        Kind::UpstreamServerError
    } else {
        Kind::UpstreamMalformed
    }
}

const CONTEXT: [&str; 9] = [
    "context_length_exceeded",
    "maximum context length",
    "exceeds the context window",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "too_many_prompt_tokens",
    "exceeds the maximum number of tokens allowed",
    "\"1261\"",
];

const FILTER: [&str; 5] =
    ["content_filter", "datainspectionfailed", "content_policy_violation", "responsibleaipolicyviolation", "\"1301\""];

const QUOTA: [&str; 7] = [
    "insufficient_quota",
    "exceeded_current_quota",
    "billing_hard_limit",
    "insufficient balance",
    "credit balance",
    "\"1113\"",
    "arrearage",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_answers_are_told_apart() {
        for (status, body, kind) in [
            (429, r#"{"error":{"code":"insufficient_quota"}}"#, Kind::UpstreamQuota),
            (429, r#"{"error":{"code":"rate_limit_exceeded"}}"#, Kind::UpstreamRateLimit),
            (429, r#"{"error":{"type":"engine_overloaded_error"}}"#, Kind::UpstreamOverload),
            (429, r#"{"message":"Service tier capacity exceeded for this model.","code":"3505"}"#, Kind::UpstreamOverload),
            (402, "", Kind::UpstreamQuota),
            (401, "{}", Kind::UpstreamAuth),
            (403, "<html>", Kind::UpstreamAuth),
            (400, r#"{"code":"invalid-argument","error":"Incorrect API key provided"}"#, Kind::UpstreamAuth),
            (400, r#"{"error":{"code":"context_length_exceeded"}}"#, Kind::ContextWindow),
            (400, r#"{"message":"This model's Maximum context length is 8192 tokens"}"#, Kind::ContextWindow),
            (400, r#"{"error":{"code":"content_filter"}}"#, Kind::ContentFilter),
            (400, r#"{"error":{"message":"bad"}}"#, Kind::UpstreamRejected),
            (404, "", Kind::UpstreamRejected),
            (408, "", Kind::UpstreamTimeout),
            (500, "", Kind::UpstreamServerError),
            (502, "", Kind::UpstreamServerError),
            (503, "", Kind::UpstreamOverload),
            (504, "", Kind::UpstreamTimeout),
            (529, "", Kind::UpstreamOverload),
        ] {
            assert_eq!(classify(status, body.as_bytes()), kind, "{status} {body}");
        }
    }

    #[test]
    fn error_events_are_told_apart_by_the_status_they_name_or_their_words() {
        for (data, kind) in [
            (r#"{"error":{"code":502,"message":"Upstream error"}}"#, Kind::UpstreamServerError),
            (r#"{"error":{"code":429,"message":"slow down"}}"#, Kind::UpstreamRateLimit),
            (r#"{"error":{"type":"invalid_request_error","code":"tool_use_failed","status_code":400}}"#, Kind::UpstreamRejected),
            (r#"{"error":{"type":"invalid_request_error","message":"no"}}"#, Kind::UpstreamRejected),
            (r#"{"message":"plain","code":503}"#, Kind::UpstreamOverload),
            (r#"{"error":{"code":"insufficient_quota"}}"#, Kind::UpstreamQuota),
            (r#"{"error":{"code":"rate_limit_exceeded"}}"#, Kind::UpstreamRateLimit),
            (r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#, Kind::UpstreamOverload),
            (r#"{"error":{"code":"context_length_exceeded"}}"#, Kind::ContextWindow),
            (r#"{"error":{"message":"something"}}"#, Kind::UpstreamMalformed),
            ("no json", Kind::UpstreamMalformed),
        ] {
            assert_eq!(classify_event(data.as_bytes()), kind, "{data}");
        }
    }

    #[test]
    fn our_errors_have_the_shape_that_sdks_read() {
        let body = Envelope::new(Kind::NotFound, "no such model", Some("model"), Some("r1")).to_bytes();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["error"]["code"], "model_not_found");
        assert_eq!(value["error"]["type"], "invalid_request_error");
        assert_eq!(value["error"]["param"], "model");
        let event = String::from_utf8(error_event(Kind::UpstreamTruncated, "cut", "r1")).unwrap();
        assert!(event.starts_with("data: {\"error\":") && event.ends_with("\n\n"));
    }

    #[test]
    fn an_error_in_place_of_an_answer_is_told_from_an_answer() {
        for (body, kind) in [
            (r#"{"error":{"message":"oops","type":"server_error","code":null}}"#, Some(Kind::UpstreamServerError)),
            (r#"{"error":{"message":"slow down","code":429}}"#, Some(Kind::UpstreamRateLimit)),
            (r#"{"error":"busy"}"#, Some(Kind::UpstreamMalformed)),
            (r#"{"error":null,"choices":[]}"#, None),
            (r#"{"choices":[{"index":0}],"error":{"message":"a warning"}}"#, None),
            (r#"{"object":"list","data":[]}"#, None),
            (r#"{"unknown":1}"#, None),
        ] {
            assert_eq!(error_in_place(body.as_bytes()), kind, "{body}");
        }
    }
}
