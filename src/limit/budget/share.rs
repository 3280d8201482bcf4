//! What this node may spend in one window of an account without asking, where gateways share a book.
//!
//! The record gives shares of what is left; this is the node's own count of its share. It is never above what the record says once all that
//! was settled here is booked: what is not certain is taken as spent.

use std::sync::Arc;

use crate::base::Usd;
use crate::store::book::{Granted, Seen};

/// For how long an answer stands that says that a limit is reached: whoever asks within that is not asked for again.
const FRESH_MS: u64 = 100;
/// Looks that pass without a request until what is held is given back.
const IDLE: u8 = 5;

/// This node's share, and what it last heard.
#[derive(Debug, Default)]
pub(super) struct Share {
    /// The window's name on the record.
    pub(super) window: Arc<str>,
    /// The epoch that it belongs to; none that is, before the first grant.
    epoch: i64,
    /// What is left of it; less than nothing, where more was settled.
    left: Usd,
    /// The largest limit that it was granted under.
    limit: Usd,
    /// What the other nodes held when something was last heard.
    pub(super) others: Usd,
    /// What was settled here since the window began: tells whether anything was between two moments.
    settled: Usd,
    /// Answers heard.
    heard: u64,
    heard_ms: u64,
    /// Why the last answer was none.
    failed: Option<Arc<str>>,
    /// Somebody asks already.
    asking: bool,
    /// What waits: the least that is of use, and all of it.
    demand: Option<(Usd, Usd)>,
    /// What the last grant came to.
    granted: Usd,
    /// Looks since a request was here.
    idle: u8,
}

/// What is asked for, and what it was like here at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asking {
    pub(super) needed: Usd,
    pub(super) wanted: Usd,
    pub(super) waits: bool,
    /// Nothing was ever granted in this epoch, so that nothing may be pending when it is.
    pub(super) is_first: bool,
    /// What was settled in the window by then.
    pub(super) settled: Usd,
}

impl Share {
    /// Begins a new window. What is on its way belongs to the old one.
    pub(super) fn begin(&mut self, window: Arc<str>) {
        *self = Self { window, heard: self.heard, heard_ms: self.heard_ms, ..Self::default() };
    }

    /// Returns whether so much may be held in an epoch and under a limit.
    pub(super) fn covers(&self, held: Usd, (epoch, limit): (i64, Usd)) -> bool {
        self.epoch == epoch && self.limit <= limit && held <= self.left
    }

    /// Returns how many answers were heard.
    pub(super) const fn heard(&self) -> u64 {
        self.heard
    }

    /// Returns why the record could not be asked, where it could not.
    pub(super) fn failed(&self) -> Option<&Arc<str>> {
        self.failed.as_ref()
    }

    /// Returns whether the record was heard a moment ago. What is spent does not become less.
    pub(super) fn is_fresh(&self, now_ms: u64) -> bool {
        self.failed.is_none() && self.heard > 0 && now_ms.saturating_sub(self.heard_ms) < FRESH_MS
    }

    /// Returns what is missing to hold so much, where so much is held.
    pub(super) fn lacks(&self, total: Usd, held: Usd, (epoch, limit): (i64, Usd)) -> Usd {
        let left = match (self.epoch == epoch, self.limit <= limit) {
            (true, true) => self.left.max(Usd::ZERO),
            // What is not held is given back first.
            (true, false) => self.left.max(Usd::ZERO).min(held),
            (false, _) => Usd::ZERO,
        };
        total.minus(left)
    }

    /// Notes that a request was here.
    pub(super) const fn touch(&mut self) {
        self.idle = 0;
    }

    /// Takes something off for what was settled.
    pub(super) fn settle(&mut self, cost: Usd) {
        self.left = self.left.minus(cost);
        self.settled = self.settled.plus(cost);
    }

    /// Notes what a request is short of, unless it is known already; true where that must be asked for now.
    pub(super) fn wish(&mut self, short: Usd, now_ms: u64, is_known: bool) -> bool {
        if !(is_known && (self.asking || self.demand.is_some())) {
            let (least, all) = self.demand.unwrap_or((short, Usd::ZERO));
            self.demand = Some((least.min(short), all.plus(short)));
        }
        // What was refused a moment ago is not asked for again at once.
        let is_recent = self.heard > 0 && self.granted == Usd::ZERO && now_ms.saturating_sub(self.heard_ms) < FRESH_MS;
        let asks = !self.asking && !is_recent;
        self.asking |= asks;
        asks
    }

    /// Returns whether little is left beside what is held, so that more should be asked for before somebody has to wait.
    pub(super) fn is_low(&mut self, held: Usd, now_ms: u64) -> bool {
        let refused = self.granted == Usd::ZERO && now_ms.saturating_sub(self.heard_ms) < FRESH_MS * 10;
        let is_low = !self.asking && !refused && self.left.minus(held).nano() < self.granted.nano() / 4;
        self.asking |= is_low;
        is_low
    }

    /// Begins to ask for all that waits; for one request like the last, where nobody does.
    pub(super) fn ask(&mut self, (epoch, limit): (i64, Usd), like: Usd) -> Asking {
        let demand = self.demand.take();
        let (needed, wanted) = demand.unwrap_or((like, like));
        self.limit = self.limit.max(limit);
        Asking { needed, wanted, waits: demand.is_some(), is_first: self.epoch != epoch, settled: self.settled }
    }

    /// Takes a grant; returns what all nodes spent, as far as this one knows.
    pub(super) fn take(&mut self, asked: Asking, granted: Granted, (limit, now_ms): (Usd, u64)) -> Usd {
        let Granted { more, seen } = granted;
        let own = seen.own.unwrap_or_default();
        if self.epoch == seen.epoch {
            // What was booked beyond the share is the record's business.
            self.left = self.left.max(Usd::ZERO).plus(more).min(own);
        } else {
            // What was settled meanwhile may be booked already, or not.
            self.left = own.minus(self.settled.minus(asked.settled));
            (self.epoch, self.limit) = (seen.epoch, limit);
        }
        self.granted = more;
        self.hear(seen, now_ms);
        self.spent(seen)
    }

    /// Takes a look, begun when so much was settled and all of that was booked; returns what all nodes spent, as far as this one knows.
    pub(super) fn see(&mut self, settled: Usd, seen: Seen, now_ms: u64) -> Usd {
        self.hear(seen, now_ms);
        match seen.own {
            Some(own) if self.epoch == seen.epoch => {
                self.left = if self.settled == settled { own } else { self.left.min(own) };
                self.spent(seen)
            }
            Some(_) | None => seen.spent.plus(self.settled.minus(settled)),
        }
    }

    /// What this node settled and the record has not booked yet is what its share is smaller by.
    fn spent(&self, seen: Seen) -> Usd {
        seen.spent.plus(seen.own.unwrap_or_default().minus(self.left).max(Usd::ZERO))
    }

    fn hear(&mut self, seen: Seen, now_ms: u64) {
        self.failed = None;
        self.others = seen.others;
        (self.heard, self.heard_ms) = (self.heard.wrapping_add(1), now_ms);
    }

    /// Notes that the record could not be asked.
    pub(super) fn fail(&mut self, why: &str, now_ms: u64) {
        self.failed = Some(why.into());
        (self.heard, self.heard_ms) = (self.heard.wrapping_add(1), now_ms);
        self.granted = Usd::ZERO;
    }

    /// Notes that nobody asks any more.
    pub(super) const fn end_asking(&mut self) {
        self.asking = false;
    }

    /// Takes out what running requests do not hold, to give it back in this epoch.
    pub(super) fn spare(&mut self, held: Usd) -> (i64, Usd) {
        let spare = self.left.minus(held).max(Usd::ZERO);
        self.left = self.left.minus(spare);
        (self.epoch, spare)
    }

    /// Returns whether anything is held of a larger limit than this.
    pub(super) fn is_of_more(&self, limit: Usd) -> bool {
        self.limit > limit
    }

    /// Notes that nothing is held any more but under this limit.
    pub(super) const fn limit_to(&mut self, limit: Usd) {
        self.limit = limit;
    }

    /// Counts a look; returns what was settled by now, where the window is in use or it is everybody's turn.
    pub(super) fn look(&mut self, is_turn: bool) -> Option<Usd> {
        let is_used = self.idle < IDLE;
        self.idle = self.idle.saturating_add(1).min(IDLE);
        (is_used || is_turn).then_some(self.settled)
    }

    /// Returns whether anything is left that others may want.
    pub(super) fn holds_anything(&self) -> bool {
        self.left > Usd::ZERO
    }

    /// Returns whether nobody has used it for a while.
    pub(super) const fn is_idle(&self) -> bool {
        self.idle >= IDLE
    }
}
