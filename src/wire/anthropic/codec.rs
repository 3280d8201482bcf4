//! The format, for whoever looks it up.

use super::request;
use crate::wire::codec::{BadBody, Codec, Encoded, Route, Target};
use crate::wire::ir::Request;

/// Anthropic's messages, both ways.
#[derive(Debug, Clone, Copy)]
pub struct Anthropic;

impl Codec for Anthropic {
    fn decode_request<'a>(&self, body: &'a [u8], _route: &Route<'a>) -> Result<Request<'a>, BadBody> {
        request::decode(body)
    }

    fn encode_request(&self, request: &Request<'_>, target: &Target<'_>) -> Encoded {
        request::encode(request, target)
    }
}
