//! Errors: what an upstream's answer means, and how ours are written. Source: Google's page of errors, and recorded ones.

use crate::error::Kind;
use crate::wire::codec::{Failure, TooLong};
use crate::wire::failure;
use crate::wire::json::{Document, Node, Writer};

/// Reads an error, whole or a stream's; `status` is 200 where it came inside a stream. Its word says more than the status.
pub(in crate::wire) fn read(status: u16, body: &[u8]) -> Failure {
    let document = Document::parse(body).ok();
    let root = document.as_ref().map(Document::root);
    // Where the whole stream is one array, so is an error in its place.
    let error = root.and_then(|root| root.get("error").or_else(|| root.elements().next().and_then(|first| first.get("error"))));
    let word = error.and_then(|error| error.get("status")).and_then(Node::text).unwrap_or_default();
    let code = error.and_then(|error| error.get("code")).and_then(Node::number).and_then(|code| code.as_u64());
    let status = if status == 200 { code.and_then(|code| u16::try_from(code).ok()).unwrap_or(status) } else { status };
    let message = failure::message(body);
    let details = error.and_then(|error| error.get("details")).map(Node::raw).unwrap_or_default();
    Failure { kind: classify(status, &word, &message, details), message }
}

fn classify(status: u16, word: &str, message: &str, details: &str) -> Kind {
    let lower = message.to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    let is_about_us = || details.contains("API_KEY_INVALID") || says(&["api key not valid", "api key expired", "api key not found"]);
    let has_no_money = || details.contains("PerDay") || says(&["credits are depleted", "enable billing", "billing account"]);
    let is_too_long = || lower.contains("token count") && lower.contains("exceeds the maximum");
    match word {
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" if is_about_us() => Kind::UpstreamAuth,
        "INVALID_ARGUMENT" | "OUT_OF_RANGE" if is_too_long() => Kind::ContextWindow,
        "FAILED_PRECONDITION" if has_no_money() => Kind::UpstreamQuota,
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" | "NOT_FOUND" | "ALREADY_EXISTS" | "UNIMPLEMENTED" => {
            Kind::UpstreamRejected
        }
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => Kind::UpstreamAuth,
        "RESOURCE_EXHAUSTED" if has_no_money() => Kind::UpstreamQuota,
        "RESOURCE_EXHAUSTED" => Kind::UpstreamRateLimit,
        "UNAVAILABLE" => Kind::UpstreamOverload,
        "DEADLINE_EXCEEDED" => Kind::UpstreamTimeout,
        "INTERNAL" | "UNKNOWN" | "ABORTED" | "CANCELLED" | "DATA_LOSS" => Kind::UpstreamServerError,
        _ => match status {
            401 | 403 => Kind::UpstreamAuth,
            402 => Kind::UpstreamQuota,
            408 | 504 => Kind::UpstreamTimeout,
            429 => Kind::UpstreamRateLimit,
            503 => Kind::UpstreamOverload,
            400..=498 => Kind::UpstreamRejected,
            _ => Kind::UpstreamServerError,
        },
    }
}

/// Returns the word that stands for a kind.
const fn status_word(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest
        | Kind::LossyTranslation
        | Kind::ContextWindow
        | Kind::ContentFilter
        | Kind::UpstreamRejected
        | Kind::MethodNotAllowed
        | Kind::TooLarge => "INVALID_ARGUMENT",
        Kind::Unauthenticated | Kind::Revoked => "UNAUTHENTICATED",
        Kind::Forbidden | Kind::Denied | Kind::Unpriced => "PERMISSION_DENIED",
        Kind::NotFound | Kind::UnknownPath => "NOT_FOUND",
        Kind::UpstreamRateLimit | Kind::RateLimited | Kind::BudgetExceeded => "RESOURCE_EXHAUSTED",
        Kind::Overloaded
        | Kind::Draining
        | Kind::NoCandidate
        | Kind::UpstreamOverload
        | Kind::UpstreamConnect
        | Kind::LedgerUnavailable => "UNAVAILABLE",
        Kind::UpstreamTimeout | Kind::ClientTimeout => "DEADLINE_EXCEEDED",
        Kind::UpstreamQuota
        | Kind::UpstreamAuth
        | Kind::UpstreamServerError
        | Kind::UpstreamMalformed
        | Kind::UpstreamTruncated
        | Kind::UpstreamTooLarge
        | Kind::TemplateFailed
        | Kind::Internal => "INTERNAL",
    }
}

/// LangChain and LiteLLM go by these words.
const TOO_LONG: TooLong = TooLong {
    known: &["exceeds the maximum number of tokens allowed"],
    words: "The input token count exceeds the maximum number of tokens allowed",
};

/// Writes `{error:{code, message, status, details}}`. `error` stands first, and `code` is a number: that is how the official SDKs know one
/// inside a stream.
pub(super) fn write(failure: &Failure, request_id: &str, writer: &mut Writer<'_>) {
    writer.begin_object();
    writer.object("error");
    writer.key("code").count(u64::from(failure.kind.status()));
    writer.key("message").text(&failure.told(&TOO_LONG));
    writer.key("status").text(status_word(failure.kind));
    writer.array("details");
    writer.begin_object();
    writer.key("@type").text("type.googleapis.com/google.rpc.ErrorInfo");
    writer.key("reason").text(&failure.kind.code().to_ascii_uppercase());
    writer.key("domain").text("bifrostctl");
    writer.end_object();
    writer.begin_object();
    writer.key("@type").text("type.googleapis.com/google.rpc.RequestInfo");
    writer.key("requestId").text(request_id);
    writer.end_object();
    writer.end_array();
    writer.end_object();
    writer.end_object();
}

/// Returns how long the upstream asks to wait, in seconds: `RetryInfo.retryDelay`, for it sends no header that says so.
pub fn retry_delay(body: &[u8]) -> Option<f64> {
    let document = Document::parse(body).ok()?;
    let details = document.root().get("error")?.get("details")?;
    let delay = details.elements().find_map(|detail| detail.get("retryDelay").and_then(Node::text))?;
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(code: u16, word: &str, message: &str, details: &str) -> String {
        format!(r#"{{"error":{{"code":{code},"message":"{message}","status":"{word}","details":[{details}]}}}}"#)
    }

    #[test]
    fn errors_are_told_apart_by_their_word_and_what_stands_beside_it() {
        let quota = |id: &str| format!(r#"{{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaId":"{id}"}}]}}"#);
        for (status, text, kind) in [
            (400, body(400, "INVALID_ARGUMENT", "API key not valid.", r#"{"reason":"API_KEY_INVALID"}"#), Kind::UpstreamAuth),
            (
                400,
                body(400, "INVALID_ARGUMENT", "The input token count (2) exceeds the maximum number of tokens allowed (1).", ""),
                Kind::ContextWindow,
            ),
            (400, body(400, "INVALID_ARGUMENT", "bad", ""), Kind::UpstreamRejected),
            (400, body(400, "FAILED_PRECONDITION", "Please enable billing on your project", ""), Kind::UpstreamQuota),
            (400, body(400, "FAILED_PRECONDITION", "User location is not supported", ""), Kind::UpstreamRejected),
            (
                429,
                body(429, "RESOURCE_EXHAUSTED", "quota", &quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")),
                Kind::UpstreamQuota,
            ),
            (429, body(429, "RESOURCE_EXHAUSTED", "quota", &quota("GenerateRequestsPerMinute")), Kind::UpstreamRateLimit),
            (503, body(503, "UNAVAILABLE", "The model is overloaded.", ""), Kind::UpstreamOverload),
            (200, body(503, "UNAVAILABLE", "The model is overloaded.", ""), Kind::UpstreamOverload),
            (200, format!("[{}]", body(429, "", "slow down", "")), Kind::UpstreamRateLimit),
            (500, "<html>".to_owned(), Kind::UpstreamServerError),
            (403, String::new(), Kind::UpstreamAuth),
            (499, body(499, "CANCELLED", "x", ""), Kind::UpstreamServerError),
        ] {
            assert_eq!(read(status, text.as_bytes()).kind, kind, "{status} {text}");
        }
    }

    #[test]
    fn the_delay_is_read_in_its_own_spelling() {
        let told = |delay: &str| retry_delay(body(429, "RESOURCE_EXHAUSTED", "x", &format!(r#"{{"retryDelay":"{delay}"}}"#)).as_bytes());
        assert_eq!(told("48.914527s"), Some(48.914_527));
        assert_eq!(told("48"), None);
        assert_eq!(told("-1s"), None);
        assert_eq!(retry_delay(b"{}"), None);
    }
}
