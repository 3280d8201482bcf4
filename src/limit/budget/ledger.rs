//! Reserve → settle: all budgets of a request in one critical section, and what came of it in the book.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::account::{AHEAD, Account, Seat, State};
use super::reservation::{Need, Reservation};
use super::window::Window;
use crate::base::{Clock, Usd};
use crate::plan::{self, BudgetMode, OnStoreError};
use crate::store::book::{Adjustment, Book, BookError, Change, Closing, Opening, Ticket, bucket_of};

/// What accounts spent and hold. One for the process; tables come and go.
pub struct Ledger {
    clock: Arc<dyn Clock>,
    /// Who hears of alerts.
    listener: OnceLock<Listener>,
    book: OnceLock<Book>,
    accounts: Mutex<HashMap<Arc<str>, Arc<Account>>>,
}

/// Hears of alerts. Called where a request ends: it must not wait for anything.
pub type Listener = Box<dyn Fn(&Alert) + Send + Sync>;

/// A budget of the spec, on its account.
#[derive(Debug)]
pub struct Budget {
    /// How people know it: `growth-monthly`, or the account with its period where it is its own.
    pub name: Arc<str>,
    /// What the spec says of it.
    pub terms: plan::Budget,
    /// Who pays.
    pub account: Arc<Account>,
    /// Shares of the limit that alert, in percent, ascending.
    shares: Vec<u16>,
    window: Window,
    seat: Arc<Seat>,
}

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

/// Why a request does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Short {
    /// The budget's name.
    pub budget: Arc<str>,
    /// Its limit.
    pub limit: Usd,
    /// What is spent in its window.
    pub spent: Usd,
    /// What running requests hold.
    pub held: Usd,
    /// What the request needs; none where it has no bound.
    pub needed: Option<Usd>,
    /// When the window ends, in Unix milliseconds, where it does.
    pub ends_ms: Option<u64>,
    /// What the spec says happens now.
    pub when_exhausted: plan::WhenExhausted,
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

/// Where a budget stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is spent in the window.
    pub spent: Usd,
    /// What running requests hold.
    pub held: Usd,
    /// When the window ends, in Unix milliseconds, where it does.
    pub ends_ms: Option<u64>,
}

impl Ledger {
    /// Makes a ledger without a book: what is spent is forgotten with the process.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, listener: OnceLock::new(), book: OnceLock::new(), accounts: Mutex::default() }
    }

    /// Names who hears of alerts; the first one stays.
    pub fn listen(&self, listener: Listener) {
        drop(self.listener.set(listener));
    }

    /// Gives it its book, once, before anything is reserved. Reads it for all windows that are looked at, which blocks.
    ///
    /// # Errors
    /// [`BookError`], where the book cannot be read.
    pub fn attach(&self, book: Book) -> Result<(), BookError> {
        if self.book.set(book).is_err() {
            return Ok(());
        }
        let accounts: Vec<_> = self.accounts.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        accounts.iter().try_for_each(|account| self.reload(&account.id, &mut account.lock()))
    }

    /// Returns the book.
    pub fn book(&self) -> Option<&Book> {
        self.book.get()
    }

    fn account(&self, id: &Arc<str>) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
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
                state.add_view(window.clone(), latest.unwrap_or(0).max(bucket), &spent)
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
        book.buckets(account, from..u64::MAX)
    }

    /// Reserves what a request may cost, in all its budgets or in none.
    ///
    /// # Errors
    /// [`Refused`], naming every budget that is in the way.
    pub fn reserve(self: &Arc<Self>, payer: &Arc<Payer>, need: Need, now_ms: u64) -> Result<Reservation, Refused> {
        if payer.must_be_written()
            && let Some(failure) = self.book().and_then(Book::failure)
        {
            return Err(Refused::Store(failure.to_string()));
        }
        let mut states: Vec<_> = payer.accounts.iter().map(|account| account.lock()).collect();
        let now = bucket_of(now_ms);
        let arrived = payer.accounts.iter().zip(&mut states).map(|(account, state)| self.arrive(&account.id, state, now));
        let bucket = arrived.max().unwrap_or(now);
        states.iter_mut().for_each(|state| {
            state.arrive(bucket);
        });
        let mut amounts = vec![Usd::ZERO; states.len()];
        let mut short = Vec::new();
        for (place, budget) in &payer.budgets {
            let (Some(state), Some(amount)) = (states.get(*place), amounts.get_mut(*place)) else { continue };
            match budget.fits(state, &need) {
                Ok(needed) => *amount = (*amount).max(needed),
                Err(why) => short.push(why),
            }
        }
        if !short.is_empty() {
            return Err(Refused::Short(short));
        }
        for (state, amount) in states.iter_mut().zip(&amounts) {
            state.hold(bucket, *amount);
        }
        drop(states);
        Ok(Reservation::new(Arc::clone(self), Arc::clone(payer), (bucket, amounts), need))
    }

    /// Moves an account to the bucket of a time, and returns where it is: never back, unless it is so far ahead that the clock was wrong when it
    /// was there. Then the book says what is spent now; that is some milliseconds, once.
    fn arrive(&self, account: &str, state: &mut State, bucket: u64) -> u64 {
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

    /// Reserves more for a request that runs, where a budget goes step by step.
    pub(super) fn extend(&self, payer: &Payer, bucket: u64, amounts: &mut [Usd], upto: Usd) -> Result<(), Refused> {
        let mut states: Vec<_> = payer.accounts.iter().map(|account| account.lock()).collect();
        let mut short = Vec::new();
        let mut wanted = amounts.to_vec();
        for (place, budget) in payer.budgets.iter().filter(|(_, budget)| budget.terms.mode == BudgetMode::Progressive) {
            let (Some(state), Some(has), Some(wants)) = (states.get(*place), amounts.get(*place), wanted.get_mut(*place)) else {
                continue;
            };
            match budget.has_room(state, upto.minus(*has)) {
                Ok(()) => *wants = (*wants).max(upto),
                Err(why) => short.push(why),
            }
        }
        if !short.is_empty() {
            return Err(Refused::Short(short));
        }
        for ((state, has), wants) in states.iter_mut().zip(amounts).zip(wanted) {
            state.hold(bucket, wants.minus(*has));
            *has = wants;
        }
        Ok(())
    }

    /// Gives back what is held and spends what it cost; the book takes it in the same moment.
    pub(super) fn settle(&self, payer: &Payer, (bucket, amounts): (u64, &[Usd]), closing: Option<Closing>) {
        let mut states: Vec<_> = payer.accounts.iter().map(|account| account.lock()).collect();
        let cost = closing.as_ref().map_or(Usd::ZERO, |closing| closing.cost);
        for (state, amount) in states.iter_mut().zip(amounts) {
            state.hold(bucket, Usd::ZERO.minus(*amount));
            state.spend(bucket, cost);
        }
        if let (Some(book), Some(closing)) = (self.book(), closing) {
            book.settle(closing);
        }
        let mut alerts = Vec::new();
        for (place, budget) in payer.budgets.iter().filter(|_| cost > Usd::ZERO) {
            let reached =
                states.get_mut(*place).and_then(|state| state.alert(&budget.seat, (budget.terms.limit, &budget.shares), (bucket, cost)));
            alerts.extend(reached.map(|(percent, spent)| Alert {
                budget: Arc::clone(&budget.name),
                percent,
                spent,
                limit: budget.terms.limit,
            }));
        }
        drop(states);
        if let Some(listener) = self.listener.get() {
            alerts.iter().for_each(listener);
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
        let account = self.account(&adjustment.account);
        let mut state = account.lock();
        book.adjust(adjustment).wait()?;
        self.reload(&account.id, &mut state)
    }

    /// Makes what one account spent another's, because its owner has a new name. What runs meanwhile is charged to the old one; calling this
    /// again takes that over, too. Blocks.
    ///
    /// # Errors
    /// [`BookError`]; then nothing has changed.
    pub fn rename(&self, from: &str, to: &str, adjustment: impl FnOnce(Change) -> Adjustment) -> Result<(), BookError> {
        let Some(book) = self.book() else { return Ok(()) };
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
    fn reload(&self, account: &str, state: &mut State) -> Result<(), BookError> {
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

impl Budget {
    /// Returns where it stands at a time.
    pub fn standing(&self, now_ms: u64) -> Standing {
        let mut state = self.account.lock();
        state.arrive(bucket_of(now_ms));
        let (spent, held) = state.used(&self.seat);
        Standing { spent, held, ends_ms: state.ends_ms(&self.seat) }
    }

    /// Returns why it has no room for a request at a time, and reserves nothing.
    pub fn short_of(&self, need: &Need, now_ms: u64) -> Option<Short> {
        let mut state = self.account.lock();
        state.arrive(bucket_of(now_ms));
        self.fits(&state, need).err()
    }

    /// Returns the buckets of its window at a time.
    pub fn buckets(&self, now_ms: u64) -> Range<u64> {
        let bucket = self.account.lock().arrive(bucket_of(now_ms));
        self.window.around(bucket)
    }

    /// Returns what must be held for a request.
    fn fits(&self, state: &State, need: &Need) -> Result<Usd, Short> {
        let needed = match self.terms.mode {
            BudgetMode::Strict => need.most,
            BudgetMode::Progressive => Some(need.most.map_or(need.step, |most| most.min(need.step))),
            BudgetMode::Soft => {
                let (spent, held) = state.used(&self.seat);
                return if spent < self.terms.limit || need.is_free() {
                    Ok(Usd::ZERO)
                } else {
                    Err(self.short(state, (spent, held), need.most))
                };
            }
        };
        match needed {
            Some(needed) => self.has_room(state, needed).map(|()| needed),
            None => Err(self.short(state, state.used(&self.seat), None)),
        }
    }

    fn has_room(&self, state: &State, needed: Usd) -> Result<(), Short> {
        let (spent, held) = state.used(&self.seat);
        // What costs nothing is served whatever is spent.
        if needed <= Usd::ZERO || spent.plus(held).plus(needed) <= self.terms.limit {
            return Ok(());
        }
        Err(self.short(state, (spent, held), Some(needed)))
    }

    fn short(&self, state: &State, (spent, held): (Usd, Usd), needed: Option<Usd>) -> Short {
        Short {
            budget: Arc::clone(&self.name),
            limit: self.terms.limit,
            spent,
            held,
            needed,
            ends_ms: state.ends_ms(&self.seat),
            when_exhausted: self.terms.when_exhausted.clone(),
        }
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
