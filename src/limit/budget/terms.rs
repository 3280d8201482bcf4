//! A budget on its account: where it stands, and whether a request fits.
//!
//! Where gateways share a book, what this node holds a share of fits at once; what is more, the record decides: nobody is refused on what
//! this node alone believes.

use std::ops::Range;
use std::sync::Arc;

use super::account::{Account, Seat, State};
use super::reservation::Need;
use super::window::Window;
use crate::base::Usd;
use crate::plan::{self, BudgetMode, OnStoreError};
use crate::store::book::bucket_of;

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
    pub(super) shares: Vec<u16>,
    pub(super) window: Window,
    pub(super) seat: Arc<Seat>,
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

/// Where a budget stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What is spent in the window, by all gateways that share the book.
    pub spent: Usd,
    /// What running requests of this gateway hold.
    pub held: Usd,
    /// What the other gateways held when they were last heard of: for running requests, or in advance.
    pub others: Usd,
    /// When the window ends, in Unix milliseconds, where it does.
    pub ends_ms: Option<u64>,
}

/// How a request asks, where gateways share the book.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    /// This node's epoch.
    pub(super) epoch: i64,
    pub(super) now_ms: u64,
    /// How many answers were heard when it began to wait; none, where it has not.
    pub(super) since: Option<u64>,
    /// It does not wait any longer.
    pub(super) is_last: bool,
}

/// Whether a request fits.
#[derive(Debug)]
pub(super) enum Fit {
    /// It does, and this is to be held.
    Yes(Usd),
    /// It does not.
    Short(Short),
    /// The record must be asked first, for this.
    Asks(Short, Usd),
    /// The record cannot be asked, and the budget wants it to be.
    Fails(String),
}

impl Budget {
    /// Returns where it stands at a time.
    pub fn standing(&self, now_ms: u64) -> Standing {
        let mut state = self.account.lock();
        state.arrive(bucket_of(now_ms));
        let (spent, held) = state.used(&self.seat);
        let others = state.shared(&self.account.id, &self.seat).map_or(Usd::ZERO, |shared| shared.share.others);
        Standing { spent, held, others, ends_ms: state.ends_ms(&self.seat) }
    }

    /// Returns why it has no room for a request at a time, as far as this gateway knows, and reserves nothing.
    pub fn short_of(&self, need: &Need, now_ms: u64) -> Option<Short> {
        let mut state = self.account.lock();
        state.arrive(bucket_of(now_ms));
        match self.fits(&mut state, need, None) {
            Fit::Short(short) => Some(short),
            Fit::Yes(_) | Fit::Asks(..) | Fit::Fails(_) => None,
        }
    }

    /// Returns the buckets of its window at a time.
    pub fn buckets(&self, now_ms: u64) -> Range<u64> {
        let bucket = self.account.lock().arrive(bucket_of(now_ms));
        self.window.around(bucket)
    }

    /// Returns what must be held for a request: nothing where a budget only looks at what is spent; none where it has no bound.
    fn needed(&self, need: &Need) -> Option<Usd> {
        match self.terms.mode {
            BudgetMode::Strict => need.most,
            BudgetMode::Progressive => Some(need.most.map_or(need.step, |most| most.min(need.step))),
            BudgetMode::Soft => Some(Usd::ZERO),
        }
    }

    /// Returns whether a request fits, and what must be held for it.
    pub(super) fn fits(&self, state: &mut State, need: &Need, asker: Option<&Asker>) -> Fit {
        let Some(needed) = self.needed(need) else { return Fit::Short(self.short(state, None)) };
        match self.terms.mode {
            BudgetMode::Soft if need.is_free() => Fit::Yes(Usd::ZERO),
            BudgetMode::Soft => self.has_room(state, (needed, need.most), asker),
            BudgetMode::Strict | BudgetMode::Progressive => self.has_room(state, (needed, Some(needed)), asker),
        }
    }

    /// Returns whether so much more may be held; `told` is what people are told that the request needs.
    pub(super) fn has_room(&self, state: &mut State, (needed, told): (Usd, Option<Usd>), asker: Option<&Asker>) -> Fit {
        let is_soft = self.terms.mode == BudgetMode::Soft;
        // What costs nothing is served whatever is spent.
        if !is_soft && needed <= Usd::ZERO {
            return Fit::Yes(needed);
        }
        let (spent, held) = state.used(&self.seat);
        let limit = self.terms.limit;
        let is_within = if is_soft { spent < limit } else { spent.plus(held).plus(needed) <= limit };
        let Some((asker, shared)) = asker.zip(state.shared(&self.account.id, &self.seat)) else {
            return if is_within { Fit::Yes(needed) } else { Fit::Short(self.short(state, told)) };
        };
        shared.share.touch();
        let is_ours = if is_soft { is_within } else { shared.share.covers(held.plus(needed), (asker.epoch, limit)) };
        if is_ours {
            return Fit::Yes(needed);
        }
        let is_answered = asker.since.is_some_and(|since| since != shared.share.heard());
        let is_heard = is_answered || shared.share.is_fresh(asker.now_ms);
        let failed = shared.share.failed().filter(|_| is_answered).map(ToString::to_string);
        let failed = failed.or_else(|| (asker.is_last && !is_heard).then(|| "the shared book has not answered in time".to_owned()));
        let short = self.short(state, told);
        match (failed, self.terms.on_store_error) {
            (Some(why), OnStoreError::Deny) => Fit::Fails(why),
            // On what is known.
            (Some(_), OnStoreError::Allow) if is_within => Fit::Yes(needed),
            (Some(_), OnStoreError::Allow) => Fit::Short(short),
            (None, _) if asker.is_last || (is_heard && !is_within) => Fit::Short(short),
            (None, _) => Fit::Asks(short, needed),
        }
    }

    fn short(&self, state: &State, needed: Option<Usd>) -> Short {
        let (spent, held) = state.used(&self.seat);
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
