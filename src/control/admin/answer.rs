//! Answers as HTTP.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::control::apply::Reply;
use crate::control::probe::Probe;
use crate::telemetry;

/// The body of an answer.
pub(in crate::control) type Body = Full<Bytes>;

/// An answer on its way out.
pub(super) struct Answer {
    status: u16,
    content_type: &'static str,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Answer {
    /// Makes an answer in JSON.
    pub(super) fn json(status: u16, body: &Value) -> Self {
        let mut bytes = body.to_string().into_bytes();
        bytes.push(b'\n');
        Self { status, content_type: "application/json", headers: Vec::new(), body: bytes.into() }
    }

    /// Makes the answer of `/metrics`.
    pub(super) fn metrics(text: String) -> Self {
        Self { status: 200, content_type: telemetry::CONTENT_TYPE, headers: Vec::new(), body: text.into() }
    }

    /// Adds the revision as the entity's tag.
    pub(super) fn tag(mut self, revision: u64) -> Self {
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{revision}\"")) {
            self.headers.push((ETAG, tag));
        }
        self
    }

    /// Makes it an HTTP response.
    pub(super) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        let mut answer = Self::json(reply.status, &reply.body);
        match reply.status {
            401 => answer.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            405 => {
                let allow = reply.body.pointer("/error/message").and_then(Value::as_str).and_then(|message| message.rsplit(' ').next());
                answer.headers.extend(allow.and_then(|allow| HeaderValue::from_str(allow).ok()).map(|allow| (ALLOW, allow)));
            }
            _ => {}
        }
        answer
    }
}

impl From<Probe> for Answer {
    fn from(probe: Probe) -> Self {
        Self::json(probe.status, &probe.body)
    }
}
