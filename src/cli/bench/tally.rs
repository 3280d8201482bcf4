//! What came of the requests of one side.

use std::collections::BTreeMap;

/// Counts and times.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    /// Microseconds from when each was meant to start to its end; sorted once the run is over.
    latencies: Vec<u64>,
    /// The same to the first content of streams.
    first_contents: Vec<u64>,
    /// Failures, by what went wrong.
    pub(super) failures: BTreeMap<String, u64>,
}

/// One answer, in microseconds from when it was meant to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) first_content_us: Option<u64>,
    pub(super) whole_us: u64,
}

impl Tally {
    pub(super) fn add(&mut self, came: Result<Times, String>) {
        match came {
            Ok(times) => {
                self.latencies.push(times.whole_us);
                self.first_contents.extend(times.first_content_us);
            }
            Err(why) => *self.failures.entry(why).or_default() += 1,
        }
    }

    /// Ends the run.
    pub(super) fn sorted(mut self) -> Self {
        self.latencies.sort_unstable();
        self.first_contents.sort_unstable();
        self
    }

    pub(super) fn answers(&self) -> u64 {
        self.latencies.len() as u64
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// What most failures were.
    pub(super) fn commonest(&self) -> Option<&str> {
        self.failures.iter().max_by_key(|(_, count)| **count).map(|(why, _)| why.as_str())
    }

    /// Returns the time that so many of a thousand answers took at most.
    pub(super) fn latency_us(&self, permille: u32) -> Option<u64> {
        at(&self.latencies, permille)
    }

    /// Returns the same of their first contents.
    pub(super) fn first_content_us(&self, permille: u32) -> Option<u64> {
        at(&self.first_contents, permille)
    }
}

/// The smallest that so many of a thousand are not above.
fn at(sorted: &[u64], permille: u32) -> Option<u64> {
    let rank = (sorted.len() * permille as usize).div_ceil(1_000);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_was_answered_and_failures_are_told_apart() {
        let mut tally = Tally::default();
        assert_eq!((tally.latency_us(500), tally.commonest()), (None, None));
        for us in (1..=100).rev() {
            tally.add(Ok(Times { first_content_us: (us > 50).then_some(us), whole_us: us * 10 }));
        }
        ["429 rate_limited", "429 rate_limited", "cut"].into_iter().for_each(|why| tally.add(Err(why.to_owned())));
        let tally = tally.sorted();
        assert_eq!((tally.answers(), tally.failed(), tally.commonest()), (100, 3, Some("429 rate_limited")));
        assert_eq!([500, 900, 990, 1_000].map(|share| tally.latency_us(share)), [500, 900, 990, 1_000].map(Some));
        assert_eq!([1, 1_000].map(|share| tally.first_content_us(share)), [51, 100].map(Some));
    }
}
