//! Errors: the envelope is the chat format's; a stream tells them in two shapes, flat and nested, and once more in its last event.

use crate::error::Kind;
use crate::wire::codec::{Failure, TooLong};
use crate::wire::failure;
use crate::wire::json::Node;
use crate::wire::openai_chat::{classify_event, client_code};

/// Reads an error inside an answer: `{code, message}`, `{type, code, message, param}`, or a bare text.
pub(super) fn read(error: Node<'_, '_>) -> Failure {
    let raw = error.raw().as_bytes();
    let word = |name: &str| error.get(name).is_some_and(|node| node.is("invalid_prompt") || node.is("invalid_request_error"));
    let kind = match classify_event(raw) {
        Kind::UpstreamMalformed if word("code") || word("type") => Kind::UpstreamRejected,
        // It says that it failed, in words that are not known: `server_error` among them.
        Kind::UpstreamMalformed => Kind::UpstreamServerError,
        kind => kind,
    };
    Failure::new(kind, failure::message(raw))
}

/// The code says it too, but LangChain goes by the words where a stream fails.
pub(super) const TOO_LONG: TooLong = TooLong {
    known: &["exceeds the context window", "maximum context length is"],
    words: "Your input exceeds the context window of this model",
};

/// Returns the code that an answer which failed names.
pub(super) const fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::UpstreamServerError | Kind::Internal => "server_error",
        Kind::UpstreamQuota => "insufficient_quota",
        Kind::UpstreamOverload | Kind::Overloaded | Kind::Draining => "server_is_overloaded",
        other => client_code(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::json::Document;

    #[test]
    fn errors_are_told_apart_by_their_words_and_come_back_as_what_they_were() {
        for (text, kind) in [
            (r#"{"code":"server_error","message":"x"}"#, Kind::UpstreamServerError),
            (r#"{"code":"rate_limit_exceeded","message":"x"}"#, Kind::UpstreamRateLimit),
            (r#"{"code":"server_is_overloaded","message":"x"}"#, Kind::UpstreamOverload),
            (r#"{"type":"insufficient_quota","code":"insufficient_quota","message":"x","param":null}"#, Kind::UpstreamQuota),
            (r#"{"code":"context_length_exceeded","message":"x"}"#, Kind::ContextWindow),
            (r#"{"code":"invalid_prompt","message":"x"}"#, Kind::UpstreamRejected),
            (r#"{"code":"brand_new","message":"x"}"#, Kind::UpstreamServerError),
            (r#""x""#, Kind::UpstreamServerError),
        ] {
            let document = Document::parse(text.as_bytes()).unwrap();
            assert_eq!(read(document.root()), Failure::new(kind, "x"), "{text}");
            if kind != Kind::UpstreamRejected {
                let again = format!(r#"{{"code":"{}","message":"x"}}"#, code(kind));
                let document = Document::parse(again.as_bytes()).unwrap();
                assert_eq!(read(document.root()).kind, kind, "{again}");
            }
        }
    }
}
