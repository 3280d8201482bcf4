//! The limits of a request: which apply to it, what it holds of them, and what the client is told of what is left.
//!
//! Rule: a request is let in by all of them or touches none; what it holds ends with its answer, however that ends.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::payload::Payload;
use super::refusal::{self, Refusal};
use super::route::is_judged;
use crate::base::Clock;
use crate::limit::{Grant, Limiter, Measure, Refused, Room, enter, room};
use crate::table::{Target, estimated_tokens};
use crate::telemetry::{Endpoint, Metrics};
use crate::wire::Format;

/// The limits that apply to a request, and what it holds of them.
#[derive(Debug, Default)]
pub(super) struct Limits {
    limiters: Vec<Arc<Limiter>>,
    grant: Option<Grant>,
    /// What it holds of the limits of an alias that it was moved to after it had been let in.
    moved: Option<Grant>,
    /// What it holds of the limits of aliases through which the chain came to its target.
    linked: Option<Box<Linked>>,
    /// The same for a target that is asked beside another one, until it is known which of them answers.
    ahead: Option<Box<Linked>>,
    /// The aliases on the way to the targets that were kept out last.
    full: Option<Arc<[Arc<Limiter>]>>,
}

/// The limits of aliases on the way to a target, and what is held of them.
#[derive(Debug)]
struct Linked {
    via: Arc<[Arc<Limiter>]>,
    grant: Grant,
}

impl Limits {
    /// Adds limits that apply: once it is known who asks, and once it is known for what.
    pub(super) fn apply<'l>(&mut self, limiters: impl IntoIterator<Item = &'l Arc<Limiter>>) {
        self.limiters.extend(limiters.into_iter().cloned());
    }

    /// Lets the request in, or says which limit keeps it out. Costs nothing where none applies.
    pub(super) async fn admit(&mut self, asked: (Endpoint, &Payload<'_>), clock: &dyn Clock, metrics: &Metrics) -> Result<(), Refusal> {
        if self.limiters.is_empty() {
            return Ok(());
        }
        let grant = take(&self.limiters, asked, clock, metrics).await;
        self.grant = Some(grant.map_err(|refused| refusal::limited(&refused))?);
        Ok(())
    }

    /// Lets a request in that was let in already, and is moved to another alias. A limit counts a request once.
    pub(super) async fn move_to(
        &mut self,
        limiter: Option<&Arc<Limiter>>,
        asked: (Endpoint, &Payload<'_>),
        clock: &dyn Clock,
        metrics: &Metrics,
    ) -> Result<(), Refusal> {
        let Some(limiter) = limiter.filter(|limiter| !self.applies(limiter)) else { return Ok(()) };
        let grant = take(std::slice::from_ref(limiter), asked, clock, metrics).await.map_err(|refused| refusal::limited(&refused))?;
        self.moved = Some(grant);
        self.limiters.push(Arc::clone(limiter));
        Ok(())
    }

    /// Lets a request through the aliases by which the chain came to its next target, and ends what it held of those before, of whose
    /// targets nothing came. A limit counts a request once, whatever the number of its targets that are tried.
    ///
    /// # Errors
    /// The limit that keeps it out; once, however many targets lie behind it.
    pub(super) async fn link(
        &mut self,
        via: Option<&Arc<[Arc<Limiter>]>>,
        asked: (Endpoint, &Payload<'_>),
        clock: &dyn Clock,
        metrics: &Metrics,
    ) -> Result<(), Option<Refused>> {
        if let Some(ahead) = self.ahead.take_if(|ahead| via.is_some_and(|via| Arc::ptr_eq(&ahead.via, via))) {
            if let Some(before) = self.linked.replace(ahead) {
                before.grant.settle(0, now_ns(clock));
            }
            return Ok(());
        }
        match (&self.linked, via) {
            (None, None) => return Ok(()),
            (Some(linked), Some(via)) if Arc::ptr_eq(&linked.via, via) => return Ok(()),
            (None, Some(via)) if self.full.as_ref().is_some_and(|full| Arc::ptr_eq(full, via)) => return Err(None),
            (Some(_) | None, _) => {}
        }
        if let Some(before) = self.linked.take() {
            before.grant.settle(0, now_ns(clock));
        }
        let Some(via) = via else { return Ok(()) };
        let new: Vec<Arc<Limiter>> = via.iter().filter(|limiter| !self.applies(limiter)).map(Arc::clone).collect();
        let grant = take(&new, asked, clock, metrics).await.map_err(|refused| {
            self.full = Some(Arc::clone(via));
            Some(refused)
        })?;
        self.linked = Some(Box::new(Linked { via: Arc::clone(via), grant }));
        Ok(())
    }

    /// Lets a request through to a target that is asked beside another one, by the limits on the way to either; [`Self::link`] makes it the one
    /// that serves. Nothing is counted as refused.
    pub(super) async fn link_ahead(
        &mut self,
        via: Option<&Arc<[Arc<Limiter>]>>,
        asked: (Endpoint, &Payload<'_>),
        clock: &dyn Clock,
    ) -> Result<(), ()> {
        let Some(via) = via else { return Ok(()) };
        if self.linked.as_ref().is_some_and(|linked| Arc::ptr_eq(&linked.via, via)) {
            return Ok(());
        }
        let new: Vec<Arc<Limiter>> = via.iter().filter(|limiter| !self.applies(limiter)).map(Arc::clone).collect();
        let grant = enter_by(&new, asked, clock).await.map_err(|_| ())?;
        self.drop_ahead(clock);
        self.ahead = Some(Box::new(Linked { via: Arc::clone(via), grant }));
        Ok(())
    }

    /// Ends what is held for a target that was asked beside another one, of which nothing came.
    pub(super) fn drop_ahead(&mut self, clock: &dyn Clock) {
        if let Some(ahead) = self.ahead.take() {
            ahead.grant.settle(0, now_ns(clock));
        }
    }

    fn applies(&self, limiter: &Arc<Limiter>) -> bool {
        self.limiters.iter().any(|known| Arc::ptr_eq(known, limiter))
    }

    /// Ends what the request holds. `used_tokens`: of all its attempts, where that is known; else what was taken stays taken.
    pub(super) fn settle(&mut self, used_tokens: Option<u64>, clock: &dyn Clock) {
        self.drop_ahead(clock);
        let grants = [self.grant.take(), self.moved.take(), self.linked.take().map(|linked| linked.grant)];
        if let Some(used) = used_tokens {
            grants.into_iter().flatten().for_each(|grant| grant.settle(used, now_ns(clock)));
        }
    }

    /// Says what is left, in the words of the client's dialect.
    pub(super) fn tell(&self, dialect: Format, headers: &mut HeaderMap, clock: &dyn Clock) {
        if self.limiters.is_empty() {
            return;
        }
        let now_ns = now_ns(clock);
        for (measure, names) in [(Measure::Requests, &REQUESTS), (Measure::Tokens, &TOKENS)] {
            let Some(Room { limit, remaining, full_in_ns }) = room(&self.limiters, measure, now_ns) else { continue };
            let wait_ms = full_in_ns.div_ceil(1_000_000);
            let (names, reset) = match dialect {
                Format::Anthropic => (&names.anthropic, moment(clock.unix_ms().saturating_add(wait_ms))),
                Format::OpenaiChat | Format::OpenaiResponses | Format::Gemini | Format::Bedrock | Format::Cohere | Format::Ollama => {
                    (&names.openai, length(wait_ms))
                }
            };
            let [limit_name, remaining_name, reset_name] = names;
            headers.insert(limit_name.clone(), HeaderValue::from(limit));
            headers.insert(remaining_name.clone(), HeaderValue::from(remaining));
            if let Ok(reset) = HeaderValue::try_from(reset) {
                headers.insert(reset_name.clone(), reset);
            }
        }
    }
}

/// Lets one attempt through by the limits of its provider.
///
/// # Errors
/// The limit that keeps it out.
pub(super) async fn attempt(
    target: &Target,
    asked: (Endpoint, &Payload<'_>),
    clock: &dyn Clock,
    metrics: &Metrics,
) -> Result<Option<Grant>, Refused> {
    let Some(limiter) = &target.provider.limiter else { return Ok(None) };
    take(std::slice::from_ref(limiter), asked, clock, metrics).await.map(Some)
}

/// Lets an attempt beside another one through, as [`attempt`] does; a refusal is none of the request's, and is not counted.
pub(super) async fn beside(target: &Target, asked: (Endpoint, &Payload<'_>), clock: &dyn Clock) -> Result<Option<Grant>, Refused> {
    let Some(limiter) = &target.provider.limiter else { return Ok(None) };
    enter_by(std::slice::from_ref(limiter), asked, clock).await.map(Some)
}

/// Takes what a request needs of all limits, or nothing; counts a refusal.
async fn take(limiters: &[Arc<Limiter>], asked: (Endpoint, &Payload<'_>), clock: &dyn Clock, metrics: &Metrics) -> Result<Grant, Refused> {
    enter_by(limiters, asked, clock).await.inspect_err(|refused| count(refused, metrics))
}

async fn enter_by(limiters: &[Arc<Limiter>], (endpoint, payload): (Endpoint, &Payload<'_>), clock: &dyn Clock) -> Result<Grant, Refused> {
    let counts_tokens = limiters.iter().any(|limiter| limiter.counts_tokens());
    let tokens = if counts_tokens { prompt_tokens(endpoint, payload) } else { None };
    enter(limiters, tokens, now_ns(clock)).await
}

/// Counts a refusal.
pub(super) fn count(refused: &Refused, metrics: &Metrics) {
    metrics.limited(refused.scope.label(), refused.measure.label());
}

/// The clock of limits.
pub(super) fn now_ns(clock: &dyn Clock) -> u64 {
    clock.monotonic_us().saturating_mul(1_000)
}

/// Estimates the tokens of the prompt, where the answer will say how many there were.
fn prompt_tokens(endpoint: Endpoint, payload: &Payload<'_>) -> Option<u64> {
    match payload {
        Payload::Json { whole, .. } if is_judged(endpoint) && endpoint != Endpoint::CountTokens => Some(estimated_tokens(whole)),
        Payload::Json { .. } | Payload::Form { .. } | Payload::Empty => None,
    }
}

/// The headers of one measure: limit, remaining, reset.
struct Names {
    openai: [HeaderName; 3],
    anthropic: [HeaderName; 3],
}

const REQUESTS: Names = Names {
    openai: [
        HeaderName::from_static("x-ratelimit-limit-requests"),
        HeaderName::from_static("x-ratelimit-remaining-requests"),
        HeaderName::from_static("x-ratelimit-reset-requests"),
    ],
    anthropic: [
        HeaderName::from_static("anthropic-ratelimit-requests-limit"),
        HeaderName::from_static("anthropic-ratelimit-requests-remaining"),
        HeaderName::from_static("anthropic-ratelimit-requests-reset"),
    ],
};

const TOKENS: Names = Names {
    openai: [
        HeaderName::from_static("x-ratelimit-limit-tokens"),
        HeaderName::from_static("x-ratelimit-remaining-tokens"),
        HeaderName::from_static("x-ratelimit-reset-tokens"),
    ],
    anthropic: [
        HeaderName::from_static("anthropic-ratelimit-tokens-limit"),
        HeaderName::from_static("anthropic-ratelimit-tokens-remaining"),
        HeaderName::from_static("anthropic-ratelimit-tokens-reset"),
    ],
};

/// A length of time as OpenAI writes it: `0s`, `120ms`, `8.64s`, `6m0s`, `1h0m0s`.
fn length(ms: u64) -> String {
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
    let thousandths = format!(".{:03}", ms % 1_000);
    let fraction = thousandths.trim_end_matches('0').trim_end_matches('.');
    match (hours, minutes, seconds) {
        (0, 0, 0) if ms > 0 => format!("{ms}ms"),
        (0, 0, _) => format!("{seconds}{fraction}s"),
        (0, ..) => format!("{minutes}m{seconds}{fraction}s"),
        _ => format!("{hours}h{minutes}m{seconds}{fraction}s"),
    }
}

/// A moment as Anthropic writes it, rounded up to whole seconds: `2026-11-25T23:00:00Z`.
fn moment(unix_ms: u64) -> String {
    let seconds = i64::try_from(unix_ms.div_ceil(1_000)).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |moment| moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_moments_are_written_as_the_two_dialects_write_them() {
        let lengths = [(0, "0s"), (1, "1ms"), (120, "120ms"), (1_000, "1s"), (8_640, "8.64s"), (60_500, "1m0.5s"), (360_000, "6m0s")];
        for (ms, text) in lengths.into_iter().chain([(3_600_000, "1h0m0s"), (86_399_999, "23h59m59.999s")]) {
            assert_eq!(length(ms), text);
        }
        assert_eq!(moment(1_795_647_600_001), "2026-11-25T23:00:01Z");
        assert_eq!(moment(1_795_647_600_000), "2026-11-25T23:00:00Z");
    }
}
