//! One rate, and how much of it is used: the generic cell rate algorithm on one atomic number.
//!
//! The number is the *theoretical arrival time* (TAT): the moment from which everything that was let in is worked off at the rate. A request
//! of `n` units moves it forward by `n` intervals, and is let in while it stands no further ahead of now than the burst. Whatever the
//! schedule, what is let in within any window of one period is then at most the limit and the burst.
//! Source: ITU-T I.371, annex A (virtual scheduling).
//!
//! Nothing here knows what a unit is, nor who uses it. Rule: times are nanoseconds of one monotonic clock, given as arguments. All of the
//! state is a time, not a count, so that another limit finds the consumption in proportion, and none ever refills.

use std::sync::atomic::AtomicU64;

use super::cell::Cell;

/// The longest time that others are told of: 300 years still fit into what they count with.
const MOST_US: u64 = 100_000_000_000_000;

/// How fast, and how much at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    limit: u64,
    /// From one unit to the next, rounded up: a rate is never more than what is written.
    interval_ns: u64,
    burst: u64,
}

impl Rate {
    /// Makes a rate of `limit` units in `period_ns` nanoseconds, `burst` of which may come at once. A limit of 0 is taken for 1, and so is a
    /// burst.
    pub const fn new(limit: u64, period_ns: u64, burst: u64) -> Self {
        let limit = if limit == 0 { 1 } else { limit };
        let interval_ns = period_ns.div_ceil(limit);
        Self { limit, interval_ns: if interval_ns == 0 { 1 } else { interval_ns }, burst: if burst == 0 { 1 } else { burst } }
    }

    /// Returns the units of one period.
    pub const fn limit(&self) -> u64 {
        self.limit
    }

    /// Returns the most units at once.
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    /// Returns what `units` cost, in microseconds of whoever counts in those: rounded up, and never more than some years.
    pub(super) const fn cost_us(&self, units: u64) -> u64 {
        let us = self.cost_ns(units).div_ceil(1_000);
        if us < MOST_US { us } else { MOST_US }
    }

    /// Returns the burst in microseconds, rounded down.
    pub(super) const fn tolerance_us(&self) -> u64 {
        let us = self.tolerance_ns() / 1_000;
        if us == 0 {
            1
        } else if us < MOST_US {
            us
        } else {
            MOST_US
        }
    }

    /// Returns one part of the rate of so many equal ones: as often is its every unit further from the next, and as many the fewer come at once.
    pub(super) const fn part(&self, parts: u32) -> Self {
        let parts = if parts == 0 { 1 } else { parts as u64 };
        let burst = self.burst / parts;
        Self { limit: self.limit, interval_ns: self.interval_ns.saturating_mul(parts), burst: if burst == 0 { 1 } else { burst } }
    }

    const fn cost_ns(&self, units: u64) -> u64 {
        units.saturating_mul(self.interval_ns)
    }

    const fn tolerance_ns(&self) -> u64 {
        self.cost_ns(self.burst)
    }
}

/// What was taken from a meter, until it is known what was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Taken {
    cost_ns: u64,
    /// The TAT that it led to.
    ends_ns: u64,
    /// What had been given back before.
    given_back_ns: u64,
}

/// How much of a rate is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Units that could be taken at once, now.
    pub remaining: u64,
    /// Nanoseconds until that is the whole burst.
    pub full_in_ns: u64,
}

/// How much of a rate is used. Without locks; reading is one load, taking one exchange.
#[derive(Debug, Default)]
pub struct Meter<C: Cell = AtomicU64> {
    tat_ns: C,
    /// Nanoseconds given back ever, times two; odd while somebody gives back.
    given_back: C,
}

impl<C: Cell> Meter<C> {
    /// Says whether `units` could be taken now.
    ///
    /// # Errors
    /// The nanoseconds until they can.
    pub fn peek(&self, rate: &Rate, units: u64, now_ns: u64) -> Result<(), u64> {
        admits(self.tat_ns.read(), rate, units, now_ns).map(|_| ())
    }

    /// Takes `units`, if they are there. More than the burst are there when nothing else is used; those that come next wait until they are
    /// worked off.
    ///
    /// # Errors
    /// The nanoseconds until they are there, if nobody else takes any. Nothing is taken then.
    pub fn take(&self, rate: &Rate, units: u64, now_ns: u64) -> Result<Taken, u64> {
        // Read first: what is given back meanwhile is then counted as if it came later, which gives back less.
        let given_back_ns = self.given_back.read() >> 1;
        let mut outcome = Err(0);
        self.tat_ns.change(|tat_ns| {
            outcome = admits(tat_ns, rate, units, now_ns);
            outcome.ok()
        });
        outcome.map(|ends_ns| Taken { cost_ns: rate.cost_ns(units), ends_ns, given_back_ns })
    }

    /// Undoes a [`Meter::take`] whole, at once: nothing was used.
    pub fn undo(&self, taken: Taken) {
        self.tat_ns.change(|tat_ns| Some(tat_ns.saturating_sub(taken.cost_ns)));
        self.given_back.add(taken.cost_ns << 1);
    }

    /// Takes `units` that were used already, whether they are there or not.
    pub fn charge(&self, rate: &Rate, units: u64, now_ns: u64) {
        if units > 0 {
            self.tat_ns.change(|tat_ns| Some(tat_ns.max(now_ns).saturating_add(rate.cost_ns(units))));
        }
    }

    /// Gives back `units` of what was taken and turned out not to be used; only what has not been worked off yet, for with that the next
    /// ones could come faster than the rate. In the rare case that somebody else gives back at the same moment, they stay taken.
    pub fn give_back(&self, rate: &Rate, taken: Taken, units: u64, now_ns: u64) {
        let word = self.given_back.read();
        if units == 0 || word & 1 == 1 || self.given_back.exchange(word, word | 1).is_err() {
            return;
        }
        // Since it was taken, the TAT has fallen by no more than what was given back since. What stands before now is worked off.
        let since_ns = (word >> 1).saturating_sub(taken.given_back_ns);
        let left_ns = taken.ends_ns.saturating_sub(since_ns).saturating_sub(now_ns);
        let back_ns = rate.cost_ns(units).min(taken.cost_ns).min(left_ns);
        self.tat_ns.change(|tat_ns| Some(tat_ns.saturating_sub(back_ns)));
        self.given_back.add((back_ns << 1).wrapping_sub(1));
    }

    /// Returns how much is left.
    pub fn level(&self, rate: &Rate, now_ns: u64) -> Level {
        let full_in_ns = self.tat_ns.read().saturating_sub(now_ns);
        Level { remaining: rate.tolerance_ns().saturating_sub(full_in_ns) / rate.interval_ns, full_in_ns }
    }

    /// Hears from whoever counts for several gateways how far it is ahead.
    pub(super) fn hear(&self, ahead_ns: u64, now_ns: u64) {
        self.tat_ns.change(|_| Some(now_ns.saturating_add(ahead_ns)));
    }

    /// Returns whether nothing is used: forgetting such a meter changes nothing.
    pub fn is_full(&self, now_ns: u64) -> bool {
        self.tat_ns.read() <= now_ns
    }
}

/// Returns the TAT after `units`, or how long they must wait.
fn admits(tat_ns: u64, rate: &Rate, units: u64, now_ns: u64) -> Result<u64, u64> {
    let cost_ns = rate.cost_ns(units);
    let tolerance_ns = rate.tolerance_ns();
    let ahead_ns = tat_ns.saturating_sub(now_ns);
    let needed_ns = cost_ns.min(tolerance_ns).saturating_add(ahead_ns);
    match needed_ns.saturating_sub(tolerance_ns) {
        0 => Ok(tat_ns.max(now_ns).saturating_add(cost_ns)),
        wait_ns => Err(wait_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_burst_comes_at_once_and_what_follows_at_the_rate() {
        let (meter, rate) = (Meter::<AtomicU64>::default(), Rate::new(60, 60 * SECOND, 3));
        for left in [2, 1, 0] {
            assert!(meter.take(&rate, 1, 5).is_ok());
            assert_eq!(meter.level(&rate, 5).remaining, left);
        }
        assert_eq!(meter.take(&rate, 1, 5), Err(SECOND));
        assert_eq!(meter.peek(&rate, 1, 5 + SECOND / 4), Err(SECOND - SECOND / 4));
        assert_eq!(meter.level(&rate, 5), Level { remaining: 0, full_in_ns: 3 * SECOND });
        assert!(meter.take(&rate, 1, 5 + SECOND).is_ok());
        assert!(meter.is_full(5 + 4 * SECOND) && !meter.is_full(4 + 4 * SECOND));
    }

    #[test]
    fn the_wait_that_is_told_is_exact() {
        for (limit, period, burst) in [(7, SECOND, 3), (600, 60 * SECOND, 60), (1, SECOND, 1), (200_000, 60 * SECOND, 20_000)] {
            let (meter, rate) = (Meter::<AtomicU64>::default(), Rate::new(limit, period, burst));
            let mut now = 17;
            for units in [burst, 1, burst, burst / 2 + 1, 3 * burst, 1] {
                if let Err(wait) = meter.peek(&rate, units, now) {
                    assert_eq!(meter.take(&rate, units, now + wait - 1), Err(1));
                    now += wait;
                }
                assert!(meter.take(&rate, units, now).is_ok());
            }
        }
    }

    #[test]
    fn more_than_the_burst_is_let_in_when_nothing_else_is_used_and_worked_off_afterwards() {
        let (meter, rate) = (Meter::<AtomicU64>::default(), Rate::new(10, 10 * SECOND, 2));
        assert!(meter.take(&rate, 1, 0).is_ok());
        assert_eq!(meter.take(&rate, 5, 0), Err(SECOND));
        assert!(meter.take(&rate, 5, SECOND).is_ok());
        assert_eq!(meter.take(&rate, 1, SECOND), Err(4 * SECOND));
    }

    #[test]
    fn what_is_used_beyond_what_was_taken_makes_the_next_ones_wait() {
        let (meter, rate) = (Meter::<AtomicU64>::default(), Rate::new(10, 10 * SECOND, 2));
        assert!(meter.take(&rate, 1, 0).is_ok());
        meter.charge(&rate, 4, 3 * SECOND);
        assert_eq!(meter.take(&rate, 1, 3 * SECOND), Err(3 * SECOND), "what was worked off before does not count");
        meter.charge(&rate, 0, 90 * SECOND);
        assert!(meter.is_full(7 * SECOND), "nothing is nothing");
    }

    #[test]
    fn another_limit_finds_the_consumption_in_proportion_and_refills_nothing() {
        let meter = Meter::<AtomicU64>::default();
        let (old, faster) = (Rate::new(60, 60 * SECOND, 6), Rate::new(600, 60 * SECOND, 60));
        assert!(meter.take(&old, 3, 0).is_ok());
        assert_eq!(meter.level(&faster, 0).remaining, 30);
        assert!(meter.take(&faster, 30, 0).is_ok());
        for rate in [old, faster, Rate::new(1, SECOND, 1), Rate::new(86_400, 86_400 * SECOND, 6)] {
            assert_eq!(meter.level(&rate, 0).remaining, 0, "{rate:?}");
        }
    }

    #[test]
    fn what_was_not_used_comes_back_as_far_as_it_is_not_worked_off() {
        for (now, back) in [(0, 8), (1, 8), (4, 6), (9, 1), (10, 0), (50, 0)] {
            let (meter, rate) = (Meter::<AtomicU64>::default(), Rate::new(1, SECOND, 10));
            let taken = meter.take(&rate, 10, 0).unwrap();
            let before = meter.level(&rate, now * SECOND).full_in_ns;
            meter.give_back(&rate, taken, 8, now * SECOND);
            assert_eq!(before - meter.level(&rate, now * SECOND).full_in_ns, back * SECOND, "{now}");
        }
    }

    #[test]
    fn what_is_undone_was_never_taken() {
        let (meter, rate) = (Meter::<AtomicU64>::default(), Rate::new(1, SECOND, 10));
        assert!(meter.take(&rate, 4, 7).is_ok());
        let before = meter.level(&rate, 7);
        let taken = meter.take(&rate, 5, 7).unwrap();
        meter.undo(taken);
        assert_eq!(meter.level(&rate, 7), before);
    }

    #[test]
    fn the_largest_rates_and_amounts_do_not_overflow() {
        let (meter, rate) = (Meter::<AtomicU64>::default(), Rate::new(0, u64::MAX, u64::MAX));
        assert!(meter.take(&rate, u64::MAX, u64::MAX).is_ok());
        meter.charge(&rate, u64::MAX, 1);
        assert!(meter.level(&rate, 0).full_in_ns > 0);
        assert_eq!(Rate::new(u64::MAX, 1, 0), Rate::new(u64::MAX, 1, 1));
    }
}
