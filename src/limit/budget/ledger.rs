//! Reserve → settle: all budgets of a request in one critical section, and what came of it in the book.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, mpsc};

use super::account::{AHEAD, Account, Alerted, State};
use super::sharing::{Common, Message, News, Sharing};
use super::succession::{Claimed, Owner};
use super::terms::{Budget, Short};
use super::window::Window;
use crate::base::{Clock, Usd};
use crate::plan::{self, OnStoreError};
use crate::store::book::{Adjustment, Book, BookError, Change, Closing, Opening, Ticket, bucket_of};

/// What accounts spent and hold. One for the process; tables come and go.
pub struct Ledger {
    clock: Arc<dyn Clock>,
    pub(super) common: Arc<Common>,
    /// Guards whose the accounts are: whoever reserves, spends or gives back reads it meanwhile.
    pub(super) owner: RwLock<Owner>,
    /// How often the book was read.
    pub(super) reads: AtomicU64,
    /// There where gateways share the book. Ends before the book does.
    sharing: OnceLock<Sharing>,
    book: OnceLock<Book>,
}

/// Hears of alerts. Called where a request ends: it must not wait for anything.
pub type Listener = Box<dyn Fn(&Alert) + Send + Sync>;

/// What a key pays from: its accounts, and the budgets on them. Sorted by account, so that no two requests wait for each other in a circle.
#[derive(Debug, Default)]
pub struct Payer {
    /// The key's name.
    pub key: Option<Arc<str>>,
    /// Its team's.
    pub team: Option<Arc<str>>,
    pub(super) accounts: Vec<Arc<Account>>,
    /// Ids of the accounts, for the book.
    pub ids: Arc<[Arc<str>]>,
    /// Budgets with the place of their account.
    pub budgets: Vec<(usize, Arc<Budget>)>,
}

/// A budget that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The account's id.
    pub account: Arc<str>,
    /// The budget; none where the account only counts.
    pub budget: Option<(Arc<str>, plan::Budget)>,
}

/// Why nothing was reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// These budgets have no room; all of them are named.
    Short(Vec<Short>),
    /// The book cannot be written, and a budget wants it to be.
    Store(String),
}

/// A share of a budget was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The budget's name.
    pub budget: Arc<str>,
    /// The share, in percent.
    pub percent: u16,
    /// What is spent.
    pub spent: Usd,
    /// The limit.
    pub limit: Usd,
}

impl Ledger {
    /// Makes a ledger without a book: what is spent is forgotten with the process.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            common: Arc::default(),
            owner: RwLock::default(),
            reads: AtomicU64::new(0),
            sharing: OnceLock::new(),
            book: OnceLock::new(),
        }
    }

    /// Names who hears of alerts; the first one stays.
    pub fn listen(&self, listener: Listener) {
        drop(self.common.listener.set(listener));
    }

    /// Gives it its book, once, before anything is reserved. Reads it for all windows that are looked at, which blocks.
    ///
    /// # Errors
    /// [`BookError`], where the book cannot be read.
    pub fn attach(&self, book: Book) -> Result<(), BookError> {
        let record = book.record();
        if self.book.set(book.clone()).is_err() {
            return Ok(());
        }
        let is_shared = record.is_some();
        if let Some(record) = record {
            let sharing = Sharing::start(book, record, Arc::clone(&self.common), Arc::clone(&self.clock))?;
            // The book was set once, and so is this.
            drop(self.sharing.set(sharing));
        }
        let accounts: Vec<_> = self.common.accounts.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        accounts.iter().try_for_each(|account| {
            let mut state = account.lock();
            if is_shared {
                state.begin_shares();
            }
            // Nothing was booked here yet that would have to be written first.
            let read = |range: std::ops::Range<u64>| self.on_the_disk(&account.id, range.start);
            let spent: Result<Vec<_>, _> = state.ranges().into_iter().map(read).collect();
            state.reload(&spent?);
            Ok(())
        })
    }

    /// Says whose the accounts are, which does not change until the value drops.
    pub(super) fn owner(&self) -> RwLockReadGuard<'_, Owner> {
        self.owner.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sharing(&self) -> Option<&Sharing> {
        self.sharing.get()
    }

    pub(super) fn monotonic_ms(&self) -> u64 {
        self.clock.monotonic_ms()
    }

    /// Returns how often the book that gateways share was asked for more of a budget.
    pub fn asks(&self) -> u64 {
        self.sharing().map_or(0, |sharing| sharing.asks.load(Ordering::Relaxed))
    }

    /// Looks at what the other gateways did that share the book, where any do. Blocks.
    pub fn look(&self) {
        let Some(sharing) = self.sharing() else { return };
        let (done, is_done) = mpsc::sync_channel(1);
        sharing.tell(Message::Look(done));
        // A thread that is gone looks at nothing: what is known stays.
        let _ = is_done.recv();
    }

    /// Returns the book.
    pub fn book(&self) -> Option<&Book> {
        self.book.get()
    }

    pub(super) fn account(&self, id: &Arc<str>) -> Arc<Account> {
        let mut accounts = self.common.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.entry(Arc::clone(id)).or_insert_with(|| Arc::new(Account::new(Arc::clone(id)))))
    }

    /// Makes what a key pays from. Reads the book for windows that nobody looks at yet, which blocks.
    ///
    /// # Errors
    /// [`BookError`], where the book cannot be read.
    pub fn payer(&self, (key, team): (Option<&str>, Option<&str>), wanted: &[Wanted]) -> Result<Payer, BookError> {
        let now_ms = self.clock.unix_ms();
        let mut accounts: Vec<Arc<Account>> = Vec::new();
        let mut budgets = Vec::new();
        for wanted in wanted {
            let account = self.account(&wanted.account);
            if !accounts.iter().any(|known| known.id == account.id) {
                accounts.push(Arc::clone(&account));
            }
            if let Some((name, terms)) = &wanted.budget {
                budgets.push(Arc::new(self.budget(Arc::clone(name), terms, account, now_ms)?));
            }
        }
        self.common.note(budgets.iter());
        accounts.sort_by(|a, b| a.id.cmp(&b.id));
        let place = |budget: &Arc<Budget>| accounts.iter().position(|account| account.id == budget.account.id).unwrap_or(0);
        let budgets = budgets.into_iter().map(|budget| (place(&budget), budget)).collect();
        let ids = accounts.iter().map(|account| Arc::clone(&account.id)).collect();
        Ok(Payer { key: key.map(Arc::from), team: team.map(Arc::from), accounts, ids, budgets })
    }

    fn budget(&self, name: Arc<str>, terms: &plan::Budget, account: Arc<Account>, now_ms: u64) -> Result<Budget, BookError> {
        let window = Window::new(terms.period, &terms.timezone);
        // Whoever settles now waits, so that nothing is counted twice or not at all. That is some milliseconds, when a budget is new.
        let mut state = account.lock();
        let seat = match state.seat(&window) {
            Some(seat) => seat,
            None => {
                let bucket = bucket_of(now_ms);
                let spent = self.read(&account.id, window.around(bucket).start)?;
                let latest = spent.iter().map(|(bucket, _)| *bucket).filter(|latest| *latest <= bucket + AHEAD).max();
                state.add_view(window.clone(), latest.unwrap_or(0).max(bucket), (&spent, self.sharing().is_some()))
            }
        };
        drop(state);
        let shares = terms.alerts.iter().map(|share| share.get()).collect();
        Ok(Budget { name, terms: terms.clone(), account, shares, window, seat })
    }

    /// Reads what an account spent from a bucket on, all that was settled before included.
    fn read(&self, account: &str, from: u64) -> Result<Vec<(u64, Usd)>, BookError> {
        let Some(book) = self.book() else { return Ok(Vec::new()) };
        book.flush().wait()?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.on_the_disk(account, from)
    }

    /// As [`Self::read`], without what still waits.
    fn on_the_disk(&self, account: &str, from: u64) -> Result<Vec<(u64, Usd)>, BookError> {
        self.book().map_or_else(|| Ok(Vec::new()), |book| book.buckets(account, from..u64::MAX))
    }

    /// Moves an account to the bucket of a time, and returns where it is: never back, unless it is so far ahead that the clock was wrong when it
    /// was there. Then the book says what is spent now; that is some milliseconds, once.
    pub(super) fn arrive(&self, account: &str, state: &mut State, bucket: u64) -> u64 {
        if state.is_astray(bucket) {
            let ranges = state.ranges_at(bucket);
            let read: Result<Vec<_>, _> = ranges.iter().map(|range| self.read(account, range.start)).collect();
            // Where the book cannot be read, what was known of that time still guards.
            if let Ok(spent) = read {
                state.come_back(bucket);
                state.reload(&spent);
                tracing::warn!(account, "the clock was far ahead and has come back; what was admitted meanwhile is booked at its time");
            }
        }
        state.arrive(bucket)
    }

    /// Gives back what is held and spends what it cost; the book takes it in the same moment.
    pub(super) fn end(&self, payer: &Payer, (bucket, amounts): (u64, &[Usd]), closing: Option<Closing>) {
        let cost = closing.as_ref().map_or(Usd::ZERO, |closing| closing.cost);
        match &*self.owner() {
            Owner::Own => self.settle(payer, (bucket, amounts), (cost, closing)),
            Owner::Successor(courier) => {
                // What is negative counts as zero, here as in the book.
                let cost = cost.max(Usd::ZERO);
                let ticket = self.book().zip(closing).map(|(book, closing)| book.close(closing));
                courier.tell(Claimed { accounts: Arc::clone(&payer.ids), bucket, amounts: amounts.to_vec() }, cost, ticket);
            }
        }
    }

    /// Gives back what is held in this process's accounts and spends what it cost.
    pub(super) fn settle(&self, payer: &Payer, (bucket, amounts): (u64, &[Usd]), (cost, closing): (Usd, Option<Closing>)) {
        let mut states: Vec<_> = payer.accounts.iter().map(|account| account.lock()).collect();
        for (state, amount) in states.iter_mut().zip(amounts) {
            state.hold(bucket, Usd::ZERO.minus(*amount));
            state.spend(bucket, cost);
        }
        if let (Some(book), Some(closing)) = (self.book(), closing) {
            book.settle(closing);
        }
        let mut alerts = Vec::new();
        for (place, budget) in payer.budgets.iter().filter(|_| cost > Usd::ZERO) {
            alerts.extend(states.get_mut(*place).and_then(|state| budget.news(state, (bucket, cost))));
        }
        drop(states);
        for news in alerts {
            match (self.sharing(), news.alerted, self.common.listener.get()) {
                (Some(sharing), _, _) => sharing.tell(Message::Alert(news)),
                (None, Alerted::Reached(percent, spent), Some(listener)) => listener(&news.budget.alert(percent, spent)),
                (None, Alerted::Reached(..), None) | (None, Alerted::Left(_), _) => {}
            }
        }
    }

    /// Opens the line of an attempt; the ticket tells when it is on the disk.
    pub(super) fn open(&self, opening: Arc<Opening>) -> Option<Ticket> {
        self.book().map(|book| book.open_line(opening))
    }

    /// Corrects what an account spent. What runs is charged when it ends. Blocks.
    ///
    /// # Errors
    /// [`BookError`]; then nothing has changed, unless it says that the book cannot be read.
    pub fn correct(&self, adjustment: Adjustment) -> Result<(), BookError> {
        let Some(book) = self.book() else { return Ok(()) };
        let owner = self.owner();
        if matches!(*owner, Owner::Successor(_)) {
            return Err(BookError::Closed);
        }
        let account = self.account(&adjustment.account);
        let mut state = account.lock();
        book.adjust(adjustment).wait()?;
        self.reload(&account.id, &mut state)?;
        let Some(sharing) = self.sharing() else { return Ok(()) };
        // What was told of before may be reached again.
        for budget in self.common.alive().into_iter().filter(|budget| Arc::ptr_eq(&budget.account, &account)) {
            let window = state.shared(&account.id, &budget.seat).map(|shared| shared.of.window).unwrap_or_default();
            sharing.tell(Message::Alert(News { budget, window, alerted: Alerted::Left(0) }));
        }
        Ok(())
    }

    /// Takes it that an account spent so much just now. For a ledger without a book, which nobody asks later.
    pub fn assume(&self, account: &str, spent: Usd) {
        let account = self.account(&Arc::from(account));
        let mut state = account.lock();
        let bucket = state.arrive(bucket_of(self.clock.unix_ms()));
        state.spend(bucket, spent);
    }

    /// Makes what one account spent another's, because its owner has a new name. What runs meanwhile is charged to the old one; calling this
    /// again takes that over, too. Blocks.
    ///
    /// # Errors
    /// [`BookError`]; then nothing has changed.
    pub fn rename(&self, from: &str, to: &str, adjustment: impl FnOnce(Change) -> Adjustment) -> Result<(), BookError> {
        let Some(book) = self.book() else { return Ok(()) };
        let owner = self.owner();
        if matches!(*owner, Owner::Successor(_)) {
            return Err(BookError::Closed);
        }
        let mut accounts = [self.account(&Arc::from(from)), self.account(&Arc::from(to))];
        // In the order in which requests take them.
        accounts.sort_by(|a, b| a.id.cmp(&b.id));
        let mut states = accounts.each_ref().map(|account| account.lock());
        // What one spent may lie ahead of what the other has seen of the clock.
        let latest = states.iter_mut().map(|state| state.arrive(0)).max().unwrap_or(0);
        states.iter_mut().for_each(|state| {
            state.arrive(latest);
        });
        book.flush().wait()?;
        if book.buckets(from, 0..u64::MAX)?.is_empty() {
            return Ok(());
        }
        book.adjust(adjustment(Change::Take { from: Arc::from(from) })).wait()?;
        accounts.iter().zip(&mut states).try_for_each(|(account, state)| self.reload(&account.id, state))
    }

    /// Reads anew what the windows of an account hold.
    pub(super) fn reload(&self, account: &str, state: &mut State) -> Result<(), BookError> {
        let spent: Result<Vec<_>, _> = state.ranges().into_iter().map(|range| self.read(account, range.start)).collect();
        state.reload(&spent?);
        Ok(())
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("book", &self.book).finish_non_exhaustive()
    }
}

impl Payer {
    /// Returns whether a budget limits it, so that what it sends must be in the book before an answer passes.
    pub fn is_limited(&self) -> bool {
        !self.budgets.is_empty()
    }

    /// Returns whether a budget refuses what cannot be written down.
    pub fn must_be_written(&self) -> bool {
        self.budgets.iter().any(|(_, budget)| budget.terms.on_store_error == OnStoreError::Deny)
    }
}
