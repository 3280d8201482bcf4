//! A second attempt beside a first one that takes long: whichever answers first serves, the other one is given up.
//!
//! Rule: a hedge is never why a request fails. What it lacks (a share, a place, room in a budget) keeps it from being made, and nobody hears of it
//! but the metrics; what it was refused is not held against the request. Each of the two has a bill of its own, settled once.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use super::attempt::{Answer, Call, Failure, once};
use super::chain::{is_unsent, moves_on, over};
use super::exchange::Exchange;
use super::limits::{self, Limits};
use super::money::Tab;
use super::payload::Payload;
use super::tried::{Attempt, timed};
use crate::limit::{Grant, Limiter};
use crate::plan::HedgeAfter;
use crate::provider::{Admit, CredentialState, Ear, Place};
use crate::table::{Alias, Candidate, Credential, Decision, Hedging, Standing, Target};
use crate::telemetry::{AliasMetrics, HedgeOutcome};

type Tried = Result<Answer, Box<Failure>>;
/// Within the request's time.
type Timely = Result<Tried, Elapsed>;

/// A first attempt that may get a second one beside it.
pub(super) struct Hedge<'r> {
    alias: &'r Alias,
    target: &'r Arc<Target>,
    credential: &'r Arc<Credential>,
    /// Whose target it is, and who would be tried next.
    candidates: &'r [Candidate],
    /// How long the first one is waited for.
    wait: Duration,
}

/// How the two ended.
pub(super) struct Raced {
    /// What serves, or why the first one failed.
    pub(super) result: Tried,
    /// Why the second one failed, where both did.
    pub(super) aside: Option<Box<Aside>>,
}

/// A second attempt that failed as the first did. When the chain comes to its target, it has been tried.
pub(super) struct Aside {
    target: Arc<Target>,
    credential: Arc<Credential>,
    /// Its place among the attempts.
    at: usize,
    pub(super) failure: Box<Failure>,
}

impl Aside {
    pub(super) fn is_of(&self, target: &Target, credential: &Credential) -> bool {
        std::ptr::eq(&*self.target, target) && std::ptr::eq(&*self.credential, credential)
    }

    /// Makes it one of the chain's attempts, and returns how long it took.
    pub(super) fn take_place(&self, exchange: &mut Exchange) -> Duration {
        let Some(attempt) = exchange.attempts.get_mut(self.at) else { return Duration::ZERO };
        attempt.is_beside = false;
        Duration::from_millis(attempt.took_ms)
    }
}

impl<'r> Hedge<'r> {
    /// Returns a hedge for the first attempt of a request, where its alias makes any, it is known how long to wait, and another answer is as
    /// good. Counts the request among those of which a share may be asked twice.
    pub(super) fn of(
        decision: &'r Decision,
        call: &Call<'_>,
        (target, credential): (&'r Arc<Target>, &'r Arc<Credential>),
    ) -> Option<Self> {
        let alias = decision.alias.as_deref()?;
        let hedge = alias.spec.hedge.as_ref()?;
        let kind = timed(call)?;
        alias.hedging.earn(hedge.max_share);
        let at = decision.candidates.iter().position(|candidate| Arc::ptr_eq(&candidate.target, target))?;
        let candidates = decision.candidates.get(at..)?;
        if decision.is_bound || candidates.first()?.standing != Standing::Closed {
            return None;
        }
        let wait = match hedge.after {
            HedgeAfter::Time(span) => span.get(),
            HedgeAfter::Quantile(permille) => {
                Duration::from_micros(target.health.times.quantile_us(kind, permille, call.clock.monotonic_ms())?)
            }
        };
        Some(Self { alias, target, credential, candidates, wait })
    }

    /// Lists who may be asked beside the first one: the next targets, and behind them the same with another credential.
    fn seconds(&self, now_ms: u64) -> impl Iterator<Item = (&'r Candidate, &'r Arc<Credential>)> {
        let is_well = move |candidate: &&Candidate| {
            candidate.standing == Standing::Closed && candidate.target.health.breaker.admits(now_ms) == Admit::Yes
        };
        let is_ready = move |candidate: &Candidate, credential: &Credential| {
            credential.health.state(&candidate.target.model, now_ms) == CredentialState::Ready
                && credential.health.breaker.admits(now_ms) == Admit::Yes
        };
        let (own, others) = self.candidates.split_at(1.min(self.candidates.len()));
        let (first, used) = (self.target, self.credential);
        let all = others.iter().chain(own).filter(is_well);
        let pairs = all.flat_map(|candidate| candidate.credentials.iter().map(move |credential| (candidate, credential)));
        pairs.filter(move |(candidate, credential)| {
            let is_itself = Arc::ptr_eq(&candidate.target, first) && Arc::ptr_eq(credential, used);
            !is_itself && is_ready(candidate, credential)
        })
    }

    /// Finds who is asked beside the first one, with what that holds of limits.
    async fn second(&self, call: &Call<'_>, limits: &mut Limits) -> Option<Second<'r>> {
        if !is_safe_twice(call.payload, self.alias) {
            return None;
        }
        let mut earned = Earned::spend(&self.alias.hedging)?;
        let (now_ms, asked) = (call.clock.monotonic_ms(), (call.endpoint, call.payload));
        for (Candidate { target, via, .. }, credential) in self.seconds(now_ms) {
            if limits.link_ahead(via.as_ref(), asked, call.clock).await.is_err() {
                continue;
            }
            // Without a wait: whoever stands in line for a place comes first.
            let place = target.places(&credential.name).map(|(places, bounds)| places.take(bounds, now_ms));
            if !matches!(place, Some(None))
                && target.health.breaker.may_retry(now_ms)
                && let Ok(grant) = limits::beside(target, asked, call.clock).await
            {
                earned.is_used = true;
                return Some(Second { target, credential, via: via.as_ref(), held: (grant, place.flatten()) });
            }
            limits.drop_ahead(call.clock);
        }
        None
    }
}

/// Who is asked beside the first one.
struct Second<'r> {
    target: &'r Arc<Target>,
    credential: &'r Arc<Credential>,
    via: Option<&'r Arc<[Arc<Limiter>]>>,
    held: (Option<Grant>, Option<Place>),
}

/// What a second attempt costs of the alias's share; given back where none is made.
struct Earned<'h> {
    hedging: &'h Hedging,
    is_used: bool,
}

impl<'h> Earned<'h> {
    fn spend(hedging: &'h Hedging) -> Option<Self> {
        // Made only where it is taken: dropping one gives back.
        hedging.spend().then(|| Self { hedging, is_used: false })
    }
}

impl Drop for Earned<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            self.hedging.give_back();
        }
    }
}

/// Counts what became of a second attempt, also where the client leaves.
struct Count {
    metrics: AliasMetrics,
    outcome: HedgeOutcome,
}

impl Drop for Count {
    fn drop(&mut self) {
        self.metrics.hedge(self.outcome);
    }
}

/// Waits for the first attempt, which is in the record already, and makes a second one beside it when that takes long.
pub(super) async fn race(hedge: Hedge<'_>, ear: Option<Ear>, call: &Call<'_>, deadline: Instant, exchange: &mut Exchange) -> Raced {
    let Hedge { alias, target, credential, wait, .. } = hedge;
    let number = exchange.attempts.len();
    let mut tab = None;
    let mut first = Box::pin(timeout_at(deadline, once(target, credential, Some(alias), (call, number, ear), &mut tab)));
    if let Ok(result) = timeout(wait, first.as_mut()).await {
        return alone(in_time(result, false), number, call, exchange);
    }
    let found = {
        let finding = pin!(hedge.second(call, &mut exchange.limits));
        match select(first.as_mut(), finding).await {
            Either::Left((result, _)) => Err(in_time(result, false)),
            Either::Right((second, _)) => Ok(second),
        }
    };
    let second = match found {
        Err(result) => {
            exchange.limits.drop_ahead(call.clock);
            return alone(result, number, call, exchange);
        }
        Ok(second) => second,
    };
    let Some(Second { target, credential, via, held }) = second else {
        alias.metrics.hedge(HedgeOutcome::Denied);
        let result = in_time(first.await, false);
        return alone(result, number, call, exchange);
    };
    let mut attempt = Attempt::begin(target, credential, held, call);
    attempt.is_hedge = true;
    let ear = attempt.ear();
    exchange.attempts.push(attempt);
    let count = Count { metrics: alias.metrics.clone(), outcome: HedgeOutcome::Cancelled };
    let pair = Pair { alias, number, target, credential, via, count };
    let mut other_tab = None;
    let other = Box::pin(timeout_at(deadline, once(target, credential, Some(alias), (call, number + 1, ear), &mut other_tab)));
    let (raced, lost) = pair.both((first, other), call, exchange).await;
    match lost {
        Some(lost) if lost == number => give_up(lost, tab, call, exchange),
        Some(lost) => give_up(lost, other_tab, call, exchange),
        None => {}
    }
    raced
}

/// Two attempts that run.
struct Pair<'r> {
    alias: &'r Alias,
    /// Of the first one, from 1.
    number: usize,
    /// Of the second one, as below.
    target: &'r Arc<Target>,
    credential: &'r Arc<Credential>,
    via: Option<&'r Arc<[Arc<Limiter>]>>,
    count: Count,
}

impl Pair<'_> {
    /// Waits for both, until one answers. Returns the number of the one that is given up: its call has been dropped by then.
    async fn both(
        mut self,
        (mut first, mut other): (impl Future<Output = Timely> + Unpin, impl Future<Output = Timely> + Unpin),
        call: &Call<'_>,
        exchange: &mut Exchange,
    ) -> (Raced, Option<usize>) {
        let number = self.number;
        let ended = match select(&mut first, &mut other).await {
            Either::Left((result, _)) => Either::Left(in_time(result, false)),
            Either::Right((result, _)) => Either::Right(in_time(result, true)),
        };
        match ended {
            Either::Left(Err(failure)) if !is_final(&failure, self.alias) => {
                let result = Err(failure);
                leave(&result, number, call, exchange);
                match in_time(other.await, true) {
                    Ok(answer) => (self.second_serves(answer, call, exchange).await, None),
                    Err(failure) => (Raced { result, aside: self.second_failed(failure, call, exchange) }, None),
                }
            }
            Either::Left(result) => {
                exchange.limits.drop_ahead(call.clock);
                self.count.outcome = HedgeOutcome::Lost;
                (alone(result, number, call, exchange), Some(number + 1))
            }
            Either::Right(Ok(answer)) => (self.second_serves(answer, call, exchange).await, Some(number)),
            Either::Right(Err(failure)) => {
                let aside = self.second_failed(failure, call, exchange);
                let Raced { result, .. } = alone(in_time(first.await, false), number, call, exchange);
                if result.is_ok() {
                    exchange.limits.drop_ahead(call.clock);
                }
                (Raced { aside: aside.filter(|_| result.is_err()), result }, None)
            }
        }
    }

    async fn second_serves(mut self, answer: Answer, call: &Call<'_>, exchange: &mut Exchange) -> Raced {
        self.count.outcome = HedgeOutcome::Won;
        // What it holds ahead becomes what the request holds: there is nothing to wait for, and nobody who could refuse.
        let _ = exchange.limits.link(self.via, (call.endpoint, call.payload), call.clock, &exchange.gateway_metrics).await;
        alone(Ok(answer), self.number + 1, call, exchange)
    }

    /// Notes the failure. None where nothing was sent: then there was no second attempt.
    fn second_failed(&mut self, failure: Box<Failure>, call: &Call<'_>, exchange: &mut Exchange) -> Option<Box<Aside>> {
        if is_unsent(failure.error.kind) {
            self.count.outcome = HedgeOutcome::Denied;
            self.alias.hedging.give_back();
            exchange.limits.drop_ahead(call.clock);
            if let Some(grant) = exchange.attempts.pop().and_then(|attempt| attempt.grant) {
                grant.settle(0, limits::now_ns(call.clock));
            }
            return None;
        }
        self.count.outcome = HedgeOutcome::Failed;
        let result = Err(failure);
        if let Some(attempt) = leave(&result, self.number + 1, call, exchange) {
            attempt.is_beside = true;
        }
        let (target, credential) = (Arc::clone(self.target), Arc::clone(self.credential));
        result.err().map(|failure| Box::new(Aside { target, credential, at: self.number, failure }))
    }
}

fn in_time(result: Timely, is_shared: bool) -> Tried {
    result.unwrap_or_else(|_| Err(over(is_shared)))
}

/// Returns whether a failure of the first attempt is what the client is told, whatever another target would say: the request itself was refused,
/// and the alias does not go on from that.
fn is_final(failure: &Failure, alias: &Alias) -> bool {
    failure.error.kind.is_about_the_request() && !moves_on(failure.error.kind, Some(alias))
}

/// Gives up an attempt whose call has been dropped.
fn give_up(number: usize, tab: Option<Tab>, call: &Call<'_>, exchange: &mut Exchange) {
    if let Some(attempt) = number.checked_sub(1).and_then(|at| exchange.attempts.get_mut(at)) {
        attempt.lose(call);
    }
    if let Some(tab) = tab {
        tab.lose();
    }
}

/// The first attempt ended by itself.
fn alone(result: Tried, number: usize, call: &Call<'_>, exchange: &mut Exchange) -> Raced {
    conclude(&result, number, call, exchange);
    Raced { result, aside: None }
}

/// Tells an attempt how it went, and returns it. `number` counts from 1.
fn conclude<'e>(result: &Tried, number: usize, call: &Call<'_>, exchange: &'e mut Exchange) -> Option<&'e mut Attempt> {
    let attempt = number.checked_sub(1).and_then(|at| exchange.attempts.get_mut(at))?;
    attempt.conclude(result, call);
    Some(attempt)
}

/// The same for one that failed while the other one runs: whoever waits for its place does not wait for that one.
fn leave<'e>(result: &Tried, number: usize, call: &Call<'_>, exchange: &'e mut Exchange) -> Option<&'e mut Attempt> {
    let attempt = conclude(result, number, call, exchange)?;
    drop(attempt.leave_place());
    Some(attempt)
}

/// Returns whether asking twice changes nothing but the bill: not where the provider keeps what is said for a conversation that goes on, works on
/// after its answer, or acts through servers of others.
fn is_safe_twice(payload: &Payload<'_>, alias: &Alias) -> bool {
    let Payload::Json { whole, object } = payload else { return false };
    let has_mcp = |text: &[u8]| memchr::memmem::find(text, b"\"mcp\"").is_some();
    let keeps = object.has("conversation") || object.is_true("background");
    let acts = object.has("mcp_servers") || has_mcp(whole);
    let added =
        |(name, value): &(String, Vec<u8>)| matches!(name.as_str(), "conversation" | "background" | "mcp_servers") || has_mcp(value);
    !keeps && !acts && !alias.defaults.iter().chain(&alias.overrides).any(added)
}
