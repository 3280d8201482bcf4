//! How busy, how quick and how good one target is, for whoever picks among several.
//!
//! Quickness is a peak-EWMA: a slow answer is believed at once, a quick one little by little, and what is known fades as time passes, so
//! that whoever was slow is tried again. It is taken from the time to the first content, of answers that come at once from the whole time;
//! never from an error, however quick. Rule: reading and reporting take no lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// After so long without news, about a third of what was known of the time is left, and of failures.
const LATENCY_FADES_MS: f64 = 30_000.0;
const FAILURES_FADE_MS: f64 = 60_000.0;
/// Share of one answer in the share of failures.
const ONE: f32 = 0.1;
/// Unit of the moments that are kept, so that 32 bits of them last for years.
const TICK_MS: u64 = 100;

/// How an answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answered {
    /// Piece by piece.
    Streamed,
    /// At once.
    Whole,
}

/// What is known of one target's load.
#[derive(Debug, Default)]
pub struct Load {
    in_flight: AtomicU32,
    streamed: Fading,
    whole: Fading,
    /// Bits of an `f32`, from 0 to 1.
    failures: Fading,
}

/// A number that fades: its bits, and the moment of the last news in ticks, in one word so that nobody reads half of a change.
#[derive(Debug, Default)]
struct Fading(AtomicU64);

impl Fading {
    fn read(&self) -> (u32, u64) {
        split(self.0.load(Ordering::Acquire))
    }

    fn update(&self, now_ms: u64, change: impl Fn(u32, f64) -> u32) {
        let now = now_ms / TICK_MS;
        let step = |word| {
            let (bits, then) = split(word);
            // A clock reading from just before the last news.
            let latest = now.max(then);
            let past_ms = latest.saturating_sub(then).saturating_mul(TICK_MS);
            Some(u64::from(change(bits, as_f64(past_ms))) << 32 | (latest & u64::from(u32::MAX)))
        };
        // It always has a next value.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
    }
}

const fn split(word: u64) -> (u32, u64) {
    ((word >> 32) as u32, word & u32::MAX as u64)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of less than a thousand years")]
const fn as_f64(number: u64) -> f64 {
    number as f64
}

/// Returns what is left of something after a time without news.
fn left(past_ms: f64, fades_ms: f64) -> f64 {
    (-past_ms / fades_ms).exp()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "times of up to an hour, never negative; more saturates")]
const fn to_us(time: f64) -> u32 {
    time as u32
}

impl Load {
    /// Counts an attempt until what is returned is dropped.
    pub fn begin(self: &Arc<Self>) -> Running {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Running(Arc::clone(self))
    }

    /// Returns how many attempts run.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Notes how long an answer took, in microseconds: until its first content, or its end where it came at once.
    pub fn answered(&self, how: Answered, took_us: u64, now_ms: u64) {
        let took = u32::try_from(took_us).unwrap_or(u32::MAX).max(1);
        self.lane(how).update(now_ms, |known, past_ms| {
            let kept = f64::from(known) * left(past_ms, LATENCY_FADES_MS);
            match f64::from(took) > kept {
                true => took,
                // Several at one moment count as if some time lay between them.
                false => {
                    let weight = left(past_ms.max(LATENCY_FADES_MS / 20.0), LATENCY_FADES_MS);
                    to_us(f64::from(known) * weight + f64::from(took) * (1.0 - weight)).max(1)
                }
            }
        });
    }

    /// Notes that an answer would have taken longer than so many microseconds: nobody waited for it to the end.
    pub fn at_least(&self, how: Answered, took_us: u64, now_ms: u64) {
        let took = u32::try_from(took_us).unwrap_or(u32::MAX).max(1);
        // Where more is known already, it is no news, and what is known fades as before.
        let is_news = faded(self.lane(how).read(), now_ms) < u64::from(took);
        if is_news {
            self.answered(how, took_us, now_ms);
        }
    }

    /// Notes that an answer came, and was whole.
    pub fn succeeded(&self, now_ms: u64) {
        self.judged(0.0, now_ms);
    }

    /// Notes a hard failure, or that a credential was told to wait. It is no news of the time, however quickly it came.
    pub fn failed(&self, now_ms: u64) {
        self.judged(1.0, now_ms);
    }

    fn judged(&self, bad: f32, now_ms: u64) {
        self.failures.update(now_ms, |known, past_ms| {
            let kept = f32::from_bits(known) * to_f32(left(past_ms, FAILURES_FADE_MS));
            (kept + ONE * (bad - kept)).clamp(0.0, 1.0).to_bits()
        });
    }

    /// Returns how long an answer takes of late, in microseconds; none where nothing is known. Where only the other kind is known, that.
    pub fn latency_us(&self, how: Answered, now_ms: u64) -> Option<u64> {
        let other = match how {
            Answered::Streamed => Answered::Whole,
            Answered::Whole => Answered::Streamed,
        };
        [how, other].into_iter().map(|how| faded(self.lane(how).read(), now_ms)).find(|time| *time > 0)
    }

    /// Returns the share of failures of late, from 0 to 1.
    pub fn failure_share(&self, now_ms: u64) -> f64 {
        let (bits, then) = self.failures.read();
        f64::from(f32::from_bits(bits)) * left(past(then, now_ms), FAILURES_FADE_MS)
    }

    const fn lane(&self, how: Answered) -> &Fading {
        match how {
            Answered::Streamed => &self.streamed,
            Answered::Whole => &self.whole,
        }
    }

    /// Describes the state for status and metrics.
    pub fn snapshot(&self, now_ms: u64) -> LoadSnapshot {
        let known = |how| Some(faded(self.lane(how).read(), now_ms)).filter(|time| *time > 0);
        LoadSnapshot {
            in_flight: self.in_flight(),
            streamed_us: known(Answered::Streamed),
            whole_us: known(Answered::Whole),
            failure_share: self.failure_share(now_ms),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a share from 0 to 1")]
const fn to_f32(share: f64) -> f32 {
    share as f32
}

fn past(then: u64, now_ms: u64) -> f64 {
    as_f64((now_ms / TICK_MS).saturating_sub(then).saturating_mul(TICK_MS))
}

fn faded((bits, then): (u32, u64), now_ms: u64) -> u64 {
    to_us(f64::from(bits) * left(past(then, now_ms), LATENCY_FADES_MS)).into()
}

/// An attempt that runs; counted until it is dropped.
#[derive(Debug)]
pub struct Running(Arc<Load>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A target's load as `status` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LoadSnapshot {
    /// Attempts that run.
    pub in_flight: u32,
    /// Microseconds to the first content of a stream, of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streamed_us: Option<u64>,
    /// Microseconds to the end of an answer that comes at once, of late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_us: Option<u64>,
    /// Share of failures, from 0 to 1, of late.
    pub failure_share: f64,
}

impl LoadSnapshot {
    /// Returns the failures among a thousand answers.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share from 0 to 1")]
    pub const fn failures_permille(&self) -> u64 {
        (self.failure_share * 1_000.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000;

    #[test]
    fn a_slow_answer_counts_at_once_and_quick_ones_little_by_little() {
        let load = Load::default();
        assert_eq!(load.latency_us(Answered::Streamed, 0), None);
        load.answered(Answered::Streamed, 100 * MS, 0);
        assert_eq!(load.latency_us(Answered::Streamed, 0), Some(100 * MS));
        load.answered(Answered::Streamed, 900 * MS, 100);
        assert_eq!(load.latency_us(Answered::Streamed, 100), Some(900 * MS));
        load.answered(Answered::Streamed, 100 * MS, 200);
        let one = load.latency_us(Answered::Streamed, 200).unwrap();
        assert!((850 * MS..900 * MS).contains(&one), "{one}");
        (0..200).for_each(|_| load.answered(Answered::Streamed, 100 * MS, 300));
        let many = load.latency_us(Answered::Streamed, 300).unwrap();
        assert!((100 * MS..101 * MS).contains(&many), "{many}");
        assert_eq!(load.latency_us(Answered::Whole, 300), Some(many), "better than nothing");
    }

    #[test]
    fn an_answer_that_nobody_waited_for_is_known_to_take_at_least_so_long() {
        let load = Load::default();
        load.at_least(Answered::Whole, 300 * MS, 0);
        assert_eq!(load.latency_us(Answered::Whole, 0), Some(300 * MS));
        (0..100).for_each(|_| load.at_least(Answered::Whole, 100 * MS, 0));
        assert_eq!(load.latency_us(Answered::Whole, 0), Some(300 * MS), "less than is known says nothing");
        load.at_least(Answered::Whole, 500 * MS, 0);
        assert_eq!(load.latency_us(Answered::Whole, 0), Some(500 * MS));
    }

    #[test]
    fn what_is_known_fades_so_that_whoever_was_slow_is_tried_again() {
        let load = Load::default();
        load.answered(Answered::Streamed, 1_000 * MS, 0);
        load.failed(0);
        assert_eq!(load.latency_us(Answered::Streamed, 0), Some(1_000 * MS), "a failure is no answer");
        let later = load.latency_us(Answered::Streamed, 60_000).unwrap();
        assert!((134 * MS..136 * MS).contains(&later), "{later}");
        assert!((load.failure_share(0) - 0.1).abs() < 1e-6 && load.failure_share(120_000) < 0.02);
    }

    #[test]
    fn a_quick_error_is_no_quick_answer() {
        let load = Load::default();
        load.failed(0);
        assert_eq!(load.latency_us(Answered::Whole, 0), None);
        (0..50).for_each(|_| load.failed(0));
        assert!(load.failure_share(0) > 0.99);
        (0..50).for_each(|_| load.succeeded(0));
        assert!(load.failure_share(0) < 0.01);
    }

    #[test]
    fn an_attempt_counts_until_it_is_dropped() {
        let load = Arc::new(Load::default());
        let (first, second) = (load.begin(), load.begin());
        assert_eq!(load.in_flight(), 2);
        drop(first);
        assert_eq!(load.snapshot(0).in_flight, 1);
        drop(second);
        assert_eq!(load.in_flight(), 0);
    }

    proptest! {
        #[test]
        fn the_time_is_never_more_than_the_slowest_and_the_share_within_its_bounds(
            news in prop::collection::vec((0_u64..1 << 40, 1_u64..1 << 33, any::<bool>()), 1..50)
        ) {
            let load = Load::default();
            let mut slowest = 0;
            for (now_ms, took, bad) in news {
                load.answered(Answered::Whole, took, now_ms);
                slowest = slowest.max(took.min(u32::MAX.into()));
                if bad { load.failed(now_ms) } else { load.succeeded(now_ms) }
                prop_assert!(load.latency_us(Answered::Whole, now_ms).unwrap_or(0) <= slowest);
                prop_assert!((0.0..=1.0).contains(&load.failure_share(now_ms)));
            }
        }
    }
}
