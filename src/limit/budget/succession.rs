//! One set of accounts for two processes, while one ends and the other has begun.
//!
//! The predecessor freezes its accounts, tells what is held, and from then on reserves with its successor, which counts for both. What it
//! settles is in the book first, by its own hand, and told then; until it is told, the successor holds what was reserved for it. So at no
//! moment is less counted than was spent, and whatever dies, the book and the holds that are left say what is true.
//!
//! It is not the conversation between the two, which is the control plane's.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, PoisonError, RwLockWriteGuard};
use std::thread::{self, JoinHandle};

use super::admit::Extended;
use super::ledger::{Ledger, Payer, Refused};
use super::reservation::Need;
use crate::base::Usd;
use crate::store::book::{BookError, Ticket};

/// The successor, as the predecessor reaches it. Its calls may block for as long as the other process takes.
pub trait Successor: Send + Sync {
    /// Reserves for a request of the predecessor's; returns the bucket of its admission and what each account holds.
    ///
    /// # Errors
    /// [`Refused`], also where the successor cannot be reached.
    fn reserve(&self, accounts: &[Arc<str>], need: Need, now_ms: u64) -> Result<(u64, Vec<Usd>), Refused>;

    /// Reserves more for one that runs; returns what each account holds then.
    ///
    /// # Errors
    /// As [`Self::reserve`]; what was held before still is.
    fn extend(&self, held: &Claimed, upto: Usd) -> Result<Vec<Usd>, Refused>;

    /// Tells what a request came to, which is in the book.
    fn settle(&self, held: &Claimed, cost: Usd);
}

/// What one request holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// The accounts, in their order.
    pub accounts: Arc<[Arc<str>]>,
    /// The bucket of its admission.
    pub bucket: u64,
    /// What each account holds.
    pub amounts: Vec<Usd>,
}

/// What all requests hold of one account that were admitted in one bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The account.
    pub account: Arc<str>,
    /// The bucket.
    pub bucket: u64,
    /// The amount.
    pub amount: Usd,
}

/// Whose the accounts are.
#[derive(Default)]
pub(super) enum Owner {
    /// This process's.
    #[default]
    Own,
    /// The successor's.
    Successor(Courier),
}

/// Tells the successor what was settled, once that is on the disk.
pub(super) struct Courier {
    pub(super) successor: Arc<dyn Successor>,
    told: Option<Sender<Settled>>,
    thread: Option<JoinHandle<()>>,
}

/// What is told, and when.
type Settled = (Claimed, Usd, Option<Ticket>);

impl Courier {
    fn start(successor: Arc<dyn Successor>) -> std::io::Result<Self> {
        let (told, settled) = mpsc::channel();
        let whom = Arc::clone(&successor);
        let thread = thread::Builder::new().name("succession".to_owned()).spawn(move || deliver(&*whom, &settled))?;
        Ok(Self { successor, told: Some(told), thread: Some(thread) })
    }

    pub(super) fn tell(&self, held: Claimed, cost: Usd, ticket: Option<Ticket>) {
        if let Some(told) = &self.told {
            // A thread that is gone tells nobody: the successor finds the line in the book when it sees that this process has ended.
            let _ = told.send((held, cost, ticket));
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.told = None;
        self.thread.take().map(JoinHandle::join);
    }
}

fn deliver(successor: &dyn Successor, settled: &Receiver<Settled>) {
    while let Ok((held, cost, ticket)) = settled.recv() {
        // A book that does not take it has said so, and what was spent was spent.
        let _ = ticket.map_or(Ok(()), Ticket::wait);
        successor.settle(&held, cost);
    }
}

/// Accounts of which nothing is reserved, spent or given back: whoever wants to waits.
pub struct Frozen<'l> {
    ledger: &'l Ledger,
    owner: RwLockWriteGuard<'l, Owner>,
}

impl Ledger {
    /// Freezes the accounts until the value drops; then all goes on as before.
    pub fn freeze(&self) -> Frozen<'_> {
        Frozen { ledger: self, owner: self.owner.write().unwrap_or_else(PoisonError::into_inner) }
    }

    /// Tells the successor what is still to be told; blocks until that is done. For when nothing runs any more.
    pub fn conclude(&self) {
        *self.owner.write().unwrap_or_else(PoisonError::into_inner) = Owner::Own;
    }

    /// Takes over what the requests of a predecessor hold, beside what this process's own do.
    pub fn inherit(self: &Arc<Self>, held: Vec<Held>) -> Inheritance {
        let mut inheritance = Inheritance { ledger: Arc::clone(self), held: BTreeMap::new(), reads: self.reads.load(Ordering::SeqCst) };
        for Held { account, bucket, amount } in held {
            self.account(&account).lock().hold(bucket, amount);
            inheritance.note(&account, bucket, amount);
        }
        inheritance
    }
}

impl Frozen<'_> {
    /// Returns what running requests hold. All that they settled before is on the disk when this returns.
    ///
    /// # Errors
    /// [`BookError`], where it is not.
    pub fn held(&self) -> Result<Vec<Held>, BookError> {
        if let Some(book) = self.ledger.book() {
            book.flush().wait()?;
        }
        let accounts: Vec<_> =
            self.ledger.common.accounts.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        let mut all = Vec::new();
        for account in accounts {
            let held = account.lock().all_held();
            all.extend(held.into_iter().map(|(bucket, amount)| Held { account: Arc::clone(&account.id), bucket, amount }));
        }
        Ok(all)
    }

    /// Hands the accounts over, and lets all go on that waits. `tell` tells the successor; where it fails, they stay here.
    ///
    /// # Errors
    /// What `tell` says, or the system, where it gives no thread; then nothing was handed over.
    pub fn hand_over(mut self, successor: Arc<dyn Successor>, tell: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
        let courier = Courier::start(successor)?;
        tell()?;
        *self.owner = Owner::Successor(courier);
        Ok(())
    }
}

/// What the requests of a predecessor hold here.
pub struct Inheritance {
    ledger: Arc<Ledger>,
    held: BTreeMap<(Arc<str>, u64), Usd>,
    /// How often the book had been read when it began.
    reads: u64,
}

impl Inheritance {
    fn note(&mut self, account: &Arc<str>, bucket: u64, amount: Usd) {
        *self.held.entry((Arc::clone(account), bucket)).or_default() += amount;
    }

    /// Makes what a request of the predecessor pays from: its accounts, and whatever budgets this process has on them.
    fn payer(&self, ids: &[Arc<str>]) -> Payer {
        let accounts: Vec<_> = ids.iter().map(|id| self.ledger.account(id)).collect();
        let place = |id: &Arc<str>| ids.iter().position(|known| known == id);
        let alive = self.ledger.common.alive().into_iter();
        let budgets = alive.filter_map(|budget| Some((place(&budget.account.id)?, budget))).collect();
        Payer { key: None, team: None, accounts, ids: ids.into(), budgets }
    }

    /// As [`Successor::reserve`], from the other side.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn reserve(&mut self, accounts: &[Arc<str>], need: Need, now_ms: u64) -> Result<(u64, Vec<Usd>), Refused> {
        let payer = Arc::new(self.payer(accounts));
        let (bucket, amounts) = self.ledger.reserve(&payer, need, now_ms)?.into_claim();
        for (account, amount) in accounts.iter().zip(&amounts) {
            self.note(account, bucket, *amount);
        }
        Ok((bucket, amounts))
    }

    /// As [`Successor::extend`], from the other side.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn extend(&mut self, claimed: &Claimed, upto: Usd) -> Result<Vec<Usd>, Refused> {
        let payer = self.payer(&claimed.accounts);
        let mut amounts = claimed.amounts.clone();
        match self.ledger.extend_or_ask(&payer, claimed.bucket, &mut amounts, upto)? {
            Extended::Yes => {}
            Extended::Asked(short) => return Err(Refused::Short(short)),
            Extended::Unheard(why) => return Err(Refused::Store(why)),
        }
        for ((account, has), had) in claimed.accounts.iter().zip(&amounts).zip(&claimed.amounts) {
            self.note(account, claimed.bucket, has.minus(*had));
        }
        Ok(amounts)
    }

    /// As [`Successor::settle`], from the other side.
    pub fn settle(&mut self, claimed: &Claimed, cost: Usd) {
        let payer = self.payer(&claimed.accounts);
        self.ledger.settle(&payer, (claimed.bucket, &claimed.amounts), (cost, None));
        for (account, amount) in claimed.accounts.iter().zip(&claimed.amounts) {
            self.note(account, claimed.bucket, Usd::ZERO.minus(*amount));
        }
    }

    /// Returns what is still held.
    pub fn left(&self) -> usize {
        self.held.values().filter(|amount| **amount != Usd::ZERO).count()
    }

    /// The predecessor has ended, and all of its lines are ended in the book: gives back what is still held for it. `was_told` says that it
    /// had told of everything; otherwise, and where somebody read the book meanwhile, what was spent is read anew. Blocks.
    ///
    /// # Errors
    /// [`BookError`], where the book cannot be read: what is known stays.
    pub fn conclude(self, was_told: bool) -> Result<(), BookError> {
        let was_read = self.ledger.reads.load(Ordering::SeqCst) != self.reads;
        for ((account, bucket), amount) in &self.held {
            self.ledger.account(account).lock().hold(*bucket, Usd::ZERO.minus(*amount));
        }
        if was_told && !was_read {
            return Ok(());
        }
        let accounts: Vec<_> =
            self.ledger.common.accounts.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        accounts.iter().try_for_each(|account| {
            let mut state = account.lock();
            self.ledger.reload(&account.id, &mut state)
        })
    }
}
