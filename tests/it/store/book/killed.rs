//! A process that books and is killed with SIGKILL, and one whose disk refuses to write: what was acknowledged is there, what was open is
//! charged what is known of it, and the book adds up.
//!
//! `BOOK_KILLS=200 cargo test --test it book::killed` is the long form.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use bifrostctl::store::book::{FailureKind, Report};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

const PATH: &str = "BOOK_CHILD_PATH";
const FLOOR: i64 = 7;
/// Each line's progress, in order; the second replaces the first.
const PROGRESS: [i64; 2] = [100, 200];

fn child(test: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &format!("store::book::killed::{test}"), "--ignored", "--nocapture", "--test-threads", "1"]);
    command.env(PATH, path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn line(thread: u16, number: u16) -> Arc<Opening> {
    let mut opening = Opening::clone(&opening(number, &["key:web", "budget:growth"]));
    opening.id = AttemptId::from_bits(u128::from(thread), number);
    opening.admitted_ms = NOW + u64::from(number) * 60_000;
    opening.floor = usd(FLOOR);
    Arc::new(opening)
}

fn cost(number: u16) -> i64 {
    1_000 + i64::from(number)
}

/// Says what is on the disk, as soon as it is: `o` a line that is open, `p` progress by its place, `c` one that is closed.
fn say(what: &str, thread: u16, number: u16) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "@{what} {thread} {number}").unwrap();
    stdout.flush().unwrap();
}

#[test]
#[ignore = "run by the test that kills it"]
fn child_books_until_it_is_killed() {
    let Ok(path) = std::env::var(PATH) else { return };
    let (book, _) = open(Path::new(&path));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let book = &book;
            scope.spawn(move || {
                for number in 0..u16::MAX {
                    let line = line(thread, number);
                    book.open_line(Arc::clone(&line)).wait().unwrap();
                    say("o", thread, number);
                    // Some go on without a progress, some with one or two, some are never closed.
                    for (place, cost) in PROGRESS.iter().enumerate().take(usize::from(number % 3)) {
                        book.progress(line.id, progress(*cost));
                        book.flush().wait().unwrap();
                        say(&format!("p{place}"), thread, number);
                    }
                    if number % 5 != 4 {
                        book.close(closing(&line, cost(number))).wait().unwrap();
                        say("c", thread, number);
                    }
                }
            });
        }
    });
}

/// What a process said of a line before it was killed.
#[derive(Debug, Default, Clone, Copy)]
struct Acknowledged {
    progress: i64,
    closed: bool,
}

/// Lets a process book until it has said so much, kills it, and returns all that it said.
fn killed_after(path: &Path, words: usize) -> BTreeMap<(u16, u16), Acknowledged> {
    let mut process = child("child_books_until_it_is_killed", path).spawn().unwrap();
    let mut said = BTreeMap::new();
    let mut heard = 0;
    for text in BufReader::new(process.stdout.take().unwrap()).lines() {
        let text = text.unwrap();
        let mut parts = text.split_once('@').map(|(_, rest)| rest.split(' ')).into_iter().flatten();
        let (Some(what), Some(thread), Some(number)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let line: &mut Acknowledged = said.entry((thread.parse().unwrap(), number.parse().unwrap())).or_default();
        match what {
            "o" => {}
            "p0" => line.progress = PROGRESS[0],
            "p1" => line.progress = PROGRESS[1],
            "c" => line.closed = true,
            other => panic!("{other}"),
        }
        heard += 1;
        if heard == words {
            // What it says until it is dead is read, too.
            process.kill().unwrap();
        }
    }
    process.wait().unwrap();
    assert!(heard >= words, "the process ended by itself after {heard} words");
    said
}

fn charges(path: &Path) -> BTreeMap<(u16, u16), (bool, i64)> {
    let connection = Connection::open(path).unwrap();
    let mut find = connection.prepare("SELECT id, expired, cost FROM lines").unwrap();
    let rows = find.query_map([], |row| {
        let id: Vec<u8> = row.get(0)?;
        Ok(((u16::from_be_bytes([id[14], id[15]]), u16::from_be_bytes([id[16], id[17]])), (row.get(1)?, row.get(2)?)))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

#[test]
fn what_a_killed_process_was_told_is_durable_is_there() {
    let kills: usize = std::env::var("BOOK_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    for round in 0..kills {
        let place = place();
        let said = killed_after(&place.path, 1 + round * 37 % 701);
        let (book, recovered) = open(&place.path);
        let charges = charges(&place.path);
        for ((thread, number), acknowledged) in &said {
            let Some((expired, charge)) = charges.get(&(*thread, *number)) else {
                panic!("round {round}: line {thread}/{number} is lost: {acknowledged:?}");
            };
            let rightly = if *expired {
                !acknowledged.closed && *charge >= acknowledged.progress && [FLOOR, PROGRESS[0], PROGRESS[1]].contains(charge)
            } else {
                *charge == cost(*number)
            };
            assert!(rightly, "round {round}: line {thread}/{number} is charged {charge}, expired: {expired}; {acknowledged:?}");
        }
        let expired: i64 = charges.values().filter(|(expired, _)| *expired).map(|(_, charge)| charge).sum();
        assert_eq!(recovered.charged, usd(expired), "round {round}");
        let all: i64 = charges.values().map(|(_, charge)| charge).sum();
        assert_eq!((spent(&book, "key:web"), spent(&book, "budget:growth")), (all, all), "round {round}");
        let audit = book.report().unwrap().audit().unwrap();
        assert!(audit.is_clean() && audit.open == 0, "round {round}: {audit:?}");
        drop(book);
        assert_eq!(open(&place.path).1, Recovered::default(), "round {round}");
    }
}

#[test]
#[ignore = "run by the test below, in a process with limits of its own"]
fn child_whose_files_may_not_grow() {
    let Ok(path) = std::env::var(PATH) else { return };
    let path = Path::new(&path);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _guard = runtime.enter();
    // A handler instead of the end of the process: the write then fails with EFBIG.
    let _signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(25)).unwrap();
    let (book, _) = open(path);
    book.open_line(opening(0, &["key:web"])).wait().unwrap();
    let before = getrlimit(Resource::Fsize);
    let size = fs::metadata(path.with_extension("sqlite3-wal")).unwrap().len();
    setrlimit(Resource::Fsize, Rlimit { current: Some(size + 40_000), maximum: before.maximum }).unwrap();
    let mut written = 0;
    let failed = loop {
        match book.open_line(opening(written + 1, &["key:web"])).wait() {
            Ok(()) => written += 1,
            Err(BookError::Failed(failure)) => break failure,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(matches!(failed.kind, FailureKind::Io | FailureKind::Full) && written > 0, "{failed:?} after {written}");
    // Nothing waits to be written, and still it is known that nothing can be.
    assert!(book.flush().wait().is_err() && book.failure().is_some());
    let kept = book.close(closing(&opening(0, &["key:web"]), 500));
    assert!(book.flush().wait().is_err());
    assert_eq!(book.usage("key:web", 0..u64::MAX).unwrap(), Usd::ZERO);
    assert!(Report::open(path).unwrap().audit().unwrap().is_clean());
    setrlimit(Resource::Fsize, before).unwrap();
    kept.wait().unwrap();
    assert_eq!((book.failure(), book.usage("key:web", 0..u64::MAX).unwrap()), (None, usd(500)));
    book.open_line(opening(60_000, &["key:web"])).wait().unwrap();
    let audit = book.report().unwrap().audit().unwrap();
    // What was refused never was; the last one is there again.
    assert!(audit.is_clean() && audit.open == u64::from(written) + 1 && audit.lines == 1, "{audit:?}");
    writeln!(std::io::stdout().lock(), "@done").unwrap();
}

#[test]
fn a_disk_that_refuses_to_write_loses_nothing_and_is_written_again_when_it_can_be() {
    let place = place();
    let output = child("child_whose_files_may_not_grow", &place.path).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("@done"), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}
