//! Old lines are forgotten, and what they came to is not.

use std::time::{Duration, Instant};

use super::*;

const SETS: [&[&str]; 3] = [&["key:a"], &["key:a", "team:t"], &["key:b", "team:t", "budget:all"]];

/// Books ended lines, three in each of these buckets after [`NOW`].
async fn book_lines(book: &Book, buckets: std::ops::Range<u16>) {
    for bucket in buckets {
        for (place, accounts) in SETS.iter().enumerate() {
            let number = bucket * 3 + u16::try_from(place).unwrap();
            let mut line = Opening::clone(&opening(number, accounts));
            line.admitted_ms = NOW + u64::from(bucket) * BUCKET_MS;
            drop(book.close(closing(&Arc::new(line), i64::from(number) + 1)));
        }
    }
    book.flush().durable().await.unwrap();
}

async fn forget_all(book: &Book, before_ms: u64) -> usize {
    let mut steps = 1;
    while book.forget(before_ms).await.unwrap() {
        steps += 1;
    }
    steps
}

#[tokio::test]
async fn what_is_forgotten_is_in_balances_and_audits_for_ever() {
    let place = place();
    let (book, _) = open(&place.path);
    book_lines(&book, 0..300).await;
    let before = ["key:a", "key:b", "team:t", "budget:all"].map(|account| book.buckets(account, 0..u64::MAX).unwrap());
    assert_eq!(forget_all(&book, NOW + 250 * BUCKET_MS).await, 6, "128 lines at a time, of 750");
    assert_eq!(count(&place.path, "lines"), 150);
    assert_eq!(forget_all(&book, NOW + 250 * BUCKET_MS).await, 1);
    let after = ["key:a", "key:b", "team:t", "budget:all"].map(|account| book.buckets(account, 0..u64::MAX).unwrap());
    assert_eq!(before, after);
    let audit = book.report().unwrap().audit().unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    assert_eq!((audit.lines, audit.folded, audit.balances), (150, 4 * 250, 4 * 300));
    book.abandon();
    drop(book);
    // After a crash, and further lines in a bucket that is folded in part.
    let (book, _) = open(&place.path);
    let mut late = Opening::clone(&opening(60_000, &["key:a"]));
    late.admitted_ms = NOW + 3;
    book.close(closing(&Arc::new(late), 5)).durable().await.unwrap();
    assert_eq!(forget_all(&book, u64::MAX).await, 2);
    assert_eq!(count(&place.path, "lines"), 0);
    let (lines, balances) = sums(&place.path);
    assert_eq!(lines, balances);
    assert!(book.report().unwrap().audit().unwrap().is_clean());
}

#[tokio::test]
async fn an_audit_finds_a_fold_that_was_changed() {
    let place = place();
    let (book, _) = open(&place.path);
    book_lines(&book, 0..2).await;
    forget_all(&book, u64::MAX).await;
    Connection::open(&place.path).unwrap().execute("UPDATE folded SET nano = nano + 1 WHERE bucket % 2 = 0", []).unwrap();
    let audit = book.report().unwrap().audit().unwrap();
    assert_eq!(audit.different, 4, "{audit:?}");
}

#[tokio::test]
async fn nothing_younger_is_forgotten_and_nothing_that_runs() {
    let place = place();
    let (book, _) = open(&place.path);
    book.open_line(opening(9, &["key:a"])).durable().await.unwrap();
    book_lines(&book, 1..3).await;
    assert!(!book.forget(NOW + BUCKET_MS).await.unwrap());
    assert_eq!((count(&place.path, "lines"), count(&place.path, "open"), count(&place.path, "folded")), (6, 1, 0));
    book.close(closing(&opening(9, &["key:a"]), 40)).durable().await.unwrap();
    assert_eq!(count(&place.path, "lines"), 7);
}

/// Prints how long a step holds up whoever waits for the disk: `cargo test --release … -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_step_is_short() {
    let place = place();
    let (book, _) = open(&place.path);
    for start in 0..20_u16 {
        book_lines(&book, start * 1_000..(start + 1) * 1_000).await;
    }
    let (mut folding, mut other) = (Vec::new(), Vec::new());
    loop {
        let began = Instant::now();
        let more = book.forget(u64::MAX).await.unwrap();
        folding.push(began.elapsed());
        let began = Instant::now();
        book.forget(0).await.unwrap();
        other.push(began.elapsed());
        if !more {
            break;
        }
    }
    let told = |mut times: Vec<Duration>| {
        times.sort();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    };
    println!("median and 99th of a hundred: {:?}, and of a commit of nothing {:?}", told(folding), told(other));
}
