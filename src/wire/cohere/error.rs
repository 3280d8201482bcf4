//! Errors: what an upstream's answer means, and how ours are written. Source: the provider's page of errors, and recorded ones.

use crate::error::Kind;
use crate::wire::codec::Failure;
use crate::wire::failure;
use crate::wire::json::{Document, Node, Text, Writer};

/// Reads an error; `status` is 200 where it came in place of an answer, or inside a stream.
pub(super) fn read(status: u16, body: &[u8]) -> Failure {
    let document = Document::parse(body).ok();
    let word: Text<'_> = document.as_ref().and_then(|document| document.root().get("error_type").and_then(Node::text)).unwrap_or_default();
    let message = failure::message(body);
    Failure { kind: classify(status, &word, &message), message }
}

fn classify(status: u16, word: &str, message: &str) -> Kind {
    let lower = message.to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    if word == "TOO_MANY_TOKENS" || (status < 500 && status != 429 && says(&["too many tokens"])) {
        return Kind::ContextWindow;
    }
    match status {
        200 => Kind::UpstreamServerError,
        401 | 403 => Kind::UpstreamAuth,
        402 => Kind::UpstreamQuota,
        408 | 504 => Kind::UpstreamTimeout,
        // A trial key has a number of calls for each month, besides those for each minute.
        429 if says(&["/ month", "per month", "monthly"]) => Kind::UpstreamQuota,
        429 => Kind::UpstreamRateLimit,
        // "Blocked": the provider's filter.
        498 => Kind::ContentFilter,
        499 => Kind::UpstreamServerError,
        503 => Kind::UpstreamOverload,
        400..=499 => Kind::UpstreamRejected,
        _ => Kind::UpstreamServerError,
    }
}

/// Reads why a stream or an answer ended with an error in place of a finish.
pub(super) fn finish(word: &str, message: &str) -> Option<Failure> {
    let kind = match word {
        "ERROR" => Kind::UpstreamServerError,
        "TIMEOUT" => Kind::UpstreamTimeout,
        _ => return None,
    };
    Some(Failure::new(kind, if message.is_empty() { "the model failed" } else { message }))
}

/// Writes `{id, message}`.
pub(super) fn write(failure: &Failure, request_id: &str) -> Vec<u8> {
    let mut body = Vec::new();
    let mut writer = Writer::new(&mut body);
    writer.begin_object();
    writer.key("id").text(request_id);
    writer.key("message").text(&failure.message);
    if failure.kind == Kind::ContextWindow {
        writer.key("error_type").text("TOO_MANY_TOKENS");
    }
    writer.end_object();
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_type_and_then_their_status() {
        for (status, body, kind) in [
            (400, r#"{"error_type":"TOO_MANY_TOKENS","message":"too many tokens: size limit exceeded"}"#, Kind::ContextWindow),
            (400, r#"{"message":"invalid request: tool_choice"}"#, Kind::UpstreamRejected),
            (401, r#"{"id":"x","message":"invalid api token"}"#, Kind::UpstreamAuth),
            (404, r#"{"message":"model 'x' was removed on 2025-09-15"}"#, Kind::UpstreamRejected),
            (422, r#"{"message":"unprocessable"}"#, Kind::UpstreamRejected),
            (429, r#"{"message":"You are using a Trial key, which is limited to 20 API calls / minute."}"#, Kind::UpstreamRateLimit),
            (429, r#"{"message":"You are using a Trial key, which is limited to 1000 API calls / month."}"#, Kind::UpstreamQuota),
            (498, r#"{"message":"blocked"}"#, Kind::ContentFilter),
            (503, "", Kind::UpstreamOverload),
            (500, "<html>", Kind::UpstreamServerError),
        ] {
            assert_eq!(read(status, body.as_bytes()).kind, kind, "{status} {body}");
        }
        let own = Failure::new(Kind::ContextWindow, "m");
        assert_eq!(read(400, &write(&own, "r")), own);
    }
}
