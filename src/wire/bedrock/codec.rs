//! The format, for whoever looks it up.

use std::borrow::Cow;

use super::{answer, error, events, request};
use crate::base::path_segment;
use crate::error::Kind;
use crate::wire::codec::{Answer, BadBody, Codec, DecodeStream, EncodeStream, Encoded, Failure, Reply, Route, Target};
use crate::wire::frame::Framing;
use crate::wire::ir::{Request, Response};

/// AWS Bedrock's Converse, both ways.
#[derive(Debug, Clone, Copy)]
pub struct Bedrock;

impl Codec for Bedrock {
    fn decode_request<'a>(&self, body: &'a [u8], route: &Route<'a>) -> Result<Request<'a>, BadBody> {
        request::decode(body, route)
    }

    fn path(&self, target: &Target<'_>, is_stream: bool) -> Cow<'static, str> {
        let call = if is_stream { "converse-stream" } else { "converse" };
        Cow::Owned(path(target.model, call))
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
        Framing::EventStream
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

    fn encode_error(&self, failure: &Failure, _request_id: &str) -> Vec<u8> {
        let mut body = Vec::new();
        error::write(failure, &mut body);
        body
    }

    fn error_status(&self, kind: Kind) -> u16 {
        error::status(kind)
    }
}

/// Returns where a model is called, below the upstream's root. An ARN's colons and slashes are escaped too: what is signed must be what is
/// sent.
pub fn path(model: &str, call: &str) -> String {
    format!("/model/{}/{call}", path_segment(model))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::quirks::Quirks;

    #[test]
    fn a_model_is_one_segment_of_the_path_whatever_its_name() {
        for (model, is_stream, path) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", false, "/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse"),
            (
                "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
                true,
                "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fabc/converse-stream",
            ),
            ("../x?y", false, "/model/..%2Fx%3Fy/converse"),
        ] {
            let target = Target { model, max_output_tokens: None, quirks: &Quirks::OPENAI };
            assert_eq!(Bedrock.path(&target, is_stream), path);
        }
    }
}
