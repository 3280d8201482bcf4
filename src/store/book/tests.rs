//! A book whose disk fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rusqlite::ffi;

use super::*;
use crate::wire::ir::{Tier, Usage};

fn opening(number: u16) -> Arc<Opening> {
    Arc::new(Opening {
        id: AttemptId::from_bits(1, number),
        admitted_ms: 5,
        key: None,
        team: None,
        alias: None,
        provider: "p".into(),
        model: "m".into(),
        endpoint: "chat",
        accounts: Arc::new(["key:a".into()]),
        floor: Usd::from_nano(1),
        reserved: Usd::ZERO,
    })
}

fn closing(number: u16) -> Closing {
    Closing {
        opening: opening(number),
        closed_ms: 9,
        cost: Usd::from_nano(10),
        usage: Usage::default(),
        source: UsageSource::Provider,
        tier: Tier::Standard,
        priced: true,
        status: None,
        outcome: "ok",
    }
}

fn open(directory: &tempfile::TempDir) -> (Book, Arc<AtomicUsize>) {
    let fatal = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&fatal);
    let on_fatal: OnFatal = Arc::new(move |_| {
        seen.fetch_add(1, Ordering::SeqCst);
    });
    (Book::open(&directory.path().join("book"), 0, on_fatal).unwrap().0, fatal)
}

fn break_with(book: &Book, code: i32) {
    book.held.queue.fault.store(code, Ordering::SeqCst);
}

fn kind(result: Result<(), BookError>) -> FailureKind {
    match result {
        Err(BookError::Failed(failure)) => failure.kind,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_disk_refuses_openings_keeps_closings_and_recovers_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let (book, fatal) = open(&directory);
    book.open_line(opening(1)).wait().unwrap();
    break_with(&book, ffi::SQLITE_FULL);
    let kept = book.close(closing(1));
    assert_eq!(kind(book.open_line(opening(2)).wait()), FailureKind::Full);
    assert_eq!(book.failure().unwrap().kind, FailureKind::Full);
    assert_eq!(kind(book.flush().wait()), FailureKind::Full);
    // At once, for the failure is known.
    assert_eq!(kind(book.open_line(opening(3)).wait()), FailureKind::Full);
    assert_eq!(book.usage("key:a", 0..1).unwrap(), Usd::ZERO);
    break_with(&book, 0);
    // Nobody asks: the next try is the book's own.
    kept.wait().unwrap();
    assert_eq!((book.failure(), book.usage("key:a", 0..1).unwrap()), (None, Usd::from_nano(10)));
    book.open_line(opening(4)).wait().unwrap();
    book.abandon();
    let (book, recovered) = Book::open(&directory.path().join("book"), 0, Arc::new(|_| {})).unwrap();
    // What was refused was never open; what was opened after the recovery was.
    assert_eq!(recovered, Recovered { expired: 1, charged: Usd::from_nano(1) });
    assert_eq!((book.counts().lost, fatal.load(Ordering::SeqCst)), (0, 0));
}

#[test]
fn names_of_a_batch_that_was_undone_are_stored_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let (book, _) = open(&directory);
    break_with(&book, ffi::SQLITE_IOERR);
    let kept = book.close(closing(1));
    assert_eq!(kind(book.flush().wait()), FailureKind::Io);
    break_with(&book, 0);
    kept.wait().unwrap();
    assert_eq!(book.usage("key:a", 0..1).unwrap(), Usd::from_nano(10));
}

#[test]
fn a_sync_that_fails_is_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let (book, fatal) = open(&directory);
    book.open_line(opening(1)).wait().unwrap();
    break_with(&book, ffi::SQLITE_IOERR_FSYNC);
    assert!(book.close(closing(1)).wait().is_err());
    break_with(&book, 0);
    assert_eq!(kind(book.open_line(opening(2)).wait()), FailureKind::Sync);
    assert_eq!(kind(book.close(closing(1)).wait()), FailureKind::Sync);
    drop(book);
    assert_eq!(fatal.load(Ordering::SeqCst), 1);
    // The next start finds what is really there.
    let (book, recovered) = Book::open(&directory.path().join("book"), 0, Arc::new(|_| {})).unwrap();
    assert_eq!((recovered.expired, book.usage("key:a", 0..1).unwrap()), (1, Usd::from_nano(1)));
}

#[test]
fn a_book_that_ends_while_the_disk_is_full_says_what_it_gave_up() {
    let directory = tempfile::tempdir().unwrap();
    let (book, _) = open(&directory);
    book.open_line(opening(1)).wait().unwrap();
    break_with(&book, ffi::SQLITE_FULL);
    let given_up = book.close(closing(1));
    book.close_file();
    assert!(given_up.wait().is_err());
    assert_eq!(book.counts().lost, 1);
}
