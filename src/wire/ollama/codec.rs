//! The format, for whoever looks it up.

use std::borrow::Cow;

use super::{answer, error, lines, request};
use crate::wire::codec::{Answer, BadBody, Codec, DecodeStream, EncodeStream, Encoded, Failure, Reply, Route, Target};
use crate::wire::frame::Framing;
use crate::wire::ir::{Request, Response};

/// Ollama's chat, both ways.
#[derive(Debug, Clone, Copy)]
pub struct Ollama;

impl Codec for Ollama {
    fn decode_request<'a>(&self, body: &'a [u8], _route: &Route<'a>) -> Result<Request<'a>, BadBody> {
        request::decode(body)
    }

    fn path(&self, _target: &Target<'_>, _is_stream: bool) -> Cow<'static, str> {
        Cow::Borrowed("/api/chat")
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

    fn framing(&self) -> Framing {
        Framing::Ndjson
    }

    fn stream_decoder(&self) -> Box<dyn DecodeStream> {
        Box::new(lines::Decoder::default())
    }

    fn stream_encoder(&self, reply: &Reply<'_>) -> Box<dyn EncodeStream> {
        Box::new(lines::Encoder::new(reply))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Failure {
        error::read(status, body)
    }

    fn encode_error(&self, failure: &Failure, _request_id: &str) -> Vec<u8> {
        error::write(failure)
    }
}
