//! What budgets promise, in the plain cases that people ask about.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bifrostctl::base::Usd;
use bifrostctl::limit::budget::{Need, Refused};
use bifrostctl::store::book::{Adjustment, AttemptId};

use super::support::{Rig, START_MS, budget, need, wanted};

#[test]
fn a_strict_budget_is_never_over_however_many_ask_at_once() {
    let mut rig = Rig::new();
    let payer = rig.payer(&[wanted("key:k", Some(budget(1_000_000, "month", "strict", "UTC")))]);
    let (spent, refused) = (AtomicU64::new(0), AtomicU64::new(0));
    let opened = Mutex::new(&mut rig);
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (payer, spent, refused, opened) = (&payer, &spent, &refused, &opened);
            scope.spawn(move || {
                for turn in 0..2_000_u64 {
                    let most = 1 + (thread * 7919 + turn * 104_729) % 997;
                    let ledger = Arc::clone(&opened.lock().unwrap().ledger);
                    match ledger.reserve(payer, need(most as i64), START_MS) {
                        Ok(mut reservation) => {
                            let cost = most - most % 3;
                            let closing = {
                                let mut rig = opened.lock().unwrap();
                                let opening = rig.open(payer, &mut reservation, Usd::ZERO);
                                rig.closing(&opening, Usd::from_nano(cost as i64))
                            };
                            reservation.settle(closing);
                            spent.fetch_add(cost, Ordering::Relaxed);
                        }
                        Err(Refused::Short(_)) => {
                            refused.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    let (spent, refused) = (spent.into_inner(), refused.into_inner());
    let standing = payer.budgets[0].1.standing(START_MS);
    assert_eq!((standing.spent.nano(), standing.held), (spent as i64, Usd::ZERO));
    assert!(spent <= 1_000_000 && spent > 995_000 && refused > 1_000, "{spent} {refused}");
    rig.book.flush().wait().unwrap();
    assert_eq!(rig.book.usage("key:k", 0..u64::MAX).unwrap().nano(), spent as i64);
}

#[test]
fn all_budgets_that_are_short_are_named_and_none_holds_anything() {
    let rig = Rig::new();
    let terms = |limit| Some(budget(limit, "day", "strict", "UTC"));
    let payer = rig.payer(&[wanted("key:k", terms(10)), wanted("team:t", terms(100)), wanted("budget:b", terms(20))]);
    let Err(Refused::Short(short)) = rig.ledger.reserve(&payer, need(50), START_MS) else { panic!() };
    let mut names: Vec<_> = short.iter().map(|short| &*short.budget).collect();
    names.sort_unstable();
    assert_eq!(names, ["budget:b", "key:k"]);
    assert!(payer.budgets.iter().all(|(_, budget)| budget.standing(START_MS).held == Usd::ZERO));
}

#[test]
fn what_has_no_bound_does_not_fit_a_strict_budget_and_what_is_free_fits_any() {
    let rig = Rig::new();
    let payer = rig.payer(&[wanted("key:k", Some(budget(0, "day", "strict", "UTC")))]);
    let unbounded = Need { most: None, step: Usd::from_nano(1) };
    assert!(matches!(rig.ledger.reserve(&payer, unbounded, START_MS), Err(Refused::Short(short)) if short[0].needed.is_none()));
    assert!(rig.ledger.reserve(&payer, Need::FREE, START_MS).is_ok());
}

#[test]
fn a_budget_that_is_added_later_knows_what_was_spent_before() {
    let mut rig = Rig::new();
    let bare = rig.payer(&[wanted("key:k", None)]);
    let mut reservation = rig.ledger.reserve(&bare, Need::FREE, START_MS).unwrap();
    let opening = rig.open(&bare, &mut reservation, Usd::ZERO);
    reservation.settle(rig.closing(&opening, Usd::from_nano(70)));
    let limited = rig.payer(&[wanted("key:k", Some(budget(100, "month", "strict", "UTC")))]);
    assert_eq!(limited.budgets[0].1.standing(START_MS).spent.nano(), 70);
    assert!(rig.ledger.reserve(&limited, need(31), START_MS).is_err());
    assert!(rig.ledger.reserve(&limited, need(30), START_MS).is_ok());
}

#[test]
fn a_new_name_takes_along_what_was_spent_and_the_old_one_begins_anew() {
    let mut rig = Rig::new();
    let terms = || Some(budget(100, "month", "strict", "UTC"));
    let old = rig.payer(&[wanted("key:old", terms())]);
    let mut reservation = rig.ledger.reserve(&old, need(70), START_MS).unwrap();
    let opening = rig.open(&old, &mut reservation, Usd::ZERO);
    reservation.settle(rig.closing(&opening, Usd::from_nano(70)));
    let new = rig.payer(&[wanted("key:new", terms())]);
    let take = |id| {
        move |change| Adjustment {
            id: AttemptId::from_bits(id, 0),
            at_ms: START_MS,
            account: "key:new".into(),
            change,
            actor: "test".into(),
            reason: "renamed".into(),
        }
    };
    // Whatever is done twice changes nothing more.
    for id in [1 << 90, 2 << 90] {
        rig.ledger.rename("key:old", "key:new", take(id)).unwrap();
        assert_eq!(new.budgets[0].1.standing(START_MS).spent.nano(), 70);
        assert_eq!(old.budgets[0].1.standing(START_MS).spent, Usd::ZERO);
    }
    assert!(rig.ledger.reserve(&new, need(31), START_MS).is_err());
    assert!(rig.ledger.reserve(&old, need(100), START_MS).is_ok());
    assert!(rig.book.report().unwrap().audit().unwrap().is_clean());
}

#[test]
fn an_alert_goes_out_once_for_each_share_and_window() {
    let mut rig = Rig::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ears = Arc::clone(&heard);
    rig.ledger.listen(Box::new(move |alert| ears.lock().unwrap().push((alert.percent, alert.spent.nano()))));
    let payer = rig.payer(&[wanted("key:k", Some(budget(100, "day", "soft", "UTC")))]);
    let mut spend = |cost, now_ms| {
        rig.clock.set(now_ms);
        let mut reservation = rig.ledger.reserve(&payer, need(cost), now_ms).unwrap();
        let opening = rig.open(&payer, &mut reservation, Usd::ZERO);
        reservation.settle(rig.closing(&opening, Usd::from_nano(cost)));
    };
    for cost in [49, 1, 10, 39] {
        spend(cost, START_MS);
    }
    spend(20, START_MS);
    spend(60, START_MS + 86_400_000);
    assert_eq!(*heard.lock().unwrap(), [(50, 50), (100, 119), (50, 60)]);
}

#[test]
fn what_was_told_before_a_restart_is_not_told_again() {
    let mut rig = Rig::new();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let spend = |rig: &mut Rig, cost| {
        let payer = rig.payer(&[wanted("key:k", Some(budget(100, "day", "soft", "UTC")))]);
        let mut reservation = rig.ledger.reserve(&payer, need(cost), START_MS).unwrap();
        let opening = rig.open(&payer, &mut reservation, Usd::ZERO);
        reservation.settle(rig.closing(&opening, Usd::from_nano(cost)));
    };
    let listen = |rig: &Rig| {
        let ears = Arc::clone(&heard);
        rig.ledger.listen(Box::new(move |alert| ears.lock().unwrap().push((alert.percent, alert.spent.nano()))));
    };
    listen(&rig);
    spend(&mut rig, 60);
    rig.crash();
    listen(&rig);
    for cost in [10, 40] {
        spend(&mut rig, cost);
    }
    assert_eq!(*heard.lock().unwrap(), [(50, 60), (100, 110)]);
}

/// Spends at a time, where that fits.
fn spend_at(rig: &mut Rig, cost: i64, now_ms: u64) -> bool {
    rig.clock.set(now_ms);
    let payer = rig.payer(&[wanted("key:k", Some(budget(100, "day", "strict", "UTC")))]);
    let Ok(mut reservation) = rig.ledger.reserve(&payer, need(cost), now_ms) else { return false };
    let opening = rig.open(&payer, &mut reservation, Usd::ZERO);
    reservation.settle(rig.closing(&opening, Usd::from_nano(cost)));
    true
}

const DAY_MS: u64 = 86_400_000;

#[test]
fn a_clock_that_was_ahead_for_a_while_leaves_no_budget_there_and_none_reset() {
    let mut rig = Rig::new();
    assert!(spend_at(&mut rig, 60, START_MS));
    // Years ahead, another window holds; the clock comes back, and so does the account.
    assert!(spend_at(&mut rig, 70, START_MS + 400 * DAY_MS));
    assert!(!spend_at(&mut rig, 41, START_MS + 60_000));
    assert!(spend_at(&mut rig, 30, START_MS + 60_000));
    // Some hours ahead, it waits there: a clock that is set to another time zone reopens nothing.
    assert!(spend_at(&mut rig, 50, START_MS + 25 * 3_600_000));
    assert!(!spend_at(&mut rig, 51, START_MS + 120_000));
    // What was admitted ahead is there when the time comes.
    assert!(!spend_at(&mut rig, 31, START_MS + 400 * DAY_MS));
    assert!(spend_at(&mut rig, 30, START_MS + 400 * DAY_MS));
    assert!(rig.book.report().unwrap().audit().unwrap().is_clean());
}

#[test]
fn a_start_with_a_clock_that_is_behind_forgets_nothing_of_what_lies_ahead() {
    let mut rig = Rig::new();
    assert!(spend_at(&mut rig, 60, START_MS));
    rig.clock.set(START_MS - 3_000 * DAY_MS);
    rig.crash();
    assert!(spend_at(&mut rig, 100, START_MS - 3_000 * DAY_MS));
    assert!(!spend_at(&mut rig, 41, START_MS));
    assert!(spend_at(&mut rig, 40, START_MS));
}
