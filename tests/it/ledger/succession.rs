//! Two ledgers and two books on one file, as in the moment when one process follows another.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bifrostctl::base::{Clock, SystemClock, Usd};
use bifrostctl::limit::budget::{Claimed, Inheritance, Ledger, Need, Payer, Refused, Successor};
use bifrostctl::store::book::{AttemptId, Book};
use tempfile::TempDir;

use super::support::{budget, closing, line, need, wanted};

const LIMIT: i64 = 1_000_000;

/// One process's.
struct Side {
    clock: Arc<dyn Clock>,
    ledger: Arc<Ledger>,
    book: Book,
    payer: Arc<Payer>,
}

impl Side {
    fn new(book: Book, attached: bool) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let ledger = Arc::new(Ledger::new(Arc::clone(&clock)));
        if attached {
            ledger.attach(book.clone()).unwrap();
        }
        let payer = Arc::new(ledger.payer((Some("k"), None), &[strict("total")]).unwrap());
        Self { clock, ledger, book, payer }
    }

    fn first(path: &Path) -> Self {
        Self::new(Book::open(path, 1, Arc::new(|failure: &_| panic!("{failure}"))).unwrap().0, true)
    }

    fn second(path: &Path) -> Self {
        Self::new(Book::open_beside(path, Arc::new(|failure: &_| panic!("{failure}"))).unwrap(), false)
    }

    /// Reserves, opens the line, and settles what it cost, if there is room.
    fn spend(&self, id: u128, most: i64, cost: i64) -> Result<(), Refused> {
        let now_ms = self.clock.unix_ms();
        let mut reservation = self.ledger.reserve(&self.payer, need(most), now_ms)?;
        let opening = line(AttemptId::from_bits(id, 1), now_ms, &self.payer, &mut reservation, Usd::from_nano(1));
        reservation.settle(closing(&opening, now_ms, Usd::from_nano(cost)));
        Ok(())
    }

    fn standing(&self) -> (i64, i64) {
        let standing = self.payer.budgets[0].1.standing(self.clock.unix_ms());
        (standing.spent.nano(), standing.held.nano())
    }

    fn booked(&self) -> i64 {
        self.book.flush().wait().unwrap();
        self.book.usage("key:k", 0..u64::MAX).unwrap().nano()
    }
}

fn strict(period: &str) -> bifrostctl::limit::budget::Wanted {
    wanted("key:k", Some(budget(LIMIT, period, "strict", "UTC")))
}

/// The successor without a process in between.
struct Direct(Mutex<Option<Inheritance>>);

impl Direct {
    fn with<T>(&self, work: impl FnOnce(&mut Inheritance) -> T) -> Option<T> {
        self.0.lock().unwrap().as_mut().map(work)
    }

    fn take(&self) -> Inheritance {
        self.0.lock().unwrap().take().unwrap()
    }
}

fn gone() -> Refused {
    Refused::Store("gone".to_owned())
}

impl Successor for Direct {
    fn reserve(&self, accounts: &[Arc<str>], need: Need, now_ms: u64) -> Result<(u64, Vec<Usd>), Refused> {
        self.with(|here| here.reserve(accounts, need, now_ms)).unwrap_or_else(|| Err(gone()))
    }

    fn extend(&self, held: &Claimed, upto: Usd) -> Result<Vec<Usd>, Refused> {
        self.with(|here| here.extend(held, upto)).unwrap_or_else(|| Err(gone()))
    }

    fn settle(&self, held: &Claimed, cost: Usd) {
        self.with(|here| here.settle(held, cost));
    }
}

/// Hands over from one to the other, as the two processes do.
fn hand_over(from: &Side, to: &Side) -> Arc<Direct> {
    let frozen = from.ledger.freeze();
    let held = frozen.held().unwrap();
    to.ledger.attach(to.book.clone()).unwrap();
    let direct = Arc::new(Direct(Mutex::new(Some(to.ledger.inherit(held)))));
    frozen.hand_over(Arc::clone(&direct) as _, || Ok(())).unwrap();
    direct
}

#[test]
fn a_strict_budget_is_never_over_while_two_processes_spend_from_it() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("book");
    let (first, second) = (Side::first(&path), Side::second(&path));
    let (spent, refused, done, follows) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), std::sync::Barrier::new(5));
    let direct = std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (side, is_second) = if thread < 4 { (&first, false) } else { (&second, true) };
            let (spent, refused, done, follows) = (&spent, &refused, &done, &follows);
            scope.spawn(move || {
                if is_second {
                    follows.wait();
                }
                for turn in 0..1_000_u64 {
                    let most = 1 + (thread * 7919 + turn * 104_729) % 997;
                    let cost = most - most % 3;
                    match side.spend(u128::from(thread * 10_000 + turn), most as i64, cost as i64) {
                        Ok(()) => drop(spent.fetch_add(cost, Ordering::Relaxed)),
                        Err(Refused::Short(_)) => drop(refused.fetch_add(1, Ordering::Relaxed)),
                        Err(other) => panic!("{other:?}"),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // In the middle of it.
        while done.load(Ordering::Relaxed) < 600 {
            std::thread::yield_now();
        }
        let direct = hand_over(&first, &second);
        follows.wait();
        direct
    });
    first.ledger.conclude();
    assert_eq!(second.book.expire_others(2).unwrap().expired, 0);
    let inheritance = direct.take();
    assert_eq!(inheritance.left(), 0);
    inheritance.conclude(true).unwrap();
    let (spent, refused) = (spent.into_inner() as i64, refused.into_inner());
    assert_eq!(second.standing(), (spent, 0));
    assert!(spent <= LIMIT && spent > 995_000 && refused > 1_000, "{spent} {refused}");
    assert_eq!((first.booked(), second.booked()), (spent, spent));
    assert_eq!(second.book.report().unwrap().audit().unwrap().differences, []);
}

#[test]
fn what_a_predecessor_leaves_behind_is_charged_as_after_a_crash_and_given_back() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("book");
    let (first, second) = (Side::first(&path), Side::second(&path));
    let now_ms = first.clock.unix_ms();
    first.spend(1, 100, 90).unwrap();
    let mut before = first.ledger.reserve(&first.payer, need(1_000), now_ms).unwrap();
    drop(line(AttemptId::from_bits(2, 1), now_ms, &first.payer, &mut before, Usd::from_nano(7)));
    let direct = hand_over(&first, &second);
    assert_eq!(second.standing(), (90, 1_000));
    let mut after = first.ledger.reserve(&first.payer, need(500), now_ms).unwrap();
    drop(line(AttemptId::from_bits(3, 1), now_ms, &first.payer, &mut after, Usd::from_nano(5)));
    assert_eq!(second.standing(), (90, 1_500));
    // Two reservations that do not fit into one budget do not fit, whoever asks.
    assert!(matches!(first.ledger.reserve(&first.payer, need(LIMIT), now_ms), Err(Refused::Short(short)) if short[0].held.nano() == 1_500));
    second.spend(4, 100, 50).unwrap();
    // It ends without a word.
    first.book.flush().wait().unwrap();
    std::mem::forget((before, after));
    first.book.abandon();
    let inheritance = direct.take();
    assert_eq!(second.book.expire_others(now_ms).unwrap().charged.nano(), 12);
    inheritance.conclude(false).unwrap();
    assert_eq!(second.standing(), (152, 0));
    assert_eq!(second.booked(), 152);
    // Its own lines are nobody else's.
    let mut own = second.ledger.reserve(&second.payer, need(10), now_ms).unwrap();
    drop(line(AttemptId::from_bits(5, 1), now_ms, &second.payer, &mut own, Usd::from_nano(3)));
    second.book.flush().wait().unwrap();
    assert_eq!(second.book.expire_others(now_ms).unwrap().expired, 0);
}

#[test]
fn a_budget_that_is_new_in_the_successor_ends_up_with_what_is_true() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("book");
    let (first, second) = (Side::first(&path), Side::second(&path));
    let now_ms = first.clock.unix_ms();
    let running = first.ledger.reserve(&first.payer, need(1_000), now_ms).unwrap();
    let direct = hand_over(&first, &second);
    first.spend(1, 100, 90).unwrap();
    // It is on the disk, whether or not it was told already.
    let day = second.ledger.payer((Some("k"), None), &[strict("day")]).unwrap();
    drop(running);
    first.ledger.conclude();
    direct.take().conclude(true).unwrap();
    let standing = day.budgets[0].1.standing(now_ms);
    assert_eq!((standing.spent.nano(), standing.held.nano()), (90, 0));
    assert_eq!(second.standing(), (90, 0));
}

#[test]
fn without_its_successor_a_predecessor_reserves_nothing_that_a_budget_limits() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("book");
    let (first, second) = (Side::first(&path), Side::second(&path));
    let now_ms = first.clock.unix_ms();
    let stepwise = budget(LIMIT, "day", "progressive", "UTC");
    let payer = Arc::new(first.ledger.payer((Some("k"), None), &[wanted("key:k", Some(stepwise))]).unwrap());
    let mut running = first.ledger.reserve(&payer, need(100), now_ms).unwrap();
    let bare = Arc::new(first.ledger.payer((Some("b"), None), &[wanted("key:b", None)]).unwrap());
    let direct = hand_over(&first, &second);
    drop(direct.take());
    assert_eq!(first.ledger.reserve(&payer, need(1), now_ms).unwrap_err(), gone());
    assert!(first.ledger.reserve(&bare, Need::FREE, now_ms).is_ok(), "where nothing limits it, it goes on");
    // What runs has what it has.
    running.extend(Usd::from_nano(200), Usd::from_nano(80)).unwrap();
    assert_eq!(running.extend(Usd::from_nano(200), Usd::from_nano(101)).unwrap_err(), gone());
    assert_eq!(running.held().nano(), 100);
}
