//! The chain: one candidate after another, one credential after another, within one deadline, until one answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use tokio::time::Instant;

use super::exchange::Attempt;
use super::facts::LazyFacts;
use super::intake::is_judged;
use super::outbound::{self, SystemMessage};
use super::refusal::Refusal;
use super::stream::Stream;
use crate::base::Clock;
use crate::error::{GatewayError, Kind, Retry};
use crate::plan::FallbackOn;
use crate::provider::{Outbound, Upstream, Waits, response_headers, retry_after_ms};
use crate::table::{Alias, Credential, Decision, Standing, Target};
use crate::telemetry::Endpoint;
use crate::wire::edit::Object;
use crate::wire::frame::Sse;
use crate::wire::openai_chat::{Usage, Watcher, answer_usage, classify, is_json_object};

/// Largest error body that is kept, and largest answer that is held back until it is whole.
const ERROR_CAP: usize = 256 << 10;

/// What is sent, whoever answers it.
pub(super) struct Call<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) endpoint: Endpoint,
    pub(super) below: &'a str,
    pub(super) object: &'a Object<'a>,
    pub(super) headers: &'a HeaderMap,
    pub(super) facts: &'a LazyFacts<'a>,
    pub(super) system: Option<SystemMessage>,
    pub(super) stream: bool,
    pub(super) roll: u64,
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
}

/// A failed attempt.
struct Failure {
    error: GatewayError,
    /// The upstream's own answer, where it may be returned as it is.
    answer: Option<(StatusCode, HeaderMap, Bytes)>,
    retry_after_ms: Option<u64>,
    status: Option<u16>,
}

impl From<GatewayError> for Box<Failure> {
    fn from(error: GatewayError) -> Self {
        Self::new(Failure { error, answer: None, retry_after_ms: None, status: None })
    }
}

/// What the whole chain came to.
pub(super) struct Outcome {
    pub(super) result: Result<Answer, Refusal>,
    pub(super) attempts: Vec<Attempt>,
}

/// How far a target was tried when an attempt failed.
struct Tried {
    tries: u32,
    took: Duration,
    /// Of the request's time.
    left: Duration,
    credentials_left: usize,
}

enum Next {
    /// After a wait.
    Same(Duration),
    Credential,
    Target,
    Stop,
}

/// Tries the candidates in order.
pub(super) async fn run(decision: &Decision, call: &Call<'_>) -> Outcome {
    let total = decision.candidates.first().map_or(Duration::from_secs(900), |first| first.target.provider.spec.timeouts.total.get());
    let deadline = Instant::now() + total;
    let alias = decision.alias.as_deref();
    let mut attempts = Vec::new();
    let mut last: Option<Box<Failure>> = None;
    'chain: for (place, candidate) in decision.candidates.iter().enumerate() {
        let target = &candidate.target;
        // A half-open breaker lets one request through; whoever else comes goes on to the next target, if there is one.
        let probe = target.health.try_probe(call.clock.monotonic_ms());
        if candidate.standing == Standing::HalfOpen && probe.is_none() && place + 1 < decision.candidates.len() {
            continue;
        }
        if let (Some(failure), Some(alias)) = (&last, alias) {
            alias.metrics.fallback(failure.error.kind);
        }
        let mut credentials = candidate.credentials.iter();
        while let Some(credential) = credentials.next() {
            for tries in 0.. {
                let started = call.clock.monotonic_ms();
                let result = tokio::time::timeout_at(deadline, once(target, credential, alias, call)).await;
                let result = result.unwrap_or_else(|_| Err(GatewayError::new(Kind::UpstreamTimeout, "The request's time is over.").into()));
                let attempt = note(target, credential, &result, started, call);
                let took = Duration::from_millis(attempt.took_ms);
                attempts.push(attempt);
                let failure = match result {
                    Ok(answer) => return Outcome { result: Ok(answer), attempts },
                    Err(failure) => failure,
                };
                let tried = Tried { tries, took, left: deadline - Instant::now(), credentials_left: credentials.len() };
                let next = judge(&failure, target, alias, &tried, call.roll);
                last = Some(failure);
                match next {
                    Next::Same(wait) => {
                        target.metrics.retry();
                        tokio::time::sleep(wait).await;
                    }
                    Next::Credential => break,
                    Next::Target => continue 'chain,
                    Next::Stop => break 'chain,
                }
            }
        }
    }
    Outcome { result: conclude(last), attempts }
}

/// The most useful error: the last definitive one, in the provider's own words where the request itself was refused.
fn conclude(last: Option<Box<Failure>>) -> Result<Answer, Refusal> {
    let Some(failure) = last else {
        return Err(GatewayError::new(Kind::NoCandidate, "Every target is being probed by another request; try again.").into());
    };
    match failure.answer {
        Some((status, headers, body)) => Ok(Answer { status, headers, body: AnswerBody::Whole(body, None) }),
        None => Err(Refusal { retry_after_ms: failure.retry_after_ms, ..failure.error.into() }),
    }
}

/// Where a failure leads, by the table of failover: what was tried, what may still be.
fn judge(failure: &Failure, target: &Target, alias: Option<&Alias>, tried: &Tried, roll: u64) -> Next {
    let kind = failure.error.kind;
    let retries = &target.provider.spec.retries;
    let allowed = alias.is_none_or(|alias| fallback_on(kind).is_some_and(|on| alias.spec.fallback_on.contains(&on)));
    let further = if allowed { Next::Target } else { Next::Stop };
    match kind.retry() {
        Retry::Never => Next::Stop,
        Retry::NextTarget => further,
        Retry::NextCredential if tried.credentials_left > 0 => Next::Credential,
        Retry::NextCredential => further,
        Retry::Same => {
            let wait = backoff(target, tried.tries, failure.retry_after_ms, roll);
            // Patience covers the failure and a wait that the provider states: neither may hold up the chain for longer.
            let patience = retries.only_if_failed_within.get();
            let quick = wait <= patience && (kind == Kind::UpstreamConnect || tried.took <= patience);
            if tried.tries < retries.max && quick && wait < tried.left { Next::Same(wait) } else { further }
        }
    }
}

const fn fallback_on(kind: Kind) -> Option<FallbackOn> {
    Some(match kind {
        Kind::UpstreamRateLimit => FallbackOn::RateLimit,
        Kind::UpstreamQuota => FallbackOn::Quota,
        Kind::UpstreamAuth => FallbackOn::Auth,
        Kind::UpstreamOverload => FallbackOn::Overload,
        Kind::UpstreamServerError => FallbackOn::ServerError,
        Kind::UpstreamTimeout => FallbackOn::Timeout,
        Kind::UpstreamConnect => FallbackOn::Connect,
        Kind::ContextWindow => FallbackOn::ContextWindow,
        Kind::UpstreamMalformed | Kind::UpstreamTruncated => FallbackOn::Malformed,
        Kind::ContentFilter => FallbackOn::ContentFilter,
        _ => return None,
    })
}

/// Doubles from the first wait, with full jitter; a stated wait goes before.
fn backoff(target: &Target, tries: u32, retry_after_ms: Option<u64>, roll: u64) -> Duration {
    if let Some(ms) = retry_after_ms {
        return Duration::from_millis(ms);
    }
    let ceiling = target.provider.spec.retries.backoff.as_millis().saturating_mul(1 << tries.min(10)).min(30_000);
    Duration::from_millis(ceiling / 2 + roll.wrapping_add(u64::from(tries)) % (ceiling / 2 + 1))
}

/// Tells health and metrics how an attempt went, and keeps it for the log.
fn note(target: &Arc<Target>, credential: &Credential, result: &Result<Answer, Box<Failure>>, started: u64, call: &Call<'_>) -> Attempt {
    let now = call.clock.monotonic_ms();
    let took_ms = now.saturating_sub(started);
    let (failure, status) = match result {
        Ok(answer) => (None, Some(answer.status.as_u16())),
        Err(failure) => (Some(failure.error.kind), failure.status),
    };
    let retry_after_ms = result.as_ref().err().and_then(|failure| failure.retry_after_ms);
    match failure {
        None | Some(Kind::UpstreamRejected | Kind::ContextWindow | Kind::ContentFilter) => {
            target.health.success(started, now);
            credential.health.success(started);
        }
        Some(Kind::UpstreamRateLimit) => credential.health.cool(now, retry_after_ms),
        Some(Kind::UpstreamQuota) => credential.health.exhaust(now),
        Some(Kind::UpstreamAuth) => credential.health.refuse(now),
        Some(kind) if kind.blames_target() => target.health.failure(started, now, (call.roll % 1000) as f64 / 1000.0),
        // A fault of ours says nothing about anybody else.
        Some(_) => {}
    }
    target.metrics.attempt(failure, Duration::from_millis(took_ms));
    Attempt { target: Arc::clone(target), credential: credential.name.clone(), failure, status, took_ms }
}

/// One call of one target with one credential.
async fn once(target: &Arc<Target>, credential: &Credential, alias: Option<&Alias>, call: &Call<'_>) -> Result<Answer, Box<Failure>> {
    let provider = &target.provider;
    let prepared = outbound::prepare(call.object, call.endpoint, alias, call.system.as_ref(), target);
    let url = provider
        .destination
        .endpoint(call.below)
        .map_err(|error| GatewayError::new(Kind::Internal, "The provider's address cannot be built.").detail(error))?;
    let headers = outbound::headers(call.headers, provider, credential, call.facts)?;
    let timeouts = &provider.spec.timeouts;
    let outbound = Outbound { method: Method::POST, url, headers, body: Bytes::from(prepared.body) };
    let upstream = provider.client.send(outbound, Waits { first_byte: timeouts.first_byte.get(), idle: timeouts.idle.get() }).await?;
    if !upstream.status.is_success() {
        return Err(Box::new(refused(upstream, call).await));
    }
    if call.stream {
        let mut stream = Stream {
            upstream: Some(upstream.body),
            sse: Sse::default(),
            watcher: Watcher::default(),
            hide_usage: prepared.hide_usage,
            queue: VecDeque::new(),
            done_marker: provider.spec.quirks.done_marker,
            over: false,
            lease: None,
            exchange: None,
        };
        tokio::time::timeout(timeouts.first_content.get(), stream.open())
            .await
            .unwrap_or_else(|_| Err(GatewayError::new(Kind::UpstreamTimeout, "The provider sent no content in time.")))?;
        let headers = response_headers(upstream.status, &upstream.headers);
        return Ok(Answer { status: upstream.status, headers, body: AnswerBody::Stream(Box::new(stream)) });
    }
    let headers = response_headers(upstream.status, &upstream.headers);
    let body = upstream.body.collect().await?.to_bytes();
    if is_judged(call.endpoint) && !is_json_object(&body) {
        return Err(GatewayError::new(Kind::UpstreamMalformed, "The provider's answer is not JSON.").into());
    }
    let usage = answer_usage(&body);
    Ok(Answer { status: upstream.status, headers, body: AnswerBody::Whole(body, usage) })
}

/// Reads an error answer, and keeps it where it may be returned as it is.
async fn refused(upstream: Upstream, call: &Call<'_>) -> Failure {
    let body =
        http_body_util::Limited::new(upstream.body, ERROR_CAP).collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let status = upstream.status;
    let kind = classify(status.as_u16(), &body);
    let header = |name: &str| upstream.headers.get(name).and_then(|value| value.to_str().ok());
    let retry_after_ms = retry_after_ms(header, &body, call.clock.unix_ms());
    let as_it_is = matches!(kind, Kind::UpstreamRejected | Kind::ContextWindow | Kind::ContentFilter);
    let answer = as_it_is.then(|| (status, response_headers(status, &upstream.headers), body));
    let error = GatewayError::new(kind, public(kind)).detail(format_args!("upstream status {status}"));
    Failure { error, answer, retry_after_ms, status: Some(status.as_u16()) }
}

const fn public(kind: Kind) -> &'static str {
    match kind {
        Kind::UpstreamRateLimit => "Every provider that could serve this request is rate limited.",
        Kind::UpstreamQuota => "The provider's account has no quota left.",
        Kind::UpstreamAuth => "The provider refused the gateway's credential.",
        Kind::UpstreamOverload => "The provider is overloaded.",
        Kind::UpstreamTimeout => "The provider did not answer in time.",
        _ => "The provider failed.",
    }
}
