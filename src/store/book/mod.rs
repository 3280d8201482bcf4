//! The book: the durable record of every billed attempt, and of what each account spent.
//!
//! An embedded SQLite file, or a schema of a PostgreSQL server that several gateways share; one thread that writes, one connection that
//! reads. It adds up what it is told and decides nothing: who may spend is the business of budgets, what something costs that of prices.
//!
//! Rule: one line per attempt, written once; the balance of an account and bucket is the sum of its lines, those that are no longer kept
//! included, and adjustments, always; what a ticket reported durable survives a crash.

mod audit;
mod committer;
mod error;
mod expire;
mod file;
mod forget;
mod line;
mod names;
#[cfg(feature = "postgres")]
mod postgres;
mod queue;
mod read;
mod report;
mod schema;
mod share;
#[cfg(test)]
mod tests;
mod ticket;
pub mod told;
mod write;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

pub use audit::{Audit, Difference};
pub use committer::OnFatal;
pub use error::{BookError, Failure, FailureKind};
pub use line::{Adjustment, AttemptId, BUCKET_MS, Change, Closing, Opening, Progress, UsageSource, bucket_of};
#[cfg(feature = "postgres")]
pub use postgres::Place;
pub use queue::Counts;
pub use report::{AccountTotals, Dimension, Group, Question, Report, Totals};
pub use share::{AccountWindow, Granted, Record, Seen, Shortage, Wish};
pub use ticket::Ticket;
pub use write::Recovered;

use self::committer::{Committer, Writing};
use self::expire::Expiring;
use self::forget::Forgetting;
use self::queue::{Operation, Queue, Queued};
use self::read::Reader;
use self::write::Writer;
use super::StoreError;
#[cfg(feature = "postgres")]
use crate::base::Clock;
use crate::base::Usd;

/// The file's name in a state directory.
pub const FILE: &str = "book.sqlite3";

/// The version of the file's tables. Processes of one version may write to it at the same time.
pub const TABLES: u32 = schema::VERSION;

/// A handle of the book. Clones share one thread; when the last is dropped, what waits is written first, which blocks.
#[derive(Debug, Clone)]
pub struct Book {
    held: Arc<Held>,
}

#[derive(Debug)]
struct Held {
    queue: Arc<Queue>,
    reading: Reading,
    /// Guards the thread: taken by whoever waits for its end.
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where is read.
#[derive(Debug)]
enum Reading {
    File {
        path: PathBuf,
        reader: Reader,
    },
    #[cfg(feature = "postgres")]
    Server {
        place: Arc<Place>,
        keeper: postgres::Keeper,
    },
}

impl Book {
    /// Opens the file, creates it where it is missing, and expires what a crash left open: it is charged its last progress, or its floor
    /// where none is known. Blocks. The caller holds the state directory's lock; two books on one file are not kept apart here.
    ///
    /// `on_fatal` is called, once and on the book's own thread, when the disk lost what it had taken; it should end the process.
    ///
    /// # Errors
    /// [`StoreError::Io`] and [`StoreError::Book`].
    pub fn open(path: &Path, now_ms: u64, on_fatal: OnFatal) -> Result<(Self, Recovered), StoreError> {
        let mut writer = Writer::new(schema::open(path)?);
        let recovered = writer.recover(now_ms).map_err(|error| StoreError::Book { path: path.to_owned(), why: error.to_string() })?;
        Self::on_file(path, writer, on_fatal).map(|book| (book, recovered))
    }

    /// Opens the file beside a process that still writes to it and is about to end: its open lines stay open, until
    /// [`Self::expire_others`]. Blocks.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_beside(path: &Path, on_fatal: OnFatal) -> Result<Self, StoreError> {
        Self::on_file(path, Writer::new(schema::open(path)?), on_fatal)
    }

    fn on_file(path: &Path, writer: Writer, on_fatal: OnFatal) -> Result<Self, StoreError> {
        let reader = Reader::open(path)?;
        let reading = Reading::File { path: path.to_owned(), reader };
        Self::start(Writing::File(writer), reading, on_fatal).map_err(StoreError::io("start the thread of", path))
    }

    /// Expires the open lines of an embedded book that were not opened here, for their process has ended. Blocks.
    ///
    /// # Errors
    /// [`BookError`]; then they stay open, and the next start expires them.
    pub fn expire_others(&self, now_ms: u64) -> Result<Recovered, BookError> {
        let expiring = Arc::new(Expiring::at(now_ms));
        self.push(Operation::Expire(Arc::clone(&expiring))).wait()?;
        Ok(expiring.recovered())
    }

    /// Joins a shared book as a new node of this name, makes its tables where they are missing, and expires what nodes left open whose
    /// lease ran out. While this node's own lease is out, [`Self::failure`] says so, and lines that it opens are refused. Blocks, also when
    /// the last handle is dropped.
    ///
    /// # Errors
    /// [`StoreError::Shared`].
    #[cfg(feature = "postgres")]
    pub fn join(place: Place, name: &str, clock: &Arc<dyn Clock>, on_fatal: OnFatal) -> Result<(Self, Recovered), StoreError> {
        let place = Arc::new(place);
        let (writer, kept, recovered) = postgres::open(&place, name, clock).map_err(StoreError::Shared)?;
        let no_thread = |source| StoreError::Io { doing: "start a thread of", path: PathBuf::from("the shared book"), source };
        let keeper = postgres::Keeper::start(kept).map_err(no_thread)?;
        let reading = Reading::Server { place, keeper };
        let book = Self::start(Writing::Server(writer), reading, on_fatal).map_err(no_thread)?;
        Ok((book, recovered))
    }

    fn start(writing: Writing, reading: Reading, on_fatal: OnFatal) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new());
        let committer = Committer { queue: Arc::clone(&queue), writing, on_fatal };
        let thread = thread::Builder::new().name("book".to_owned()).spawn(move || committer.run())?;
        Ok(Self { held: Arc::new(Held { queue, reading, thread: Mutex::new(Some(thread)) }) })
    }

    fn push(&self, operation: Operation) -> Ticket {
        let (done, ticket) = Ticket::new(&self.held.queue);
        self.held.queue.push(Queued { operation, done: Some(done) });
        ticket
    }

    /// Opens a line. Never waits. A line that is there already, open or ended, stays as it is.
    ///
    /// Where the ticket says anything but success there is no line: either the attempt is not sent, or its closing is all that is booked.
    pub fn open_line(&self, opening: Arc<Opening>) -> Ticket {
        self.push(Operation::Open(opening))
    }

    /// Notes how far an open line has come; a line that is not open stays as it is. Never waits; dropped when the book does not write.
    pub fn progress(&self, id: AttemptId, progress: Progress) {
        self.held.queue.push(Queued { operation: Operation::Progress(id, progress), done: None });
    }

    /// Ends a line and charges its accounts: once, whatever is called again, also across restarts. A line that a crash expired keeps its
    /// charge and is counted in [`Counts::late`]. A line that was never opened is written whole. Never waits; while the book fails, the
    /// closing is kept and its ticket stays open until it is written.
    pub fn close(&self, closing: Closing) -> Ticket {
        self.push(Operation::Close(Box::new(closing)))
    }

    /// As [`Self::close`], where nobody will wait for it.
    pub fn settle(&self, closing: Closing) {
        self.held.queue.push(Queued { operation: Operation::Close(Box::new(closing)), done: None });
    }

    /// Corrects what an account spent. Booked once per id; where the ticket says anything but success it is not booked.
    pub fn adjust(&self, adjustment: Adjustment) -> Ticket {
        self.push(Operation::Adjust(Box::new(adjustment)))
    }

    /// Folds some of the lines that were admitted before a time into sums by account and bucket, oldest first, and says whether there may be
    /// more. What each account spent stays, and an audit knows it; who asked for what is gone.
    ///
    /// # Errors
    /// [`BookError`]; then nothing was folded.
    pub async fn forget(&self, before_ms: u64) -> Result<bool, BookError> {
        let forgetting = Arc::new(Forgetting::before(before_ms));
        self.push(Operation::Forget(Arc::clone(&forgetting))).durable().await?;
        Ok(forgetting.folded() == forget::AT_ONCE)
    }

    /// Tells when all that was booked before is on the disk; a book that failed tries again at once.
    pub fn flush(&self) -> Ticket {
        self.push(Operation::Flush)
    }

    /// Returns what an account spent in these buckets, as far as it is on the disk. Blocks.
    ///
    /// # Errors
    /// [`BookError::Read`].
    pub fn usage(&self, account: &str, buckets: Range<u64>) -> Result<Usd, BookError> {
        Ok(self.buckets(account, buckets)?.into_iter().map(|(_, spent)| spent).sum())
    }

    /// Returns what an account spent in each of these buckets in which it is not zero, oldest first. Blocks.
    ///
    /// # Errors
    /// [`BookError::Read`].
    pub fn buckets(&self, account: &str, buckets: Range<u64>) -> Result<Vec<(u64, Usd)>, BookError> {
        match &self.held.reading {
            Reading::File { reader, .. } => reader.buckets(account, buckets),
            #[cfg(feature = "postgres")]
            Reading::Server { keeper, .. } => keeper.buckets(account, buckets),
        }
    }

    /// Opens a connection of its own for long questions. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Book`] and [`StoreError::Shared`].
    pub fn report(&self) -> Result<Report, StoreError> {
        match &self.held.reading {
            Reading::File { path, .. } => Report::open(path),
            #[cfg(feature = "postgres")]
            Reading::Server { place, .. } => Report::connect(place).map_err(StoreError::Shared),
        }
    }

    /// Returns where a node asks for its share of budgets; none where the book is not shared, for then all is this gateway's.
    pub fn record(&self) -> Option<Arc<dyn Record>> {
        match &self.held.reading {
            Reading::File { .. } => None,
            #[cfg(feature = "postgres")]
            Reading::Server { keeper, .. } => Some(Arc::new(keeper.grants())),
        }
    }

    /// Renews this node's lease on a shared book without waiting for its time; where the others have taken over, begins a new one. Blocks.
    ///
    /// # Errors
    /// [`BookError::Read`].
    pub fn renew(&self) -> Result<(), BookError> {
        match &self.held.reading {
            Reading::File { .. } => Ok(()),
            #[cfg(feature = "postgres")]
            Reading::Server { keeper, .. } => keeper.renew(),
        }
    }

    /// Expires, now, what nodes of a shared book left open whose lease ran out; of an embedded one there is only this node. Blocks.
    ///
    /// # Errors
    /// [`BookError::Read`].
    pub fn take_over(&self) -> Result<Recovered, BookError> {
        match &self.held.reading {
            Reading::File { .. } => Ok(Recovered::default()),
            #[cfg(feature = "postgres")]
            Reading::Server { keeper, .. } => keeper.take_over(),
        }
    }

    /// Returns why the book does not write, while it does not.
    pub fn failure(&self) -> Option<Failure> {
        self.held.queue.failure().or_else(|| match &self.held.reading {
            Reading::File { .. } => None,
            #[cfg(feature = "postgres")]
            Reading::Server { keeper, .. } => keeper.failure(),
        })
    }

    /// Returns counts since it was opened.
    pub fn counts(&self) -> Counts {
        self.held.queue.counts()
    }

    /// Takes nothing more, writes what waits, and closes the file. Blocks until that is done; when it cannot be written, it is given up
    /// and counted in [`Counts::lost`].
    pub fn close_file(&self) {
        self.held.end(false);
    }

    /// Ends at once without writing what waits, as a crash would. For tests of what a crash leaves.
    pub fn abandon(&self) {
        self.held.end(true);
    }
}

impl Held {
    fn end(&self, abandoned: bool) {
        self.queue.end(abandoned);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A thread that ended by a fault of ours has said so, and left nobody waiting.
        thread.map(JoinHandle::join);
        match &self.reading {
            Reading::File { .. } => {}
            #[cfg(feature = "postgres")]
            Reading::Server { keeper, .. } => keeper.end(abandoned),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.end(false);
    }
}
