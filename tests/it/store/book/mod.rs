//! The book on a real disk: what is booked, what a restart and a crash leave, and that balances are the sums of lines.

#[cfg(feature = "postgres")]
mod grants;
mod killed;
mod million;
mod model;
mod report;
mod retention;
#[cfg(feature = "postgres")]
pub(crate) mod shared;
#[cfg(feature = "postgres")]
mod tls;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bifrostctl::base::Usd;
use bifrostctl::store::StoreError;
use bifrostctl::store::book::{
    Adjustment, AttemptId, BUCKET_MS, Book, BookError, Change, Closing, Counts, OnFatal, Opening, Progress, Recovered, UsageSource,
    bucket_of,
};
use bifrostctl::wire::ir::{Tier, Usage};
use rusqlite::Connection;

const NOW: u64 = 1_764_000_000_000;

fn no_fatal() -> OnFatal {
    Arc::new(|failure| panic!("{failure}"))
}

fn open(path: &Path) -> (Book, Recovered) {
    Book::open(path, NOW, no_fatal()).unwrap()
}

fn usd(nano: i64) -> Usd {
    Usd::from_nano(nano)
}

fn opening(number: u16, accounts: &[&str]) -> Arc<Opening> {
    Arc::new(Opening {
        id: AttemptId::from_bits(u128::from(NOW) << 80, number),
        admitted_ms: NOW,
        key: Some("web".into()),
        team: None,
        alias: Some("fast".into()),
        provider: "openai".into(),
        model: "gpt-4o".into(),
        endpoint: "chat",
        accounts: accounts.iter().map(|account| Arc::from(*account)).collect(),
        floor: usd(7),
        reserved: usd(1_000),
    })
}

fn closing(opening: &Arc<Opening>, cost: i64) -> Closing {
    Closing {
        opening: Arc::clone(opening),
        closed_ms: opening.admitted_ms + 1_500,
        cost: usd(cost),
        usage: Usage { input: 10, output: 5, ..Usage::default() },
        source: UsageSource::Provider,
        tier: Tier::Standard,
        priced: true,
        status: Some(200),
        outcome: "ok",
    }
}

fn progress(cost: i64) -> Progress {
    Progress { cost: usd(cost), usage: Usage { input: 10, output: 2, ..Usage::default() }, source: UsageSource::Estimated }
}

fn spent(book: &Book, account: &str) -> i64 {
    book.usage(account, 0..u64::MAX).unwrap().nano()
}

/// Sums by account and bucket.
type Sums = BTreeMap<(String, u64), i64>;

/// Sums of lines and adjustments, and balances, as the file has them, read by other means than the book's own.
fn sums(path: &Path) -> (Sums, Sums) {
    let connection = Connection::open(path).unwrap();
    let mut lines = Sums::new();
    let text = "SELECT names.text, admitted, cost FROM lines JOIN names ON names.id = accounts";
    let mut find = connection.prepare(text).unwrap();
    let mut rows = find.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let accounts: Vec<String> = serde_json::from_str(&row.get::<_, String>(0).unwrap()).unwrap();
        for account in accounts {
            *lines.entry((account, row.get::<_, i64>(1).unwrap() as u64 / BUCKET_MS)).or_default() += row.get::<_, i64>(2).unwrap();
        }
    }
    let add = |text: &str, sums: &mut Sums| {
        let mut find = connection.prepare(text).unwrap();
        let mut rows = find.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            *sums.entry((row.get(0).unwrap(), row.get::<_, i64>(1).unwrap() as u64)).or_default() += row.get::<_, i64>(2).unwrap();
        }
    };
    add("SELECT names.text, bucket, nano FROM folded JOIN names ON names.id = account", &mut lines);
    add("SELECT names.text, bucket, amount FROM adjustments JOIN names ON names.id = account", &mut lines);
    let mut balances = BTreeMap::new();
    add("SELECT names.text, bucket, nano FROM balances JOIN names ON names.id = account", &mut balances);
    lines.retain(|_, sum| *sum != 0);
    balances.retain(|_, sum| *sum != 0);
    (lines, balances)
}

fn count(path: &Path, table: &str) -> i64 {
    Connection::open(path).unwrap().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("book.sqlite3");
    Place { _directory: directory, path }
}

#[tokio::test]
async fn a_closed_line_charges_each_of_its_accounts_once() {
    let place = place();
    let (book, recovered) = open(&place.path);
    assert_eq!(recovered, Recovered::default());
    let line = opening(1, &["key:web", "budget:growth", "key:web"]);
    book.open_line(Arc::clone(&line)).durable().await.unwrap();
    assert_eq!(spent(&book, "key:web"), 0);
    book.close(closing(&line, 250)).durable().await.unwrap();
    book.close(closing(&line, 999)).durable().await.unwrap();
    book.open_line(Arc::clone(&line)).durable().await.unwrap();
    assert_eq!((spent(&book, "key:web"), spent(&book, "budget:growth"), spent(&book, "team:other")), (250, 250, 0));
    assert_eq!(book.buckets("key:web", 0..u64::MAX).unwrap(), [(bucket_of(NOW), usd(250))]);
    assert_eq!(book.usage("key:web", 0..bucket_of(NOW)).unwrap(), Usd::ZERO);
    assert_eq!((count(&place.path, "open"), count(&place.path, "lines")), (0, 1));
    assert_eq!(book.counts(), Counts { lines: 1, ..Counts::default() });
}

#[tokio::test]
async fn what_a_crash_leaves_open_is_charged_its_progress_or_its_floor_and_stays_so() {
    let place = place();
    let (book, _) = open(&place.path);
    let lines: Vec<_> = (1..=4).map(|number| opening(number, &["key:web"])).collect();
    for line in &lines {
        drop(book.open_line(Arc::clone(line)));
    }
    book.progress(lines[0].id, progress(50));
    book.progress(lines[0].id, progress(90));
    drop(book.close(closing(&lines[2], 1_000)));
    book.flush().durable().await.unwrap();
    book.progress(lines[1].id, progress(20));
    book.flush().durable().await.unwrap();
    book.abandon();

    let (book, recovered) = open(&place.path);
    assert_eq!(recovered, Recovered { expired: 3, charged: usd(90 + 20 + 7) });
    assert_eq!(spent(&book, "key:web"), 1_000 + 117);
    book.close(closing(&lines[0], 5_000)).durable().await.unwrap();
    assert_eq!((spent(&book, "key:web"), book.counts().late), (1_117, 1));
    drop(book);
    let (book, recovered) = open(&place.path);
    assert_eq!((recovered, spent(&book, "key:web")), (Recovered::default(), 1_117));
    let (lines, balances) = sums(&place.path);
    assert_eq!(lines, balances);
}

#[tokio::test]
async fn a_line_that_opens_and_closes_at_once_is_written_once() {
    let place = place();
    let (book, _) = open(&place.path);
    let line = opening(1, &["key:web"]);
    // Both wait for the same batch when the first is not yet taken; the answer is the same where they do not.
    drop(book.open_line(Arc::clone(&line)));
    drop(book.close(closing(&line, 3)));
    // Never opened at all.
    book.close(closing(&opening(2, &[]), 4)).durable().await.unwrap();
    assert_eq!((count(&place.path, "open"), count(&place.path, "lines"), spent(&book, "key:web")), (0, 2, 3));
}

#[tokio::test]
async fn dropping_the_last_handle_writes_what_waits() {
    let place = place();
    let (book, _) = open(&place.path);
    let clone = book.clone();
    for number in 0..500 {
        drop(book.close(closing(&opening(number, &["key:web"]), 2)));
    }
    drop(book);
    drop(clone);
    let (book, recovered) = open(&place.path);
    assert_eq!((recovered.expired, spent(&book, "key:web")), (0, 1_000));
    book.close_file();
    assert_eq!(book.open_line(opening(600, &[])).durable().await, Err(BookError::Closed));
    assert_eq!(book.close(closing(&opening(600, &[]), 1)).durable().await, Err(BookError::Closed));
    assert_eq!(book.counts().lost, 1);
}

#[tokio::test]
async fn an_adjustment_is_booked_once_and_clears_what_was_spent_when_it_is_booked() {
    let place = place();
    let (book, _) = open(&place.path);
    drop(book.close(closing(&opening(1, &["key:web"]), 40)));
    let adjustment = |number: u16, change: Change| Adjustment {
        id: AttemptId::from_bits(9, number),
        at_ms: NOW,
        account: "key:web".into(),
        change,
        actor: "uid 0".into(),
        reason: "goodwill".into(),
    };
    let clear = adjustment(1, Change::Clear { buckets: 0..bucket_of(NOW) + 1 });
    book.adjust(clear.clone()).durable().await.unwrap();
    assert_eq!(spent(&book, "key:web"), 0);
    book.close(closing(&opening(2, &["key:web"]), 30)).durable().await.unwrap();
    book.adjust(clear).durable().await.unwrap();
    assert_eq!(spent(&book, "key:web"), 30);
    let add = adjustment(2, Change::Add { bucket: bucket_of(NOW), amount: usd(-45) });
    book.adjust(add.clone()).durable().await.unwrap();
    book.adjust(add).durable().await.unwrap();
    assert_eq!(spent(&book, "key:web"), -15);
    let (lines, balances) = sums(&place.path);
    assert_eq!(lines, balances);
    assert_eq!(count(&place.path, "adjustments"), 2);
}

#[tokio::test]
async fn amounts_at_the_edge_of_the_type_saturate() {
    let place = place();
    let (book, _) = open(&place.path);
    drop(book.close(closing(&opening(1, &["key:web"]), i64::MAX)));
    drop(book.close(closing(&opening(2, &["key:web"]), 5)));
    let mut negative = closing(&opening(3, &["key:web"]), -5);
    negative.usage = Usage { input: u64::MAX, ..Usage::default() };
    book.close(negative).durable().await.unwrap();
    assert_eq!(spent(&book, "key:web"), i64::MAX);
}

#[test]
fn only_the_owner_may_read_it() {
    let place = place();
    let (book, _) = open(&place.path);
    book.close(closing(&opening(1, &["key:web"]), 1)).wait().unwrap();
    for suffix in ["", "-wal", "-shm"] {
        let path = PathBuf::from(format!("{}{suffix}", place.path.display()));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn what_is_no_book_or_of_a_newer_version_is_left_alone() {
    let place = place();
    let connection = Connection::open(&place.path).unwrap();
    connection.execute_batch("CREATE TABLE theirs (x); PRAGMA user_version = 3;").unwrap();
    let refused = |path: &Path| match Book::open(path, NOW, no_fatal()) {
        Err(StoreError::Book { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&place.path), "it is the database of another program");
    assert_eq!(count(&place.path, "theirs"), 0);
    fs::write(&place.path, "not a database, but long enough to have a header of one").unwrap();
    assert_eq!(refused(&place.path), "file is not a database");

    let other = self::place();
    drop(open(&other.path));
    Connection::open(&other.path).unwrap().execute_batch("PRAGMA user_version = 99;").unwrap();
    assert!(refused(&other.path).contains("newer version"), "{}", refused(&other.path));
}
