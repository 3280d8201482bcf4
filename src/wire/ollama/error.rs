//! Errors: what an upstream's answer means, and how ours are written. They are a text and nothing else. Source: the server's handlers, and
//! what users of it report.

use crate::error::Kind;
use crate::wire::codec::Failure;
use crate::wire::failure;
use crate::wire::json::Writer;

/// Reads an error; `status` is 200 where it came in place of an answer, or as a line of a stream.
pub(super) fn read(status: u16, body: &[u8]) -> Failure {
    let message = failure::message(body);
    Failure { kind: classify(status, &message), message }
}

fn classify(status: u16, message: &str) -> Kind {
    let lower = message.to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    if status != 429 && says(&["context length", "context size", "prompt too long", "prompt is too long"]) {
        return Kind::ContextWindow;
    }
    match status {
        // The queue of a server that loads one model after the other.
        503 => Kind::UpstreamOverload,
        200 | 500 if says(&["server busy", "maximum pending requests"]) => Kind::UpstreamOverload,
        200 => Kind::UpstreamServerError,
        401 | 403 => Kind::UpstreamAuth,
        402 => Kind::UpstreamQuota,
        408 | 504 => Kind::UpstreamTimeout,
        // The cloud counts by the hour and by the week.
        429 if says(&["usage limit", "upgrade"]) => Kind::UpstreamQuota,
        429 => Kind::UpstreamRateLimit,
        400..=499 => Kind::UpstreamRejected,
        _ => Kind::UpstreamServerError,
    }
}

/// Writes `{error}`, which is a line of a stream too.
pub(super) fn write(failure: &Failure) -> Vec<u8> {
    let mut body = Vec::new();
    let mut writer = Writer::one_line(&mut body);
    writer.begin_object();
    writer.key("error").text(&failure.message);
    writer.end_object();
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_status_and_their_words() {
        for (status, body, kind) in [
            (400, r#"{"error":"registry.ollama.ai/library/llama3:latest does not support tools"}"#, Kind::UpstreamRejected),
            (404, r#"{"error":"model 'x' not found"}"#, Kind::UpstreamRejected),
            (400, r#"{"error":"the input length exceeds the context length"}"#, Kind::ContextWindow),
            (400, r#"{"error":"prompt too long; exceeded max context length by 4 tokens"}"#, Kind::ContextWindow),
            (401, r#"{"error":"unauthorized"}"#, Kind::UpstreamAuth),
            (429, r#"{"error":"you've reached your hourly usage limit, please upgrade to continue"}"#, Kind::UpstreamQuota),
            (429, r#"{"error":"too many concurrent requests"}"#, Kind::UpstreamRateLimit),
            (503, r#"{"error":"server busy, please try again.  maximum pending requests exceeded"}"#, Kind::UpstreamOverload),
            (500, r#"{"error":"model requires more system memory (9.0 GiB) than is available (4.0 GiB)"}"#, Kind::UpstreamServerError),
            (200, r#"{"error":"an error was encountered while running the model: unexpected EOF"}"#, Kind::UpstreamServerError),
            (502, "<html>", Kind::UpstreamServerError),
        ] {
            assert_eq!(read(status, body.as_bytes()).kind, kind, "{status} {body}");
        }
        let own = Failure::new(Kind::UpstreamRejected, "m\n");
        assert_eq!(read(400, &write(&own)), own);
        assert!(!write(&own).contains(&b'\n'));
    }
}
