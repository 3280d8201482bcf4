//! A circuit breaker, of a target or of a credential.
//!
//! Closed → open on 5 failures in a row, or on a success rate under 80 % of at least 20 answers in 30 s. Open for 5 s, doubled each time
//! a probe fails, up to 5 min. Then one request at a time may probe: a success closes, a failure opens again. Only hard failures are
//! reported here: a 429 or a client's mistake never is. Whether the last member of a set may be left out is the caller's question.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Failures in a row that open the breaker.
const IN_A_ROW: u32 = 5;
/// Answers in the window below which its rate means nothing.
const WINDOW_MIN: u32 = 20;
/// Success rate, in percent, under which the breaker opens.
const WINDOW_PERCENT: u32 = 80;
/// The window: ten buckets of three seconds; the oldest goes as a new one begins.
const BUCKETS: usize = 10;
const BUCKET_MS: u64 = 3_000;
/// Further tries in the window that somebody takes who did not answer well just now: so many, or one of so many answers, which are a fifth
/// of all that were no further tries.
const RETRIES_MIN: u32 = 10;
const RETRIES_PART: u32 = 6;
/// Failures in the window from which on somebody does not answer well: so many, and one of so many answers.
const FAILURES_MIN: u32 = 3;
const FAILURES_PART: u32 = 10;
/// First opening.
const OPEN_MS: u64 = 5_000;
/// Longest opening, before jitter.
const OPEN_CAP_MS: u64 = 300_000;
/// When to look again while another request probes.
const PROBING_MS: u64 = 1_000;

/// Whether a breaker lets a request through now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admit {
    /// Yes.
    Yes,
    /// Only as the probe: take [`Breaker::try_probe`] first.
    Probe,
    /// Not before `until_ms` (monotonic milliseconds).
    No {
        /// When to look again.
        until_ms: u64,
    },
}

/// A breaker. Reading is one or two atomic loads; reporting takes a short lock.
#[derive(Debug, Default)]
pub struct Breaker {
    /// End of the current opening in monotonic milliseconds; 0 when closed. Written under `counts`.
    open_until_ms: AtomicU64,
    /// Whether the one probe is out.
    probing: AtomicBool,
    /// Guards the counts and every change of `open_until_ms`; never held across an await.
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    failures_in_a_row: u32,
    /// Openings since the breaker was last closed.
    openings: u32,
    opened_at_ms: u64,
    window: [Bucket; BUCKETS],
}

#[derive(Debug, Default, Clone, Copy)]
struct Bucket {
    /// `now_ms / BUCKET_MS` of its first entry.
    epoch: u64,
    successes: u32,
    failures: u32,
    /// Further tries of requests that failed before.
    retries: u32,
}

impl Breaker {
    /// Says whether a request may pass now.
    pub fn admits(&self, now_ms: u64) -> Admit {
        let until_ms = self.open_until_ms.load(Ordering::Acquire);
        if until_ms == 0 {
            Admit::Yes
        } else if now_ms < until_ms {
            Admit::No { until_ms }
        } else if self.probing.load(Ordering::Acquire) {
            Admit::No { until_ms: now_ms.saturating_add(PROBING_MS) }
        } else {
            Admit::Probe
        }
    }

    /// Takes the one probe, if it is there to take. Dropping it gives it back: report the outcome first.
    pub fn try_probe(self: &Arc<Self>, now_ms: u64) -> Option<Probe> {
        if self.admits(now_ms) != Admit::Probe {
            return None;
        }
        self.probing.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).ok()?;
        let probe = Probe(Arc::clone(self));
        // The last probe may have ended, and reported, since the first look.
        let until_ms = self.open_until_ms.load(Ordering::Acquire);
        (until_ms != 0 && until_ms <= now_ms).then_some(probe)
    }

    /// Records an answer that shows what is behind it alive. `started_ms`: when its request began; one that began before the breaker opened
    /// proves nothing about now and does not close it.
    pub fn success(&self, started_ms: u64, now_ms: u64) {
        let mut counts = self.counts();
        if self.open_until_ms.load(Ordering::Acquire) == 0 {
            counts.failures_in_a_row = 0;
            counts.record(now_ms, true);
        } else if started_ms >= counts.opened_at_ms {
            *counts = Counts::default();
            self.open_until_ms.store(0, Ordering::Release);
        }
    }

    /// Records a hard failure: no connection, a server error, a timeout, a broken answer. `jitter` in 0..1 lengthens an opening by up to a
    /// half, so that replicas do not probe in step. While open, only a request that began after the opening's end opens it again.
    pub fn failure(&self, started_ms: u64, now_ms: u64, jitter: f64) {
        let mut counts = self.counts();
        let until_ms = self.open_until_ms.load(Ordering::Acquire);
        if until_ms == 0 {
            counts.failures_in_a_row = counts.failures_in_a_row.saturating_add(1);
            counts.record(now_ms, false);
            if counts.failures_in_a_row >= IN_A_ROW || counts.rate_is_bad(now_ms) {
                self.open(&mut counts, now_ms, jitter);
            }
        } else if started_ms >= until_ms {
            self.open(&mut counts, now_ms, jitter);
        }
    }

    /// Lets one more try of a request through that failed before, here or elsewhere. Whoever answers well takes all of them; whoever does not,
    /// at most a fifth of what it answered lately and a few, so that retries do not drown what is overloaded already.
    pub fn may_retry(&self, now_ms: u64) -> bool {
        let mut counts = self.counts();
        let ((successes, failures), retries) = (counts.recent(now_ms), counts.retries(now_ms));
        let answers = successes.saturating_add(failures);
        let is_well = failures < FAILURES_MIN || failures.saturating_mul(FAILURES_PART) < answers;
        if is_well && self.open_until_ms.load(Ordering::Acquire) == 0 {
            return true;
        }
        let may = retries < RETRIES_MIN.max(answers / RETRIES_PART);
        if may {
            let bucket = counts.bucket(now_ms);
            bucket.retries = bucket.retries.saturating_add(1);
        }
        may
    }

    fn open(&self, counts: &mut Counts, now_ms: u64, jitter: f64) {
        let base = OPEN_MS.saturating_mul(1 << counts.openings.min(16)).min(OPEN_CAP_MS);
        counts.openings = counts.openings.saturating_add(1);
        counts.opened_at_ms = now_ms;
        let until_ms = now_ms.saturating_add(base).saturating_add(jittered(base, jitter));
        self.open_until_ms.store(until_ms, Ordering::Release);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Describes the state for status and metrics.
    pub fn snapshot(&self, now_ms: u64) -> BreakerSnapshot {
        let counts = self.counts();
        let until_ms = self.open_until_ms.load(Ordering::Acquire);
        let (recent_successes, recent_failures) = counts.recent(now_ms);
        let (state, for_ms) = match until_ms {
            0 => (BreakerState::Closed, None),
            until if now_ms < until => (BreakerState::Open, Some(until - now_ms)),
            _ => (BreakerState::HalfOpen, None),
        };
        BreakerSnapshot { state, for_ms, failures_in_a_row: counts.failures_in_a_row, recent_successes, recent_failures }
    }
}

/// Returns up to half of `base`, as `jitter` says; none when that is not a number.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn jittered(base: u64, jitter: f64) -> u64 {
    let share = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    (base as f64 * share / 2.0) as u64
}

impl Counts {
    /// Returns the bucket of a time. A clock reading taken just before a bucket turned counts in the new one.
    fn bucket(&mut self, now_ms: u64) -> &mut Bucket {
        let epoch = now_ms / BUCKET_MS;
        let [first, others @ ..] = &mut self.window;
        let bucket = match usize::try_from(epoch % BUCKETS as u64).ok().and_then(|slot| others.get_mut(slot.checked_sub(1)?)) {
            Some(bucket) => bucket,
            None => first,
        };
        if bucket.epoch < epoch {
            *bucket = Bucket { epoch, ..Bucket::default() };
        }
        bucket
    }

    /// Counts one answer.
    fn record(&mut self, now_ms: u64, good: bool) {
        let bucket = self.bucket(now_ms);
        let count = if good { &mut bucket.successes } else { &mut bucket.failures };
        *count = count.saturating_add(1);
    }

    fn retries(&self, now_ms: u64) -> u32 {
        self.live(now_ms).fold(0, |sum, bucket| sum.saturating_add(bucket.retries))
    }

    fn live(&self, now_ms: u64) -> impl Iterator<Item = &Bucket> {
        let epoch = now_ms / BUCKET_MS;
        self.window.iter().filter(move |bucket| epoch.saturating_sub(bucket.epoch) < BUCKETS as u64)
    }

    fn rate_is_bad(&self, now_ms: u64) -> bool {
        let (successes, failures) = self.recent(now_ms);
        let all = successes.saturating_add(failures);
        all >= WINDOW_MIN && u64::from(successes) * 100 < u64::from(all) * u64::from(WINDOW_PERCENT)
    }

    fn recent(&self, now_ms: u64) -> (u32, u32) {
        self.live(now_ms).fold((0, 0), |(good, bad), bucket| (good.saturating_add(bucket.successes), bad.saturating_add(bucket.failures)))
    }
}

/// The right to be the one probing request. Dropping it lets the next one probe, so a cancelled probe blocks nobody.
#[derive(Debug)]
pub struct Probe(Arc<Breaker>);

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.probing.store(false, Ordering::Release);
    }
}

/// A breaker's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Requests pass.
    Closed,
    /// Requests are kept away.
    Open,
    /// One request at a time may probe.
    HalfOpen,
}

/// A breaker's state as `status` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakerSnapshot {
    /// The breaker's state.
    pub state: BreakerState,
    /// Milliseconds until it may be probed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// Hard failures in a row.
    pub failures_in_a_row: u32,
    /// Successes in about the last 30 s.
    pub recent_successes: u32,
    /// Hard failures in about the last 30 s.
    pub recent_failures: u32,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opened(at_ms: u64) -> Arc<Breaker> {
        let target = Arc::new(Breaker::default());
        for _ in 0..IN_A_ROW {
            target.failure(at_ms, at_ms, 0.0);
        }
        target
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_a_success_in_between_does_not() {
        let target = Breaker::default();
        for now in 0..4 {
            target.failure(now, now, 0.0);
        }
        target.success(4, 4);
        for now in 5..9 {
            target.failure(now, now, 0.0);
        }
        assert_eq!(target.admits(9), Admit::Yes);
        target.failure(9, 9, 0.0);
        assert_eq!(target.admits(9), Admit::No { until_ms: 5_009 });
        assert_eq!(target.admits(5_009), Admit::Probe);
    }

    #[test]
    fn whoever_answers_well_takes_every_retry_and_whoever_fails_one_to_five_other_requests() {
        let target = Breaker::default();
        for now in 0..1_000 {
            target.success(now, now);
            assert!(target.may_retry(now));
        }
        target.failure(1_000, 1_000, 0.0);
        assert!((0..1_000).all(|_| target.may_retry(1_000)), "one failure among many is none");
        for now in 1_001..1_201 {
            target.failure(now, now, 0.0);
            target.success(now, now);
        }
        let granted = (0..1_000).filter(|_| target.may_retry(1_201)).count();
        assert_eq!(granted, 1_401 / 6, "a seventh of its answers are failures");
        let later = 1_201 + BUCKET_MS * BUCKETS as u64;
        assert!((0..1_000).all(|_| target.may_retry(later)), "what is long ago says nothing");
        let open = opened(later);
        let long_after = later + BUCKET_MS * BUCKETS as u64;
        assert_eq!((0..1_000).filter(|_| open.may_retry(long_after)).count(), RETRIES_MIN as usize, "but while it is open");
    }

    #[test]
    fn a_success_rate_under_80_percent_opens_it_only_with_20_answers_in_the_window() {
        let feed = |per_round_ms: u64| {
            let target = Breaker::default();
            // Two good, one bad: never five in a row, 67 %.
            for round in 0..7 {
                let now = round * per_round_ms;
                target.success(now, now);
                target.success(now, now);
                target.failure(now, now, 0.0);
            }
            target.admits(7 * per_round_ms)
        };
        assert_eq!(feed(100), Admit::No { until_ms: 5_600 });
        assert_eq!(feed(6_000), Admit::Yes, "only the last 30 s count");
    }

    #[test]
    fn each_failed_probe_doubles_the_opening_up_to_five_minutes_and_success_starts_over() {
        let target = opened(0);
        let mut now = 0;
        for length in [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000] {
            assert_eq!(target.admits(now), Admit::No { until_ms: now + length });
            now += length;
            let probe = target.try_probe(now).expect("the opening is over");
            target.failure(now, now, 0.0);
            drop(probe);
        }
        now += 300_000;
        let probe = target.try_probe(now).unwrap();
        target.success(now, now + 1);
        drop(probe);
        assert_eq!(target.admits(now + 1), Admit::Yes);
        for _ in 0..IN_A_ROW {
            target.failure(now, now, 0.0);
        }
        assert_eq!(target.admits(now), Admit::No { until_ms: now + 5_000 });
    }

    #[test]
    fn a_cancelled_probe_frees_its_place_and_changes_nothing_else() {
        let target = opened(0);
        let probe = target.try_probe(5_000).unwrap();
        assert!(target.try_probe(5_000).is_none());
        assert_eq!(target.admits(5_000), Admit::No { until_ms: 6_000 });
        drop(probe);
        assert_eq!(target.admits(5_000), Admit::Probe);
        assert_eq!(target.snapshot(5_000).state, BreakerState::HalfOpen);
    }

    #[test]
    fn answers_to_requests_that_began_before_it_opened_neither_close_nor_prolong_it() {
        let target = opened(1_000);
        target.success(999, 2_000);
        target.failure(999, 2_000, 0.0);
        target.failure(3_000, 7_000, 0.0);
        assert_eq!(target.admits(2_000), Admit::No { until_ms: 6_000 });
        target.success(2_000, 3_000);
        assert_eq!(target.admits(3_000), Admit::Yes, "a last member that was used all the same, and worked");
    }

    #[test]
    fn jitter_lengthens_an_opening_by_up_to_a_half() {
        for (jitter, until_ms) in [(0.0, 5_000), (0.5, 6_250), (1.0, 7_500), (9.0, 7_500), (-1.0, 5_000), (f64::NAN, 5_000)] {
            let target = Breaker::default();
            for _ in 0..IN_A_ROW {
                target.failure(0, 0, jitter);
            }
            assert_eq!(target.admits(0), Admit::No { until_ms }, "{jitter}");
        }
    }

    #[test]
    fn of_threads_that_race_for_it_exactly_one_gets_the_probe() {
        const ROUNDS: u64 = 20_000;
        let target = opened(0);
        let (turn, done, taken) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let wait_for = |counter: &AtomicU64, value: u64| {
            let mut spins = 0_u32;
            while counter.load(Ordering::Acquire) < value {
                spins += 1;
                // On a busy machine the other thread may not be running at all.
                if spins.is_multiple_of(1_000) { std::thread::yield_now() } else { std::hint::spin_loop() }
            }
        };
        let race = || {
            for round in 1..=ROUNDS {
                turn.fetch_add(1, Ordering::AcqRel);
                wait_for(&turn, 2 * round);
                let probe = target.try_probe(5_000);
                taken.fetch_add(u64::from(probe.is_some()), Ordering::AcqRel);
                done.fetch_add(1, Ordering::AcqRel);
                wait_for(&done, 2 * round);
                drop(probe);
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(race);
            scope.spawn(race);
        });
        assert_eq!(taken.into_inner(), ROUNDS);
    }

    /// The rules once more, without atomics, buckets as a plain list of answers.
    #[derive(Default)]
    struct Reference {
        answers: Vec<(u64, bool)>,
        in_a_row: u32,
        openings: u32,
        open: Option<(u64, u64)>,
    }

    impl Reference {
        fn report(&mut self, started: u64, now: u64, good: bool) {
            match self.open {
                None => {
                    self.answers.push((now, good));
                    self.in_a_row = if good { 0 } else { self.in_a_row + 1 };
                    let recent: Vec<bool> =
                        self.answers.iter().filter(|(at, _)| now / BUCKET_MS - at / BUCKET_MS < 10).map(|(_, good)| *good).collect();
                    let bad_rate = recent.len() >= 20 && recent.iter().filter(|good| **good).count() * 5 < recent.len() * 4;
                    if !good && (self.in_a_row >= 5 || bad_rate) {
                        self.trip(now);
                    }
                }
                Some((since, _)) if good && started >= since => *self = Self::default(),
                Some((_, until)) if !good && started >= until => self.trip(now),
                Some(_) => {}
            }
        }

        fn trip(&mut self, now: u64) {
            let length = (5_000 * 2_u64.pow(self.openings.min(10))).min(300_000);
            self.openings += 1;
            self.open = Some((now, now + length));
        }

        fn admits(&self, now: u64) -> Admit {
            match self.open {
                None => Admit::Yes,
                Some((_, until_ms)) if now < until_ms => Admit::No { until_ms },
                Some(_) => Admit::Probe,
            }
        }
    }

    proptest! {
        #[test]
        fn any_sequence_of_answers_leads_where_the_plain_rules_lead(
            steps in prop::collection::vec((0_u64..4_000, 0_u64..8_000, prop::bool::weighted(0.6)), 1..400)
        ) {
            let target = Breaker::default();
            let mut reference = Reference::default();
            let mut now = 10_000;
            for (pause, age, good) in steps {
                now += pause;
                let started = now - age.min(now);
                if good { target.success(started, now) } else { target.failure(started, now, 0.0) }
                reference.report(started, now, good);
                prop_assert_eq!(target.admits(now), reference.admits(now));
                prop_assert_eq!(target.admits(now + 5_000), reference.admits(now + 5_000));
            }
        }
    }
}
