//! The thread that asks the record that gateways share: for shares of budgets that are short, for what the others spent, and whether an
//! alert is news.
//!
//! Rule: the record is asked here and nowhere else, one question after the other, and no account is locked meanwhile; so what this node
//! counts and what the record says can be held against each other.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::account::{Account, Alerted, Shared, State};
use super::ledger::{Alert, Listener};
use super::share::Asking;
use super::terms::Budget;
use crate::base::{Clock, Usd};
use crate::plan::BudgetMode;
use crate::store::book::{AccountWindow, Book, BookError, Granted, Record, Seen, Shortage, Wish};

/// How often the others are asked whether they are short of what this node does not use.
const TICK: Duration = Duration::from_millis(200);
/// Ticks between two looks at the windows that are in use, and looks between two at all of them.
const TICKS: u32 = 5;
const LOOKS: u32 = 10;
/// Windows that are looked at by one question.
const AT_ONCE: usize = 500;
/// Alerts that may wait for the record.
const MOST_ALERTS: usize = 1_024;

/// What the thread is told.
pub(super) enum Message {
    /// A request is short of a budget, or the next one may be; what it needs.
    Ask(Arc<Budget>, Usd),
    /// An alert may be news.
    Alert(News),
    /// Look at everything now, and say when that is done.
    Look(SyncSender<()>),
}

/// What becomes of an alert, and where.
pub(super) struct News {
    pub(super) budget: Arc<Budget>,
    pub(super) window: Arc<str>,
    pub(super) alerted: Alerted,
}

/// What the ledger and the thread both know.
#[derive(Default)]
pub(super) struct Common {
    /// Who hears of alerts.
    pub(super) listener: OnceLock<Listener>,
    pub(super) accounts: Mutex<HashMap<Arc<str>, Arc<Account>>>,
    /// Every budget that a table holds.
    budgets: Mutex<Vec<Weak<Budget>>>,
}

impl Common {
    /// Notes the budgets of a new table.
    pub(super) fn note<'b>(&self, new: impl Iterator<Item = &'b Arc<Budget>>) {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        // Where it would have to grow, and so not for each.
        if budgets.len() == budgets.capacity() {
            budgets.retain(|budget| budget.strong_count() > 0);
        }
        budgets.extend(new.map(Arc::downgrade));
    }

    /// Lists the budgets that tables hold, and forgets those that none does any more.
    pub(super) fn alive(&self) -> Vec<Arc<Budget>> {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        budgets.retain(|budget| budget.strong_count() > 0);
        budgets.iter().filter_map(Weak::upgrade).collect()
    }
}

/// A handle of the thread, which ends with it.
pub(super) struct Sharing {
    pub(super) record: Arc<dyn Record>,
    /// How often it was asked for more.
    pub(super) asks: Arc<AtomicU64>,
    told: Option<Sender<Message>>,
    thread: Option<JoinHandle<()>>,
}

impl Sharing {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`BookError::Read`], where the system gives none.
    pub(super) fn start(book: Book, record: Arc<dyn Record>, common: Arc<Common>, clock: Arc<dyn Clock>) -> Result<Self, BookError> {
        let (told, messages) = mpsc::channel();
        let asks = Arc::<AtomicU64>::default();
        let (asked, alerts) = (Arc::clone(&asks), Vec::new());
        let worker = Worker { book, record: Arc::clone(&record), asks: asked, common, clock, alerts, has_shares: false };
        let thread = thread::Builder::new().name("book shares".to_owned()).spawn(move || worker.run(&messages));
        let thread = thread.map_err(|error| BookError::Read(error.to_string()))?;
        Ok(Self { record, asks, told: Some(told), thread: Some(thread) })
    }

    /// Tells the thread something. Never waits.
    pub(super) fn tell(&self, message: Message) {
        if let Some(told) = &self.told {
            // A thread that is gone asks nothing any more: whoever waits gives up.
            let _ = told.send(message);
        }
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        self.told = None;
        self.thread.take().map(JoinHandle::join);
    }
}

struct Worker {
    book: Book,
    record: Arc<dyn Record>,
    asks: Arc<AtomicU64>,
    common: Arc<Common>,
    clock: Arc<dyn Clock>,
    /// Alerts that the record has not judged yet.
    alerts: Vec<News>,
    has_shares: bool,
}

impl Worker {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut next = Instant::now() + TICK;
        let mut ticks = 0_u32;
        loop {
            match messages.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Message::Ask(budget, like)) => self.ask(&budget, like),
                Ok(Message::Alert(news)) => {
                    self.alerts.push(news);
                    self.judge();
                }
                Ok(Message::Look(done)) => {
                    self.look(true);
                    // Nobody has to wait.
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if Instant::now() >= next {
                ticks = ticks.wrapping_add(1);
                self.help();
                if ticks.is_multiple_of(TICKS) {
                    self.look(ticks.is_multiple_of(TICKS * LOOKS));
                    self.judge();
                }
                next = Instant::now() + TICK;
            }
        }
    }

    /// Asks for a share.
    fn ask(&mut self, budget: &Arc<Budget>, like: Usd) {
        let account = &budget.account;
        let terms = (self.record.epoch(), budget.terms.limit);
        let begun = account.lock().shared(&account.id, &budget.seat).map(|Shared { of, share, held, .. }| {
            if share.is_of_more(budget.terms.limit) {
                self.return_spare(&of, share.spare(held));
                share.limit_to(budget.terms.limit);
            }
            let asking = share.ask(terms, like);
            (of, asking)
        });
        let Some((of, asking)) = begun else { return };
        self.asks.fetch_add(1, Ordering::Relaxed);
        let answer = match budget.terms.mode {
            BudgetMode::Soft => self.seen(&of).map(Answer::Seen),
            BudgetMode::Strict | BudgetMode::Progressive => self.granted(&of, budget, asking).map(Answer::Granted),
        };
        self.has_shares = true;
        let now_ms = self.clock.monotonic_ms();
        let mut state = account.lock();
        // Of a window that is over, nobody wants to hear.
        if let Some(Shared { share, spent, .. }) = state.all_shared(&account.id).find(|shared| shared.of.window == of.window) {
            share.end_asking();
            match &answer {
                Ok(Answer::Granted(granted)) => *spent = share.take(asking, *granted, (budget.terms.limit, now_ms)),
                Ok(Answer::Seen(seen)) => *spent = share.see(asking.settled, *seen, now_ms),
                Err(error) => share.fail(&error.to_string(), now_ms),
            }
        }
        drop(state);
        account.heard.notify_waiters();
        if answer.is_ok() {
            self.evaluate(&HashSet::from([Arc::clone(&account.id)]));
        }
    }

    fn granted(&self, of: &AccountWindow, budget: &Budget, asking: Asking) -> Result<Granted, BookError> {
        let Asking { needed, wanted, waits, is_first, .. } = asking;
        if is_first {
            // What was settled before the record knows of a share must not be taken off it later.
            self.book.flush().wait()?;
        }
        self.record.grant(&Wish { of: of.clone(), limit: budget.terms.limit, needed, wanted, waits })
    }

    fn seen(&self, of: &AccountWindow) -> Result<Seen, BookError> {
        self.book.flush().wait()?;
        let seen = self.record.look(std::slice::from_ref(of))?;
        seen.first().copied().ok_or_else(|| BookError::Read("the shared book gave no answer".to_owned()))
    }

    /// Returns what others are short of and this node does not use.
    fn help(&self) {
        if !self.has_shares {
            return;
        }
        // What cannot be asked now is asked at the next tick.
        for Shortage { account: id, window } in self.record.short().unwrap_or_default() {
            let account = self.common.accounts.lock().unwrap_or_else(PoisonError::into_inner).get(&id).map(Arc::clone);
            let Some(account) = account else { continue };
            let mut state = account.lock();
            if let Some(Shared { of, share, held, .. }) = state.all_shared(&account.id).find(|shared| shared.of.window == window) {
                self.return_spare(&of, share.spare(held));
            }
        }
    }

    fn return_spare(&self, of: &AccountWindow, (epoch, spare): (i64, Usd)) {
        if spare > Usd::ZERO {
            self.record.give_back(of, epoch, spare);
        }
    }

    /// Looks at the windows that are in use, or at all, and gives back what is held of those that are not.
    fn look(&mut self, is_turn: bool) {
        let mut due: Vec<(Arc<Account>, AccountWindow, Usd)> = Vec::new();
        self.has_shares = false;
        for account in self.accounts() {
            for Shared { of, share, held, .. } in account.lock().all_shared(&account.id) {
                if share.is_idle() {
                    self.return_spare(&of, share.spare(held));
                }
                self.has_shares |= share.holds_anything();
                if let Some(settled) = share.look(is_turn) {
                    due.push((Arc::clone(&account), of, settled));
                }
            }
        }
        if due.is_empty() || self.book.flush().wait().is_err() {
            return;
        }
        for part in due.chunks(AT_ONCE) {
            let windows: Vec<AccountWindow> = part.iter().map(|(_, of, _)| of.clone()).collect();
            // Whoever is short asks by itself, and hears why there is no answer.
            let Ok(seen) = self.record.look(&windows) else { return };
            let now_ms = self.clock.monotonic_ms();
            for ((account, of, settled), seen) in part.iter().zip(seen) {
                let mut state = account.lock();
                if let Some(Shared { share, spent, .. }) = state.all_shared(&account.id).find(|shared| shared.of.window == of.window) {
                    *spent = share.see(*settled, seen, now_ms);
                }
                drop(state);
                account.heard.notify_waiters();
            }
        }
        self.evaluate(&due.iter().map(|(account, ..)| Arc::clone(&account.id)).collect());
    }

    fn accounts(&self) -> Vec<Arc<Account>> {
        self.common.accounts.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    /// Looks for shares of limits that were reached on these accounts, whoever spent it.
    fn evaluate(&mut self, accounts: &HashSet<Arc<str>>) {
        for budget in self.common.alive().into_iter().filter(|budget| accounts.contains(&budget.account.id)) {
            let news = budget.news(&mut budget.account.lock(), (0, Usd::ZERO));
            self.alerts.extend(news);
        }
        self.judge();
    }

    /// Tells of the alerts that no other node has told of. What the record does not judge now, it is asked again.
    fn judge(&mut self) {
        let mut left = Vec::new();
        for news in std::mem::take(&mut self.alerts) {
            let account = &news.budget.account.id;
            let judged = match news.alerted {
                Alerted::Left(above) => self.record.unclaim(account, &news.window, above),
                Alerted::Reached(percent, spent) => self.record.claim(account, &news.window, percent).map(|is_first| {
                    if let Some(listener) = self.common.listener.get().filter(|_| is_first) {
                        listener(&news.budget.alert(percent, spent));
                    }
                }),
            };
            if judged.is_err() && left.len() < MOST_ALERTS {
                left.push(news);
            }
        }
        self.alerts = left;
    }
}

/// What the record answered.
enum Answer {
    Granted(Granted),
    Seen(Seen),
}

impl Budget {
    /// Returns what becomes of its alerts, now that a cost was spent in a bucket.
    pub(super) fn news(self: &Arc<Self>, state: &mut State, spent: (u64, Usd)) -> Option<News> {
        let alerted = state.alert(&self.seat, (self.terms.limit, &self.shares), spent)?;
        let window = state.shared(&self.account.id, &self.seat).map(|shared| shared.of.window).unwrap_or_default();
        Some(News { budget: Arc::clone(self), window, alerted })
    }

    pub(super) fn alert(&self, percent: u16, spent: Usd) -> Alert {
        Alert { budget: Arc::clone(&self.name), percent, spent, limit: self.terms.limit }
    }
}
