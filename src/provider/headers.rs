//! Which headers travel: from the client to the upstream, and back.
//!
//! Rule: both directions are allow-lists. The caller's key, cookies and network facts never go up; facts about our account never come
//! down.

use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::base::is_hop_by_hop;
use crate::wire::Format;

/// What a client may say to the upstream.
///
/// Left out on purpose: `openai-organization` and `openai-project` (they belong to the account of the credential, which is ours),
/// `accept-encoding` (usage is read from the answer, so it must not be compressed), `user-agent` and `x-stainless-*` (they describe the
/// client's machine), `baggage` (may hold personal data).
const REQUEST: [HeaderName; 4] = [
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("x-client-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// What describes the body and the answer, where neither is translated.
const CONTENT: [HeaderName; 2] = [ACCEPT, CONTENT_TYPE];
const OPENAI_BETA: HeaderName = HeaderName::from_static("openai-beta");
const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
/// The only version that there is. Source: wire notes on Anthropic.
const ANTHROPIC_VERSION_KNOWN: HeaderValue = HeaderValue::from_static("2023-06-01");

/// The lane that a request travels in, which decides what of its headers still means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travel {
    /// Client and upstream speak this format.
    Same(Format),
    /// The request was written anew, as JSON, in this format.
    Translated(Format),
}

/// What an upstream may say to the client.
///
/// Left out on purpose: `openai-organization` (names our account), `x-ratelimit-*` (our credential's limits, not the client's),
/// `set-cookie`, `server`, and `content-length`, which the server sets from the body it sends.
const RESPONSE: [HeaderName; 10] = [
    CONTENT_TYPE,
    http::header::CONTENT_ENCODING,
    http::header::CONTENT_DISPOSITION,
    http::header::CACHE_CONTROL,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
    HeaderName::from_static("x-amzn-requestid"),
    HeaderName::from_static("x-amzn-errortype"),
];

/// Delays, which come back only with an error: some providers send `retry-after` with 200 as well (wire notes on Anthropic, HF).
const DELAYS: [HeaderName; 2] = [RETRY_AFTER, HeaderName::from_static("retry-after-ms")];

/// Makes the headers of one upstream request: what the client may say, then the provider's own headers; the later wins. The credential is
/// added when all else is ready, by [`super::Signer::sign`].
pub fn request_headers(client: &HeaderMap, provider: &[(HeaderName, HeaderValue)], travel: Travel) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(REQUEST.len() + CONTENT.len() + provider.len() + 4);
    copy(client, &REQUEST, &mut headers);
    match travel {
        Travel::Same(format) => {
            copy(client, &CONTENT, &mut headers);
            match format {
                Format::OpenaiChat | Format::OpenaiResponses => copy(client, &[OPENAI_BETA], &mut headers),
                Format::Anthropic => copy(client, &[ANTHROPIC_BETA, ANTHROPIC_VERSION], &mut headers),
                // They have no header of their own that changes an answer.
                Format::Gemini | Format::Bedrock | Format::Cohere | Format::Ollama => {}
            }
        }
        Travel::Translated(_) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
    }
    if let Travel::Same(Format::Anthropic) | Travel::Translated(Format::Anthropic) = travel {
        headers.entry(ANTHROPIC_VERSION).or_insert(ANTHROPIC_VERSION_KNOWN);
    }
    for (name, value) in provider {
        if !is_hop_by_hop(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
    headers
}

/// Returns the headers of an upstream's answer that the client may see.
pub fn response_headers(status: StatusCode, upstream: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(RESPONSE.len() + 4);
    copy(upstream, &RESPONSE, &mut headers);
    if status.is_client_error() || status.is_server_error() {
        copy(upstream, &DELAYS, &mut headers);
    }
    headers
}

fn copy(from: &HeaderMap, names: &[HeaderName], to: &mut HeaderMap) {
    let connection = from.get(CONNECTION);
    for name in names {
        if let Some(value) = from.get(name) {
            if connection.is_some() && nominated(from, name) {
                continue;
            }
            to.insert(name.clone(), value.clone());
        }
    }
}

/// Returns whether `Connection` names the header, which makes it hop-by-hop whatever it is.
fn nominated(headers: &HeaderMap, name: &HeaderName) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn callers_credentials_and_hop_by_hop_headers_never_go_upstream() {
        let client = map(&[
            ("authorization", "Bearer caller"),
            ("x-api-key", "caller"),
            ("api-key", "caller"),
            ("x-goog-api-key", "caller"),
            ("cookie", "a=b"),
            ("connection", "keep-alive, traceparent"),
            ("transfer-encoding", "chunked"),
            ("content-length", "3"),
            ("host", "gateway"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("accept-encoding", "gzip"),
            ("user-agent", "sdk"),
            ("x-stainless-os", "Linux"),
            ("x-forwarded-for", "10.0.0.1"),
            ("openai-organization", "org-caller"),
            ("traceparent", "00-a-b-01"),
            ("content-type", "application/json"),
            ("openai-beta", "assistants=v2"),
            ("idempotency-key", "k"),
        ]);
        let sent = request_headers(&client, &[], Travel::Same(Format::OpenaiChat));
        assert_eq!(names(&sent), ["content-type", "idempotency-key", "openai-beta"], "a header named by Connection stays behind too");
    }

    #[test]
    fn the_providers_headers_win_over_the_client() {
        let client = map(&[("openai-beta", "client"), ("accept", "text/event-stream")]);
        let own = [
            (HeaderName::from_static("openai-beta"), HeaderValue::from_static("provider")),
            (http::header::HOST, HeaderValue::from_static("elsewhere")),
        ];
        let sent = request_headers(&client, &own, Travel::Same(Format::OpenaiChat));
        assert_eq!(names(&sent), ["accept", "openai-beta"]);
        assert_eq!(sent.get("openai-beta").unwrap(), "provider");
    }

    #[test]
    fn facts_about_our_account_never_come_down_and_delays_only_with_errors() {
        let upstream = map(&[
            ("content-type", "application/json"),
            ("x-request-id", "req_1"),
            ("openai-processing-ms", "12"),
            ("openai-organization", "org-ours"),
            ("x-ratelimit-remaining-tokens", "5"),
            ("set-cookie", "__cf=1"),
            ("server", "cloudflare"),
            ("connection", "close"),
            ("content-length", "12"),
            ("retry-after", "3"),
            ("retry-after-ms", "2900"),
        ]);
        let fine = response_headers(StatusCode::OK, &upstream);
        assert_eq!(names(&fine), ["content-type", "openai-processing-ms", "x-request-id"]);
        let refused = response_headers(StatusCode::TOO_MANY_REQUESTS, &upstream);
        assert_eq!(names(&refused), ["content-type", "openai-processing-ms", "retry-after", "retry-after-ms", "x-request-id"]);
    }
}
