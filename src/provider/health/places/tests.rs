use futures_util::FutureExt as _;
use proptest::prelude::*;

use super::*;

const WHOSE: Whose = Whose { priority: Priority::Normal, key: 1 };

fn fixed(max: u32) -> Concurrency {
    Concurrency { min: max, max }
}

fn adaptive(min: u32, max: u32) -> Concurrency {
    Concurrency { min, max }
}

fn made(bounds: Concurrency) -> Arc<Places> {
    Arc::new(Places::new(bounds))
}

fn draw(at: &[&Arc<Places>], whose: Whose) -> Ticket {
    Ticket::draw(at.iter().map(|places| Arc::clone(places)).collect(), whose, (1_000, 0)).unwrap()
}

fn got(ticket: &mut Ticket) -> Option<Place> {
    ticket.place().now_or_never().flatten()
}

fn limit(places: &Arc<Places>, now_ms: u64) -> u32 {
    places.snapshot(now_ms).limit
}

#[tokio::test(start_paused = true)]
async fn what_comes_free_goes_to_whoever_waits_and_not_to_whoever_comes() {
    let places = made(fixed(2));
    let (first, second) = (places.take(fixed(2), 0).unwrap(), places.take(fixed(2), 0).unwrap());
    assert!(places.take(fixed(2), 0).is_none());
    let mut ticket = draw(&[&places], WHOSE);
    assert_eq!(places.snapshot(0), PlacesSnapshot { limit: 2, running: 2, waiting: 1 });
    assert!(got(&mut ticket).is_none());
    drop(first);
    assert!(places.take(fixed(2), 0).is_none(), "it has been given away");
    let third = got(&mut ticket).unwrap();
    assert!(third.is_of(&places) && !third.is_of(&made(fixed(1))));
    drop((ticket, second, third));
    assert_eq!(places.snapshot(0), PlacesSnapshot { limit: 2, running: 0, waiting: 0 });
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_several_gets_one_and_leaves_the_others() {
    let (one, other) = (made(fixed(1)), made(fixed(1)));
    let (held, kept) = (one.take(fixed(1), 0).unwrap(), other.take(fixed(1), 0).unwrap());
    let (mut first, mut second) = (draw(&[&one, &other], WHOSE), draw(&[&other], WHOSE));
    drop(held);
    assert!(got(&mut first).unwrap().is_of(&one));
    drop(kept);
    assert!(got(&mut second).unwrap().is_of(&other), "whoever was served does not stand in the way");
    drop(first);
    assert_eq!(other.snapshot(0).waiting, 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_came_too_late_for_one_goes_to_the_next() {
    let places = made(fixed(1));
    let held = places.take(fixed(1), 0).unwrap();
    let (first, mut second) = (draw(&[&places], WHOSE), draw(&[&places], WHOSE));
    // It was sent, and nobody has looked yet.
    drop(held);
    drop(first);
    assert!(got(&mut second).is_some());
    assert_eq!(places.snapshot(0).running, 0);
}

#[tokio::test(start_paused = true)]
async fn the_number_grows_by_one_for_as_many_good_answers_where_they_are_needed() {
    let bounds = adaptive(1, 22);
    let places = made(bounds);
    assert_eq!(limit(&places, 0), 20);
    let idle = places.take(bounds, 0).unwrap();
    (0..100).for_each(|_| idle.good(0));
    assert_eq!(limit(&places, 0), 20, "one at a time is no news");
    let held: Vec<_> = (0..19).map(|_| places.take(bounds, 0).unwrap()).collect();
    let busy = held.last().unwrap();
    (0..21).for_each(|_| busy.good(0));
    assert_eq!(limit(&places, 0), 21);
    (0..100).for_each(|_| busy.good(0));
    assert_eq!(limit(&places, 0), 22, "no more than the most");
    let mut ticket = draw(&[&places], WHOSE);
    assert!(got(&mut ticket).is_some(), "what was won is not left idle");
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_overload_costs_a_tenth_once_for_all_that_ran_together() {
    let bounds = adaptive(2, 200);
    let places = made(bounds);
    let burst: Vec<_> = (0..20).map(|_| places.take(bounds, 1_000).unwrap()).collect();
    burst.iter().for_each(|place| place.overloaded(1_000, 2_000));
    assert_eq!(limit(&places, 2_000), 18);
    drop(burst);
    for round in 0..100_u64 {
        let now_ms = 3_000 + round;
        places.take(bounds, now_ms).unwrap().overloaded(now_ms, now_ms);
    }
    assert_eq!(limit(&places, 9_000), 2, "no fewer than the least");
}

#[tokio::test(start_paused = true)]
async fn what_the_upstream_says_it_still_takes_bounds_the_number_until_then() {
    let bounds = adaptive(1, 200);
    let places = made(bounds);
    let held: Vec<_> = (0..3).map(|_| places.take(bounds, 0).unwrap()).collect();
    held[0].ear().unwrap().told(1, 5_000);
    assert_eq!(limit(&places, 0), 3, "the two others and one more");
    let mut ticket = draw(&[&places], WHOSE);
    assert!(places.take(bounds, 0).is_none() && got(&mut ticket).is_none());
    places.look(4_999);
    assert!(got(&mut ticket).is_none());
    places.look(5_000);
    assert!(got(&mut ticket).is_some());
    assert_eq!(limit(&places, 5_000), 20);
    drop(held);
    let alone = places.take(bounds, 6_000).unwrap();
    alone.ear().unwrap().told(0, 9_000);
    assert_eq!(limit(&places, 6_000), 1, "one may find out");
    assert!(made(fixed(7)).take(fixed(7), 0).unwrap().ear().is_none(), "a fixed number is what the spec says");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_in_vain() {
    let places = made(fixed(2));
    let held = places.take(fixed(2), 0).unwrap().used();
    tokio::time::advance(std::time::Duration::from_secs(8)).await;
    drop(held);
    drop(places.take(fixed(2), 0).unwrap());
    let (_first, _second) = (places.take(fixed(2), 0).unwrap(), places.take(fixed(2), 0).unwrap());
    let at = || vec![Arc::clone(&places)];
    assert_eq!(Ticket::draw(at(), WHOSE, (1_000, 0)).unwrap_err(), InVain { wait_ms: 4_000 });
    let _ticket = Ticket::draw(at(), WHOSE, (2_000, 0)).unwrap();
    assert_eq!(Ticket::draw(at(), WHOSE, (2_000, 0)).unwrap_err(), InVain { wait_ms: 8_000 }, "another of the key is there already");
    let critical = Whose { priority: Priority::Critical, key: 2 };
    assert!(Ticket::draw(at(), critical, (2_000, 0)).is_ok(), "and would let this one go before it");
    let unknown = made(fixed(1));
    assert!(Ticket::draw(vec![Arc::clone(&places), unknown], WHOSE, (1_000, 0)).is_ok(), "it may be quick");
}

#[tokio::test(start_paused = true)]
async fn another_number_in_the_spec_holds_at_once_and_what_runs_counts() {
    let places = made(fixed(1));
    let _held = places.take(fixed(1), 0).unwrap();
    let mut ticket = draw(&[&places], WHOSE);
    assert!(places.take(fixed(3), 0).is_none(), "somebody waited before");
    let first = got(&mut ticket);
    let second = places.take(fixed(3), 0);
    assert!(first.is_some() && second.is_some());
    assert!(places.take(fixed(1), 0).is_none());
    assert_eq!(limit(&places, 0), 1);
}

#[tokio::test(start_paused = true)]
async fn the_time_does_not_lag_where_a_place_goes_from_hand_to_hand() {
    let bounds = adaptive(1, 1);
    let places = made(bounds);
    let mut place = places.take(bounds, 0).unwrap();
    for _ in 0..100 {
        let mut ticket = draw(&[&places], WHOSE);
        tokio::time::advance(std::time::Duration::from_micros(1_900)).await;
        drop(place);
        place = got(&mut ticket).unwrap();
    }
    assert_eq!(place.clock.ms(), 190);
}

proptest! {
    /// Places are taken, given back, waited for and given up in any order.
    #[test]
    fn never_more_run_than_may_and_nothing_is_idle_while_somebody_waits(steps in prop::collection::vec((0_u8..4, 0_usize..8), 0..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let all = [made(fixed(1)), made(fixed(2))];
            let (mut held, mut waiting): (Vec<Place>, Vec<Ticket>) = (Vec::new(), Vec::new());
            for (step, which) in steps {
                match step {
                    0 => held.extend(all[which % 2].take(fixed(1 + u32::from(which % 2 == 1)), 0)),
                    1 if !held.is_empty() => drop(held.swap_remove(which % held.len())),
                    2 => {
                        let at = if which < 4 { vec![&all[0], &all[1]] } else { vec![&all[which % 2]] };
                        // Whoever comes looks for a place first.
                        match at.iter().find_map(|places| places.take(if Arc::ptr_eq(places, &all[0]) { fixed(1) } else { fixed(2) }, 0)) {
                            Some(place) => held.push(place),
                            None => waiting.push(draw(&at, Whose { priority: Priority::Normal, key: which as u64 })),
                        }
                    }
                    3 if !waiting.is_empty() => drop(waiting.swap_remove(which % waiting.len())),
                    _ => {}
                }
                let mut still = Vec::new();
                for mut ticket in waiting {
                    match got(&mut ticket) {
                        Some(place) => held.push(place),
                        None => still.push(ticket),
                    }
                }
                waiting = still;
                for places in &all {
                    let PlacesSnapshot { limit, running, waiting } = places.snapshot(0);
                    prop_assert!(running <= limit && (waiting == 0 || running == limit), "{running} of {limit}, {waiting} wait");
                    prop_assert_eq!(held.iter().filter(|place| place.is_of(places)).count(), running as usize);
                }
            }
            drop((held, waiting));
            for places in &all {
                prop_assert_eq!((places.snapshot(0).running, places.snapshot(0).waiting), (0, 0));
            }
            Ok(())
        })?;
    }
}
