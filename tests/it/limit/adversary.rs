//! The worst that anybody can get let in within one window, searched for over schedules.

use std::sync::atomic::AtomicU64;

use bifrostctl::limit::{Meter, Rate};

type Wide = Meter<AtomicU64>;

/// Returns the most units within any window of one period, both ends included. Admissions need not be in order.
fn worst(mut admitted: Vec<(u64, u64)>, period_ns: u64) -> u64 {
    admitted.sort_unstable();
    let (mut most, mut sum, mut first) = (0, 0, 0);
    for last in 0..admitted.len() {
        sum += admitted[last].1;
        while admitted[last].0 - admitted[first].0 > period_ns {
            sum -= admitted[first].1;
            first += 1;
        }
        most = most.max(sum);
    }
    most
}

/// Chance from one number (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }
}

/// How an adversary chooses when to ask, and for how much.
#[derive(Debug, Clone, Copy)]
enum Plan {
    /// At every moment something may be free.
    Greedy,
    /// Rests for a while, then asks until it is refused, over and over.
    RestAndRush,
    /// By chance, often with a clock that is behind.
    Chance,
    /// A little before, at and after each moment at which the meter says that there is more.
    Edges,
}

/// Plays one adversary against a fresh meter; returns what it was let in with, and when.
fn play(plan: Plan, rate: &Rate, (period_ns, largest): (u64, u64), dice: &mut Dice) -> Vec<(u64, u64)> {
    let meter = Wide::default();
    let step = period_ns.div_ceil(rate.limit());
    let (mut now, mut admitted) = (period_ns, Vec::new());
    while now < period_ns * 6 && admitted.len() < 6_000 {
        let units = 1 + dice.below(largest);
        let at = match plan {
            Plan::Chance => now.saturating_sub(dice.below(3) * step),
            Plan::Greedy | Plan::RestAndRush | Plan::Edges => now,
        };
        let outcome = meter.take(rate, units, at);
        if outcome.is_ok() {
            admitted.push((at, units));
        }
        now += match (plan, outcome) {
            (Plan::Greedy, Ok(_)) | (Plan::RestAndRush, Ok(_)) => 0,
            (Plan::Greedy, Err(wait)) => wait,
            (Plan::RestAndRush, Err(_)) => dice.below(2 * period_ns),
            (Plan::Chance, _) => dice.below(3 * step),
            (Plan::Edges, Ok(_)) => dice.below(2),
            (Plan::Edges, Err(wait)) => (wait + dice.below(3)).saturating_sub(1).max(1),
        };
    }
    admitted
}

const SECOND: u64 = 1_000_000_000;
const PLANS: [Plan; 4] = [Plan::Greedy, Plan::RestAndRush, Plan::Chance, Plan::Edges];

#[test]
fn whatever_the_schedule_no_window_lets_in_more_than_the_limit_and_the_burst() {
    let mut dice = Dice(11);
    for (limit, period_ns, burst) in [
        (1, SECOND, 1),
        (7, SECOND, 3),
        (10, SECOND, 10),
        (60, 60 * SECOND, 6),
        (600, 60 * SECOND, 60),
        (601, 60 * SECOND, 97),
        (1_000, SECOND, 1),
        (1_000, 86_400 * SECOND, 500),
    ] {
        let rate = Rate::new(limit, period_ns, burst);
        let mut most = 0;
        for plan in PLANS {
            for _ in 0..40 {
                most = most.max(worst(play(plan, &rate, (period_ns, 1), &mut dice), period_ns));
            }
        }
        println!("{limit:>5} per {:>5} s, burst {burst:>3}: worst window {most}", period_ns / SECOND);
        assert!(most <= limit + burst, "{limit} {burst}: {most}");
        // Rounding an interval up to the nanosecond may cost one.
        assert!(most + 1 >= limit + burst, "the adversary is too weak: {limit} {burst}: {most}");
    }
}

#[test]
fn amounts_up_to_the_burst_obey_the_same_bound_and_a_larger_one_stands_in_for_the_burst() {
    let mut dice = Dice(5);
    for (limit, period_ns, burst) in [(1_000, SECOND, 100), (200_000, 60 * SECOND, 20_000), (9_999, 60 * SECOND, 1_234)] {
        let rate = Rate::new(limit, period_ns, burst);
        for largest in [2, burst / 3, burst, 3 * burst] {
            let mut most = 0;
            for plan in PLANS {
                for _ in 0..40 {
                    most = most.max(worst(play(plan, &rate, (period_ns, largest), &mut dice), period_ns));
                }
            }
            println!("{limit:>6} per {:>2} s, burst {burst:>5}, up to {largest:>5} at once: worst window {most}", period_ns / SECOND);
            assert!(most <= limit + burst.max(largest), "{limit} {burst} {largest}: {most}");
        }
    }
}

/// Tries every schedule of 14 moments, and how much is asked for at each.
fn every_schedule(rate: &Rate, period_ns: u64, admitted: &mut Vec<(u64, u64)>, (now, left): (u64, u64), most: &mut u64) {
    if left == 0 {
        *most = (*most).max(worst(admitted.clone(), period_ns));
        return;
    }
    for asked in 0..=rate.burst() {
        let meter = Wide::default();
        // The meter is a fold of what came before; so is this one, from the start.
        let before = admitted.iter().all(|(at, units)| meter.take(rate, *units, *at).is_ok());
        assert!(before, "what was let in once is let in again");
        let got: Vec<(u64, u64)> = (0..asked).map_while(|_| meter.take(rate, 1, now).is_ok().then_some((now, 1))).collect();
        if (got.len() as u64) < asked {
            break;
        }
        let kept = admitted.len();
        admitted.extend(got);
        every_schedule(rate, period_ns, admitted, (now + 1, left - 1), most);
        admitted.truncate(kept);
    }
}

#[test]
fn of_all_schedules_of_a_few_moments_none_beats_the_bound_and_one_reaches_it() {
    for (limit, period_ns, burst) in [(4, 8, 2), (3, 9, 3), (8, 8, 1), (2, 8, 2)] {
        let rate = Rate::new(limit, period_ns, burst);
        let mut most = 0;
        every_schedule(&rate, period_ns, &mut Vec::new(), (100, 12), &mut most);
        println!("{limit} per {period_ns} ns, burst {burst}: worst window of all schedules {most}");
        assert_eq!(most, limit + burst);
    }
}
