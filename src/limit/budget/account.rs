//! What one account spent and holds, and its windows.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use super::share::Share;
use super::window::Window;
use crate::base::Usd;
use crate::store::book::AccountWindow;

/// Who pays: a key, a team or a shared budget, by its id. Outlives tables: what was spent is never changed by an edit of the spec.
#[derive(Debug)]
pub struct Account {
    /// `key:NAME`, `team:NAME` or `budget:NAME`.
    pub id: Arc<str>,
    state: Mutex<State>,
    /// Wakes those who wait for the record that gateways share.
    pub(super) heard: Notify,
}

/// What is known of an account. Amounts by bucket of admission; windows are sums over buckets.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The latest bucket in which something was admitted: a clock that goes back a little does not reopen a window.
    latest: u64,
    /// What is known to be spent in buckets behind that: by a clock that was ahead, or before one that was behind.
    later: BTreeMap<u64, Usd>,
    /// What running requests hold.
    held: BTreeMap<u64, Usd>,
    views: Vec<View>,
}

/// What is known of one window of an account.
#[derive(Debug)]
struct View {
    window: Window,
    /// The buckets of the window as it was last looked at.
    range: Range<u64>,
    /// What was spent in them.
    spent: Usd,
    /// The same by bucket, where the window moves with each of them.
    buckets: BTreeMap<u64, Usd>,
    /// The largest share of a limit, in percent, that an alert went out for in this window.
    alerted: u16,
    /// What was spent comes from the book, and alerts of it went out when it was spent.
    is_read: bool,
    /// This node's share of the window, where gateways share the book.
    share: Option<Box<Share>>,
    /// Gone when no budget looks at it.
    users: Weak<Seat>,
}

/// How many buckets an account may be ahead of the clock, which is more than any two time zones are apart. Beyond that, the clock was wrong
/// when it was there.
pub(super) const AHEAD: u64 = 26 * 4;

/// What becomes of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alerted {
    /// A share of the limit, in percent, was reached with so much spent.
    Reached(u16, Usd),
    /// Those above this one may be reached again.
    Left(u16),
}

/// A window that is looked at, with this node's share of it.
pub(super) struct Shared<'s> {
    /// Where it is on the record.
    pub(super) of: AccountWindow,
    pub(super) share: &'s mut Share,
    /// What was spent in it.
    pub(super) spent: &'s mut Usd,
    /// What running requests hold.
    pub(super) held: Usd,
}

/// Percents by which a share must be left before it can be reached anew.
const SLACK: u16 = 5;

/// What keeps a view.
#[derive(Debug)]
pub(super) struct Seat;

impl Account {
    pub(super) fn new(id: Arc<str>) -> Self {
        Self { id, state: Mutex::default(), heard: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Moves to the bucket of a time, and returns it; never back.
    pub(super) fn arrive(&mut self, bucket: u64) -> u64 {
        if bucket > self.latest {
            self.latest = bucket;
            self.views.iter_mut().for_each(|view| view.arrive(bucket, &self.later));
            if !self.later.is_empty() {
                self.later = self.later.split_off(&bucket.saturating_add(1));
            }
        }
        self.latest
    }

    /// Returns whether the clock, which is at a bucket, was far ahead and has come back.
    pub(super) const fn is_astray(&self, bucket: u64) -> bool {
        self.latest > bucket.saturating_add(AHEAD)
    }

    /// Moves back to a bucket. What the views hold there must be read next, see [`Self::reload`].
    pub(super) fn come_back(&mut self, bucket: u64) {
        self.latest = bucket;
        for view in &mut self.views {
            view.range = view.window.around(bucket);
            if view.share.is_some() {
                view.begin_share();
            }
        }
    }

    /// Lists the windows that are looked at as they are around a bucket.
    pub(super) fn ranges_at(&self, bucket: u64) -> Vec<Range<u64>> {
        self.views.iter().map(|view| view.window.around(bucket)).collect()
    }

    /// Notes what is spent in buckets that lie ahead, of what the book holds from some bucket before on.
    fn look_ahead(&mut self, spent: &[(u64, Usd)]) {
        self.later = spent.iter().filter(|(bucket, _)| *bucket > self.latest).copied().collect();
    }

    /// Returns the view of a window that some budget looks at already.
    pub(super) fn seat(&self, window: &Window) -> Option<Arc<Seat>> {
        self.views.iter().filter(|view| view.window == *window).find_map(|view| view.users.upgrade())
    }

    /// Adds a view of a window, which in the book holds these amounts.
    pub(super) fn add_view(&mut self, window: Window, bucket: u64, (spent, is_shared): (&[(u64, Usd)], bool)) -> Arc<Seat> {
        // What is held of a window is given back before it is forgotten.
        self.views.retain(|view| view.users.strong_count() > 0 || view.share.as_ref().is_some_and(|share| share.holds_anything()));
        let bucket = self.arrive(bucket);
        self.look_ahead(spent);
        let seat = Arc::new(Seat);
        let range = window.around(bucket);
        let (users, zero) = (Arc::downgrade(&seat), Usd::ZERO);
        let mut view = View { window, range, spent: zero, buckets: BTreeMap::new(), alerted: 0, is_read: true, share: None, users };
        view.load(spent);
        if is_shared {
            view.begin_share();
        }
        self.views.push(view);
        seat
    }

    /// From here on, what there is of each window is shared with other gateways.
    pub(super) fn begin_shares(&mut self) {
        self.views.iter_mut().for_each(View::begin_share);
    }

    /// Returns the window of a seat with this node's share, where there is one.
    pub(super) fn shared(&mut self, account: &Arc<str>, seat: &Arc<Seat>) -> Option<Shared<'_>> {
        let seat = Arc::downgrade(seat);
        let Self { views, held, .. } = self;
        views.iter_mut().find(|view| view.users.ptr_eq(&seat)).and_then(|view| view.shared(account, held))
    }

    /// Lists all windows with this node's share of each, where there is one.
    pub(super) fn all_shared(&mut self, account: &Arc<str>) -> impl Iterator<Item = Shared<'_>> {
        let Self { views, held, .. } = self;
        views.iter_mut().filter_map(|view| view.shared(account, held))
    }

    /// Lists the windows that are looked at, with what of the book they need.
    pub(super) fn ranges(&self) -> Vec<Range<u64>> {
        self.views.iter().map(|view| view.range.clone()).collect()
    }

    /// Replaces what the views know, in the order of [`Self::ranges`].
    pub(super) fn reload(&mut self, spent: &[Vec<(u64, Usd)>]) {
        if let Some(any) = spent.first() {
            self.look_ahead(any);
        }
        for (view, spent) in self.views.iter_mut().zip(spent) {
            (view.alerted, view.is_read) = (0, true);
            view.load(spent);
        }
    }

    /// Returns what was spent and what is held in the window of a seat.
    pub(super) fn used(&self, seat: &Arc<Seat>) -> (Usd, Usd) {
        let Some(view) = self.view(seat) else { return (Usd::ZERO, Usd::ZERO) };
        let held = self.held.range(view.range.clone()).map(|(_, amount)| *amount).sum();
        (view.spent, held)
    }

    /// Returns when the window of a seat ends, in Unix milliseconds.
    pub(super) fn ends_ms(&self, seat: &Arc<Seat>) -> Option<u64> {
        self.view(seat).and_then(|view| view.window.ends_ms(self.latest))
    }

    /// Holds an amount for a request that was admitted in a bucket; gives back where it is negative.
    pub(super) fn hold(&mut self, bucket: u64, amount: Usd) {
        if amount == Usd::ZERO {
            return;
        }
        let held = self.held.entry(bucket).or_default();
        *held += amount;
        if *held == Usd::ZERO {
            self.held.remove(&bucket);
        }
    }

    /// Lists what running requests hold, by bucket of admission.
    pub(super) fn all_held(&self) -> Vec<(u64, Usd)> {
        self.held.iter().map(|(bucket, amount)| (*bucket, *amount)).collect()
    }

    /// Spends an amount for a request that was admitted in a bucket.
    pub(super) fn spend(&mut self, bucket: u64, cost: Usd) {
        if bucket > self.latest && cost != Usd::ZERO {
            *self.later.entry(bucket).or_default() += cost;
        }
        for view in &mut self.views {
            let is_inside = view.range.contains(&bucket);
            // A share of a window that moves was granted for what has left it, too.
            if let Some(share) = view.share.as_mut().filter(|_| is_inside || view.window.is_rolling()) {
                share.settle(cost);
            }
            if !is_inside {
                continue;
            }
            view.spent += cost;
            if view.window.is_rolling() && view.share.is_none() {
                *view.buckets.entry(bucket).or_default() += cost;
            }
        }
    }

    /// Notes the largest of the shares that are reached in the window of a seat, now that a cost was spent in a bucket, and returns it where it
    /// is a new one. One that is left by some percents, as rolling windows do, is new when it is reached again; one that the book had reached
    /// when it was read, at a start, is not.
    pub(super) fn alert(&mut self, seat: &Arc<Seat>, (limit, shares): (Usd, &[u16]), (bucket, cost): (u64, Usd)) -> Option<Alerted> {
        let seat = Arc::downgrade(seat);
        let view = self.views.iter_mut().find(|view| view.users.ptr_eq(&seat))?;
        let reached =
            |spent: Usd, share: u16| spent > Usd::ZERO && i128::from(spent.nano()) * 100 >= i128::from(limit.nano()) * i128::from(share);
        let largest = |spent: Usd| shares.iter().copied().filter(|share| reached(spent, *share)).max().unwrap_or(0);
        if std::mem::take(&mut view.is_read) {
            let before = if view.range.contains(&bucket) { view.spent.minus(cost) } else { view.spent };
            view.alerted = largest(before);
        }
        let share = largest(view.spent);
        if share < view.alerted && !reached(view.spent, view.alerted.saturating_sub(SLACK)) {
            view.alerted = share;
            return Some(Alerted::Left(share));
        }
        if share <= view.alerted {
            return None;
        }
        view.alerted = share;
        Some(Alerted::Reached(share, view.spent))
    }

    fn view(&self, seat: &Arc<Seat>) -> Option<&View> {
        let seat = Arc::downgrade(seat);
        self.views.iter().find(|view| view.users.ptr_eq(&seat))
    }
}

impl View {
    fn load(&mut self, spent: &[(u64, Usd)]) {
        let inside = spent.iter().filter(|(bucket, _)| self.range.contains(bucket));
        self.buckets = match self.window.is_rolling() {
            true => inside.clone().copied().collect(),
            false => BTreeMap::new(),
        };
        self.spent = inside.map(|(_, amount)| *amount).sum();
    }

    fn begin_share(&mut self) {
        self.share.get_or_insert_default().begin(self.window.name(&self.range));
    }

    fn shared(&mut self, account: &Arc<str>, held: &BTreeMap<u64, Usd>) -> Option<Shared<'_>> {
        let share = self.share.as_deref_mut()?;
        let buckets = self.window.open_ended(&self.range);
        let held = held.range(buckets.clone()).map(|(_, amount)| *amount).sum();
        let of = AccountWindow { account: Arc::clone(account), window: Arc::clone(&share.window), buckets };
        Some(Shared { of, share, spent: &mut self.spent, held })
    }

    /// Moves to a bucket; `later` is what is spent behind the one before.
    fn arrive(&mut self, bucket: u64, later: &BTreeMap<u64, Usd>) {
        if self.window.is_rolling() && self.share.is_some() {
            // What has left it, the record tells.
            self.range = self.window.around(bucket);
        } else if self.window.is_rolling() {
            let before = std::mem::replace(&mut self.range, self.window.around(bucket));
            for (bucket, spent) in later.range(before.end..self.range.end.max(before.end)) {
                self.spent += *spent;
                *self.buckets.entry(*bucket).or_default() += *spent;
            }
            while let Some(oldest) = self.buckets.first_entry().filter(|oldest| *oldest.key() < self.range.start) {
                self.spent = self.spent.minus(oldest.remove());
            }
        } else if !self.range.contains(&bucket) {
            self.range = self.window.around(bucket);
            // But for clocks that went wrong, nothing was ever admitted in what lies ahead.
            self.spent = later.range(self.range.clone()).map(|(_, spent)| *spent).sum();
            (self.alerted, self.is_read) = (0, self.spent > Usd::ZERO);
            if self.share.is_some() {
                self.begin_share();
            }
        }
    }
}
