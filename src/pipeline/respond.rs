//! Answers of our own: errors in the client's dialect, lists of models.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::Reply;
use crate::error::GatewayError;
use crate::wire::openai_chat::Envelope;

/// Writes an error. `retry_after_ms` becomes `Retry-After`, rounded up to whole seconds.
pub(super) fn error(error: &GatewayError, request_id: &str, retry_after_ms: Option<u64>) -> Response<Reply> {
    let body = Envelope::new(error.kind, &error.public, None, Some(request_id)).to_bytes();
    let mut response = json(StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body);
    if let Some(seconds) = retry_after_ms.map(|ms| ms.div_ceil(1000))
        && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
    {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// Wraps JSON.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
