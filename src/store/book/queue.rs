//! What waits to be written, between the many that book and the one that writes.
//!
//! Bounded: an opening that finds [`MOST_WAITING`] before it is refused, so that its request is not sent; progress is dropped, for it is
//! only an insurance; a closing is taken, for its attempt has run. There are no more closings than attempts that run, and past
//! [`MOST_CLOSINGS`] even they are refused and counted as lost; a line that was opened durably is then charged at the next start.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::error::{BookError, Failure};
use super::expire::Expiring;
use super::forget::Forgetting;
use super::line::{Adjustment, AttemptId, Closing, Opening, Progress};

/// Operations that may wait before openings are refused.
const MOST_WAITING: usize = 65_536;
/// Operations that may wait before closings are refused: some hundred megabytes.
const MOST_CLOSINGS: usize = 262_144;
/// How long a book that failed waits before it tries again.
const RETRY: Duration = Duration::from_secs(1);
/// How long what nobody waits for may lie before it is written. An attempt that ends within that time is written once, not opened first,
/// and many share one sync of the disk.
const LINGER: Duration = Duration::from_millis(10);
/// Operations that are written without lingering.
const ENOUGH: usize = 512;

/// What is booked.
#[derive(Debug)]
pub(super) enum Operation {
    /// An attempt is about to be sent.
    Open(Arc<Opening>),
    /// How far it has come.
    Progress(AttemptId, Progress),
    /// What it came to.
    Close(Box<Closing>),
    /// A correction.
    Adjust(Box<Adjustment>),
    /// Old lines are folded, some of them.
    Forget(Arc<Forgetting>),
    /// The lines of another process are ended.
    Expire(Arc<Expiring>),
    /// Nothing: tells when all before it is written.
    Flush,
}

/// An operation, and whoever waits for it.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) operation: Operation,
    pub(super) done: Option<oneshot::Sender<Result<(), BookError>>>,
}

impl Queued {
    /// Returns whether somebody is sure to wait for it.
    const fn is_urgent(&self) -> bool {
        matches!(self.operation, Operation::Flush | Operation::Adjust(_) | Operation::Expire(_))
    }

    /// Returns whether it ends an attempt, which has cost what it has cost.
    pub(super) const fn is_closing(&self) -> bool {
        matches!(self.operation, Operation::Close(_))
    }

    /// Tells whoever waits.
    pub(super) fn finish(self, result: Result<(), BookError>) {
        if let Some(done) = self.done {
            // Nobody has to wait.
            let _ = done.send(result);
        }
    }
}

/// How the book ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    /// What waits is written first.
    Written,
    /// At once, as a crash would.
    Abandoned,
}

/// What the one who writes is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// It writes, and looks again when it is done.
    Busy,
    /// It waits for anything at all.
    Idle,
    /// It waits for more, or for somebody who is in a hurry.
    Lingering,
}

#[derive(Debug)]
struct Waiting {
    operations: VecDeque<Queued>,
    writing: Writing,
    /// Somebody waits for one of the operations.
    is_urgent: bool,
    failure: Option<Failure>,
    ending: Ending,
    lost: u64,
    late: u64,
    lines: u64,
}

/// Counts since the book was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Lines that were written.
    pub lines: u64,
    /// Attempts that were closed after a crash had expired them; their charge stays.
    pub late: u64,
    /// Closings that were refused because too many waited.
    pub lost: u64,
    /// Operations that wait to be written.
    pub waiting: u64,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    /// Guards what waits and the state that those who book and the one who writes tell each other.
    waiting: Mutex<Waiting>,
    wake: Condvar,
    /// What each batch ends with instead of being written: a code of SQLite, or zero.
    #[cfg(test)]
    pub(super) fault: std::sync::atomic::AtomicI32,
}

/// What the one who writes is to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// Write these.
    Write(Vec<Queued>),
    /// Write these, which are the last; whatever happens, end.
    WriteAndEnd(Vec<Queued>),
    /// End at once.
    End,
}

impl Queue {
    pub(super) fn new() -> Self {
        let waiting = Waiting {
            operations: VecDeque::new(),
            writing: Writing::Busy,
            is_urgent: false,
            failure: None,
            ending: Ending::No,
            lost: 0,
            late: 0,
            lines: 0,
        };
        Self {
            waiting: Mutex::new(waiting),
            wake: Condvar::new(),
            #[cfg(test)]
            fault: std::sync::atomic::AtomicI32::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an operation. Never waits.
    pub(super) fn push(&self, queued: Queued) {
        let mut waiting = self.lock();
        match waiting.refusal(&queued.operation) {
            Some(error) => {
                waiting.lost += u64::from(queued.is_closing());
                drop(waiting);
                queued.finish(Err(error));
            }
            None => {
                waiting.is_urgent |= queued.is_urgent();
                waiting.operations.push_back(queued);
                self.rouse(waiting);
            }
        }
    }

    /// Somebody waits: what is there is to be written without lingering.
    pub(super) fn hurry(&self) {
        let mut waiting = self.lock();
        if !waiting.operations.is_empty() {
            waiting.is_urgent = true;
            self.rouse(waiting);
        }
    }

    /// Wakes the one who writes, where it sleeps and has reason to get up: a call of the kernel that most operations need not make.
    fn rouse(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let is_due = match waiting.writing {
            Writing::Busy => false,
            Writing::Idle => true,
            Writing::Lingering => !waiting.may_linger(),
        };
        if is_due {
            waiting.writing = Writing::Busy;
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// Waits for something to do. `kept` is what a batch that failed left; it comes first.
    pub(super) fn next(&self, mut kept: Vec<Queued>, most: usize) -> Next {
        let mut waiting = self.lock();
        // What failed is tried again after a while, or when somebody asks.
        if waiting.failure.is_some() {
            waiting = self.sleep(waiting, Writing::Lingering, Some(RETRY), |waiting| !waiting.is_flushed());
        } else {
            waiting = self.sleep(waiting, Writing::Idle, None, |waiting| waiting.operations.is_empty());
            waiting = self.sleep(waiting, Writing::Lingering, Some(LINGER), Waiting::may_linger);
        }
        let count = most.saturating_sub(kept.len()).min(waiting.operations.len());
        waiting.is_urgent &= count < waiting.operations.len();
        match waiting.ending {
            Ending::Abandoned => Next::End,
            Ending::No => {
                kept.extend(waiting.operations.drain(..count));
                Next::Write(kept)
            }
            Ending::Written => {
                kept.extend(waiting.operations.drain(..));
                Next::WriteAndEnd(kept)
            }
        }
    }

    /// Waits while there is reason to, for so long at most; not at all once the book ends.
    fn sleep<'w>(
        &self,
        mut waiting: MutexGuard<'w, Waiting>,
        how: Writing,
        most: Option<Duration>,
        has_reason: impl Fn(&Waiting) -> bool,
    ) -> MutexGuard<'w, Waiting> {
        let idle = |waiting: &mut Waiting| {
            let is_idle = waiting.ending == Ending::No && has_reason(waiting);
            // Whoever wakes it says so by marking it busy; it may also have woken for no reason.
            waiting.writing = if is_idle { how } else { Writing::Busy };
            is_idle
        };
        waiting = match most {
            None => self.wake.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner),
            Some(most) => self.wake.wait_timeout_while(waiting, most, idle).unwrap_or_else(PoisonError::into_inner).0,
        };
        waiting.writing = Writing::Busy;
        waiting
    }

    /// Notes that a batch was written.
    pub(super) fn wrote(&self, lines: u64, late: u64) {
        let mut waiting = self.lock();
        waiting.failure = None;
        waiting.lines += lines;
        waiting.late += late;
    }

    /// Notes that a batch was not written, and refuses what waits but closings: nobody shall wait for a disk that may stay full for hours.
    pub(super) fn failed(&self, failure: &Failure) {
        let mut waiting = self.lock();
        waiting.failure = Some(failure.clone());
        let (closings, refused) = std::mem::take(&mut waiting.operations).into_iter().partition(Queued::is_closing);
        waiting.operations = closings;
        drop(waiting);
        refuse(refused, &BookError::Failed(failure.clone()));
    }

    /// Notes closings that were given up.
    pub(super) fn gave_up(&self, closings: u64) {
        self.lock().lost += closings;
    }

    /// Takes nothing more; what waits is written unless it is abandoned.
    pub(super) fn end(&self, abandoned: bool) {
        let mut waiting = self.lock();
        if waiting.ending == Ending::No || abandoned {
            waiting.ending = if abandoned { Ending::Abandoned } else { Ending::Written };
        }
        drop(waiting);
        self.wake.notify_all();
    }

    /// Refuses whatever still waits, for nobody will write it.
    pub(super) fn dissolve(&self) {
        let mut waiting = self.lock();
        waiting.ending = Ending::Abandoned;
        let left = std::mem::take(&mut waiting.operations);
        waiting.lost += u64::try_from(left.iter().filter(|queued| queued.is_closing()).count()).unwrap_or(0);
        let error = waiting.failure.clone().map_or(BookError::Closed, BookError::Failed);
        drop(waiting);
        refuse(left, &error);
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    pub(super) fn counts(&self) -> Counts {
        let waiting = self.lock();
        let Waiting { lost, late, lines, .. } = *waiting;
        Counts { lines, late, lost, waiting: u64::try_from(waiting.operations.len()).unwrap_or(u64::MAX) }
    }
}

/// Tells everybody who waits that it is not written.
pub(super) fn refuse(queued: impl IntoIterator<Item = Queued>, error: &BookError) {
    for queued in queued {
        queued.finish(Err(error.clone()));
    }
}

impl Waiting {
    /// Says why an operation cannot be taken.
    fn refusal(&self, operation: &Operation) -> Option<BookError> {
        if self.ending != Ending::No {
            return Some(self.failure.clone().map_or(BookError::Closed, BookError::Failed));
        }
        match (operation, &self.failure) {
            (
                Operation::Open(_) | Operation::Progress(..) | Operation::Adjust(_) | Operation::Forget(_) | Operation::Expire(_),
                Some(failure),
            ) => Some(failure.clone().into()),
            (Operation::Open(_) | Operation::Progress(..) | Operation::Adjust(_) | Operation::Forget(_) | Operation::Expire(_), None) => {
                (self.operations.len() >= MOST_WAITING).then_some(BookError::Overloaded)
            }
            (Operation::Close(_), _) => (self.operations.len() >= MOST_CLOSINGS).then_some(BookError::Overloaded),
            (Operation::Flush, _) => None,
        }
    }

    /// Returns whether more may be waited for.
    fn may_linger(&self) -> bool {
        !self.is_urgent && self.operations.len() < ENOUGH
    }

    fn is_flushed(&self) -> bool {
        self.operations.iter().any(|queued| matches!(queued.operation, Operation::Flush))
    }
}
