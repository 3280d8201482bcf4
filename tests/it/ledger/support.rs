//! A ledger with a book and a clock of the test's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bifrostctl::base::{Clock, Usd};
use bifrostctl::limit::budget::{Ledger, Need, Payer, Reservation, Wanted};
use bifrostctl::plan::Budget;
use bifrostctl::store::book::{AttemptId, BUCKET_MS, Book, Closing, Opening, UsageSource};
use bifrostctl::wire::ir::{Tier, Usage};
use tempfile::TempDir;

/// 2026-11-25T00:00:00Z.
pub(super) const START_MS: u64 = 1_795_564_800_000;

/// A clock that goes both ways.
#[derive(Debug)]
pub(super) struct Hands(AtomicU64);

impl Hands {
    pub(super) fn set(&self, unix_ms: u64) {
        self.0.store(unix_ms, Ordering::Relaxed);
    }
}

impl Clock for Hands {
    fn monotonic_ms(&self) -> u64 {
        self.unix_ms()
    }

    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) struct Rig {
    pub(super) clock: Arc<Hands>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) book: Book,
    folder: TempDir,
    next: u128,
}

impl Rig {
    pub(super) fn new() -> Self {
        let clock = Arc::new(Hands(AtomicU64::new(START_MS)));
        let folder = TempDir::new().unwrap();
        let (ledger, book) = open(&clock, folder.path().join("book"));
        Self { clock, ledger, book, folder, next: 0 }
    }

    /// Ends like a crash, once what was booked is on the disk, and starts anew.
    pub(super) fn crash(&mut self) {
        self.book.flush().wait().unwrap();
        self.book.abandon();
        (self.ledger, self.book) = open(&self.clock, self.folder.path().join("book"));
    }

    pub(super) fn payer(&self, wanted: &[Wanted]) -> Arc<Payer> {
        Arc::new(self.ledger.payer((Some("k"), None), wanted).unwrap())
    }

    /// Opens the line of a reservation, as the pipeline does.
    pub(super) fn open(&mut self, payer: &Payer, reservation: &mut Reservation, floor: Usd) -> Arc<Opening> {
        self.next += 1;
        line(AttemptId::from_bits(self.next, 1), self.clock.unix_ms(), payer, reservation, floor)
    }

    pub(super) fn closing(&self, opening: &Arc<Opening>, cost: Usd) -> Closing {
        closing(opening, self.clock.unix_ms(), cost)
    }
}

/// A whole answer that cost so much.
pub(super) fn closing(opening: &Arc<Opening>, closed_ms: u64, cost: Usd) -> Closing {
    Closing {
        opening: Arc::clone(opening),
        closed_ms,
        cost,
        usage: Usage::default(),
        source: UsageSource::Provider,
        tier: Tier::Standard,
        priced: true,
        status: Some(200),
        outcome: "ok",
    }
}

fn open(clock: &Arc<Hands>, path: PathBuf) -> (Arc<Ledger>, Book) {
    let ledger = Ledger::new(Arc::clone(clock) as Arc<dyn Clock>);
    let (book, _) = Book::open(&path, clock.unix_ms(), Arc::new(|failure: &_| panic!("{failure}"))).unwrap();
    ledger.attach(book.clone()).unwrap();
    (Arc::new(ledger), book)
}

pub(super) fn budget(limit: i64, period: &str, mode: &str, timezone: &str) -> Budget {
    serde_json::from_value(serde_json::json!({
        "limit": Usd::from_nano(limit).to_string(), "period": period, "timezone": timezone, "mode": mode, "alerts": ["50%", "100%"],
        "unpriced": "deny", "when_exhausted": "deny", "on_store_error": "deny",
    }))
    .unwrap()
}

pub(super) fn wanted(account: &str, budget: Option<Budget>) -> Wanted {
    Wanted { account: account.into(), budget: budget.map(|budget| (account.into(), budget)) }
}

pub(super) const fn need(most: i64) -> Need {
    Need { most: Some(Usd::from_nano(most)), step: Usd::from_nano(most) }
}

/// Opens the line of a reservation of this moment, as the pipeline does.
pub(super) fn line(id: AttemptId, now_ms: u64, payer: &Payer, reservation: &mut Reservation, floor: Usd) -> Arc<Opening> {
    let opening = Arc::new(Opening {
        id,
        admitted_ms: now_ms.max(reservation.bucket() * BUCKET_MS),
        key: payer.key.clone(),
        team: None,
        alias: None,
        provider: "p".into(),
        model: "m".into(),
        endpoint: "chat_completions",
        accounts: Arc::clone(&payer.ids),
        floor,
        reserved: reservation.held(),
    });
    drop(reservation.open(Arc::clone(&opening)));
    opening
}
