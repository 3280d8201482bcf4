//! The lane between two formats for what is no answer to a conversation: vectors, orders of documents, lengths of prompts.

use bytes::Bytes;
use http::StatusCode;

use super::attempt::{Answer, AnswerBody, Call};
use super::outbound::{Lane, Prepared};
use super::payload::Payload;
use super::translate;
use crate::error::{GatewayError, Kind};
use crate::table::Target;
use crate::table::refusal::bad_body;
use crate::wire::codec::{self, Encoded, Failure};
use crate::wire::embedding::{self, Shape};
use crate::wire::ir::{Loss, Reason, Request};
use crate::wire::ir::{Metered, Usage};
use crate::wire::{Format, Operation, count, estimate, rerank};

/// How an answer comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conversion {
    pub(super) operation: Operation,
    /// The upstream's format.
    pub(super) from: Format,
    /// The client's.
    pub(super) into: Format,
    /// How the client wants its vectors.
    shape: Shape,
}

/// Writes the request for a target of another format.
///
/// # Errors
/// [`Kind::BadRequest`] where the body cannot be read; [`Kind::LossyTranslation`] where the target's model has no way to serve it, or the alias
/// is strict and the target cannot be told all of it.
pub(super) fn prepare(call: &Call<'_>, target: &Target, (from, into): (Format, Format)) -> Result<Prepared, GatewayError> {
    let operation = call.operation.unwrap_or(Operation::Answer);
    let body = body(call)?;
    let codec_target = codec::Target { model: &target.model, max_output_tokens: target.capacity.output, quirks: &target.provider.quirks };
    let mut shape = Shape::default();
    let (path, body, losses) = match operation {
        Operation::Embed => {
            let asked = embedding::decode(from, body, &call.route()).map_err(|error| bad_body(&error))?;
            shape = asked.shape;
            let unfit = |text| GatewayError::new(Kind::LossyTranslation, text).detail(format_args!("target {}", target.id()));
            let written = match target.provider.hosting.predicts_vectors(into) {
                true => Ok(embedding::vertex::encode(&asked, &target.model)),
                false => embedding::encode(into, &asked, &target.model),
            };
            let embedding::Encoded { path, body, losses } = written.map_err(unfit)?;
            (path, body, losses)
        }
        Operation::Rerank => {
            let asked = rerank::decode(body).map_err(|error| bad_body(&error))?;
            let rerank::Encoded { path, body, losses } = rerank::encode(into, &asked, &codec_target);
            (path.to_owned(), body, losses)
        }
        Operation::Answer | Operation::Count => {
            let counting = count::encode(into, request(call)?, &codec_target);
            let nothing = || GatewayError::new(Kind::Internal, "The target's format counts nothing.");
            let count::Counting { path, encoded: Encoded { body, losses, .. } } = counting.ok_or_else(nothing)?;
            (path, body, losses)
        }
    };
    // A count has no use for most members, and loses nothing with them.
    if operation != Operation::Count {
        translate::strict(call.alias, target, &losses)?;
    }
    let unwritten = |error| GatewayError::new(Kind::Internal, "The request could not be written.").detail(error);
    let body = target.provider.hosting.body(into, &path, &target.model, body).map_err(unwritten)?;
    let lane = Lane::Convert(Conversion { operation, from: into, into: from, shape });
    Ok(Prepared { body: Bytes::from(body).into(), path, query: None, lane, losses })
}

fn body<'a>(call: &Call<'a>) -> Result<&'a [u8], GatewayError> {
    match call.payload {
        Payload::Json { whole, .. } => Ok(whole),
        Payload::Form { .. } | Payload::Empty => Err(GatewayError::new(Kind::BadRequest, "The request must be a JSON object.")),
    }
}

fn request<'c, 'a>(call: &'c Call<'a>) -> Result<&'c Request<'a>, GatewayError> {
    call.middle.get_or_init(|| translate::read(call, call.format)).as_ref().map_err(Clone::clone)
}

/// Answers for a target that counts no tokens: with a guess, which is told as one. Clients ask all the time, and go on with what they get.
pub(super) fn local(call: &Call<'_>, target: &Target) -> Option<Result<Answer, GatewayError>> {
    if call.operation != Some(Operation::Count) {
        return None;
    }
    (!count::is_in(target.provider.format_for(call.format))).then(|| guess(call))
}

/// Answers for a server that turns out to have nothing that counts.
pub(super) fn uncounted(status: StatusCode, lane: Lane, call: &Call<'_>) -> Option<Answer> {
    let has_none = matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED);
    let Lane::Convert(Conversion { operation: Operation::Count, .. }) = lane else { return None };
    guess(call).ok().filter(|_| has_none)
}

fn guess(call: &Call<'_>) -> Result<Answer, GatewayError> {
    let tokens = estimate::request(request(call)?);
    let losses = vec![Loss { path: "input_tokens".to_owned(), reason: Reason::Approximated }];
    Ok(Answer { losses, ..counted(call.format, tokens) })
}

fn counted(into: Format, tokens: u64) -> Answer {
    let body = AnswerBody::Whole(Bytes::from(count::encode_answer(into, tokens)), Metered::default());
    Answer { status: StatusCode::OK, headers: translate::json_headers(), body, losses: Vec::new(), tab: None }
}

impl Conversion {
    /// Writes an upstream's answer for the client.
    ///
    /// # Errors
    /// What the upstream's format makes of the body.
    pub(super) fn whole(self, answer: &[u8], target: &Target, call: &Call<'_>) -> Result<Answer, GatewayError> {
        let Self { operation, from, into, shape } = self;
        let (written, tokens) = match operation {
            Operation::Embed => {
                let vectors = match target.provider.hosting.predicts_vectors(from) {
                    true => embedding::vertex::decode_answer(answer),
                    false => embedding::decode_answer(from, answer),
                };
                let vectors = vectors.map_err(|failure| unreadable(&failure))?;
                (embedding::encode_answer(into, &vectors, (&target.model, call.request_id), shape), vectors.input_tokens)
            }
            Operation::Rerank => {
                let ranking = rerank::decode_answer(answer).map_err(|failure| unreadable(&failure))?;
                let asked = rerank::decode(body(call)?).map_err(|error| bad_body(&error))?;
                (rerank::encode_answer(&ranking, &asked, call.request_id), ranking.tokens)
            }
            Operation::Answer | Operation::Count => {
                return count::decode_answer(from, answer).map(|tokens| counted(into, tokens)).map_err(|failure| unreadable(&failure));
            }
        };
        let metered = Metered { usage: tokens.map(|input| Usage { input, ..Usage::default() }), tier: None };
        let body = AnswerBody::Whole(Bytes::from(written), metered);
        Ok(Answer { status: StatusCode::OK, headers: translate::json_headers(), body, losses: Vec::new(), tab: None })
    }
}

fn unreadable(failure: &Failure) -> GatewayError {
    GatewayError::new(failure.kind, "The provider's answer is not what its format says.").detail(&failure.message)
}
