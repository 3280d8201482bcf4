//! The format, for whoever looks it up.

use std::borrow::Cow;

use super::{answer, error, events, request};
use crate::error::Kind;
use crate::wire::codec::{Answer, BadBody, Codec, DecodeStream, EncodeStream, Encoded, Failure, Reply, Route, Target};
use crate::wire::ir::{Request, Response};

/// Cohere's chat, both ways.
#[derive(Debug, Clone, Copy)]
pub struct Cohere;

impl Codec for Cohere {
    fn decode_request<'a>(&self, body: &'a [u8], _route: &Route<'a>) -> Result<Request<'a>, BadBody> {
        request::decode(body)
    }

    fn path(&self, _target: &Target<'_>, _is_stream: bool) -> Cow<'static, str> {
        Cow::Borrowed("/v2/chat")
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
        Box::new(events::Decoder::default())
    }

    fn stream_encoder(&self, reply: &Reply<'_>) -> Box<dyn EncodeStream> {
        Box::new(events::Encoder::new(reply))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Failure {
        error::read(status, body)
    }

    fn encode_error(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        error::write(failure, request_id)
    }

    fn error_status(&self, kind: Kind) -> u16 {
        kind.status()
    }
}
