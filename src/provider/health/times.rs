//! How long answers of one target take, as a distribution, for whoever waits no longer than is usual.
//!
//! A histogram for each kind of answer, since one says nothing of another: buckets an eighth of an octave wide, whose counts are halved every two
//! minutes, so that what is long ago weighs little. Nothing is kept of a target that nobody watches. Rule: reading and noting take no lock; what
//! is noted while counts are halved may be halved at once, which changes nothing that matters.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// After so long, what is known weighs half.
const HALF_MS: u64 = 120_000;
/// What one answer weighs at first; it is gone after six halvings.
const ONE: u32 = 64;
/// Answers below which a quantile means nothing.
const LEAST: u64 = 20;
/// Bits of the parts of an octave.
const PART_BITS: u32 = 3;
const PARTS: u32 = 1 << PART_BITS;
/// The first octave begins with 512 µs: what is shorter counts as that.
const FIRST_OCTAVE: u32 = 9;
/// Octaves, up to an hour and a bit.
const OCTAVES: u32 = 23;
const BUCKETS: usize = (OCTAVES * PARTS) as usize;

/// Kinds of answers whose times are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timed {
    /// To a conversation, piece by piece: until the first content.
    Streamed,
    /// To a conversation, at once.
    Whole,
    /// Vectors of texts, or an order of documents.
    Other,
}

/// What is known of one target's times.
#[derive(Debug, Default)]
pub struct Times(OnceLock<Box<[Histogram; 3]>>);

impl Times {
    /// Begins to keep times; further calls do nothing.
    pub fn watch(&self) {
        self.0.get_or_init(Box::default);
    }

    /// Notes how long an answer took, or that it took at least as long. Microseconds; `now_ms` is monotonic.
    pub fn note(&self, kind: Timed, took_us: u64, now_ms: u64) {
        if let Some(histogram) = self.lane(kind) {
            histogram.note(took_us, now_ms);
        }
    }

    /// Returns how long at most so many of a thousand answers took of late, in microseconds; none where too little is known.
    pub fn quantile_us(&self, kind: Timed, permille: u16, now_ms: u64) -> Option<u64> {
        self.lane(kind)?.quantile_us(permille, now_ms)
    }

    fn lane(&self, kind: Timed) -> Option<&Histogram> {
        let [streamed, whole, other] = &**self.0.get()?;
        Some(match kind {
            Timed::Streamed => streamed,
            Timed::Whole => whole,
            Timed::Other => other,
        })
    }
}

#[derive(Debug)]
struct Histogram {
    /// How many half-lives of the clock had passed when counts were halved last.
    halved: AtomicU64,
    counts: [AtomicU32; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { halved: AtomicU64::new(0), counts: [const { AtomicU32::new(0) }; BUCKETS] }
    }
}

impl Histogram {
    fn note(&self, took_us: u64, now_ms: u64) {
        self.fade(now_ms);
        if let Some(count) = self.counts.get(bucket(took_us)) {
            // Wraps after sixty million answers within two minutes.
            count.fetch_add(ONE, Ordering::Relaxed);
        }
    }

    /// Halves the counts as often as is due. Of several at once, one does.
    fn fade(&self, now_ms: u64) {
        let (now, then) = (now_ms / HALF_MS, self.halved.load(Ordering::Relaxed));
        if now <= then || self.halved.compare_exchange(then, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        for count in &self.counts {
            // It always has a next value.
            let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| Some(halved(count, now - then)));
        }
    }

    fn quantile_us(&self, permille: u16, now_ms: u64) -> Option<u64> {
        let due = (now_ms / HALF_MS).saturating_sub(self.halved.load(Ordering::Relaxed));
        let counts: Vec<u32> = self.counts.iter().map(|count| halved(count.load(Ordering::Relaxed), due)).collect();
        let total: u64 = counts.iter().copied().map(u64::from).sum();
        if total < LEAST * u64::from(ONE) {
            return None;
        }
        let rank = (total * u64::from(permille)).div_ceil(1_000);
        let mut below = 0;
        for (bucket, count) in counts.iter().enumerate() {
            let count = u64::from(*count);
            if below + count >= rank {
                let (from, width) = bounds(bucket);
                // As if those of a bucket were spread over it.
                return Some(from + width * (rank - below) / count.max(1));
            }
            below += count;
        }
        None
    }
}

fn halved(count: u32, times: u64) -> u32 {
    u32::try_from(times).ok().and_then(|times| count.checked_shr(times)).unwrap_or(0)
}

/// Finds the bucket of a time.
fn bucket(us: u64) -> usize {
    let us = us.max(1 << FIRST_OCTAVE);
    let octave = us.ilog2();
    let part = (us >> (octave - PART_BITS)) & u64::from(PARTS - 1);
    let place = u64::from((octave - FIRST_OCTAVE) * PARTS) + part;
    usize::try_from(place).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// Returns where a bucket begins, and its width.
fn bounds(bucket: usize) -> (u64, u64) {
    let (octave, part) = (bucket / PARTS as usize, (bucket % PARTS as usize) as u64);
    let width = 1 << (octave + (FIRST_OCTAVE - PART_BITS) as usize);
    ((u64::from(PARTS) + part) * width, width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000;

    fn watched() -> Times {
        let times = Times::default();
        times.watch();
        times
    }

    #[test]
    fn nothing_is_known_of_whom_nobody_watches_nor_from_fewer_than_twenty_answers() {
        let unwatched = Times::default();
        (0..100).for_each(|_| unwatched.note(Timed::Whole, 100 * MS, 0));
        assert_eq!(unwatched.quantile_us(Timed::Whole, 500, 0), None);
        let times = watched();
        (0..19).for_each(|_| times.note(Timed::Whole, 100 * MS, 0));
        assert_eq!(times.quantile_us(Timed::Whole, 950, 0), None);
        times.watch();
        times.note(Timed::Whole, 100 * MS, 0);
        let known = times.quantile_us(Timed::Whole, 950, 0).unwrap();
        assert!((90 * MS..113 * MS).contains(&known), "{known}");
        assert_eq!(times.quantile_us(Timed::Streamed, 950, 0), None, "another kind");
        assert_eq!(times.quantile_us(Timed::Other, 950, 0), None, "another kind");
    }

    #[test]
    fn what_is_long_ago_leaves_so_that_a_target_that_was_slow_once_is_not_waited_for_for_ever() {
        let times = watched();
        (0..1_000).for_each(|_| times.note(Timed::Streamed, 5_000 * MS, 0));
        (0..10).for_each(|_| times.note(Timed::Streamed, 100 * MS, 17 * HALF_MS));
        assert_eq!(times.quantile_us(Timed::Streamed, 500, 17 * HALF_MS), None, "ten are too few, and the thousand are gone");
        (0..10).for_each(|_| times.note(Timed::Streamed, 100 * MS, 17 * HALF_MS));
        assert!(times.quantile_us(Timed::Streamed, 990, 17 * HALF_MS).unwrap() < 113 * MS);
        assert_eq!(times.quantile_us(Timed::Streamed, 990, 18 * HALF_MS), None, "without news, too little is left");
        let slow = watched();
        (0..100).for_each(|_| slow.note(Timed::Whole, 100 * MS, 0));
        (0..6).for_each(|_| slow.note(Timed::Whole, 5_000 * MS, 1));
        assert!(slow.quantile_us(Timed::Whole, 950, 1).unwrap() > 4_500 * MS, "six of 106 are more than a twentieth");
    }

    #[test]
    fn a_bucket_is_no_wider_than_an_eighth_of_where_it_begins() {
        for place in 0..BUCKETS {
            let (from, width) = bounds(place);
            assert_eq!((bucket(from), bucket(from + width - 1)), (place, place));
            assert!(width * 8 <= from);
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
    }

    proptest! {
        #[test]
        fn a_quantile_is_near_that_of_the_sorted_times(mut times in prop::collection::vec(600_u64..1 << 31, 20..300), permille in 1_u16..1_000) {
            let known = watched();
            times.iter().for_each(|time| known.note(Timed::Whole, *time, 7));
            times.sort_unstable();
            let rank = (times.len() * usize::from(permille)).div_ceil(1_000);
            let exact = times[rank - 1];
            let told = known.quantile_us(Timed::Whole, permille, 7).unwrap();
            prop_assert!(told.abs_diff(exact) <= exact / 8 + 1, "{} for {}", told, exact);
        }
    }
}
