//! A service that gives tokens: where it is, and one call of it.
//!
//! Rule: it is dialled like every upstream, so that a metadata service's address is never called, and in clear text only on this machine.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use url::Url;

use super::AuthError;
use crate::base::Destination;
use crate::error::{GatewayError, Kind};
use crate::provider::client::{Client, ClientOptions, Clients, Outbound, Waits};

const CONNECT: Duration = Duration::from_secs(5);
const WAITS: Waits = Waits { first_byte: Duration::from_secs(10), idle: Duration::from_secs(10) };
/// Most that is read of an answer. Tokens have some KB.
const ANSWER_BYTES: usize = 256 << 10;

/// Where tokens come from.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: Client,
    path: PathAndQuery,
}

impl Endpoint {
    /// Judges an address and prepares the client for it.
    ///
    /// # Errors
    /// [`AuthError::Endpoint`], with the reason.
    pub(super) fn new(url: &str, clients: &Clients) -> Result<Self, AuthError> {
        let refused = |reason: String| AuthError::Endpoint(reason);
        let parsed = Url::parse(url).map_err(|_| refused("it is not an absolute URL".to_owned()))?;
        let mut origin = parsed.clone();
        origin.set_path("/");
        origin.set_query(None);
        let destination = Destination::parse(origin.as_str(), None).map_err(|error| refused(error.to_string()))?;
        if !destination.is_https() && !destination.is_local() {
            return Err(refused("keys would cross the network in clear text; it must be `https://`".to_owned()));
        }
        let path = destination.endpoint(parsed.path(), parsed.query()).map_err(|error| refused(error.to_string()))?;
        let client = clients.get(&ClientOptions::new(&destination, CONNECT)).map_err(|error| refused(error.to_string()))?;
        Ok(Self { client, path })
    }

    /// Posts a form and returns the body of the answer.
    ///
    /// # Errors
    /// As [`Endpoint::call`].
    pub(super) async fn post_form(&self, form: &[(&str, &str)], accept: &'static str) -> Result<Bytes, GatewayError> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        self.call(Method::POST, headers, Bytes::from(body)).await
    }

    /// Asks for a document and returns it.
    ///
    /// # Errors
    /// As [`Endpoint::call`].
    pub(super) async fn get(&self, headers: HeaderMap) -> Result<Bytes, GatewayError> {
        self.call(Method::GET, headers, Bytes::new()).await
    }

    /// Calls the service once.
    ///
    /// # Errors
    /// What [`Client::send`] gives; [`Kind::UpstreamAuth`] where the service refuses us, [`Kind::UpstreamOverload`] and
    /// [`Kind::UpstreamServerError`] where it fails; [`Kind::UpstreamMalformed`] for an answer that is too long.
    async fn call(&self, method: Method, headers: HeaderMap, body: Bytes) -> Result<Bytes, GatewayError> {
        let outbound = Outbound { method, path: self.path.clone(), headers, body: body.into() };
        let answer = self.client.send(outbound, WAITS).await?;
        let read = Limited::new(answer.body, ANSWER_BYTES).collect().await;
        let body = read.map_err(|error| malformed(error.as_ref().to_string()))?.to_bytes();
        if answer.status.is_success() { Ok(body) } else { Err(refused(answer.status, &body)) }
    }
}

/// Makes the error of an answer that cannot be used. `detail` never holds any of it that may be secret.
pub(super) fn malformed(detail: impl std::fmt::Display) -> GatewayError {
    GatewayError::new(Kind::UpstreamMalformed, "the service that signs the gateway in gave an answer that is none").detail(detail)
}

fn refused(status: StatusCode, body: &Bytes) -> GatewayError {
    let kind = match status.as_u16() {
        408 | 504 => Kind::UpstreamTimeout,
        429 | 503 => Kind::UpstreamOverload,
        400..=499 => Kind::UpstreamAuth,
        _ => Kind::UpstreamServerError,
    };
    let public = match kind {
        Kind::UpstreamAuth => "the provider refused to sign the gateway in",
        _ => "the service that signs the gateway in failed",
    };
    GatewayError::new(kind, public).detail(format_args!("status {}: {}", status.as_u16(), reason(body)))
}

/// Finds the word that says why: OAuth's `error` and AWS's `Code`. Not the whole text, which may repeat what was sent.
fn reason(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let word = json.as_ref().and_then(|json| ["error", "code", "Code"].into_iter().find_map(|name| json.get(name)?.as_str()));
    let word = word.or_else(|| element(&text, "Code")).unwrap_or("no reason given");
    word.chars().filter(|character| character.is_ascii_graphic()).take(80).collect()
}

/// Finds the text of the first element of that name in XML whose elements hold plain text, as AWS's answers do.
pub(super) fn element<'x>(xml: &'x str, name: &str) -> Option<&'x str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    (!text.contains('<')).then_some(text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_services_that_may_be_dialled_are_accepted() {
        let clients = Clients::default();
        for (url, fits) in [
            ("http://127.0.0.1:1/token", true),
            ("http://localhost:1/token?a=b", true),
            ("http://192.168.0.1/token", false),
            ("http://169.254.170.2/v2/credentials", false),
            ("http://169.254.169.254/latest", false),
            ("https://metadata.google.internal/token", false),
            ("https://user:pass@localhost/token", false),
            ("token", false),
        ] {
            assert_eq!(Endpoint::new(url, &clients).is_ok(), fits, "{url}");
        }
    }

    #[test]
    fn a_refusal_tells_its_word_and_nothing_else() {
        let json = br#"{"error":"invalid_grant","error_description":"secret-canary"}"#;
        let failure = refused(StatusCode::BAD_REQUEST, &Bytes::from_static(json));
        assert_eq!((failure.kind, failure.detail.as_deref()), (Kind::UpstreamAuth, Some("status 400: invalid_grant")));
        let xml = b"<ErrorResponse><Error><Code>ExpiredTokenException</Code><Message>secret-canary</Message></Error></ErrorResponse>";
        let failure = refused(StatusCode::FORBIDDEN, &Bytes::from_static(xml));
        assert_eq!(failure.detail.as_deref(), Some("status 403: ExpiredTokenException"));
        assert_eq!(refused(StatusCode::BAD_GATEWAY, &Bytes::from_static(b"<html>")).kind, Kind::UpstreamServerError);
    }
}
