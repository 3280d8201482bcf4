//! Errors: what an upstream's answer means, and how ours are written. Source: the service's model, and recorded ones.
//!
//! An answer names its class in a header (`x-amzn-errortype`), which is not seen here: the status and the words say enough. A stream names it
//! in its frame.

use crate::error::Kind;
use crate::wire::codec::{Failure, TooLong};
use crate::wire::failure;
use crate::wire::json::{Document, Node, Text, Writer};

/// Reads an error that is a whole answer; `status` is 200 where it came in place of one.
pub(super) fn read(status: u16, body: &[u8]) -> Failure {
    let document = Document::parse(body).ok();
    let word: Text<'_> = document.as_ref().and_then(|document| document.root().get("__type").and_then(Node::text)).unwrap_or_default();
    named(&word, status, body)
}

/// Reads an error that a frame of a stream names.
pub(super) fn exception(name: &[u8], body: &[u8]) -> Failure {
    named(&String::from_utf8_lossy(name), 200, body)
}

fn named(word: &str, status: u16, body: &[u8]) -> Failure {
    let mut message = failure::message(body);
    if message.is_empty() {
        // Some of the service's older answers spell it so.
        let document = Document::parse(body).ok();
        message = document.and_then(|document| document.root().get("Message")?.text().map(Text::into_owned)).unwrap_or_default();
    }
    if message.is_empty() {
        word.clone_into(&mut message);
    }
    Failure { kind: classify(word, status, &message), message }
}

fn classify(word: &str, status: u16, message: &str) -> Kind {
    // `com.amazon.coral.service#ThrottlingException:http://…`, `throttlingException`.
    let bare = word.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default().to_ascii_lowercase();
    let lower = message.to_ascii_lowercase();
    let says = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    match bare.trim_end_matches("exception") {
        "throttling" | "toomanyrequests" | "servicequotaexceeded" => Kind::UpstreamRateLimit,
        "modelnotready" | "serviceunavailable" => Kind::UpstreamOverload,
        "modeltimeout" => Kind::UpstreamTimeout,
        "modelstreamerror" | "modelerror" | "internalserver" | "internalfailure" => Kind::UpstreamServerError,
        "accessdenied"
        | "unrecognizedclient"
        | "expiredtoken"
        | "invalidsignature"
        | "incompletesignature"
        | "missingauthenticationtoken" => Kind::UpstreamAuth,
        "validation" if says(&CONTEXT) => Kind::ContextWindow,
        "validation" | "resourcenotfound" | "conflict" => Kind::UpstreamRejected,
        _ => match status {
            200 => Kind::UpstreamServerError,
            401 | 403 => Kind::UpstreamAuth,
            402 => Kind::UpstreamQuota,
            408 | 504 => Kind::UpstreamTimeout,
            // The model failed, not the request.
            424 => Kind::UpstreamServerError,
            // "Too many tokens, please wait": never a matter of the window.
            429 => Kind::UpstreamRateLimit,
            503 => Kind::UpstreamOverload,
            400..=499 if says(&CONTEXT) => Kind::ContextWindow,
            400..=499 => Kind::UpstreamRejected,
            _ => Kind::UpstreamServerError,
        },
    }
}

const CONTEXT: [&str; 5] =
    ["input tokens exceeded", "input is too long", "prompt is too long", "maximum context length", "exceed context limit"];

/// Returns the name of a kind, as a stream's frames have it; few may stand in a stream.
pub(super) const fn exception_name(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest
        | Kind::LossyTranslation
        | Kind::ContextWindow
        | Kind::ContentFilter
        | Kind::UpstreamRejected
        | Kind::MethodNotAllowed
        | Kind::ClientTimeout
        | Kind::TooLarge
        | Kind::Unauthenticated
        | Kind::Revoked
        | Kind::Forbidden
        | Kind::Denied
        | Kind::NotFound
        | Kind::BudgetExceeded
        | Kind::Unpriced
        | Kind::UnknownPath => "validationException",
        Kind::UpstreamRateLimit | Kind::RateLimited => "throttlingException",
        Kind::Overloaded
        | Kind::Draining
        | Kind::NoCandidate
        | Kind::UpstreamOverload
        | Kind::UpstreamConnect
        | Kind::LedgerUnavailable => "serviceUnavailableException",
        Kind::UpstreamTimeout | Kind::UpstreamServerError | Kind::UpstreamMalformed | Kind::UpstreamTruncated | Kind::UpstreamTooLarge => {
            "modelStreamErrorException"
        }
        Kind::UpstreamQuota | Kind::UpstreamAuth | Kind::TemplateFailed | Kind::Internal => "internalServerException",
    }
}

/// Names the class of an error that is a whole answer; clients look there first.
pub const ERROR_TYPE: &str = "x-amzn-errortype";

/// Returns the name of a kind, as whole answers have it, in their header and in their body.
pub const fn error_type(kind: Kind) -> &'static str {
    match kind {
        Kind::BadRequest
        | Kind::LossyTranslation
        | Kind::ContextWindow
        | Kind::ContentFilter
        | Kind::UpstreamRejected
        | Kind::MethodNotAllowed
        | Kind::ClientTimeout
        | Kind::TooLarge => "ValidationException",
        Kind::Unauthenticated | Kind::Revoked => "UnrecognizedClientException",
        Kind::BudgetExceeded => "ServiceQuotaExceededException",
        Kind::Forbidden | Kind::Denied | Kind::Unpriced => "AccessDeniedException",
        Kind::NotFound | Kind::UnknownPath => "ResourceNotFoundException",
        Kind::UpstreamRateLimit | Kind::RateLimited => "ThrottlingException",
        Kind::Overloaded
        | Kind::Draining
        | Kind::NoCandidate
        | Kind::UpstreamOverload
        | Kind::UpstreamConnect
        | Kind::LedgerUnavailable => "ServiceUnavailableException",
        Kind::UpstreamTimeout => "ModelTimeoutException",
        Kind::UpstreamServerError | Kind::UpstreamMalformed | Kind::UpstreamTruncated | Kind::UpstreamTooLarge => "ModelErrorException",
        Kind::UpstreamQuota | Kind::UpstreamAuth | Kind::TemplateFailed | Kind::Internal => "InternalServerException",
    }
}

/// Returns the status that clients of this format expect of a kind: a key that is not known is 403 here.
pub(super) const fn status(kind: Kind) -> u16 {
    match kind {
        Kind::Unauthenticated | Kind::Revoked => 403,
        other => other.status(),
    }
}

/// LiteLLM and others go by these words.
pub(super) const TOO_LONG: TooLong =
    TooLong { known: &["input is too long", "input tokens exceeded"], words: "Input is too long for requested model" };

/// Writes `{__type, message}`: clients read the class there where no header has it.
pub(super) fn write(failure: &Failure, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.begin_object();
    writer.key("__type").text(error_type(failure.kind));
    writer.key("message").text(&failure.told(&TOO_LONG));
    writer.end_object();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_apart_by_their_name_and_then_their_status() {
        for (status, body, kind) in [
            (400, r#"{"message":"The provided model identifier is invalid."}"#, Kind::UpstreamRejected),
            (400, r#"{"message":"Input is too long for requested model."}"#, Kind::ContextWindow),
            (400, r#"{"message":"400 - Input Tokens Exceeded: 9 of 8"}"#, Kind::ContextWindow),
            (400, r#"{"__type":"com.amazon#ServiceQuotaExceededException","message":"x"}"#, Kind::UpstreamRateLimit),
            (403, r#"{"Message":"User is not authorized"}"#, Kind::UpstreamAuth),
            (403, r#"{"message":"The security token included in the request is expired"}"#, Kind::UpstreamAuth),
            (408, r#"{"message":"x"}"#, Kind::UpstreamTimeout),
            (424, r#"{"message":"x","originalStatusCode":500}"#, Kind::UpstreamServerError),
            (429, r#"{"message":"Too many tokens, please wait before trying again."}"#, Kind::UpstreamRateLimit),
            (429, r#"{"__type":"ModelNotReadyException:http://x/","message":"x"}"#, Kind::UpstreamOverload),
            (503, "", Kind::UpstreamOverload),
            (500, "<html>", Kind::UpstreamServerError),
            (200, r#"{"message":"x"}"#, Kind::UpstreamServerError),
        ] {
            assert_eq!(read(status, body.as_bytes()).kind, kind, "{status} {body}");
        }
        assert_eq!(read(403, br#"{"Message":"no"}"#).message, "no");
    }

    #[test]
    fn exceptions_of_streams_are_known_by_their_names() {
        for (name, message, kind) in [
            ("throttlingException", "slow", Kind::UpstreamRateLimit),
            ("validationException", "prompt is too long: 9 tokens > 8 maximum", Kind::ContextWindow),
            ("validationException", "The model returned the following errors: x", Kind::UpstreamRejected),
            ("modelStreamErrorException", "x", Kind::UpstreamServerError),
            ("internalServerException", "x", Kind::UpstreamServerError),
            ("serviceUnavailableException", "x", Kind::UpstreamOverload),
            ("modelTimeoutException", "x", Kind::UpstreamTimeout),
            ("brandNewException", "x", Kind::UpstreamServerError),
        ] {
            assert_eq!(exception(name.as_bytes(), format!(r#"{{"message":"{message}"}}"#).as_bytes()).kind, kind, "{name}");
        }
        assert_eq!(exception(b"throttlingException", b"{}").message, "throttlingException");
    }

    #[test]
    fn our_own_names_are_read_back_as_what_they_are() {
        for kind in [Kind::UpstreamRateLimit, Kind::UpstreamOverload, Kind::UpstreamServerError, Kind::UpstreamRejected] {
            assert_eq!(exception(exception_name(kind).as_bytes(), b"{}").kind, kind);
            let mut body = Vec::new();
            write(&Failure::new(kind, "m"), &mut body);
            assert_eq!(read(status(kind), &body), Failure::new(kind, "m"));
        }
    }
}
