//! The format, for whoever looks it up.

use std::borrow::Cow;

use super::{answer, chunks, error, request};
use crate::wire::codec::{Answer, BadBody, Codec, DecodeStream, EncodeStream, Encoded, Failure, Reply, Route, Target};
use crate::wire::failure;
use crate::wire::ir::{Request, Response};

/// OpenAI's chat completions, both ways.
#[derive(Debug, Clone, Copy)]
pub struct OpenaiChat;

impl Codec for OpenaiChat {
    fn decode_request<'a>(&self, body: &'a [u8], _route: &Route<'a>) -> Result<Request<'a>, BadBody> {
        request::decode(body)
    }

    fn path(&self, _target: &Target<'_>, _is_stream: bool) -> Cow<'static, str> {
        Cow::Borrowed("/chat/completions")
    }

    fn encode_request(&self, request: &Request<'_>, target: &Target<'_>) -> Encoded {
        request::encode(request, target)
    }

    fn decode_response<'a>(&self, body: &'a [u8]) -> Result<Response<'a>, Failure> {
        answer::decode(body)
    }

    fn encode_response(&self, response: &Response<'_>, reply: &Reply<'_>) -> Answer {
        answer::encode(response, reply)
    }

    fn stream_decoder(&self) -> Box<dyn DecodeStream> {
        Box::new(chunks::Decoder::default())
    }

    fn stream_encoder(&self, reply: &Reply<'_>) -> Box<dyn EncodeStream> {
        Box::new(chunks::Encoder::new(reply))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Failure {
        let kind = if status == 200 { error::classify_event(body) } else { error::classify(status, body) };
        Failure::new(kind, failure::message(body))
    }

    fn encode_error(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        error::Envelope::new(failure.kind, &failure.told(&error::TOO_LONG), None, Some(request_id)).to_bytes()
    }
}
