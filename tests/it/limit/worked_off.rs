//! What comes back of what was taken too much of: never so much that more is let in than if the right amount had been taken at once.

use std::sync::atomic::AtomicU64;

use bifrostctl::limit::{Meter, Rate, Taken};
use proptest::collection::vec;
use proptest::prelude::*;

const PERIOD: u64 = 1_000;

/// One request: how long after the last one it comes, what is taken for it, what it uses, and how long it runs.
type Step = (u64, u64, u64, u64);

/// Plays requests against a meter that takes first and settles later. Returns every moment at which it stood before one that was told from
/// the start what each will use.
fn too_generous(rate: &Rate, steps: &[Step]) -> Vec<u64> {
    let (meter, told) = (Meter::<AtomicU64>::default(), Meter::<AtomicU64>::default());
    let mut running: Vec<(u64, Taken, u64, u64)> = Vec::new();
    let mut found = Vec::new();
    let mut now = 1;
    for (gap, taken, used, runs) in steps {
        now += gap;
        running.sort_by_key(|(ends, ..)| *ends);
        while running.first().is_some_and(|(ends, ..)| *ends <= now) {
            let (ends, place, taken, used) = running.remove(0);
            meter.charge(rate, used.saturating_sub(taken), ends);
            told.charge(rate, used.saturating_sub(taken), ends);
            meter.give_back(rate, place, taken.saturating_sub(used), ends);
            if meter.level(rate, ends).full_in_ns < told.level(rate, ends).full_in_ns {
                found.push(ends);
            }
        }
        if let Ok(place) = meter.take(rate, *taken, now) {
            told.charge(rate, *used.min(taken), now);
            running.push((now + runs, place, *taken, *used));
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn nothing_comes_back_that_would_let_in_more(
        limit in 1..40_u64,
        burst in 1..60_u64,
        steps in vec((0..200_u64, 0..80_u64, 0..100_u64, 0..2_000_u64), 1..60),
    ) {
        let rate = Rate::new(limit, PERIOD, burst);
        prop_assert_eq!(too_generous(&rate, &steps), Vec::<u64>::new());
    }
}

#[test]
fn where_everybody_waits_all_that_was_not_used_comes_back() {
    // Twice what is used is taken for each, and somebody always asks: in the long run the whole rate is used all the same.
    let rate = Rate::new(1_000, 1_000_000, 100);
    let meter = Meter::<AtomicU64>::default();
    let (mut now, mut used, mut running) = (0_u64, 0, Vec::new());
    while now < 100_000_000 {
        match meter.take(&rate, 20, now) {
            Ok(taken) => running.push((now + 30_000, taken)),
            Err(wait) => now += wait.min(5_000),
        }
        running.retain(|(ends, taken)| {
            let is_over = *ends <= now;
            if is_over {
                meter.give_back(&rate, *taken, 10, now);
                used += 10;
            }
            !is_over
        });
    }
    println!("{used} of 100000");
    assert!((98_000..=100_200).contains(&used), "{used}");
}
