//! Whether a request is admitted: all of its budgets in one critical section, and where gateways share a book, a wait for what the record
//! says of those that this node's share does not cover.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use super::account::{Account, State};
use super::ledger::{Ledger, Payer, Refused};
use super::reservation::{Need, Reservation};
use super::sharing::{Message, Sharing};
use super::succession::{Claimed, Owner};
use super::terms::{Asker, Fit, Short};
use crate::base::Usd;
use crate::plan::BudgetMode;
use crate::store::book::{Book, bucket_of};

/// How long a request waits for its share.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long until it asks again for what others have to return first.
const AGAIN: Duration = Duration::from_millis(50);

/// How far a request has come with asking.
#[derive(Debug, Default)]
struct Asked {
    /// It does not wait any longer.
    is_last: bool,
    /// Answers that were heard of each budget when it began to wait, and when it last told what it is short of.
    heard: Vec<(u64, Option<u64>)>,
}

/// Why nothing is reserved yet.
enum Denied {
    Refused(Refused),
    /// The record is asked; this account hears the answer.
    Waits(Arc<Account>),
}

/// What became of a wish for more.
#[derive(Debug)]
pub(super) enum Extended {
    /// It is held.
    Yes,
    /// The record is asked; what is there until then must do.
    Asked(Vec<Short>),
    /// The successor, whose the accounts are, could not be asked; what is there must do.
    Unheard(String),
}

impl Ledger {
    /// Reserves what a request may cost, in all its budgets or in none. Where gateways share a book, with what this node holds of it.
    ///
    /// # Errors
    /// [`Refused`], naming every budget that is in the way.
    pub fn reserve(self: &Arc<Self>, payer: &Arc<Payer>, need: Need, now_ms: u64) -> Result<Reservation, Refused> {
        let mut asked = Asked { is_last: true, heard: Vec::new() };
        self.attempt(payer, need, now_ms, &mut asked).map_err(|denied| match denied {
            Denied::Refused(refused) => refused,
            Denied::Waits(_) => Refused::Short(Vec::new()),
        })
    }

    /// As [`Self::reserve`]; where gateways share a book, waits for more of it where this node does not hold enough, two seconds at most. It
    /// may be cancelled.
    ///
    /// # Errors
    /// [`Refused`]: by what the record says, or, where that does not come, because the budget wants to hear it.
    pub async fn admit(self: &Arc<Self>, payer: &Arc<Payer>, need: Need, now_ms: u64) -> Result<Reservation, Refused> {
        let mut asked = Asked::default();
        let mut account = match self.attempt(payer, need, now_ms, &mut asked) {
            Ok(reservation) => return Ok(reservation),
            Err(Denied::Refused(refused)) => return Err(refused),
            Err(Denied::Waits(account)) => account,
        };
        let until = Instant::now() + PATIENCE;
        loop {
            // From here on every answer is heard, also one that comes before anybody waits for it.
            let heard = account.heard.notified();
            let now = Instant::now();
            asked.is_last = now >= until;
            let next = match self.attempt(payer, need, now_ms, &mut asked) {
                Ok(reservation) => return Ok(reservation),
                Err(Denied::Refused(refused)) => return Err(refused),
                Err(Denied::Waits(account)) => account,
            };
            // Whether an answer came or not, it is tried again.
            let _ = tokio::time::timeout_at((now + AGAIN).min(until), heard).await;
            account = next;
        }
    }

    fn attempt(self: &Arc<Self>, payer: &Arc<Payer>, need: Need, now_ms: u64, asked: &mut Asked) -> Result<Reservation, Denied> {
        let owner = self.owner();
        let Owner::Successor(courier) = &*owner else { return self.attempt_here(payer, need, now_ms, asked) };
        // Whoever pays for nothing is nobody's business.
        if payer.accounts.is_empty() {
            return self.attempt_here(payer, need, now_ms, asked);
        }
        let reserved = match courier.successor.reserve(&payer.ids, need, now_ms) {
            // Where no budget is asked, there is nothing that the successor would have to know now.
            Err(Refused::Store(_)) if !payer.is_limited() => Ok((bucket_of(now_ms), vec![Usd::ZERO; payer.accounts.len()])),
            reserved => reserved,
        };
        let (bucket, amounts) = reserved.map_err(Denied::Refused)?;
        Ok(Reservation::new(Arc::clone(self), Arc::clone(payer), (bucket, amounts), need))
    }

    fn attempt_here(self: &Arc<Self>, payer: &Arc<Payer>, need: Need, now_ms: u64, asked: &mut Asked) -> Result<Reservation, Denied> {
        let sharing = self.sharing();
        let failure = if payer.must_be_written() || sharing.is_some() { self.book().and_then(Book::failure) } else { None };
        if let Some(failure) = &failure
            && payer.must_be_written()
        {
            return Err(Denied::Refused(Refused::Store(failure.to_string())));
        }
        // What cannot be asked is not waited for.
        asked.is_last |= failure.is_some();
        let mut states: Vec<_> = payer.accounts.iter().map(|account| account.lock()).collect();
        let now = bucket_of(now_ms);
        let arrived = payer.accounts.iter().zip(&mut states).map(|(account, state)| self.arrive(&account.id, state, now));
        let bucket = arrived.max().unwrap_or(now);
        states.iter_mut().for_each(|state| {
            state.arrive(bucket);
        });
        let mut amounts = vec![Usd::ZERO; states.len()];
        let mut wants = Wants::default();
        for (number, (place, budget)) in payer.budgets.iter().enumerate() {
            let (Some(state), Some(amount)) = (states.get_mut(*place), amounts.get_mut(*place)) else { continue };
            let asker = sharing.map(|sharing| self.asker(sharing, asked.heard.get(number).map(|(heard, _)| *heard), asked.is_last));
            match budget.fits(state, &need, asker.as_ref()) {
                Fit::Yes(needed) => *amount = (*amount).max(needed),
                Fit::Short(short) => wants.short.push(short),
                Fit::Asks(_, needed) => wants.asks.push((number, needed)),
                Fit::Fails(why) => wants.fails = Some(why),
            }
        }
        match wants {
            Wants { short, .. } if !short.is_empty() => return Err(Denied::Refused(Refused::Short(short))),
            Wants { fails: Some(why), .. } => return Err(Denied::Refused(Refused::Store(why))),
            Wants { asks, .. } if !asks.is_empty() => {
                let account = sharing.and_then(|sharing| self.ask(sharing, payer, (&mut states, &asks), asked));
                return Err(account.map_or_else(|| Denied::Refused(Refused::Short(Vec::new())), Denied::Waits));
            }
            Wants { .. } => {}
        }
        for (state, amount) in states.iter_mut().zip(&amounts) {
            state.hold(bucket, *amount);
        }
        if let Some(sharing) = sharing {
            self.look_ahead(sharing, payer, (&mut states, &amounts));
        }
        drop(states);
        Ok(Reservation::new(Arc::clone(self), Arc::clone(payer), (bucket, amounts), need))
    }

    fn asker(&self, sharing: &Sharing, since: Option<u64>, is_last: bool) -> Asker {
        Asker { epoch: sharing.record.epoch(), now_ms: self.monotonic_ms(), since, is_last }
    }

    /// Asks the record for what is missing; returns an account that hears the answer.
    fn ask(
        &self,
        sharing: &Sharing,
        payer: &Payer,
        (states, asks): (&mut [MutexGuard<'_, State>], &[(usize, Usd)]),
        asked: &mut Asked,
    ) -> Option<Arc<Account>> {
        for (place, budget) in payer.budgets.iter().skip(asked.heard.len()) {
            let shared = states.get_mut(*place).and_then(|state| state.shared(&budget.account.id, &budget.seat));
            asked.heard.push((shared.map_or(0, |shared| shared.share.heard()), None));
        }
        for (number, needed) in asks {
            let Some((place, budget)) = payer.budgets.get(*number) else { continue };
            let Some(shared) = states.get_mut(*place).and_then(|state| state.shared(&budget.account.id, &budget.seat)) else { continue };
            let terms = (sharing.record.epoch(), budget.terms.limit);
            let lacks = shared.share.lacks(shared.held.plus(*needed), shared.held, terms);
            let heard = shared.share.heard();
            let wished = asked.heard.get_mut(*number).map(|(_, wished)| wished.replace(heard) == Some(heard));
            if shared.share.wish(lacks, self.monotonic_ms(), wished.unwrap_or(false)) {
                sharing.tell(Message::Ask(Arc::clone(budget), *needed));
            }
        }
        asks.first().and_then(|(number, _)| payer.budgets.get(*number)).map(|(_, budget)| Arc::clone(&budget.account))
    }

    /// Asks for more before somebody has to wait for it.
    fn look_ahead(&self, sharing: &Sharing, payer: &Payer, (states, amounts): (&mut [MutexGuard<'_, State>], &[Usd])) {
        for (place, budget) in payer.budgets.iter().filter(|(_, budget)| budget.terms.mode != BudgetMode::Soft) {
            let amount = amounts.get(*place).copied().filter(|amount| *amount > Usd::ZERO);
            let shared = states.get_mut(*place).and_then(|state| state.shared(&budget.account.id, &budget.seat));
            let Some((amount, shared)) = amount.zip(shared) else { continue };
            if shared.share.is_low(shared.held, self.monotonic_ms()) {
                sharing.tell(Message::Ask(Arc::clone(budget), amount));
            }
        }
    }

    /// Reserves more for a request that runs, with whoever has the accounts.
    pub(super) fn extend_or_ask(&self, payer: &Payer, bucket: u64, amounts: &mut Vec<Usd>, upto: Usd) -> Result<Extended, Refused> {
        let owner = self.owner();
        let Owner::Successor(courier) = &*owner else { return self.extend(payer, bucket, amounts, upto) };
        let held = Claimed { accounts: Arc::clone(&payer.ids), bucket, amounts: amounts.clone() };
        match courier.successor.extend(&held, upto) {
            Ok(now) => {
                *amounts = now;
                Ok(Extended::Yes)
            }
            Err(Refused::Store(why)) => Ok(Extended::Unheard(why)),
            Err(refused @ Refused::Short(_)) => Err(refused),
        }
    }

    /// Reserves more for a request that runs, where a budget goes step by step.
    pub(super) fn extend(&self, payer: &Payer, bucket: u64, amounts: &mut [Usd], upto: Usd) -> Result<Extended, Refused> {
        let sharing = self.sharing();
        let mut states: Vec<_> = payer.accounts.iter().map(|account| account.lock()).collect();
        let (mut short, mut asks) = (Vec::new(), Vec::new());
        let mut wanted = amounts.to_vec();
        for (number, (place, budget)) in payer.budgets.iter().enumerate() {
            let (Some(state), Some(has), Some(wants)) = (states.get_mut(*place), amounts.get(*place), wanted.get_mut(*place)) else {
                continue;
            };
            if budget.terms.mode != BudgetMode::Progressive {
                continue;
            }
            let more = upto.minus(*has);
            let asker = sharing.map(|sharing| self.asker(sharing, None, false));
            match budget.has_room(state, (more, Some(more)), asker.as_ref()) {
                Fit::Yes(_) => *wants = (*wants).max(upto),
                Fit::Short(why) => short.push(why),
                Fit::Asks(why, needed) => asks.push((number, needed, why)),
                Fit::Fails(why) => return Err(Refused::Store(why)),
            }
        }
        if !short.is_empty() {
            return Err(Refused::Short(short));
        }
        if let Some(sharing) = sharing.filter(|_| !asks.is_empty()) {
            let numbers: Vec<(usize, Usd)> = asks.iter().map(|(number, needed, _)| (*number, *needed)).collect();
            self.ask(sharing, payer, (&mut states, &numbers), &mut Asked::default());
            return Ok(Extended::Asked(asks.into_iter().map(|(.., why)| why).collect()));
        }
        for ((state, has), wants) in states.iter_mut().zip(amounts).zip(wanted) {
            state.hold(bucket, wants.minus(*has));
            *has = wants;
        }
        Ok(Extended::Yes)
    }
}

/// What stands in a request's way.
#[derive(Default)]
struct Wants {
    short: Vec<Short>,
    /// Budgets whose record must be asked, by their place, with what is needed.
    asks: Vec<(usize, Usd)>,
    fails: Option<String>,
}
