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
use crate::limit::{Grant, Limiter, Measure, Refused, Room, admit, room};
use crate::table::{Target, estimated_tokens};
use crate::telemetry::{Endpoint, Metrics};
use crate::wire::Format;

/// The limits that apply to a request, and what it holds of them.
#[derive(Debug, Default)]
pub(super) struct Limits {
    limiters: Vec<Arc<Limiter>>,
    grant: Option<Grant>,
}

impl Limits {
    /// Adds limits that apply: once it is known who asks, and once it is known for what.
    pub(super) fn apply<'l>(&mut self, limiters: impl IntoIterator<Item = &'l Arc<Limiter>>) {
        self.limiters.extend(limiters.into_iter().cloned());
    }

    /// Lets the request in, or says which limit keeps it out. Costs nothing where none applies.
    pub(super) fn admit(
        &mut self,
        (endpoint, payload): (Endpoint, &Payload<'_>),
        clock: &dyn Clock,
        metrics: &Metrics,
    ) -> Result<(), Refusal> {
        if self.limiters.is_empty() {
            return Ok(());
        }
        let counts_tokens = self.limiters.iter().any(|limiter| limiter.counts_tokens());
        let tokens = if counts_tokens { prompt_tokens(endpoint, payload) } else { None };
        match admit(&self.limiters, tokens, now_ns(clock)) {
            Ok(grant) => {
                self.grant = Some(grant);
                Ok(())
            }
            Err(refused) => {
                count(&refused, metrics);
                Err(refusal::limited(&refused))
            }
        }
    }

    /// Ends what the request holds. `used_tokens`: of all its attempts, where that is known; else what was taken stays taken.
    pub(super) fn settle(&mut self, used_tokens: Option<u64>, clock: &dyn Clock) {
        if let (Some(grant), Some(used)) = (self.grant.take(), used_tokens) {
            grant.settle(used, now_ns(clock));
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
pub(super) fn attempt(
    target: &Target,
    (endpoint, payload): (Endpoint, &Payload<'_>),
    clock: &dyn Clock,
    metrics: &Metrics,
) -> Result<Option<Grant>, Refused> {
    let Some(limiter) = &target.provider.limiter else { return Ok(None) };
    let tokens = if limiter.counts_tokens() { prompt_tokens(endpoint, payload) } else { None };
    let admitted = admit(std::slice::from_ref(limiter), tokens, now_ns(clock));
    admitted.map(Some).inspect_err(|refused| count(refused, metrics))
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
