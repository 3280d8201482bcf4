//! The book against a model that is too simple to be wrong: random sequences of everything that can be done to it, crashes included.
//!
//! A crash may lose what was not reported durable, but only from the end: what is found is what some prefix of the operations gives.
//! `BOOK_SEQUENCES=100000 cargo test --release --test it book::model` is the long form.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

const SETS: [&[&str]; 4] = [&["key:a"], &["key:a", "team:t"], &["key:b", "team:t", "budget:all"], &[]];
const BUCKETS: u64 = 3;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Open(u16),
    Progress(u16, i64),
    Close(u16, i64),
    Add(u16, u64, i64),
    Clear(u16, u64, u64),
    Flush,
    Crash,
    Restart,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let line = 0..8_u16;
    prop_oneof![
        6 => line.clone().prop_map(Step::Open),
        4 => (line.clone(), 0..100_i64).prop_map(|(line, cost)| Step::Progress(line, cost)),
        6 => (line, 0..100_i64).prop_map(|(line, cost)| Step::Close(line, cost)),
        1 => (0..4_u16, 0..BUCKETS, -50..50_i64).prop_map(|(id, bucket, amount)| Step::Add(id, bucket, amount)),
        1 => (0..4_u16, 0..BUCKETS, 0..=BUCKETS).prop_map(|(id, start, end)| Step::Clear(id, start, end)),
        2 => Just(Step::Flush),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
    ]
}

#[derive(Debug, Clone, PartialEq)]
enum Line {
    Open(Option<i64>),
    Ended(i64),
}

/// The reference.
#[derive(Debug, Clone, PartialEq, Default)]
struct Model {
    lines: BTreeMap<u16, Line>,
    adjustments: BTreeMap<u16, Vec<(u64, i64)>>,
}

/// Which accounts, bucket and floor a line has follows from its number.
fn accounts(line: u16) -> &'static [&'static str] {
    SETS[usize::from(line) % SETS.len()]
}

fn bucket(line: u16) -> u64 {
    u64::from(line) % BUCKETS
}

fn floor(line: u16) -> i64 {
    i64::from(line % 2) * 11
}

pub(super) fn line_opening(line: u16) -> Arc<Opening> {
    let mut opening = Opening::clone(&opening(line, accounts(line)));
    opening.admitted_ms = bucket(line) * BUCKET_MS + 5;
    opening.floor = usd(floor(line));
    Arc::new(opening)
}

/// The account of adjustments.
const ADJUSTED: &str = "key:a";

impl Model {
    fn balances(&self) -> BTreeMap<(String, u64), i64> {
        let mut balances: BTreeMap<(String, u64), i64> = BTreeMap::new();
        for (number, line) in &self.lines {
            let Line::Ended(cost) = line else { continue };
            for account in accounts(*number) {
                *balances.entry(((*account).to_owned(), bucket(*number))).or_default() += cost;
            }
        }
        for (bucket, amount) in self.adjustments.values().flatten() {
            *balances.entry((ADJUSTED.to_owned(), *bucket)).or_default() += amount;
        }
        balances.retain(|_, sum| *sum != 0);
        balances
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Open(line) => {
                self.lines.entry(line).or_insert(Line::Open(None));
            }
            Step::Progress(line, cost) => {
                if let Some(Line::Open(progress)) = self.lines.get_mut(&line) {
                    *progress = Some(cost);
                }
            }
            Step::Close(line, cost) => {
                if !matches!(self.lines.get(&line), Some(Line::Ended(_))) {
                    self.lines.insert(line, Line::Ended(cost));
                }
            }
            Step::Add(id, bucket, amount) => {
                self.adjustments.entry(id).or_insert_with(|| vec![(bucket, amount)]);
            }
            Step::Clear(id, start, end) => {
                let balances = self.balances();
                let cleared = (start..end).map(|bucket| (bucket, -balances.get(&(ADJUSTED.to_owned(), bucket)).unwrap_or(&0)));
                self.adjustments.entry(id).or_insert_with(|| cleared.collect());
            }
            Step::Flush | Step::Crash | Step::Restart => {}
        }
    }

    /// Expires what is open, and says how many that were and what they were charged.
    fn restart(&mut self) -> Recovered {
        let mut recovered = Recovered::default();
        for (number, line) in &mut self.lines {
            if let Line::Open(progress) = line {
                let charged = progress.unwrap_or(floor(*number));
                recovered = Recovered { expired: recovered.expired + 1, charged: recovered.charged.plus(usd(charged)) };
                *line = Line::Ended(charged);
            }
        }
        recovered
    }
}

fn book_step(book: &Book, step: &Step) {
    let adjust = |id: u16, change: Change| {
        let id = AttemptId::from_bits(1, id);
        drop(book.adjust(Adjustment { id, at_ms: NOW, account: ADJUSTED.into(), change, actor: "me".into(), reason: "so".into() }));
    };
    match *step {
        Step::Open(line) => drop(book.open_line(line_opening(line))),
        Step::Progress(line, cost) => book.progress(line_opening(line).id, progress(cost)),
        Step::Close(line, cost) => drop(book.close(closing(&line_opening(line), cost))),
        Step::Add(id, bucket, amount) => adjust(id, Change::Add { bucket, amount: usd(amount) }),
        Step::Clear(id, start, end) => adjust(id, Change::Clear { buckets: start..end }),
        Step::Flush | Step::Crash | Step::Restart => {}
    }
}

/// Compares all that the file says with the model. What charges nobody counts, too: it decides what a later end of the same attempt does.
fn agree(path: &Path, book: &Book, model: &Model) -> bool {
    let (lines, balances) = sums(path);
    assert_eq!(lines, balances, "the balances are not the sums of the lines");
    for account in ["key:a", "key:b", "team:t", "budget:all"] {
        let read: i64 = book.buckets(account, 0..BUCKETS).unwrap().into_iter().map(|(_, spent)| spent.nano()).sum();
        let summed: i64 = balances.iter().filter(|((name, _), _)| name == account).map(|(_, sum)| sum).sum();
        assert_eq!(read, summed, "{account}");
    }
    let mut adjustments = model.adjustments.clone();
    adjustments.values_mut().for_each(|parts| parts.retain(|(_, amount)| *amount != 0));
    balances == model.balances() && written(path) == model.lines && adjusted(path) == adjustments
}

/// The adjustments of the file, also those that changed nothing: they are not booked again.
fn adjusted(path: &Path) -> BTreeMap<u16, Vec<(u64, i64)>> {
    let connection = Connection::open(path).unwrap();
    let mut find = connection.prepare("SELECT id, bucket, amount FROM adjustments").unwrap();
    let mut rows = find.query([]).unwrap();
    let mut found: BTreeMap<u16, Vec<(u64, i64)>> = BTreeMap::new();
    while let Some(row) = rows.next().unwrap() {
        let id: Vec<u8> = row.get(0).unwrap();
        let parts = found.entry(u16::from_be_bytes([id[16], id[17]])).or_default();
        let (bucket, amount): (i64, i64) = (row.get(1).unwrap(), row.get(2).unwrap());
        if amount != 0 {
            parts.push((bucket as u64, amount));
        }
    }
    found
}

/// The lines of the file, also those that charge nobody anything.
fn written(path: &Path) -> BTreeMap<u16, Line> {
    let connection = Connection::open(path).unwrap();
    let text = "SELECT id, 0, cost FROM open UNION ALL SELECT id, 1, cost FROM lines";
    let mut find = connection.prepare(text).unwrap();
    let rows = find.query_map([], |row| {
        let id: Vec<u8> = row.get(0)?;
        let line = if row.get(1)? { Line::Ended(row.get(2)?) } else { Line::Open(row.get(2)?) };
        Ok((u16::from_be_bytes([id[16], id[17]]), line))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

fn run(steps: &[Step], directory: &Path) -> Result<(), TestCaseError> {
    let place = tempfile::tempdir_in(directory).unwrap();
    let path: PathBuf = place.path().join("book");
    let (mut book, _) = open(&path);
    // The states since what is known to be durable, oldest first; the last is what was asked for.
    let mut states = vec![Model::default()];
    for step in steps {
        let mut model = states.last().unwrap().clone();
        match step {
            Step::Flush => {
                book.flush().wait().unwrap();
                prop_assert!(agree(&path, &book, &model), "{model:?}");
                states = vec![model];
            }
            Step::Restart => {
                drop(book);
                let recovered;
                (book, recovered) = open(&path);
                prop_assert_eq!(model.restart(), recovered);
                prop_assert!(agree(&path, &book, &model), "{:?}", model);
                states = vec![model];
            }
            Step::Crash => {
                book.abandon();
                drop(book);
                let recovered;
                (book, recovered) = open(&path);
                let found = states.iter().find_map(|state| {
                    let mut state = state.clone();
                    (state.restart() == recovered && agree(&path, &book, &state)).then_some(state)
                });
                prop_assert!(found.is_some(), "{recovered:?} is after no prefix of {states:?}");
                states = vec![found.unwrap()];
            }
            Step::Open(_) | Step::Progress(..) | Step::Close(..) | Step::Add(..) | Step::Clear(..) => {
                book_step(&book, step);
                model.step(step);
                states.push(model);
            }
        }
    }
    book.flush().wait().unwrap();
    prop_assert!(agree(&path, &book, states.last().unwrap()));
    Ok(())
}

#[test]
fn the_book_says_what_the_model_says_after_any_sequence() {
    let cases = std::env::var("BOOK_SEQUENCES").ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    // In memory where there is such a place: what is tested here is not the disk.
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    runner.run(&proptest::collection::vec(step(), 1..40), |steps| run(&steps, &directory)).unwrap();
}
