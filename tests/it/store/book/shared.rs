//! The book that gateways share, on a real PostgreSQL: `ci/test` starts one. Without `DATABASE_URL` these tests are skipped, and say so.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bifrostctl::base::{Clock, ManualClock, Secret};
use bifrostctl::store::book::{Dimension, FailureKind, Place as Shared, Question, Report};
use jiff::tz::TimeZone;
use postgres::{Client, NoTls};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, TestRunner};

use super::model::{Step, step};
use super::*;

const LEASE: Duration = Duration::from_secs(600);

/// A schema of its own, which goes with it.
pub(crate) struct Server {
    pub(crate) place: Shared,
    clock: Arc<ManualClock>,
}

/// None, and a word about it, where there is no server to be had.
pub(crate) fn server() -> Option<Server> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let url = std::env::var("DATABASE_URL").unwrap_or_default();
    // Whatever a shell happens to name is not ours to write to.
    if !url.contains("@127.0.0.1:") {
        // Past the harness, which shows what a test prints only where it fails.
        let skipped = "skipped: DATABASE_URL names no PostgreSQL on 127.0.0.1; ci/servers starts one";
        std::io::stderr().write_all(format!("{skipped}\n").as_bytes()).unwrap();
        return None;
    }
    let schema = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let place = Shared { schema, lease: LEASE, ..Shared::new(Secret::new(url)) };
    Some(Server { place, clock: Arc::new(ManualClock::at(NOW)) })
}

impl Server {
    pub(super) fn join(&self, name: &str) -> (Book, Recovered) {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Book::join(self.place.clone(), name, &clock, no_fatal()).unwrap()
    }

    pub(crate) fn client(&self) -> Client {
        let mut client = Client::connect(self.place.url.expose(), NoTls).unwrap();
        client.batch_execute(&format!("SET search_path = {}", self.place.schema)).unwrap();
        client
    }

    fn count(&self, table: &str) -> i64 {
        self.client().query_one(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().get(0)
    }

    /// Makes the lease of one node look as if it had been silent for too long.
    pub(crate) fn silence_only(&self, name: &str) {
        let text = "UPDATE nodes SET expires = clock_timestamp() - interval '1 second' WHERE name = $1";
        self.client().execute(text, &[&name]).unwrap();
    }

    /// Makes every lease that runs look as if its node had been silent for too long.
    fn silence(&self) {
        self.client().execute("UPDATE nodes SET expires = clock_timestamp() - interval '1 second' WHERE gone IS NULL", &[]).unwrap();
    }

    /// Cuts every connection of the nodes of this schema.
    fn cut_all(&self) {
        let text = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE application_name = $1";
        let cut: i64 = self.client().query_one(text, &[&format!("bifrostctl {}", self.place.schema)]).unwrap().get(0);
        assert_eq!(cut, 2);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.client().batch_execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.place.schema)).unwrap();
    }
}

fn line(number: u16) -> Arc<Opening> {
    opening(number, &["key:web", "budget:growth", "key:web"])
}

#[test]
fn a_closed_line_charges_each_of_its_accounts_once_and_every_node_sees_it() {
    let Some(server) = server() else { return };
    let (book, recovered) = server.join("a");
    assert_eq!(recovered, Recovered::default());
    let (other, _) = server.join("b");
    book.open_line(line(1)).wait().unwrap();
    assert_eq!((server.count("open"), spent(&other, "key:web")), (1, 0));
    book.close(closing(&line(1), 250)).wait().unwrap();
    other.close(closing(&line(1), 999)).wait().unwrap();
    other.open_line(line(1)).wait().unwrap();
    for node in [&book, &other] {
        assert_eq!((spent(node, "key:web"), spent(node, "budget:growth"), spent(node, "team:other")), (250, 250, 0));
    }
    assert_eq!(other.buckets("key:web", 0..u64::MAX).unwrap(), [(bucket_of(NOW), usd(250))]);
    assert_eq!((server.count("open"), server.count("lines")), (0, 1));
    assert_eq!((book.counts().lines, other.counts().lines, other.counts().late), (1, 0, 0));
}

#[test]
fn what_a_dead_node_left_open_is_charged_by_the_others_when_its_lease_is_over() {
    let Some(server) = server() else { return };
    let (dead, _) = server.join("dead");
    let (book, _) = server.join("alive");
    for number in 1..=3 {
        dead.open_line(line(number)).wait().unwrap();
    }
    dead.progress(line(1).id, progress(50));
    dead.progress(line(1).id, progress(90));
    dead.flush().wait().unwrap();
    dead.close(closing(&line(3), 1_000)).wait().unwrap();
    book.open_line(line(4)).wait().unwrap();
    dead.abandon();
    assert_eq!(book.take_over().unwrap(), Recovered::default(), "its lease runs still");
    server.client().execute("UPDATE nodes SET expires = clock_timestamp() - interval '1 second' WHERE name = 'dead'", &[]).unwrap();
    assert_eq!(book.take_over().unwrap(), Recovered { expired: 2, charged: usd(90 + 7) });
    assert_eq!(book.take_over().unwrap(), Recovered::default());
    assert_eq!((spent(&book, "key:web"), server.count("open")), (1_097, 1));
    // What it may yet say comes too late.
    book.close(closing(&line(1), 5_000)).wait().unwrap();
    assert_eq!((spent(&book, "key:web"), book.counts().late), (1_097, 1));
    assert!(book.report().unwrap().audit().unwrap().is_clean());
}

#[test]
fn a_node_that_was_taken_over_opens_nothing_until_it_begins_anew_and_loses_no_closing() {
    let Some(server) = server() else { return };
    let (slow, _) = server.join("slow");
    slow.open_line(line(1)).wait().unwrap();
    server.silence();
    let (other, recovered) = server.join("other");
    assert_eq!(recovered, Recovered { expired: 1, charged: usd(7) });
    let refused = slow.open_line(line(2)).wait();
    assert!(matches!(&refused, Err(BookError::Failed(failure)) if failure.kind == FailureKind::Lease), "{refused:?}");
    assert_eq!(slow.failure().unwrap().kind, FailureKind::Lease);
    assert_eq!(server.count("open"), 0);
    // It ran, and has cost what it has cost.
    slow.close(closing(&line(3), 40)).wait().unwrap();
    assert_eq!(spent(&other, "key:web"), 47);
}

#[test]
fn a_node_that_was_taken_over_says_what_its_attempts_came_to_and_is_believed_once() {
    let Some(server) = server() else { return };
    let (slow, other) = (server.join("slow").0, server.join("other").0);
    for number in 1..=2 {
        slow.open_line(line(number)).wait().unwrap();
    }
    server.silence_only("slow");
    assert_eq!(other.take_over().unwrap(), Recovered { expired: 2, charged: usd(14) });
    slow.renew().unwrap();
    // Nothing is opened on the strength of the old lease.
    assert!(slow.open_line(line(3)).wait().is_err());
    slow.flush().wait().unwrap();
    slow.open_line(line(4)).wait().unwrap();
    for cost in [40, 900] {
        slow.close(closing(&line(1), cost)).wait().unwrap();
    }
    assert_eq!((spent(&other, "key:web"), spent(&other, "budget:growth"), slow.counts().late), (47, 47, 1));
    assert_eq!((server.count("open"), server.count("lines"), server.count("lines WHERE expired")), (1, 2, 1));
    assert!(other.report().unwrap().audit().unwrap().is_clean());
}

#[test]
fn a_node_that_is_not_confirmed_in_time_says_so_before_the_others_take_over() {
    let Some(server) = server() else { return };
    let (book, _) = server.join("a");
    assert_eq!(book.failure(), None);
    let lease_ms = u64::try_from(LEASE.as_millis()).unwrap();
    server.clock.advance(lease_ms * 4 / 5 - 1);
    assert_eq!(book.failure(), None);
    server.clock.advance(1);
    assert_eq!(book.failure().unwrap().kind, FailureKind::Lease);
}

#[test]
fn an_orderly_end_gives_the_lease_back() {
    let Some(server) = server() else { return };
    let (book, _) = server.join("a");
    book.open_line(line(1)).wait().unwrap();
    drop(book.close(closing(&line(2), 5)));
    drop(book);
    let left: i64 = server.client().query_one("SELECT count(*) FROM nodes WHERE gone IS NULL", &[]).unwrap().get(0);
    assert_eq!((left, server.count("open"), server.count("lines")), (0, 0, 2));
}

#[test]
fn a_connection_that_is_cut_refuses_openings_and_loses_no_closing() {
    let Some(server) = server() else { return };
    let (book, _) = server.join("a");
    book.open_line(line(1)).wait().unwrap();
    server.cut_all();
    let kept = book.close(closing(&line(1), 30));
    kept.wait().unwrap();
    assert_eq!((book.failure(), spent(&book, "key:web")), (None, 30));
    book.open_line(line(2)).wait().unwrap();
    assert_eq!(server.count("open"), 1);
}

#[test]
fn counts_that_few_answers_have_are_kept_by_name() {
    let Some(server) = server() else { return };
    let (book, _) = server.join("a");
    let mut searched = closing(&line(1), 5);
    searched.usage.other.web_searches = 2;
    book.close(searched).wait().unwrap();
    book.open_line(line(2)).wait().unwrap();
    let mut heard = progress(3);
    heard.usage.other.audio_ms = 40;
    book.progress(line(2).id, heard);
    drop(book);
    let kept: Vec<Option<String>> =
        server.client().query("SELECT other FROM lines ORDER BY id", &[]).unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(kept, [Some(r#"{"web_searches":2}"#.to_owned()), Some(r#"{"audio_ms":40}"#.to_owned())]);
}

#[test]
fn no_text_of_a_client_stops_the_book() {
    let Some(server) = server() else { return };
    let (book, _) = server.join("a");
    let mut odd = Opening::clone(&line(1));
    odd.model = "a\0b \u{1f600} \\u0000 \"'; --".into();
    odd.alias = Some("é".repeat(400).into());
    book.close(closing(&Arc::new(odd), 5)).wait().unwrap();
    let row = server.client().query_one("SELECT model, length(alias) FROM lines", &[]).unwrap();
    assert_eq!((row.get::<_, String>(0), row.get::<_, i32>(1)), ("a\u{fffd}b \u{1f600} \\u0000 \"'; --".to_owned(), 128));
}

#[test]
fn amounts_at_the_edge_of_the_type_saturate_there_too() {
    let Some(server) = server() else { return };
    let (book, _) = server.join("a");
    book.close(closing(&line(1), i64::MAX)).wait().unwrap();
    book.close(closing(&line(2), 5)).wait().unwrap();
    let mut negative = closing(&line(3), -5);
    negative.usage = Usage { input: u64::MAX, ..Usage::default() };
    book.close(negative).wait().unwrap();
    assert_eq!(spent(&book, "key:web"), i64::MAX);
    assert!(book.report().unwrap().audit().unwrap().is_clean());
}

#[test]
fn nodes_that_charge_the_same_accounts_at_once_add_up() {
    let Some(server) = server() else { return };
    let nodes: Vec<Book> = ["a", "b", "c"].iter().map(|name| server.join(name).0).collect();
    std::thread::scope(|scope| {
        for (place, node) in nodes.iter().enumerate() {
            scope.spawn(move || {
                for number in 0..600_u16 {
                    let accounts = if place % 2 == 0 { ["key:a", "team:t"] } else { ["team:t", "key:a"] };
                    let line = opening(number + u16::try_from(place).unwrap() * 1_000, &accounts);
                    let opened = node.open_line(Arc::clone(&line));
                    // Some batches hold a few, some many.
                    if number % 50 == 0 {
                        opened.wait().unwrap();
                    }
                    drop(node.close(closing(&line, i64::from(number) + 1)));
                }
                node.flush().wait().unwrap();
            });
        }
    });
    let sum = 3 * (600 * 601 / 2);
    assert_eq!((spent(&nodes[0], "key:a"), spent(&nodes[1], "team:t"), server.count("lines")), (sum, sum, 1_800));
    assert!(nodes[2].report().unwrap().audit().unwrap().is_clean());
}

#[test]
fn an_audit_finds_a_balance_that_is_not_the_sum_of_its_lines() {
    let Some(server) = server() else { return };
    let (book, _) = server.join("a");
    book.close(closing(&line(1), 30)).wait().unwrap();
    server.client().execute("UPDATE balances SET nano = 31 WHERE account = 'key:web'", &[]).unwrap();
    let audit = book.report().unwrap().audit().unwrap();
    assert_eq!((audit.lines, audit.balances, audit.different), (1, 2, 1));
    assert_eq!(
        (audit.differences[0].account.as_str(), audit.differences[0].lines, audit.differences[0].balance),
        ("key:web", usd(30), usd(31))
    );
}

/// Folds old lines until there are none, away from any runtime.
fn forget_all(book: &Book, before_ms: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    while runtime.block_on(book.forget(before_ms)).unwrap() {}
}

#[test]
fn old_lines_are_folded_by_several_nodes_at_once_and_the_balances_stay() {
    let Some(server) = server() else { return };
    let (one, _) = server.join("one");
    let (two, _) = server.join("two");
    for number in 0..500_u16 {
        let mut line = Opening::clone(&line(number));
        line.admitted_ms = NOW + u64::from(number % 50) * BUCKET_MS;
        drop(one.close(closing(&Arc::new(line), i64::from(number) + 1)));
    }
    one.flush().wait().unwrap();
    let before = one.buckets("key:web", 0..u64::MAX).unwrap();
    std::thread::scope(|scope| {
        for book in [&one, &two] {
            scope.spawn(move || forget_all(book, NOW + 40 * BUCKET_MS));
        }
    });
    forget_all(&two, NOW + 40 * BUCKET_MS);
    assert_eq!(server.count("lines"), 100);
    assert_eq!(two.buckets("key:web", 0..u64::MAX).unwrap(), before);
    let audit = two.report().unwrap().audit().unwrap();
    assert!(audit.is_clean() && audit.folded == 80, "{audit:?}");
    server.client().execute("UPDATE folded SET nano = nano + 1 WHERE account = 'key:web' AND bucket % 2 = 0", &[]).unwrap();
    assert_eq!(two.report().unwrap().audit().unwrap().different, 20);
}

#[test]
fn no_error_of_a_shared_book_shows_its_url() {
    let clock = Arc::new(ManualClock::at(NOW)) as Arc<dyn Clock>;
    for url in ["postgres://me:canary@127.0.0.1:1/canary", "canary", "postgres://me:canary@127.0.0.1:canary/x"] {
        let place = Shared::new(Secret::new(url.to_owned()));
        let said = Book::join(place, "a", &clock, no_fatal()).unwrap_err();
        assert!(matches!(&said, StoreError::Shared(failure) if failure.kind == FailureKind::Unreachable), "{said:?}");
        assert!(!format!("{said} {said:?}").contains("canary"), "{said} {said:?}");
    }
}

/// Does to a book what a step says; true where the book is gone then.
fn take(book: &Book, step: &Step) -> bool {
    let adjustment = |id: u16, change: Change| Adjustment {
        id: AttemptId::from_bits(9, id),
        at_ms: NOW,
        account: "key:a".into(),
        change,
        actor: "uid 0".into(),
        reason: "test".into(),
    };
    match step {
        Step::Open(number) => drop(book.open_line(super::model::line_opening(*number))),
        Step::Progress(number, cost) => book.progress(super::model::line_opening(*number).id, progress(*cost)),
        Step::Close(number, cost) => drop(book.close(closing(&super::model::line_opening(*number), *cost))),
        Step::Add(id, bucket, amount) => drop(book.adjust(adjustment(*id, Change::Add { bucket: *bucket, amount: usd(*amount) }))),
        Step::Clear(id, start, end) => drop(book.adjust(adjustment(*id, Change::Clear { buckets: *start..(*end).max(*start) }))),
        Step::Flush => book.flush().wait().unwrap(),
        Step::Crash | Step::Restart => {
            book.flush().wait().unwrap();
            return true;
        }
    }
    false
}

fn answers(report: &mut Report) -> (Vec<String>, BTreeMap<String, (i64, i64)>) {
    let by = Dimension::ALL.to_vec();
    let question = |by: &[Dimension]| Question {
        admitted_ms: 0..u64::MAX,
        by: by.to_vec(),
        only: Vec::new(),
        account: None,
        zone: TimeZone::get("Europe/Berlin").unwrap(),
    };
    let mut told: Vec<String> = Vec::new();
    for question in std::iter::once(question(&[])).chain(by.iter().map(|one| question(&[*one]))).chain([question(&by)]) {
        told.extend(report.spend(&question).unwrap().iter().map(|group| format!("{group:?}")));
    }
    for (dimension, value) in [(Dimension::Key, "web"), (Dimension::Outcome, "expired"), (Dimension::Model, "none")] {
        let only =
            Question { only: vec![(dimension, value.to_owned())], account: Some("team:t".to_owned()), ..question(&[Dimension::Day]) };
        told.extend(report.spend(&only).unwrap().iter().map(|group| format!("{value} {group:?}")));
    }
    let audit = report.audit().unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    told.push(format!("{} {} {}", audit.lines, audit.open, audit.adjustments));
    let accounts = report.accounts(0..u64::MAX).unwrap();
    (told, accounts.into_iter().map(|totals| (totals.account, (totals.spent.nano(), totals.adjusted.nano()))).collect())
}

/// Whatever is done to both, the embedded and the shared book answer alike.
#[test]
fn the_shared_book_answers_as_the_embedded_one_does() {
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    for _ in 0..12 {
        let Some(server) = server() else { return };
        let steps = proptest::collection::vec(step(), 1..60).new_tree(&mut runner).unwrap().current();
        let place = place();
        let (mut embedded, mut shared) = (open(&place.path).0, server.join("a").0);
        for step in &steps {
            take(&embedded, step);
            if take(&shared, step) {
                embedded.abandon();
                shared.abandon();
                server.silence();
                let (again, recovered) = open(&place.path);
                let (joined, taken) = server.join("a");
                assert_eq!(recovered, taken, "{steps:?}");
                (embedded, shared) = (again, joined);
            }
        }
        embedded.flush().wait().unwrap();
        shared.flush().wait().unwrap();
        let (file, server) = (answers(&mut embedded.report().unwrap()), answers(&mut shared.report().unwrap()));
        assert_eq!(file, server, "{steps:?}");
        assert_eq!(embedded.counts().late, shared.counts().late, "{steps:?}");
    }
}
