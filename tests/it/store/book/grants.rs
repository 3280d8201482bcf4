//! Shares of a budget between nodes: never more than the limit, all of it usable, and none lost with a node.

use bifrostctl::store::book::{AccountWindow, Granted, Wish};

use super::shared::{Server, server};
use super::*;

fn window(name: &str, buckets: std::ops::Range<u64>) -> AccountWindow {
    AccountWindow { account: "key:web".into(), window: name.into(), buckets }
}

fn wish(limit: i64, needed: i64) -> Wish {
    Wish { of: window("month", 0..bucket_of(NOW) + 100), limit: usd(limit), needed: usd(needed), wanted: usd(needed), waits: true }
}

fn ask(node: &Book, wish: Wish) -> Result<Granted, BookError> {
    node.record().unwrap().grant(&wish)
}

fn more(node: &Book, limit: i64, needed: i64) -> i64 {
    ask(node, wish(limit, needed)).unwrap().more.nano()
}

fn held(server: &Server) -> i64 {
    server.client().query_one("SELECT coalesce(sum(amount), 0)::bigint FROM grants", &[]).unwrap().get(0)
}

#[test]
fn a_node_gets_what_it_needs_or_nothing_and_more_only_where_much_is_left() {
    let Some(server) = server() else { return };
    let (a, b) = (server.join("a").0, server.join("b").0);
    // An eighth of each node's share: 1000 / (8 × 2).
    assert_eq!(more(&a, 1_000, 10), 62);
    assert_eq!(more(&b, 1_000, 900), 900);
    let granted = ask(&a, wish(1_000, 39)).unwrap();
    assert_eq!((granted.more, granted.seen.spent, granted.seen.own, granted.seen.others), (Usd::ZERO, Usd::ZERO, Some(usd(62)), usd(900)));
    assert_eq!(more(&a, 1_000, 38), 38);
    assert_eq!((more(&a, 1_000, 1), held(&server)), (0, 1_000));
    // What is spent moves from the grant; nothing becomes free by that.
    b.close(closing(&opening(1, &["key:web"]), 300)).wait().unwrap();
    assert_eq!((held(&server), more(&a, 1_000, 1), spent(&a, "key:web")), (700, 0, 300));
    // A lower limit grants nothing, a higher one what is above.
    assert_eq!((more(&a, 500, 1), more(&a, 1_010, 10)), (0, 10));
}

#[test]
fn what_a_node_gives_back_the_others_may_spend() {
    let Some(server) = server() else { return };
    let (a, b) = (server.join("a").0, server.join("b").0);
    let granted = ask(&a, wish(100, 100)).unwrap();
    assert_eq!(more(&b, 100, 1), 0);
    let record = a.record().unwrap();
    record.give_back(&wish(100, 0).of, granted.seen.epoch, usd(30));
    record.give_back(&wish(100, 0).of, granted.seen.epoch + 1, usd(30));
    // In the order in which the node asked.
    assert_eq!(more(&a, 70, 1), 0);
    assert_eq!((more(&b, 100, 31), more(&b, 100, 30)), (0, 30));
}

#[test]
fn windows_have_grants_of_their_own_and_only_what_counts_in_them_is_taken_off() {
    let Some(server) = server() else { return };
    let (a, b) = (server.join("a").0, server.join("b").0);
    let now = bucket_of(NOW);
    let rolling = |limit| Wish { of: window("rolling 1h", now - 3..u64::MAX), ..wish(limit, limit) };
    let past = |limit| Wish { of: window("before", 0..now), ..wish(limit, limit) };
    assert_eq!((ask(&a, rolling(50)).unwrap().more, ask(&a, past(60)).unwrap().more, more(&a, 100, 100)), (usd(50), usd(60), 100));
    a.close(closing(&opening(1, &["key:web", "key:web", "team:t"]), 20)).wait().unwrap();
    let left: Vec<(String, i64)> = server
        .client()
        .query("SELECT span, amount FROM grants ORDER BY span", &[])
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    assert_eq!(left, [("before".to_owned(), 60), ("month".to_owned(), 80), ("rolling 1h".to_owned(), 30)]);
    // Booked again, or by another node, it is taken off nobody.
    a.close(closing(&opening(1, &["key:web"]), 20)).wait().unwrap();
    b.close(closing(&opening(2, &["key:web"]), 5)).wait().unwrap();
    assert_eq!(held(&server), 170);
}

#[test]
fn the_grant_of_a_dead_node_comes_back_when_its_lease_is_over_and_not_before() {
    let Some(server) = server() else { return };
    let (dead, b) = (server.join("dead").0, server.join("b").0);
    assert_eq!(more(&dead, 100, 100), 100);
    dead.open_line(opening(1, &["key:web"])).wait().unwrap();
    dead.abandon();
    b.take_over().unwrap();
    assert_eq!(more(&b, 100, 1), 0);
    server.silence_only("dead");
    b.take_over().unwrap();
    // Its open line was charged its floor.
    assert_eq!((more(&b, 100, 94), more(&b, 100, 93), spent(&b, "key:web")), (0, 93, 7));
}

#[test]
fn a_node_that_was_taken_over_is_granted_nothing() {
    let Some(server) = server() else { return };
    let (slow, other) = (server.join("slow").0, server.join("other").0);
    server.silence_only("slow");
    other.take_over().unwrap();
    let refused = ask(&slow, wish(100, 1));
    assert!(matches!(&refused, Err(BookError::Read(why)) if why.contains("lease")), "{refused:?}");
    drop(slow);
    assert_eq!((more(&other, 100, 100), held(&server)), (100, 100));
}

#[test]
fn an_orderly_end_gives_all_grants_back() {
    let Some(server) = server() else { return };
    let (a, b) = (server.join("a").0, server.join("b").0);
    assert_eq!(more(&a, 100, 100), 100);
    drop(a);
    assert_eq!(more(&b, 100, 100), 100);
}

/// Spends what it is granted, in odd pieces, until it is granted nothing more; returns what it spent.
fn spend_all(node: &Book, place: u16, limit: i64) -> i64 {
    let (mut grant, mut sum, mut number) = (0, 0, 0_u16);
    loop {
        number += 1;
        let wanted = i64::from(number * 7 % 23) + 1;
        if grant < wanted {
            grant += more(node, limit, wanted - grant);
        }
        // What a piece is too large for, a smaller one may yet fit.
        let cost = if grant >= wanted { wanted } else { grant };
        if cost == 0 {
            grant = more(node, limit, 1);
            if grant == 0 {
                return sum;
            }
            continue;
        }
        grant -= cost;
        sum += cost;
        drop(node.close(closing(&opening(place * 20_000 + number, &["key:web"]), cost)));
    }
}

#[test]
fn three_nodes_that_hammer_one_budget_spend_all_of_it_and_not_a_nano_dollar_more() {
    let Some(server) = server() else { return };
    const LIMIT: i64 = 5_003;
    let nodes: Vec<Book> = ["a", "b", "c"].iter().map(|name| server.join(name).0).collect();
    let watching = std::sync::atomic::AtomicBool::new(true);
    let sums: Vec<i64> = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut client = server.client();
            let text = "SELECT ((SELECT coalesce(sum(nano), 0) FROM balances) + (SELECT coalesce(sum(amount), 0) FROM grants))::bigint";
            while watching.load(std::sync::atomic::Ordering::SeqCst) {
                let promised: i64 = client.query_one(text, &[]).unwrap().get(0);
                assert!(promised <= LIMIT, "{promised}");
            }
        });
        let running: Vec<_> = nodes.iter().zip(0..).map(|(node, place)| scope.spawn(move || spend_all(node, place, LIMIT))).collect();
        let sums = running.into_iter().map(|node| node.join().unwrap()).collect();
        watching.store(false, std::sync::atomic::Ordering::SeqCst);
        watcher.join().unwrap();
        sums
    });
    nodes.iter().for_each(|node| node.flush().wait().unwrap());
    assert_eq!((sums.iter().sum::<i64>(), spent(&nodes[0], "key:web"), held(&server)), (LIMIT, LIMIT, 0), "{sums:?}");
    assert!(nodes[0].report().unwrap().audit().unwrap().is_clean());
}
