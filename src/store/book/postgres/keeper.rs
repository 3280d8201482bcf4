//! The thread that keeps a node's lease, takes over what others left, and answers what the ledger asks of the shared store.
//!
//! It has a connection of its own, so that a long batch does not cost the lease.

use std::ops::Range;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use postgres::Client;
use tokio::sync::oneshot;

use super::super::error::{BookError, Failure, FailureKind};
use super::super::write::{Recovered, integer};
use super::grant::{Granted, Wish, give_back, grant};
use super::lease::{Lease, take_over};
use super::rows::text;
use super::schema::Place;
use crate::base::{Clock, Usd};

type Buckets = Vec<(u64, Usd)>;

/// What the thread is asked.
enum Asked {
    Buckets {
        account: String,
        buckets: Range<u64>,
        answer: SyncSender<Result<Buckets, Failure>>,
    },
    Grant {
        wish: Wish,
        answer: oneshot::Sender<Result<Granted, Failure>>,
    },
    GiveBack {
        wish: Wish,
        epoch: i64,
        amount: Usd,
    },
    /// Look after the other nodes now.
    TakeOver(SyncSender<Result<Recovered, Failure>>),
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

    pub(in super::super) fn grants(&self) -> Grants {
        Grants { asked: self.asked.clone() }
    }

    /// Says that the lease ran out, where it did.
    pub(in super::super) fn failure(&self) -> Option<Failure> {
        self.lease.failure()
    }

    pub(in super::super) fn buckets(&self, account: &str, buckets: Range<u64>) -> Result<Buckets, BookError> {
        let account = text(account);
        self.ask(|answer| Asked::Buckets { account, buckets, answer })
    }

    /// Takes over, now, what nodes left open whose lease ran out.
    pub(in super::super) fn take_over(&self) -> Result<Recovered, BookError> {
        self.ask(Asked::TakeOver)
    }

    fn ask<T>(&self, ask: impl FnOnce(SyncSender<Result<T, Failure>>) -> Asked) -> Result<T, BookError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.asked.send(ask(answer)).map_err(|_| BookError::Closed)?;
        let answered = answered.recv().map_err(|_| BookError::Closed)?;
        answered.map_err(|failure| BookError::Read(failure.to_string()))
    }

    /// Ends the thread, after the writer.
    pub(in super::super) fn end(&self, abandoned: bool) {
        // A thread that is gone has nothing to be told.
        let _ = self.asked.send(Asked::End { abandoned });
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.map(JoinHandle::join);
    }
}

/// Where a node asks for its share of budgets. Clones ask the same thread.
#[derive(Debug, Clone)]
pub struct Grants {
    asked: Sender<Asked>,
}

impl Grants {
    /// Asks for more of a budget. May be cancelled; what was granted then is held until the epoch ends.
    ///
    /// # Errors
    /// [`BookError::Read`], where the shared store cannot be asked or the node's lease is over; [`BookError::Closed`].
    pub async fn grant(&self, wish: Wish) -> Result<Granted, BookError> {
        let (answer, answered) = oneshot::channel();
        self.asked.send(Asked::Grant { wish, answer }).map_err(|_| BookError::Closed)?;
        answered.await.map_err(|_| BookError::Closed)?.map_err(|failure| BookError::Read(failure.to_string()))
    }

    /// Gives back what the node will not spend; it must not count on that any more. Never waits.
    pub fn give_back(&self, wish: Wish, epoch: i64, amount: Usd) {
        // A node that has ended holds nothing.
        let _ = self.asked.send(Asked::GiveBack { wish, epoch, amount });
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
}

impl Kept {
    fn run(mut self, asks: &Receiver<Asked>) {
        let mut next = Instant::now() + self.lease.beat();
        loop {
            match asks.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Asked::Buckets { account, buckets, answer }) => {
                    // Nobody has to wait for it.
                    let _ = answer.send(self.with(|client| read(client, &account, &buckets)));
                }
                Ok(Asked::Grant { wish, answer }) => {
                    self.lease.will_be_granted();
                    let epoch = self.lease.epoch();
                    let _ = answer.send(self.with(|client| grant(client, epoch, &wish)));
                }
                Ok(Asked::GiveBack { wish, epoch, amount }) => self.take_back(&wish, epoch, amount),
                Ok(Asked::TakeOver(answer)) => {
                    let _ = answer.send(self.take_over(None));
                }
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
        match self.with(|client| lease.renew(client, &name)) {
            Ok(()) if lease.epoch() != epoch => tracing::warn!("this node's lease had run out, and the others took over; it begins anew"),
            Ok(()) => {}
            Err(failure) => {
                tracing::warn!(error = %failure, "the lease on the shared store could not be renewed");
                return;
            }
        }
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

    /// What could not be taken back is stranded until the epoch ends; it is never spent twice.
    fn take_back(&mut self, wish: &Wish, epoch: i64, amount: Usd) {
        let client = self.client.take().map_or_else(|| self.place.connect(), Ok);
        // Not tried again on another connection: it may have been done.
        let taken = client.and_then(|mut client| give_back(&mut client, epoch, wish, amount).map(|()| self.client = Some(client)));
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
