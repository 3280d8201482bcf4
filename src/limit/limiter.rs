//! The limits of one scope with its counter, and letting a request in by all that apply.

use std::sync::{Arc, OnceLock};

use super::counter::{Counter, Counters, Identity, Permit, Scope, Sharing};
use super::meter::{Level, Rate, Taken};
use super::shared;
use crate::plan;
use crate::store::rates::{SharedRates, Standing};

/// How long a request waits for a permit before it makes sense to ask again: most run longer, but permits come free all the time.
const PERMIT_WAIT_NS: u64 = 1_000_000_000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// Requests in a time.
    Requests,
    /// Tokens in a time.
    Tokens,
    /// Requests at once.
    Concurrency,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Concurrency];

    /// Returns its name in the spec and in metrics: `requests`, `tokens`, `concurrency`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrency => "concurrency",
        }
    }
}

/// The limits of one scope.
#[derive(Debug)]
pub struct Limiter {
    scope: Scope,
    name: String,
    spec: plan::RateLimits,
    requests: Option<Rate>,
    tokens: Option<Rate>,
    pub(super) counter: Arc<Counter>,
    sharing: Arc<OnceLock<Sharing>>,
    /// What its rates of requests and tokens are called where gateways count together.
    requests_name: Arc<str>,
    tokens_name: Arc<str>,
}

impl Limiter {
    /// Makes the limits of a scope, with what it has used already; nothing where nothing is limited.
    pub fn new(identity: Identity<'_>, spec: &plan::RateLimits, counters: &Counters) -> Option<Self> {
        if *spec == plan::RateLimits::default() {
            return None;
        }
        let Identity { scope, name, renamed_from, .. } = identity;
        let rate = |limit: &plan::RateLimit| {
            let period_ns = limit.rate.per.span().get().as_nanos();
            Rate::new(limit.rate.count, u64::try_from(period_ns).unwrap_or(u64::MAX), limit.at_once())
        };
        let (requests, tokens) = (spec.requests.as_ref().map(rate), spec.tokens.as_ref().map(rate));
        // By the name that all gateways read in the spec, whenever they started.
        let id = |measure: Measure| format!("{}:{}:{}", scope.label(), renamed_from.unwrap_or(name), measure.label()).into();
        Some(Self {
            scope,
            name: name.to_owned(),
            spec: spec.clone(),
            requests,
            tokens,
            counter: counters.of(identity),
            sharing: counters.sharing(),
            requests_name: id(Measure::Requests),
            tokens_name: id(Measure::Tokens),
        })
    }

    /// Returns where gateways count together, where they do.
    pub(super) fn shared(&self) -> Option<&Arc<SharedRates>> {
        self.sharing.get()?.rates.as_ref()
    }

    /// Returns what a rate is called where gateways count together.
    pub(super) const fn shared_name(&self, measure: Measure) -> &Arc<str> {
        match measure {
            Measure::Requests | Measure::Concurrency => &self.requests_name,
            Measure::Tokens => &self.tokens_name,
        }
    }

    fn gateways(&self) -> u32 {
        self.sharing.get().map_or(1, |sharing| sharing.gateways.max(1))
    }

    /// Returns the rate of a measure, where it is limited: the whole, where gateways count together, else this one's part of it.
    pub(super) fn rate(&self, measure: Measure, is_alone: bool) -> Option<Rate> {
        let whole = match measure {
            Measure::Requests => self.requests,
            Measure::Tokens => self.tokens,
            Measure::Concurrency => None,
        };
        whole.map(|rate| if is_alone || self.shared().is_none() { rate.part(self.gateways()) } else { rate })
    }

    /// Returns how many requests may run in this gateway at once. Not counted together: who holds what would have to be renewed while it runs.
    fn most_at_once(&self) -> Option<u64> {
        self.spec.concurrency.map(|most| (u64::from(most) / u64::from(self.gateways())).max(1))
    }

    /// Returns what is limited.
    pub const fn scope(&self) -> Scope {
        self.scope
    }

    /// Returns the scope's name in the spec.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the spec says.
    pub const fn spec(&self) -> &plan::RateLimits {
        &self.spec
    }

    /// Returns whether tokens are limited, so that somebody must count them.
    pub const fn counts_tokens(&self) -> bool {
        self.tokens.is_some()
    }

    /// Returns how many requests run now, where that is limited.
    pub fn in_use(&self) -> Option<u64> {
        self.spec.concurrency.map(|_| self.counter.in_use())
    }

    /// Returns how much of a measure is left, and of how much in a period; nothing where it is not limited, or not in a time.
    pub fn level(&self, measure: Measure, now_ns: u64) -> Option<Room> {
        let rate = self.rate(measure, false)?;
        let meter = match measure {
            Measure::Requests | Measure::Concurrency => &self.counter.requests,
            Measure::Tokens => &self.counter.tokens,
        };
        let Level { remaining, full_in_ns } = meter.level(&rate, now_ns);
        Some(Room { limit: rate.limit(), remaining, full_in_ns })
    }

    /// Returns what refuses a request now, and for the longest; takes nothing. `tokens`: those of the prompt, where they count.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(&self, tokens: Option<u64>, now_ns: u64) -> Result<(), Refused> {
        let counter = &self.counter;
        let requests = self.rate(Measure::Requests, false).and_then(|rate| counter.requests.peek(&rate, 1, now_ns).err());
        let tokens = self.rate(Measure::Tokens, false).zip(tokens);
        let tokens = tokens.and_then(|(rate, units)| counter.tokens.peek(&rate, units, now_ns).err());
        let is_busy = self.most_at_once().is_some_and(|most| counter.in_use() >= most);
        let waits = [(requests, Measure::Requests), (tokens, Measure::Tokens), (is_busy.then_some(PERMIT_WAIT_NS), Measure::Concurrency)];
        let longest = waits.into_iter().filter_map(|(wait_ns, measure)| Some((wait_ns?, measure))).max();
        longest.map_or(Ok(()), |(wait_ns, measure)| Err(self.refused(measure, wait_ns, now_ns)))
    }

    /// Takes a place among those that run, where that is limited.
    pub(super) fn enter(self: &Arc<Self>, now_ns: u64) -> Result<Share, Refused> {
        let mut share = Share { limiter: Arc::clone(self), requests: None, tokens: None, permit: None, is_alone: true, standing: None };
        if let Some(most) = self.most_at_once() {
            share.permit = self.counter.permit(most);
            if share.permit.is_none() {
                return Err(self.refused(Measure::Concurrency, PERMIT_WAIT_NS, now_ns));
            }
        }
        Ok(share)
    }

    fn take(self: &Arc<Self>, units: Option<u64>, now_ns: u64) -> Result<Share, Refused> {
        let counter = &self.counter;
        let mut share = self.enter(now_ns)?;
        if let Some(rate) = self.rate(Measure::Requests, true) {
            match counter.requests.take(&rate, 1, now_ns) {
                Ok(taken) => share.requests = Some(taken),
                Err(wait_ns) => return Err(self.refused(Measure::Requests, wait_ns, now_ns)),
            }
        }
        if let Some((rate, units)) = self.rate(Measure::Tokens, true).zip(units) {
            match counter.tokens.take(&rate, units, now_ns) {
                Ok(taken) => share.tokens = Some((taken, units)),
                Err(wait_ns) => {
                    share.undo();
                    return Err(self.refused(Measure::Tokens, wait_ns, now_ns));
                }
            }
        }
        Ok(share)
    }

    pub(super) fn refused(&self, measure: Measure, wait_ns: u64, now_ns: u64) -> Refused {
        let told = |limit: Option<&plan::RateLimit>| limit.map_or_else(String::new, ToString::to_string);
        let limit = match measure {
            Measure::Requests => told(self.spec.requests.as_ref()),
            Measure::Tokens => told(self.spec.tokens.as_ref()),
            Measure::Concurrency => format!("{} at once", self.most_at_once().unwrap_or_default()),
        };
        let remaining = self.level(measure, now_ns).map_or(0, |room| room.remaining);
        Refused { scope: self.scope, name: self.name.clone(), measure, limit, remaining, wait_ns }
    }
}

/// How much of a limit is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Units of one period.
    pub limit: u64,
    /// Units that could be taken at once, now: at most the burst.
    pub remaining: u64,
    /// Nanoseconds until that is the whole burst.
    pub full_in_ns: u64,
}

/// Returns how much of a measure is left by the tightest of several limits.
pub fn room<'l>(limiters: impl IntoIterator<Item = &'l Arc<Limiter>>, measure: Measure, now_ns: u64) -> Option<Room> {
    limiters
        .into_iter()
        .filter_map(|limiter| limiter.level(measure, now_ns))
        .min_by_key(|room| (room.remaining, u64::MAX - room.full_in_ns))
}

/// Why a request is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What the limit is set on.
    pub scope: Scope,
    /// Its name.
    pub name: String,
    /// What is limited.
    pub measure: Measure,
    /// The limit in words: `600/min, 60 at once`.
    pub limit: String,
    /// What is left; less than the request needs.
    pub remaining: u64,
    /// Nanoseconds until it would be let in, if nobody else came.
    pub wait_ns: u64,
}

impl Refused {
    /// Says in a few words why a target cannot be tried, without the name of its provider.
    pub const fn words(&self) -> &'static str {
        match self.measure {
            Measure::Requests => "the limit of requests to its provider is reached",
            Measure::Tokens => "the limit of tokens for its provider is reached",
            Measure::Concurrency => "its provider serves as many requests at once as it may",
        }
    }
}

/// What a request holds of the limits that let it in. Dropping it gives back its permits, and leaves what else was taken as it is.
#[derive(Debug, Default)]
#[must_use]
pub struct Grant(pub(super) Vec<Share>);

/// What a request holds of one scope's limits.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) limiter: Arc<Limiter>,
    requests: Option<Taken>,
    tokens: Option<(Taken, u64)>,
    permit: Option<Permit>,
    /// It was taken from this gateway's own count.
    pub(super) is_alone: bool,
    /// How the tokens stood when they were taken from a count that is shared, and how many they were.
    pub(super) standing: Option<(Standing, u64)>,
}

/// Returns what refuses a request now; takes nothing.
///
/// # Errors
/// The limit that keeps it out for the longest.
pub fn check(limiters: &[Arc<Limiter>], tokens: Option<u64>, now_ns: u64) -> Result<(), Refused> {
    let refusals = limiters.iter().filter_map(|limiter| limiter.check(tokens, now_ns).err());
    refusals.max_by_key(|refused| refused.wait_ns).map_or(Ok(()), Err)
}

/// Lets a request in by every limit that applies, or touches none of them. `tokens`: those of its prompt, where they count.
///
/// Two requests that ask at once for the last of something can both be refused when each is stopped by another limit as well, never
/// both let in.
///
/// # Errors
/// The limit that keeps it out for the longest.
pub fn admit(limiters: &[Arc<Limiter>], tokens: Option<u64>, now_ns: u64) -> Result<Grant, Refused> {
    check(limiters, tokens, now_ns)?;
    let mut grant = Grant(Vec::with_capacity(limiters.len()));
    for limiter in limiters {
        match limiter.take(tokens, now_ns) {
            Ok(share) => grant.0.push(share),
            // Somebody else was quicker since the look.
            Err(refused) => {
                grant.0.iter().for_each(Share::undo);
                return Err(refused);
            }
        }
    }
    Ok(grant)
}

impl Grant {
    /// Returns whether it holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Ends the request: the permits come free, and the tokens that it used take the place of those that were taken for it.
    pub fn settle(self, used_tokens: u64, now_ns: u64) {
        shared::settle(&self.0, used_tokens);
        for share in self.0.iter().filter(|share| share.is_alone) {
            let Share { limiter, tokens, .. } = share;
            let Some(rate) = limiter.rate(Measure::Tokens, true) else { continue };
            let meter = &limiter.counter.tokens;
            let units = tokens.map_or(0, |(_, units)| units);
            meter.charge(&rate, used_tokens.saturating_sub(units), now_ns);
            if let Some((taken, units)) = *tokens {
                meter.give_back(&rate, taken, units.saturating_sub(used_tokens), now_ns);
            }
        }
    }
}

impl Share {
    fn undo(&self) {
        let counter = &self.limiter.counter;
        if let Some(taken) = self.requests {
            counter.requests.undo(taken);
        }
        if let Some((taken, _)) = self.tokens {
            counter.tokens.undo(taken);
        }
    }
}
