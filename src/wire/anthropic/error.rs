//! Errors: what an upstream's answer means, and how ours are written. Source: the provider's page of errors, and recorded ones.

use crate::error::Kind;
use crate::wire::codec::{Failure, TooLong};
use crate::wire::failure;
use crate::wire::json::{Document, Node, Text, Writer};

/// Reads an error, whole or an event's data; `status` is 200 where it came inside a stream. The type says more than the status.
pub(super) fn read(status: u16, body: &[u8]) -> Failure {
    let document = Document::parse(body).ok();
    let kind_word: Text<'_> = document
        .as_ref()
        .and_then(|document| document.root().get("error").and_then(|error| error.get("type")).and_then(Node::text))
        .unwrap_or_default();
    let message = failure::message(body);
    Failure { kind: classify(status, &kind_word, &message), message }
}

fn classify(status: u16, word: &str, message: &str) -> Kind {
    let lower = message.to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    let by_word = match word {
        "invalid_request_error" | "request_too_large" if says(&CONTEXT) => Some(Kind::ContextWindow),
        // An account without credit is told as a bad request.
        "invalid_request_error" if says(&["credit balance"]) => Some(Kind::UpstreamQuota),
        "invalid_request_error" if says(&["content filtering policy", "usage policy"]) => Some(Kind::ContentFilter),
        "invalid_request_error" | "request_too_large" | "not_found_error" | "conflict_error" => Some(Kind::UpstreamRejected),
        "authentication_error" | "permission_error" => Some(Kind::UpstreamAuth),
        "billing_error" => Some(Kind::UpstreamQuota),
        "rate_limit_error" => Some(Kind::UpstreamRateLimit),
        "overloaded_error" => Some(Kind::UpstreamOverload),
        "timeout_error" => Some(Kind::UpstreamTimeout),
        "api_error" => Some(Kind::UpstreamServerError),
        _ => None,
    };
    by_word.unwrap_or(match status {
        200 => Kind::UpstreamServerError,
        402 => Kind::UpstreamQuota,
        401 | 403 => Kind::UpstreamAuth,
        408 | 504 => Kind::UpstreamTimeout,
        429 => Kind::UpstreamRateLimit,
        503 | 529 => Kind::UpstreamOverload,
        400..=499 if says(&CONTEXT) => Kind::ContextWindow,
        400..=499 => Kind::UpstreamRejected,
        _ => Kind::UpstreamServerError,
    })
}

const CONTEXT: [&str; 4] = ["prompt is too long", "exceed context limit", "context window", "too many total text bytes"];

/// Returns the error type that stands for a kind.
const fn error_type(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest
        | Kind::ContextWindow
        | Kind::ContentFilter
        | Kind::UpstreamRejected
        | Kind::MethodNotAllowed
        | Kind::LossyTranslation
        | Kind::ClientTimeout => "invalid_request_error",
        Kind::Unauthenticated | Kind::Revoked => "authentication_error",
        Kind::BudgetExceeded => "billing_error",
        Kind::Forbidden | Kind::Denied | Kind::Unpriced => "permission_error",
        Kind::NotFound | Kind::UnknownPath => "not_found_error",
        Kind::TooLarge => "request_too_large",
        Kind::UpstreamRateLimit | Kind::RateLimited => "rate_limit_error",
        Kind::Overloaded | Kind::Draining | Kind::NoCandidate | Kind::UpstreamOverload | Kind::LedgerUnavailable => "overloaded_error",
        Kind::UpstreamTimeout => "timeout_error",
        Kind::UpstreamConnect
        | Kind::UpstreamQuota
        | Kind::UpstreamAuth
        | Kind::UpstreamServerError
        | Kind::UpstreamMalformed
        | Kind::UpstreamTruncated
        | Kind::UpstreamTooLarge
        | Kind::TemplateFailed
        | Kind::Internal => "api_error",
    }
}

/// Returns the status that clients of this format expect of a kind: 529 is their word for "full".
pub(super) const fn status(kind: Kind) -> u16 {
    match kind {
        Kind::UpstreamOverload => 529,
        other => other.status(),
    }
}

/// Claude Code and LangChain go by these words.
const TOO_LONG: TooLong = TooLong { known: &["prompt is too long", "exceed context limit"], words: "prompt is too long" };

/// Writes `{type:error, error:{type, message}, request_id}`.
pub(super) fn write(failure: &Failure, request_id: &str, writer: &mut Writer<'_>) {
    writer.begin_object();
    writer.key("type").text("error");
    writer.object("error");
    writer.key("type").text(error_type(failure.kind));
    writer.key("message").text(&failure.told(&TOO_LONG));
    writer.end_object();
    writer.key("request_id").text(request_id);
    writer.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_type_and_then_their_status() {
        for (status, body, kind) in [
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}"#,
                Kind::ContextWindow,
            ),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}"#,
                Kind::UpstreamQuota,
            ),
            (400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"bad"}}"#, Kind::UpstreamRejected),
            (404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#, Kind::UpstreamRejected),
            (401, r#"{"type":"error","error":{"type":"authentication_error","message":"x"}}"#, Kind::UpstreamAuth),
            (429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#, Kind::UpstreamRateLimit),
            (529, r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#, Kind::UpstreamOverload),
            (200, r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#, Kind::UpstreamOverload),
            (200, r#"{"type":"error","error":{"type":"brand_new_error","message":"x"}}"#, Kind::UpstreamServerError),
            (500, "<html>", Kind::UpstreamServerError),
            (529, "", Kind::UpstreamOverload),
            (402, "", Kind::UpstreamQuota),
            (413, "", Kind::UpstreamRejected),
        ] {
            assert_eq!(read(status, body.as_bytes()).kind, kind, "{status} {body}");
        }
    }
}
