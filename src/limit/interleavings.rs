//! Every interleaving of a few threads, with every order of memory that the language allows, as loom plays them.

use std::sync::Arc;

use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::meter::{Meter, Rate};

const RATE: Rate = Rate::new(10, 10, 2);

fn threads(each: [fn(&Meter<AtomicU64>) -> u64; 2]) -> (Arc<Meter<AtomicU64>>, u64) {
    let meter = Arc::new(Meter::default());
    let running = each.map(|run| {
        let meter = Arc::clone(&meter);
        thread::spawn(move || run(&meter))
    });
    let sum = running.into_iter().map(|thread| thread.join().unwrap()).sum();
    (meter, sum)
}

#[test]
fn of_threads_that_race_for_the_burst_exactly_as_many_get_it_as_it_has() {
    let race: fn(&Meter<AtomicU64>) -> u64 = |meter| (0..2).filter(|_| meter.take(&RATE, 1, 0).is_ok()).count() as u64;
    loom::model(move || {
        let (meter, taken) = threads([race, race]);
        assert_eq!(taken, RATE.burst());
        assert_eq!(meter.level(&RATE, 0).full_in_ns, 2);
    });
}

#[test]
fn a_stale_clock_takes_no_more_than_a_right_one() {
    loom::model(|| {
        let (meter, taken) = threads([
            |meter| (0..2).filter(|_| meter.take(&RATE, 1, 100).is_ok()).count() as u64,
            |meter| (0..2).filter(|_| meter.take(&RATE, 1, 99).is_ok()).count() as u64,
        ]);
        // One more may come in the nanosecond between.
        assert!((2..=3).contains(&taken), "{taken}");
        assert!(meter.level(&RATE, 100).full_in_ns <= 2);
    });
}

#[test]
fn what_one_undoes_another_finds_and_nothing_is_lost() {
    loom::model(|| {
        let (meter, kept) = threads([
            |meter| {
                if let Ok(taken) = meter.take(&RATE, 1, 0) {
                    meter.undo(taken);
                }
                0
            },
            |meter| u64::from(meter.take(&RATE, 1, 0).is_ok()),
        ]);
        assert_eq!((kept, meter.level(&RATE, 0).full_in_ns), (1, 1));
    });
}

#[test]
fn of_two_that_give_back_at_once_neither_gives_back_what_is_worked_off() {
    // Both took two of four units; at 3 one of them is not worked off yet, whoever gives back.
    const WIDE: Rate = Rate::new(10, 10, 4);
    let give: fn(&Meter<AtomicU64>) -> u64 = |meter| {
        let taken = meter.take(&WIDE, 2, 0).unwrap();
        meter.give_back(&WIDE, taken, 2, 3);
        0
    };
    loom::model(move || {
        let (meter, _) = threads([give, give]);
        let left = meter.level(&WIDE, 0).full_in_ns;
        assert!((3..=4).contains(&left), "{left}");
    });
}

#[test]
fn charges_and_what_comes_back_add_up_in_any_order() {
    loom::model(|| {
        let (meter, _) = threads([
            |meter| {
                meter.charge(&RATE, 3, 0);
                0
            },
            |meter| {
                let Ok(taken) = meter.take(&RATE, 2, 0) else { return 0 };
                meter.give_back(&RATE, taken, 1, 0);
                0
            },
        ]);
        // Three are owed; the other took two and gave one back, unless it was refused.
        assert!([3, 4].contains(&meter.level(&RATE, 0).full_in_ns));
    });
}
