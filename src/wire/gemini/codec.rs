//! The format, for whoever looks it up.

use std::borrow::Cow;

use super::chunks::Framing;
use super::{answer, chunks, error, request};
use crate::base::path_segment;
use crate::wire::codec::{Answer, BadBody, Codec, DecodeStream, EncodeStream, Encoded, Failure, Reply, Route, Target};
use crate::wire::ir::{Request, Response};
use crate::wire::json::Writer;

/// Gemini's generateContent, both ways.
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

impl Gemini {
    /// Makes a writer of one stream as one JSON array, for a client that did not ask for `alt=sse`.
    pub fn array_encoder(reply: &Reply<'_>) -> Box<dyn EncodeStream> {
        Box::new(chunks::Encoder::new(reply, Framing::Array))
    }
}

impl Codec for Gemini {
    fn decode_request<'a>(&self, body: &'a [u8], route: &Route<'a>) -> Result<Request<'a>, BadBody> {
        request::decode(body, route)
    }

    fn path(&self, target: &Target<'_>, is_stream: bool) -> Cow<'static, str> {
        let method = if is_stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
        Cow::Owned(format!("/{}:{method}", resource(target.model)))
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
        Box::new(chunks::Encoder::new(reply, Framing::Sse))
    }

    fn has_terminator(&self) -> bool {
        false
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Failure {
        error::read(status, body)
    }

    fn encode_error(&self, failure: &Failure, request_id: &str) -> Vec<u8> {
        let mut body = Vec::new();
        error::write(failure, request_id, &mut Writer::new(&mut body));
        body
    }
}

/// Returns where something is done with a model, below the upstream's root.
pub fn path(model: &str, method: &str) -> String {
    format!("/{}:{method}", resource(model))
}

/// Returns a model's path: `models/NAME`, or `tunedModels/NAME`. What could end the path's segment is escaped.
pub(in crate::wire) fn resource(model: &str) -> String {
    let (collection, name) = match model.split_once('/') {
        Some((collection @ ("models" | "tunedModels"), name)) => (collection, name),
        _ => ("models", model),
    };
    format!("{collection}/{}", path_segment(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::quirks::Quirks;

    #[test]
    fn the_path_names_the_model_and_nothing_else_can_get_into_it() {
        for (model, is_stream, path) in [
            ("gemini-2.5-flash", false, "/models/gemini-2.5-flash:generateContent"),
            ("models/gemini-2.5-flash", true, "/models/gemini-2.5-flash:streamGenerateContent?alt=sse"),
            ("tunedModels/mine", false, "/tunedModels/mine:generateContent"),
            ("../x?y#z", false, "/models/..%2Fx%3Fy%23z:generateContent"),
        ] {
            let target = Target { model, max_output_tokens: None, quirks: &Quirks::OPENAI };
            assert_eq!(Gemini.path(&target, is_stream), path);
        }
    }
}
