//! One call of one target with one credential: what is sent, and what its answer means.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use super::convert::{self, Conversion};
use super::facts::LazyFacts;
use super::intake::Framing;
use super::money::{End, Spender, Tab};
use super::outbound::{self, Lane, SystemMessage};
use super::passing::Passing;
use super::payload::Payload;
use super::reader::{Reader, data};
use super::route::is_judged;
use super::stream::{Early, Stream};
use super::translate::{self, Middle};
use super::waiting::Waiting;
use crate::base::{Clock, Span};
use crate::error::{GatewayError, Kind};
use crate::provider::{Attempted, Ear, Outbound, Upstream, Waits, response_headers, retry_after_ms, spare};
use crate::table::{Alias, Credential, Target};
use crate::telemetry::Endpoint;
use crate::wire::edit::Object;
use crate::wire::gemini::Gemini;
use crate::wire::ir::Loss;
use crate::wire::ir::Metered;
use crate::wire::ir::Signature;
use crate::wire::openai_chat::{answer_metered, classify, error_in_place, has_long_call_ids};
use crate::wire::quirks::RerankWords;
use crate::wire::{Format, Operation, codec, relayed};

/// Largest answer that is held back until it is whole. 2,048 embeddings of 3,072 numbers, the most that OpenAI gives at once, are close
/// to it.
const ANSWER_CAP: usize = 128 << 20;
/// Largest error body that is kept.
const ERROR_CAP: usize = 256 << 10;

/// What is sent, whoever answers it.
pub(super) struct Call<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) method: &'a Method,
    pub(super) endpoint: Endpoint,
    /// Path below the provider's root, and the query where one travels.
    pub(super) path: (&'a str, Option<&'a str>),
    pub(super) payload: &'a Payload<'a>,
    pub(super) headers: &'a HeaderMap,
    pub(super) facts: &'a LazyFacts<'a>,
    pub(super) system: Option<SystemMessage>,
    pub(super) stream: bool,
    pub(super) roll: u64,
    /// The model as the client named it.
    pub(super) model: Option<&'a str>,
    pub(super) waiting: &'a Waiting<'a>,
    /// The client's format.
    pub(super) format: Format,
    /// What is asked of a model, where the request is one that can be translated.
    pub(super) operation: Option<Operation>,
    /// The request in the middle form, once a target needs it.
    pub(super) middle: Middle<'a>,
    pub(super) alias: Option<&'a Alias>,
    pub(super) request_id: &'a str,
    /// What is done with the model, where the path says it.
    pub(super) method_of_path: Option<&'a str>,
    /// How the client's stream is framed.
    pub(super) framing: Framing,
    /// Who pays.
    pub(super) spender: &'a Spender,
    /// Longest wait for a place at a provider.
    pub(super) queue: Span,
}

impl<'a> Call<'a> {
    /// Returns the request's share of chance, from 0 to 1, for openings of breakers.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn jitter(&self) -> f64 {
        (self.roll >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns what the path says of the request, in formats that put it there.
    pub(super) fn route(&self) -> codec::Route<'a> {
        match self.method_of_path {
            Some(_) => codec::Route { model: self.model, is_stream: Some(self.stream) },
            None => codec::Route::default(),
        }
    }

    /// Returns the client's format and the target's, where a request goes through the middle form: to another format, or to the same with
    /// something of the alias's that is not in that format's words, with thoughts that another target of the chain has signed, or with ids of
    /// calls that the server refuses.
    fn translation(&self, target: &Target) -> Option<(Format, Format)> {
        let (from, into) = (self.format, target.provider.format_for(self.format));
        match self.operation? {
            Operation::Answer => {}
            Operation::Embed if target.provider.hosting.predicts_vectors(into) => return Some((from, into)),
            Operation::Embed | Operation::Count => return (from != into).then_some((from, into)),
            Operation::Rerank => {
                let is_same = from == into && target.provider.quirks.rerank == RerankWords::Cohere;
                return (!is_same).then_some((from, into));
            }
        }
        let sets = self.system.is_some() || self.alias.is_some_and(|alias| !alias.defaults.is_empty() || !alias.overrides.is_empty());
        let reframed = self.framing == Framing::Array;
        let is_foreign = || matches!(self.payload, Payload::Json { whole, .. } if Signature::may_be_tagged_in(whole));
        let has_long_ids = || matches!(self.payload, Payload::Json { whole, .. } if has_long_call_ids(whole));
        let renames_ids = into == Format::OpenaiChat && target.provider.quirks.has_short_call_ids && has_long_ids();
        (from != into || reframed || renames_ids || (from != Format::OpenaiChat && (sets || is_foreign()))).then_some((from, into))
    }
}

/// An answer for the client.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: AnswerBody,
    /// What the translation of the request could not carry.
    pub(super) losses: Vec<Loss>,
    /// What it costs, where it costs anything.
    pub(super) tab: Option<Box<Tab>>,
}

pub(super) enum AnswerBody {
    Whole(Bytes, Metered),
    Stream(Box<Stream>),
    Passing(Box<Passing>),
}

/// A failed attempt.
pub(super) struct Failure {
    pub(super) error: GatewayError,
    /// The upstream's own answer, where it may be returned as it is.
    pub(super) answer: Option<(StatusCode, HeaderMap, Bytes)>,
    pub(super) retry_after_ms: Option<u64>,
    pub(super) status: Option<u16>,
    /// Whether the target is to blame, where the kind of failure says so at all.
    pub(super) blames: bool,
    /// Nothing was sent: the credential could not be had, from a service that is not the target.
    pub(super) is_unsigned: bool,
    /// The alias that serves where a budget has no room.
    pub(super) instead: Option<String>,
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        Self { error, answer: None, retry_after_ms: None, status: None, blames: true, is_unsigned: false, instead: None }
    }
}

impl From<GatewayError> for Box<Failure> {
    fn from(error: GatewayError) -> Self {
        Self::new(error.into())
    }
}

/// Calls a target once. What it costs is in `tab` until there is an answer, for whoever gives the call up.
///
/// # Errors
/// Whatever keeps the answer from being passed on; what it means for the next attempt is the chain's to judge.
pub(super) async fn once(
    target: &Arc<Target>,
    credential: &Credential,
    alias: Option<&Alias>,
    (call, number, ear): (&Call<'_>, usize, Option<Ear>),
    tab: &mut Option<Tab>,
) -> Result<Answer, Box<Failure>> {
    let began = Instant::now();
    let provider = &target.provider;
    let prepared = match call.translation(target) {
        Some(formats) if call.operation == Some(Operation::Answer) => translate::prepare(call, alias, target, formats)?,
        Some(formats) => convert::prepare(call, target, formats)?,
        None => outbound::prepare(call, alias, target)?,
    };
    let lane = prepared.lane;
    *tab = call.spender.reserve(call, target, &prepared, number).await?;
    let path = target
        .path(lane.spoken(), (&prepared.path, prepared.query.as_deref()), call.stream)
        .map_err(|error| GatewayError::new(Kind::Internal, "The provider's address cannot be built.").detail(error))?;
    let headers = outbound::headers(call.headers, provider, (call.facts, lane.travel()))?;
    let outbound = Outbound { method: call.method.clone(), path, headers, body: prepared.body };
    if let Some(tab) = tab {
        tab.sent();
    }
    let mut answer = match answered((outbound, began), target, credential, (call, lane, ear)).await {
        Ok(answer) => answer,
        Err(failure) => {
            if let Some(tab) = tab {
                tab.settle(End::Failed(failure.error.kind), (failure.error.kind.code(), failure.status));
            }
            return Err(failure);
        }
    };
    // What is there as a whole is settled first, so that what comes at once is written once.
    if let Some(tab) = tab.as_mut().filter(|_| !matches!(answer.body, AnswerBody::Whole(..))) {
        tab.durable(&call.spender.payer).await?;
    }
    // A guess in place of an answer has said already what it is.
    if answer.losses.is_empty() {
        answer.losses = prepared.losses;
    }
    answer.tab = tab.take().map(Box::new);
    Ok(answer)
}

/// Sends a request, and waits for what can be passed on.
async fn answered(
    (outbound, began): (Outbound, Instant),
    target: &Target,
    credential: &Credential,
    (call, lane, ear): (&Call<'_>, Lane, Option<Ear>),
) -> Result<Answer, Box<Failure>> {
    let upstream = send(outbound, target, credential, call).await?;
    if let Some(ear) = ear {
        learn(&ear, &upstream.headers, call.clock);
    }
    if !upstream.status.is_success() {
        if let Some(answer) = convert::uncounted(upstream.status, lane, call) {
            return Ok(answer);
        }
        return Err(Box::new(Box::pin(refused(upstream, lane, call)).await));
    }
    if !is_judged(call.endpoint) && tells_its_cost(&upstream, call) {
        let body = call.waiting.on(collect(upstream.body, ANSWER_CAP)).await?;
        let headers = response_headers(upstream.status, &upstream.headers);
        let body = AnswerBody::Whole(body.clone(), relayed::metered(&body));
        return Ok(Answer { status: upstream.status, headers, body, losses: Vec::new(), tab: None });
    }
    if !is_judged(call.endpoint) {
        let headers = response_headers(upstream.status, &upstream.headers);
        let listener = (call.model.is_some() && is_kind(&upstream, "text/event-stream")).then(Box::<relayed::Listener>::default);
        let body = AnswerBody::Passing(Box::new(Passing::new(upstream.body, listener)));
        return Ok(Answer { status: upstream.status, headers, body, losses: Vec::new(), tab: None });
    }
    if call.stream {
        // What the head took is gone: whoever waits for a word does not care where the time went.
        return open((upstream, began + target.provider.spec.timeouts.first_content.get()), target, lane, call).await;
    }
    whole(upstream, target, lane, call).await
}

/// Learns from an answer's head how much more its upstream takes.
fn learn(ear: &Ear, headers: &HeaderMap, clock: &dyn Clock) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(spare) = spare(header, clock.unix_ms()) {
        ear.told(spare.requests, clock.monotonic_ms().saturating_add(spare.for_ms));
    }
}

/// Returns whether an answer that is only relayed is one of a model's that says what it costs: JSON, and not piece by piece.
fn tells_its_cost(upstream: &Upstream, call: &Call<'_>) -> bool {
    call.model.is_some() && is_kind(upstream, "application/json")
}

fn is_kind(upstream: &Upstream, kind: &str) -> bool {
    let said = upstream.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    said.is_some_and(|said| said.starts_with(kind))
}

/// Signs a request and sends it; once more, where a token or temporary keys were refused and others can be had.
async fn send(mut outbound: Outbound, target: &Target, credential: &Credential, call: &Call<'_>) -> Result<Upstream, Box<Failure>> {
    let (provider, signer) = (&target.provider, &credential.signer);
    let timeouts = &provider.spec.timeouts;
    let waits = Waits { first_byte: timeouts.first_byte.get(), idle: timeouts.idle.get() };
    let unsigned = signer.is_renewed().then(|| outbound.clone());
    sign(&mut outbound, target, credential, call).await?;
    let whose = Some(Attempted { provider: &provider.name, model: &target.model, credential: &credential.name });
    let upstream = call.waiting.on(provider.client.attempt(outbound, waits, whose)).await?;
    let is_refused = matches!(upstream.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    match unsigned.filter(|_| is_refused && signer.forget(call.clock.unix_ms())) {
        None => Ok(upstream),
        Some(mut again) => {
            Box::pin(sign(&mut again, target, credential, call)).await?;
            Ok(call.waiting.on(Box::pin(provider.client.attempt(again, waits, whose))).await?)
        }
    }
}

async fn sign(outbound: &mut Outbound, target: &Target, credential: &Credential, call: &Call<'_>) -> Result<(), Box<Failure>> {
    let signing = credential.signer.sign(outbound, target.provider.client.host(), call.clock.unix_ms());
    call.waiting.on(signing).await.map_err(|error| Box::new(Failure { is_unsigned: true, blames: false, ..error.into() }))
}

/// Holds a stream back until its first content, which must come in time.
async fn open((upstream, in_time): (Upstream, Instant), target: &Target, lane: Lane, call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let (reader, headers) = match lane {
        Lane::Relay { format, hide_usage } => {
            let done_marker = target.provider.spec.quirks.done_marker;
            (Reader::relay(format, hide_usage, done_marker), response_headers(upstream.status, &upstream.headers))
        }
        Lane::Translate { from, into, unwrap_tool, include_usage } => {
            let reply = translate::reply(call, target, include_usage);
            let encoder = match call.framing {
                Framing::Events => into.codec().stream_encoder(&reply),
                Framing::Array => Gemini::array_encoder(&reply),
            };
            (Reader::translate(from, encoder, unwrap_tool), translate::stream_headers(into, call.framing))
        }
        // Nothing of the kind is streamed, so none was asked for.
        Lane::Convert(_) => return Err(GatewayError::new(Kind::Internal, "There is no such stream.").into()),
    };
    let mut stream = Stream::new(upstream.body, reader);
    let opening = tokio::time::timeout_at(in_time, stream.open());
    match call.waiting.on(opening).await {
        Ok(Ok(())) => {
            Ok(Answer { status: upstream.status, headers, body: AnswerBody::Stream(Box::new(stream)), losses: Vec::new(), tab: None })
        }
        Ok(Err(Early::Fault(error))) => Err(error.into()),
        Ok(Err(Early::Failed(failure, event))) => {
            let told = event.as_ref().map(data).unwrap_or_default();
            Err(Box::new(failed_early(&failure, told, lane, call)))
        }
        Err(_) => Err(GatewayError::new(Kind::UpstreamTimeout, "The provider sent no content in time.").into()),
    }
}

/// Reads an answer that is passed on when it is whole.
async fn whole(upstream: Upstream, target: &Target, lane: Lane, call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let body = call.waiting.on(collect(upstream.body, ANSWER_CAP)).await?;
    let metered = match lane {
        Lane::Translate { from, into, unwrap_tool, include_usage } => {
            let reply = translate::reply(call, target, include_usage);
            return Ok(translate::whole(&body, (from, into), unwrap_tool, &reply)?);
        }
        Lane::Convert(conversion) => return Ok(conversion.whole(&body, target, call)?),
        Lane::Relay { format: Format::OpenaiChat, .. } => {
            let not_json = |error| GatewayError::new(Kind::UpstreamMalformed, "The provider's answer is not JSON.").detail(error);
            let metered = answer_metered(&body).map_err(not_json)?;
            if let Some(kind) = error_in_place(&body).filter(|_| metered.usage.is_none()) {
                return Err(Box::new(failed_early(&codec::Failure::new(kind, ""), body, lane, call)));
            }
            metered
        }
        Lane::Relay { format, .. } => translate::answer_metered(&body, format)?,
    };
    let headers = response_headers(upstream.status, &upstream.headers);
    Ok(Answer { status: upstream.status, headers, body: AnswerBody::Whole(body, metered), losses: Vec::new(), tab: None })
}

/// Collects a body, at most `cap` bytes.
async fn collect<B: http_body::Body<Data = Bytes, Error = GatewayError>>(body: B, cap: usize) -> Result<Bytes, GatewayError> {
    match http_body_util::Limited::new(body, cap).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(error.downcast::<GatewayError>().map_or_else(|_| too_large(cap), |error| *error)),
    }
}

fn too_large(cap: usize) -> GatewayError {
    let text = format!("The provider's answer is larger than {} MiB, the most that the gateway holds back.", cap >> 20);
    GatewayError::new(Kind::UpstreamTooLarge, text)
}

/// Reads an error answer, and keeps it where it may be returned: as it is, or in the client's format.
async fn refused(upstream: Upstream, lane: Lane, call: &Call<'_>) -> Failure {
    let reading = http_body_util::Limited::new(upstream.body, ERROR_CAP).collect();
    let body = call.waiting.on(reading).await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let status = upstream.status;
    let header = |name: &str| upstream.headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after_ms = retry_after_ms(header, &body, call.clock.unix_ms());
    let (kind, answer) = match lane {
        Lane::Relay { format: Format::OpenaiChat | Format::OpenaiResponses, .. } => {
            let kind = classify(status.as_u16(), &body);
            (kind, (status, response_headers(status, &upstream.headers), body))
        }
        Lane::Relay { format, .. } => {
            let failure = format.codec().decode_error(status.as_u16(), &body);
            // Whoever hosts an API refuses in words of its own, which the format's clients cannot read.
            let is_own = format != Format::Anthropic || Object::scan(&body).is_ok_and(|it| it.string("type").as_deref() == Some("error"));
            match is_own {
                true => (failure.kind, (status, response_headers(status, &upstream.headers), body)),
                false => (failure.kind, translate::refusal(&failure, status, format, call)),
            }
        }
        Lane::Translate { from, into, .. } | Lane::Convert(Conversion { from, into, .. }) => {
            let failure = from.codec().decode_error(status.as_u16(), &body);
            (failure.kind, translate::refusal(&failure, status, into, call))
        }
    };
    let answer = kind.is_about_the_request().then_some(answer);
    let error = GatewayError::new(kind, public(kind)).detail(format_args!("upstream status {status}"));
    Failure { error, answer, retry_after_ms, status: Some(status.as_u16()), blames: true, is_unsigned: false, instead: None }
}

/// An error in place of content: the provider's own words, where the request itself was refused.
fn failed_early(failure: &codec::Failure, data: Bytes, lane: Lane, call: &Call<'_>) -> Failure {
    let kind = failure.kind;
    let answer = kind.is_about_the_request().then(|| match lane {
        Lane::Relay { .. } => (StatusCode::BAD_REQUEST, translate::json_headers(), data.clone()),
        Lane::Translate { into, .. } | Lane::Convert(Conversion { into, .. }) => {
            translate::refusal(failure, StatusCode::BAD_REQUEST, into, call)
        }
    });
    let retry_after_ms = retry_after_ms(|_| None, &data, call.clock.unix_ms());
    let error = GatewayError::new(kind, public(kind)).detail("an error event before any content");
    Failure { error, answer, retry_after_ms, status: Some(200), blames: true, is_unsigned: false, instead: None }
}

const fn public(kind: Kind) -> &'static str {
    match kind {
        Kind::UpstreamRateLimit => "The provider's rate limit for the gateway is reached.",
        Kind::UpstreamQuota => "The provider says that the gateway's account has no quota left.",
        Kind::UpstreamAuth => "The provider refused the gateway's credential; the virtual key is fine.",
        Kind::UpstreamOverload => "The provider is overloaded.",
        Kind::UpstreamTimeout => "The provider did not answer in time.",
        Kind::UpstreamMalformed => "The provider answered with an error in place of content.",
        _ => "The provider failed.",
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    #[tokio::test]
    async fn an_answer_over_the_cap_is_refused_and_one_at_the_cap_is_not() {
        let body = || Full::from(vec![0; 5]).map_err(|never| match never {});
        assert_eq!(collect(body(), 5).await.unwrap().len(), 5);
        assert_eq!(collect(body(), 4).await.unwrap_err().kind, Kind::UpstreamTooLarge);
    }
}
