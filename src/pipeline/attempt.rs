//! One call of one target with one credential: what is sent, and what its answer means.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use super::facts::LazyFacts;
use super::intake::is_judged;
use super::outbound::{self, SystemMessage};
use super::passing::Passing;
use super::payload::Payload;
use super::stream::{Early, Stream};
use super::waiting::Waiting;
use crate::base::Clock;
use crate::error::{GatewayError, Kind};
use crate::provider::{Outbound, Upstream, Waits, response_headers, retry_after_ms};
use crate::table::{Alias, Credential, Target};
use crate::telemetry::Endpoint;
use crate::wire::frame::Sse;
use crate::wire::openai_chat::{Usage, Watcher, answer_usage, classify, classify_event};

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
    pub(super) waiting: &'a Waiting<'a>,
}

impl Call<'_> {
    /// Returns the request's share of chance, from 0 to 1, for openings of breakers.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn jitter(&self) -> f64 {
        (self.roll >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// An answer for the client.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: AnswerBody,
}

pub(super) enum AnswerBody {
    Whole(Bytes, Option<Usage>),
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
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        Self { error, answer: None, retry_after_ms: None, status: None, blames: true }
    }
}

impl From<GatewayError> for Box<Failure> {
    fn from(error: GatewayError) -> Self {
        Self::new(error.into())
    }
}

/// Calls a target once.
///
/// # Errors
/// Whatever keeps the answer from being passed on; what it means for the next attempt is the chain's to judge.
pub(super) async fn once(
    target: &Arc<Target>,
    credential: &Credential,
    alias: Option<&Alias>,
    call: &Call<'_>,
) -> Result<Answer, Box<Failure>> {
    let began = Instant::now();
    let provider = &target.provider;
    let prepared = outbound::prepare(call, alias, target);
    let path = provider
        .path(call.path.0, call.path.1)
        .map_err(|error| GatewayError::new(Kind::Internal, "The provider's address cannot be built.").detail(error))?;
    let headers = outbound::headers(call.headers, provider, credential, call.facts)?;
    let timeouts = &provider.spec.timeouts;
    let outbound = Outbound { method: call.method.clone(), path, headers, body: prepared.body };
    let waits = Waits { first_byte: timeouts.first_byte.get(), idle: timeouts.idle.get() };
    let upstream = call.waiting.on(provider.client.send(outbound, waits)).await?;
    if !upstream.status.is_success() {
        return Err(Box::new(refused(upstream, call).await));
    }
    if !is_judged(call.endpoint) {
        let headers = response_headers(upstream.status, &upstream.headers);
        let body = AnswerBody::Passing(Box::new(Passing::new(upstream.body)));
        return Ok(Answer { status: upstream.status, headers, body });
    }
    if !call.stream {
        return whole(upstream, call).await;
    }
    // What the head took is gone: whoever waits for a word does not care where the time went.
    open((upstream, began + timeouts.first_content.get()), target, prepared.hide_usage, call).await
}

/// Holds a stream back until its first content, which must come in time.
async fn open(
    (upstream, in_time): (Upstream, Instant),
    target: &Target,
    hide_usage: bool,
    call: &Call<'_>,
) -> Result<Answer, Box<Failure>> {
    let spec = &target.provider.spec;
    let mut stream = Stream {
        upstream: Some(upstream.body),
        sse: Sse::default(),
        watcher: Watcher::default(),
        hide_usage,
        queue: VecDeque::new(),
        done_marker: spec.quirks.done_marker,
        over: false,
        lease: None,
        exchange: None,
    };
    let opening = tokio::time::timeout_at(in_time, stream.open());
    match call.waiting.on(opening).await {
        Ok(Ok(())) => {
            let headers = response_headers(upstream.status, &upstream.headers);
            Ok(Answer { status: upstream.status, headers, body: AnswerBody::Stream(Box::new(stream)) })
        }
        Ok(Err(Early::Fault(error))) => Err(error.into()),
        Ok(Err(Early::Event(data))) => Err(Box::new(event(&data, call))),
        Err(_) => Err(GatewayError::new(Kind::UpstreamTimeout, "The provider sent no content in time.").into()),
    }
}

/// Reads an answer that is passed on when it is whole.
async fn whole(upstream: Upstream, call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let headers = response_headers(upstream.status, &upstream.headers);
    let body = call.waiting.on(collect(upstream.body, ANSWER_CAP)).await?;
    let not_json = |error| GatewayError::new(Kind::UpstreamMalformed, "The provider's answer is not JSON.").detail(error);
    let usage = answer_usage(&body).map_err(not_json)?;
    Ok(Answer { status: upstream.status, headers, body: AnswerBody::Whole(body, usage) })
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

/// Reads an error answer, and keeps it where it may be returned as it is.
async fn refused(upstream: Upstream, call: &Call<'_>) -> Failure {
    let reading = http_body_util::Limited::new(upstream.body, ERROR_CAP).collect();
    let body = call.waiting.on(reading).await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let status = upstream.status;
    let kind = classify(status.as_u16(), &body);
    let header = |name: &str| upstream.headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after_ms = retry_after_ms(header, &body, call.clock.unix_ms());
    let answer = kind.is_about_the_request().then(|| (status, response_headers(status, &upstream.headers), body));
    let error = GatewayError::new(kind, public(kind)).detail(format_args!("upstream status {status}"));
    Failure { error, answer, retry_after_ms, status: Some(status.as_u16()), blames: true }
}

/// An error event in place of content: the provider's own words, where the request itself was refused.
fn event(data: &Bytes, call: &Call<'_>) -> Failure {
    let kind = classify_event(data);
    let answer = kind.is_about_the_request().then(|| {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        (StatusCode::BAD_REQUEST, headers, data.clone())
    });
    let retry_after_ms = retry_after_ms(|_| None, data, call.clock.unix_ms());
    let error = GatewayError::new(kind, public(kind)).detail("an error event before any content");
    Failure { error, answer, retry_after_ms, status: Some(200), blames: true }
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
