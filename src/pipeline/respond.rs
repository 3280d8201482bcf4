//! Answers of our own: errors in the client's dialect, lists of models.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::Reply;
use super::refusal::Refusal;
use crate::error::Kind;
use crate::wire::Format;
use crate::wire::bedrock;
use crate::wire::codec::Failure;
use crate::wire::openai_chat::{Attempted, Envelope};

/// Writes a refusal in the client's dialect. Its wait becomes `Retry-After`, rounded up to whole seconds.
pub(super) fn error(refusal: &Refusal, attempts: &[Attempted], dialect: Format, request_id: &str) -> Response<Reply> {
    let error = &refusal.error;
    let codec = dialect.codec();
    let body = match dialect {
        Format::OpenaiChat | Format::OpenaiResponses => {
            Envelope::new(error.kind, &error.public, None, Some(request_id)).attempts(attempts).to_bytes()
        }
        Format::Anthropic | Format::Gemini | Format::Bedrock | Format::Cohere | Format::Ollama => {
            codec.encode_error(&Failure::new(error.kind, error.public.clone()), request_id)
        }
    };
    let status = refusal.status.unwrap_or_else(|| codec.error_status(error.kind));
    let mut response = json(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body);
    response.headers_mut().extend(error_type(dialect, error.kind));
    if let Some(seconds) = refusal.retry_after_ms.map(|ms| ms.div_ceil(1000))
        && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
    {
        response.headers_mut().insert(RETRY_AFTER, value);
    }
    response
}

/// Returns the header that names an error's class, in formats whose clients look for it there.
pub(super) fn error_type(dialect: Format, kind: Kind) -> Option<(HeaderName, HeaderValue)> {
    (dialect == Format::Bedrock).then(|| (ERROR_TYPE, HeaderValue::from_static(bedrock::error_type(kind))))
}

const ERROR_TYPE: HeaderName = HeaderName::from_static(bedrock::ERROR_TYPE);

/// Wraps JSON.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Response<Reply> {
    let mut response = Response::new(Reply::whole(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
