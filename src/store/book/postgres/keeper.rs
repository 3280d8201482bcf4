//! The thread that keeps a node's lease, takes over what others left, and answers what the ledger asks of the shared store.
//!
//! It has a connection of its own, so that a long batch does not cost the lease.

use std::ops::Range;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use postgres::Client;

use super::super::error::{BookError, Failure, FailureKind};
use super::super::line::bucket_of;
use super::super::share::{AccountWindow, Granted, Record, Seen, Shortage, Wish};
use super::super::write::{Recovered, integer};
use super::grant;
use super::lease::{Lease, take_over};
use super::rows::text;
use super::schema::Place;
use crate::base::{Clock, Usd};

type Buckets = Vec<(u64, Usd)>;

/// Buckets in a day: no clock of a node is wrong by more.
const A_DAY: u64 = 24 * 4;

/// What the thread is asked: something to do on its connection, or to end.
enum Asked {
    Do(Box<dyn FnOnce(&mut Kept) + Send>),
    /// End; with what the node left open taken over at once, or as a crash would.
    End {
        abandoned: bool,
    },
}

/// A handle of the thread.
#[derive(Debug)]
pub(in super::super) struct Keeper {
    asked: Sender<Asked>,
    lease: Arc<Lease>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// Starts the thread, on a connection and with a lease that it holds already.
    ///
    /// # Errors
    /// What the system says.
    pub(in super::super) fn start(kept: Kept) -> std::io::Result<Self> {
        let (asked, asks) = mpsc::channel();
        let lease = Arc::clone(&kept.lease);
        let thread = thread::Builder::new().name("book lease".to_owned()).spawn(move || kept.run(&asks))?;
        Ok(Self { asked, lease, thread: Mutex::new(Some(thread)) })
    }

    /// Returns where the node asks for shares of budgets.
    pub(in super::super) fn grants(&self) -> Grants {
        Grants { asked: self.asked.clone(), lease: Arc::clone(&self.lease) }
    }

    /// Says that the lease ran out, where it did.
    pub(in super::super) fn failure(&self) -> Option<Failure> {
        self.lease.failure()
    }

    pub(in super::super) fn buckets(&self, account: &str, buckets: Range<u64>) -> Result<Buckets, BookError> {
        let account = text(account);
        ask(&self.asked, move |kept| kept.with(|client| read(client, &account, &buckets)))
    }

    /// Renews the lease, now, or begins a new one.
    pub(in super::super) fn renew(&self) -> Result<(), BookError> {
        ask(&self.asked, |kept| {
            let (lease, name) = (Arc::clone(&kept.lease), kept.name.clone());
            kept.with(|client| lease.renew(client, &name))
        })
    }

    /// Takes over, now, what nodes left open whose lease ran out.
    pub(in super::super) fn take_over(&self) -> Result<Recovered, BookError> {
        ask(&self.asked, |kept| kept.take_over(None))
    }

    /// Ends the thread, after the writer.
    pub(in super::super) fn end(&self, abandoned: bool) {
        // A thread that is gone has nothing to be told.
        let _ = self.asked.send(Asked::End { abandoned });
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.map(JoinHandle::join);
    }
}

/// Asks the thread for something, and waits for it.
fn ask<T: Send + 'static>(
    asked: &Sender<Asked>,
    work: impl FnOnce(&mut Kept) -> Result<T, Failure> + Send + 'static,
) -> Result<T, BookError> {
    let (answer, answered) = mpsc::sync_channel(1);
    let work = move |kept: &mut Kept| {
        // Whoever asked waits for it, but where the process ends.
        let _ = answer.send(work(kept));
    };
    asked.send(Asked::Do(Box::new(work))).map_err(|_| BookError::Closed)?;
    let answered = answered.recv().map_err(|_| BookError::Closed)?;
    answered.map_err(|failure| BookError::Read(failure.to_string()))
}

/// Where a node asks for its share of budgets: the same thread, in the order in which it is asked.
#[derive(Debug)]
pub(in super::super) struct Grants {
    asked: Sender<Asked>,
    lease: Arc<Lease>,
}

impl Record for Grants {
    fn epoch(&self) -> i64 {
        self.lease.epoch()
    }

    fn grant(&self, wish: &Wish) -> Result<Granted, BookError> {
        let wish = wish.clone();
        ask(&self.asked, move |kept| {
            kept.lease.will_be_granted();
            let epoch = kept.lease.epoch();
            kept.with(|client| grant::grant(client, epoch, &wish))
        })
    }

    fn look(&self, windows: &[AccountWindow]) -> Result<Vec<Seen>, BookError> {
        let windows = windows.to_vec();
        ask(&self.asked, move |kept| {
            let epoch = kept.lease.epoch();
            kept.with(|client| grant::look(client, epoch, &windows))
        })
    }

    fn give_back(&self, of: &AccountWindow, epoch: i64, amount: Usd) {
        let of = of.clone();
        // A node that has ended holds nothing.
        let _ = self.asked.send(Asked::Do(Box::new(move |kept| kept.take_back(&of, epoch, amount))));
    }

    fn short(&self) -> Result<Vec<Shortage>, BookError> {
        ask(&self.asked, |kept| {
            let epoch = kept.lease.epoch();
            kept.with(|client| grant::short(client, epoch))
        })
    }

    fn claim(&self, account: &str, window: &str, percent: u16) -> Result<bool, BookError> {
        let (account, window) = (account.to_owned(), window.to_owned());
        ask(&self.asked, move |kept| kept.with(|client| grant::claim(client, &account, &window, percent.into())))
    }

    fn unclaim(&self, account: &str, window: &str, above: u16) -> Result<(), BookError> {
        let (account, window) = (account.to_owned(), window.to_owned());
        ask(&self.asked, move |kept| kept.with(|client| grant::unclaim(client, &account, &window, above.into())))
    }
}

/// The thread's state.
pub(in super::super) struct Kept {
    pub(super) place: Arc<Place>,
    pub(super) lease: Arc<Lease>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) name: String,
    /// None after an error, until it is needed again.
    pub(super) client: Option<Client>,
    /// Until when the others are given time to speak again.
    pub(super) lenient_until: Option<Instant>,
}

impl Kept {
    fn run(mut self, asks: &Receiver<Asked>) {
        let mut next = Instant::now() + self.lease.beat();
        loop {
            match asks.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Asked::Do(work)) => work(&mut self),
                Ok(Asked::End { abandoned }) => {
                    if !abandoned {
                        self.leave();
                    }
                    return;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // Also when it is asked without end.
            if Instant::now() >= next {
                self.beat();
                next = Instant::now() + self.lease.beat();
            }
        }
    }

    fn beat(&mut self) {
        let (lease, name) = (Arc::clone(&self.lease), self.name.clone());
        let epoch = lease.epoch();
        let was_cut_off = lease.failure().is_some();
        match self.with(|client| lease.renew(client, &name)) {
            Ok(()) if lease.epoch() != epoch => tracing::warn!("this node's lease had run out, and the others took over; it begins anew"),
            Ok(()) => {}
            Err(failure) => {
                tracing::warn!(error = %failure, "the lease on the shared store could not be renewed");
                return;
            }
        }
        // The store that this node could not reach was perhaps away for all: they need not be dead.
        let now = Instant::now();
        if was_cut_off {
            self.lenient_until = Some(now + lease.span());
        }
        if self.lenient_until.is_some_and(|until| now < until) {
            return;
        }
        self.tidy();
        match self.take_over(None) {
            Ok(Recovered { expired: 0, .. }) => {}
            Ok(Recovered { expired, charged }) => {
                tracing::warn!(expired, %charged, "attempts of a node that is gone are charged what is known of them");
            }
            Err(failure) => tracing::warn!(error = %failure, "what nodes left that are gone could not be looked at"),
        }
    }

    fn take_over(&mut self, own: Option<i64>) -> Result<Recovered, Failure> {
        let now_ms = self.clock.unix_ms();
        self.with(|client| take_over(client, own, now_ms))
    }

    fn tidy(&mut self) {
        let before = bucket_of(self.clock.unix_ms()).saturating_sub(A_DAY);
        if let Err(failure) = self.with(|client| grant::tidy(client, before)) {
            tracing::warn!(error = %failure, "shares of windows that are over could not be forgotten");
        }
    }

    /// What could not be taken back is stranded until the epoch ends; it is never spent twice.
    fn take_back(&mut self, of: &AccountWindow, epoch: i64, amount: Usd) {
        let client = self.client.take().map_or_else(|| self.place.connect(), Ok);
        // Not tried again on another connection: it may have been done.
        let taken = client.and_then(|mut client| grant::give_back(&mut client, epoch, of, amount).map(|()| self.client = Some(client)));
        if let Err(failure) = taken {
            tracing::warn!(error = %failure, "what this node holds of a budget could not be given back");
        }
    }

    /// Hands over what is left open, which after an orderly end is nothing.
    fn leave(&mut self) {
        if let Err(failure) = self.take_over(Some(self.lease.epoch())) {
            tracing::warn!(error = %failure, "the lease could not be given back; the other nodes wait for its end");
        }
    }

    /// Does something that may be done twice: a connection that was lost while nobody looked is made anew.
    fn with<T>(&mut self, work: impl Fn(&mut Client) -> Result<T, Failure>) -> Result<T, Failure> {
        if let Some(mut client) = self.client.take() {
            match work(&mut client) {
                Err(Failure { kind: FailureKind::Unreachable, .. }) => {}
                done => {
                    self.client = Some(client);
                    return done;
                }
            }
        }
        let mut client = self.place.connect()?;
        let done = work(&mut client);
        self.client = done.is_ok().then_some(client);
        done
    }
}

fn read(client: &mut Client, account: &str, buckets: &Range<u64>) -> Result<Buckets, Failure> {
    let rows = client.query(
        "SELECT bucket, nano FROM balances WHERE account = $1 AND bucket >= $2 AND bucket < $3 AND nano <> 0 ORDER BY bucket",
        &[&account, &integer(buckets.start), &integer(buckets.end)],
    )?;
    Ok(rows.iter().map(|row| (row.get::<_, i64>(0).unsigned_abs(), Usd::from_nano(row.get(1)))).collect())
}
