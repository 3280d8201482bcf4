//! How a book of a million lines behaves. Not run by default:
//! `cargo test --release --test it book::million -- --ignored --nocapture`

use std::io::Write;
use std::time::{Duration, Instant};

use bifrostctl::store::book::{Dimension, Question, Report};
use jiff::tz::TimeZone;

use super::*;

const LINES: u64 = 1_000_000;
/// Attempts that run when the process is gone.
const OPEN: u16 = 256;

fn line(number: u64) -> Arc<Opening> {
    let names = (number % 97, number % 11, number % 29);
    let mut opening = Opening::clone(&opening(0, &[&format!("key:k{}", names.0), &format!("team:t{}", names.1)]));
    // A request every twenty seconds or so, for most of a year.
    opening.admitted_ms = NOW + number * 20_000;
    opening.id = AttemptId::from_bits(u128::from(opening.admitted_ms) << 80 | u128::from(number), 1);
    opening.key = Some(format!("k{}", names.0).into());
    opening.team = Some(format!("t{}", names.1).into());
    opening.model = format!("model-{}", names.2).into();
    Arc::new(opening)
}

fn say(text: &str) {
    writeln!(std::io::stdout().lock(), "{text}").unwrap();
}

fn told(what: &str, since: Instant) -> Duration {
    let took = since.elapsed();
    say(&format!("{what}: {took:?}"));
    took
}

fn write_them(book: &Book) {
    let began = Instant::now();
    for number in 0..LINES {
        let line = line(number);
        drop(book.open_line(Arc::clone(&line)));
        let ended = book.close(closing(&line, 1_234_567 + i64::try_from(number % 1_000).unwrap()));
        if number % 4_096 == 0 {
            ended.wait().unwrap();
        }
    }
    book.flush().wait().unwrap();
    told("a million lines written", began);
    // Each alone: open and closed in batches of their own, as by one client.
    let began = Instant::now();
    for number in LINES..LINES + 1_000 {
        let line = line(number);
        book.open_line(Arc::clone(&line)).wait().unwrap();
        book.close(closing(&line, 5)).wait().unwrap();
    }
    told("a thousand lines opened and closed one after the other, two commits each", began);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..64 {
            scope.spawn(move || {
                for number in 0..250 {
                    let line = line(2 * LINES + thread * 250 + number);
                    book.open_line(Arc::clone(&line)).wait().unwrap();
                    book.close(closing(&line, 5)).wait().unwrap();
                }
            });
        }
    });
    told("16,000 lines opened and closed by 64 threads, each waiting for both", began);
}

fn read_them(path: &Path) {
    let began = Instant::now();
    let (_book, _) = open(path);
    told("opened after a clean end", began);
    let mut report = Report::open(path).unwrap();
    let question =
        |by: &[Dimension], admitted_ms| Question { admitted_ms, by: by.to_vec(), only: Vec::new(), account: None, zone: TimeZone::UTC };
    let began = Instant::now();
    assert!(report.spend(&question(&[Dimension::Key, Dimension::Day], 0..u64::MAX)).unwrap().len() > 20_000);
    told("spend by key and day, of everything", began);
    let began = Instant::now();
    assert!(!report.spend(&question(&[Dimension::Key], NOW..NOW + 7 * 86_400_000)).unwrap().is_empty());
    told("spend by key, of a week", began);
    let began = Instant::now();
    assert!(report.audit().unwrap().is_clean());
    told("audit", began);
}

#[test]
#[ignore = "takes a minute"]
fn a_million_lines_are_small_quick_to_open_and_add_up() {
    let place = place();
    let (book, _) = open(&place.path);
    write_them(&book);
    for number in 0..OPEN {
        drop(book.open_line(opening(1_000 + number, &["key:k1"])));
    }
    book.flush().wait().unwrap();
    book.abandon();
    drop(book);

    let began = Instant::now();
    let (book, recovered) = open(&place.path);
    let took = told("opened after a crash", began);
    assert_eq!(recovered.expired, u64::from(OPEN));
    assert!(took < Duration::from_secs(1), "{took:?}");
    book.close_file();
    drop(book);
    let lines = u64::try_from(count(&place.path, "lines")).unwrap();
    let size = fs::metadata(&place.path).unwrap().len() / lines;
    say(&format!("{size} bytes for each of {lines} lines, balances and index included"));
    assert!(size <= 150, "{size}");

    read_them(&place.path);
}
