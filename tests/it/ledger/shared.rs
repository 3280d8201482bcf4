//! Ledgers of several gateways on one book: a budget is one budget, whoever spends it.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bifrostctl::base::{Clock, Usd};
use bifrostctl::limit::budget::{Alert, Ledger, Payer, Refused, Reservation, Wanted};
use bifrostctl::store::book::{Adjustment, AttemptId, Book, Change, Opening, Place, UsageSource};
use bifrostctl::wire::ir::Usage;

use super::support::{START_MS, budget, closing, line, need, wanted};
use crate::store::book::shared::{Server, server};

/// A clock whose date is set, and whose time runs.
#[derive(Debug)]
struct Dated {
    began: Instant,
    unix_ms: AtomicU64,
}

impl Clock for Dated {
    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    fn unix_ms(&self) -> u64 {
        self.unix_ms.load(Ordering::Relaxed)
    }
}

/// One gateway's part of it.
struct Node {
    ledger: Arc<Ledger>,
    book: Book,
    clock: Arc<Dated>,
    number: u128,
    next: AtomicU64,
}

impl Node {
    fn join(server: &Server, number: u128) -> Self {
        Self::join_for(server, number, Duration::from_secs(600))
    }

    fn join_for(server: &Server, number: u128, lease: Duration) -> Self {
        let clock = Arc::new(Dated { began: Instant::now(), unix_ms: AtomicU64::new(START_MS) });
        let place = Place { lease, ..server.place.clone() };
        let any = Arc::clone(&clock) as Arc<dyn Clock>;
        let (book, _) = Book::join(place, &number.to_string(), &any, Arc::new(|failure: &_| panic!("{failure}"))).unwrap();
        let ledger = Ledger::new(any);
        ledger.attach(book.clone()).unwrap();
        Self { ledger: Arc::new(ledger), book, clock, number, next: AtomicU64::new(0) }
    }

    fn payer(&self, wanted: &[Wanted]) -> Arc<Payer> {
        Arc::new(self.ledger.payer((Some("k"), None), wanted).unwrap())
    }

    fn admit(&self, payer: &Arc<Payer>, most: i64) -> Result<Reservation, Refused> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(self.ledger.admit(payer, need(most), self.clock.unix_ms()))
    }

    fn open(&self, payer: &Payer, reservation: &mut Reservation) -> Arc<Opening> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = AttemptId::from_bits(self.number << 64 | u128::from(number), 1);
        line(id, self.clock.unix_ms(), payer, reservation, Usd::ZERO)
    }

    fn settle(&self, payer: &Payer, mut reservation: Reservation, cost: i64) {
        let opening = self.open(payer, &mut reservation);
        self.end(reservation, opening, cost);
    }

    fn end(&self, reservation: Reservation, opening: Arc<Opening>, cost: i64) {
        reservation.settle(closing(&opening, self.clock.unix_ms(), Usd::from_nano(cost)));
    }

    fn spend(&self, payer: &Arc<Payer>, cost: i64) -> Result<(), Refused> {
        let reservation = self.admit(payer, cost)?;
        self.settle(payer, reservation, cost);
        self.book.flush().wait().unwrap();
        Ok(())
    }

    fn spent(&self, payer: &Payer) -> i64 {
        self.ledger.look();
        payer.budgets[0].1.standing(self.clock.unix_ms()).spent.nano()
    }
}

fn terms(limit: i64, period: &str, mode: &str) -> Vec<Wanted> {
    vec![wanted("key:k", Some(budget(limit, period, mode, "UTC")))]
}

fn total(server: &Server) -> i64 {
    server.client().query_one("SELECT coalesce(sum(nano), 0)::bigint FROM balances", &[]).unwrap().get(0)
}

const fn is_short(refused: &Refused) -> bool {
    matches!(refused, Refused::Short(_))
}

#[test]
fn three_gateways_spend_one_strict_budget_to_its_end_and_not_beyond() {
    let Some(server) = server() else { return };
    const LIMIT: i64 = 200_000;
    const MOST: i64 = 100;
    let nodes: Vec<Node> = (1..=3).map(|number| Node::join(&server, number)).collect();
    let granted = AtomicI64::new(0);
    // Some gateways are busier than others.
    let spend = |node: &Node, payer: &Arc<Payer>, client: i64, requests: i64| {
        for number in 0..requests {
            let cost = MOST - (number * 7 + client) % 40;
            match node.admit(payer, MOST) {
                Ok(reservation) => {
                    node.settle(payer, reservation, cost);
                    granted.fetch_add(cost, Ordering::Relaxed);
                }
                Err(refused) => {
                    assert!(is_short(&refused), "{refused:?}");
                    return true;
                }
            }
        }
        false
    };
    let refused: usize = std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for (node, place) in nodes.iter().zip(1..) {
            let payer = node.payer(&terms(LIMIT, "total", "strict"));
            for client in 0..8 {
                let (payer, spend) = (Arc::clone(&payer), &spend);
                clients.push(scope.spawn(move || spend(node, &payer, client, 1_500 / place)));
            }
        }
        clients.into_iter().map(|client| usize::from(client.join().unwrap())).sum()
    });
    for node in &nodes {
        node.book.flush().wait().unwrap();
    }
    let (booked, granted) = (total(&server), granted.load(Ordering::Relaxed));
    assert_eq!(booked, granted);
    assert!(booked <= LIMIT && booked > LIMIT - MOST && refused == 24, "{booked} {refused}");
    assert!(nodes[0].book.report().unwrap().audit().unwrap().is_clean());
}

#[test]
fn a_gateway_returns_what_it_does_not_use_when_another_is_short() {
    let Some(server) = server() else { return };
    let (a, b) = (Node::join(&server, 1), Node::join(&server, 2));
    let (of_a, of_b) = (a.payer(&terms(1_000, "total", "strict")), b.payer(&terms(1_000, "total", "strict")));
    let held = a.admit(&of_a, 600).unwrap();
    // Dropped, it holds nothing; its share is still with its gateway.
    drop(held);
    let began = Instant::now();
    let all = b.admit(&of_b, 1_000).unwrap();
    assert!(began.elapsed() < Duration::from_millis(1_500), "{:?}", began.elapsed());
    // And what is in use is not returned: it is refused when the wait is over.
    let refused = a.admit(&of_a, 1).unwrap_err();
    assert!(is_short(&refused), "{refused:?}");
    b.settle(&of_b, all, 400);
    a.admit(&of_a, 600).unwrap();
}

#[test]
fn what_one_gateway_spends_the_others_see() {
    let Some(server) = server() else { return };
    let (a, b) = (Node::join(&server, 1), Node::join(&server, 2));
    for mode in ["strict", "soft", "progressive"] {
        let before = total(&server);
        let wanted = [wanted(&format!("key:{mode}"), Some(budget(100, "month", mode, "UTC")))];
        let (of_a, of_b) = (a.payer(&wanted), b.payer(&wanted));
        a.spend(&of_a, 60).unwrap();
        assert_eq!((a.spent(&of_a), b.spent(&of_b)), (60, 60), "{mode}");
        b.spend(&of_b, 40).unwrap();
        // A soft budget is refused on what was last looked at; the others on what the record says.
        assert_eq!((a.spent(&of_a), b.spent(&of_b), total(&server) - before), (100, 100, 100), "{mode}");
        for (node, payer) in [(&a, &of_a), (&b, &of_b)] {
            let Err(Refused::Short(short)) = node.admit(payer, 1) else { panic!("{mode}") };
            assert_eq!(short[0].spent.nano(), 100, "{mode}");
        }
    }
}

#[test]
fn a_reset_at_one_gateway_frees_the_budget_at_all() {
    let Some(server) = server() else { return };
    let (a, b) = (Node::join(&server, 1), Node::join(&server, 2));
    let (of_a, of_b) = (a.payer(&terms(100, "month", "strict")), b.payer(&terms(100, "month", "strict")));
    a.spend(&of_a, 100).unwrap();
    assert!(b.admit(&of_b, 1).is_err());
    let clear = Adjustment {
        id: AttemptId::from_bits(77, 0),
        at_ms: START_MS,
        account: "key:k".into(),
        change: Change::Clear { buckets: of_a.budgets[0].1.buckets(START_MS) },
        actor: "test".into(),
        reason: "test".into(),
    };
    a.ledger.correct(clear).unwrap();
    assert_eq!((a.spent(&of_a), b.spent(&of_b)), (0, 0));
    b.spend(&of_b, 70).unwrap();
    assert!(a.admit(&of_a, 31).is_err());
    a.spend(&of_a, 30).unwrap();
}

#[test]
fn a_new_window_begins_for_all_and_what_runs_belongs_to_the_old_one() {
    let Some(server) = server() else { return };
    let (a, b) = (Node::join(&server, 1), Node::join(&server, 2));
    let (of_a, of_b) = (a.payer(&terms(100, "day", "strict")), b.payer(&terms(100, "day", "strict")));
    let mut runs = a.admit(&of_a, 60).unwrap();
    let opening = a.open(&of_a, &mut runs);
    b.spend(&of_b, 40).unwrap();
    assert!(b.admit(&of_b, 1).is_err());
    for node in [&a, &b] {
        node.clock.unix_ms.store(START_MS + 86_400_000, Ordering::Relaxed);
    }
    b.spend(&of_b, 50).unwrap();
    a.end(runs, opening, 60);
    a.spend(&of_a, 50).unwrap();
    assert!(a.admit(&of_a, 1).is_err());
    assert_eq!((a.spent(&of_a), b.spent(&of_b), total(&server)), (100, 100, 200));
}

#[test]
fn an_alert_goes_out_once_whoever_spends() {
    let Some(server) = server() else { return };
    let heard = Arc::new(Mutex::new(Vec::new()));
    let nodes: Vec<Node> = (1..=3).map(|number| Node::join(&server, number)).collect();
    let payers: Vec<_> = nodes.iter().map(|node| node.payer(&terms(100, "month", "soft"))).collect();
    for node in &nodes {
        let heard = Arc::clone(&heard);
        node.ledger.listen(Box::new(move |alert: &Alert| heard.lock().unwrap().push((alert.percent, alert.spent.nano()))));
    }
    for cost in [20, 20, 20, 10, 10, 10, 10] {
        for (node, payer) in nodes.iter().zip(&payers).take(1 + usize::from(cost == 20)) {
            node.spend(payer, cost / 2).unwrap();
        }
        for (node, payer) in nodes.iter().zip(&payers) {
            node.spent(payer);
        }
    }
    nodes[2].spend(&payers[2], 20).unwrap();
    for (node, payer) in nodes.iter().zip(&payers) {
        assert_eq!(node.spent(payer), 100);
    }
    assert_eq!(*heard.lock().unwrap(), [(50, 50), (100, 100)]);
}

#[test]
fn what_a_dead_gateway_held_comes_back_and_what_it_ran_is_charged() {
    let Some(server) = server() else { return };
    let (dead, alive) = (Node::join(&server, 1), Node::join(&server, 2));
    let (of_dead, of_alive) = (dead.payer(&terms(1_000, "total", "strict")), alive.payer(&terms(1_000, "total", "strict")));
    let mut reservation = dead.admit(&of_dead, 1_000).unwrap();
    let opening = dead.open(&of_dead, &mut reservation);
    dead.book.progress(
        opening.id,
        bifrostctl::store::book::Progress { cost: Usd::from_nano(300), usage: Usage::default(), source: UsageSource::Stream },
    );
    dead.book.flush().wait().unwrap();
    dead.book.abandon();
    assert!(alive.admit(&of_alive, 1).is_err());
    server.silence_only("1");
    alive.book.take_over().unwrap();
    assert_eq!(alive.spent(&of_alive), 300);
    alive.spend(&of_alive, 700).unwrap();
    assert!(alive.admit(&of_alive, 1).is_err());
    drop(reservation);
}

#[test]
fn a_gateway_that_was_taken_over_spends_nothing_on_its_old_share() {
    let Some(server) = server() else { return };
    let (slow, other) = (Node::join(&server, 1), Node::join(&server, 2));
    let (of_slow, of_other) = (slow.payer(&terms(1_000, "total", "strict")), other.payer(&terms(1_000, "total", "strict")));
    let mut runs = slow.admit(&of_slow, 400).unwrap();
    let opening = slow.open(&of_slow, &mut runs);
    slow.book.flush().wait().unwrap();
    server.silence_only("1");
    other.book.take_over().unwrap();
    other.spend(&of_other, 500).unwrap();
    slow.book.renew().unwrap();
    // What it writes first is refused: it may rest on the old lease.
    assert!(slow.book.flush().wait().is_err());
    slow.book.flush().wait().unwrap();
    // What runs is held in the new epoch, too.
    let Err(Refused::Short(short)) = slow.admit(&of_slow, 101) else { panic!() };
    assert_eq!((short[0].spent.nano(), short[0].held.nano()), (500, 400));
    slow.spend(&of_slow, 100).unwrap();
    slow.end(runs, opening, 400);
    slow.book.flush().wait().unwrap();
    assert_eq!((slow.spent(&of_slow), other.spent(&of_other)), (1_000, 1_000));
}

#[test]
fn a_lower_limit_holds_for_what_was_granted_under_a_higher_one() {
    let Some(server) = server() else { return };
    let (a, b) = (Node::join(&server, 1), Node::join(&server, 2));
    let of_a = a.payer(&terms(1_000, "total", "strict"));
    a.spend(&of_a, 100).unwrap();
    let (low_a, low_b) = (a.payer(&terms(150, "total", "strict")), b.payer(&terms(150, "total", "strict")));
    assert!(a.admit(&low_a, 51).is_err());
    b.spend(&low_b, 50).unwrap();
    assert!(a.admit(&low_a, 1).is_err());
    assert_eq!(a.spent(&low_a), 150);
}

#[test]
fn a_stream_that_goes_step_by_step_is_not_stopped_while_the_record_is_asked() {
    let Some(server) = server() else { return };
    let a = Node::join(&server, 1);
    let of_a = a.payer(&terms(100, "total", "progressive"));
    let mut stream = a.admit(&of_a, 10).unwrap();
    // It asks, and goes on with what it holds.
    let is_going = AtomicBool::new(true);
    let began = Instant::now();
    while stream.held() < Usd::from_nano(95) && began.elapsed() < Duration::from_secs(5) {
        is_going.fetch_and(stream.extend(Usd::from_nano(95), Usd::from_nano(10)).is_ok(), Ordering::Relaxed);
        std::thread::yield_now();
    }
    assert!(is_going.into_inner() && stream.held() == Usd::from_nano(95));
    let began = Instant::now();
    while stream.extend(Usd::from_nano(101), Usd::from_nano(90)).is_ok() && began.elapsed() < Duration::from_secs(5) {
        std::thread::yield_now();
    }
    assert!(began.elapsed() < Duration::from_secs(5) && stream.held() == Usd::from_nano(95));
}
