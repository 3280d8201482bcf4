//! Handles through which requests record: resolved when a table is built, cheap to clone, a few atomic additions to use.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::metrics::{Endpoint, Families, HEDGE_LOST, OK, status_slot};
use super::series::{Histogram, Slots};
use crate::base::Usd;
use crate::error::Kind;

/// Holds one unit of a gauge until it drops.
#[derive(Debug)]
#[must_use]
pub struct Held(Gauge);

impl Held {
    pub(super) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }

    /// Takes a unit unless `limit` are taken. Of two that ask for the last one at once, one gets it.
    pub(super) fn within(gauge: &Gauge, limit: u32) -> Option<Self> {
        let before = gauge.inc();
        let held = Self(gauge.clone());
        (before < i64::from(limit)).then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What became of a second try beside a first one that took long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeOutcome {
    /// It served.
    Won,
    /// The first one served.
    Lost,
    /// It failed by itself.
    Failed,
    /// The client left first.
    Cancelled,
    /// It was due, and could not be made: the share is used up, or nobody has room.
    Denied,
}

/// What requests for one alias record. Cloning shares it.
#[derive(Debug, Clone)]
pub struct AliasMetrics(Arc<AliasInner>);

#[derive(Debug)]
struct AliasInner {
    alias: Box<str>,
    families: Arc<Families>,
    /// Most aliases are used at one or two endpoints, so the others cost nothing: 10,000 aliases stay small.
    endpoints: [OnceLock<EndpointMetrics>; Endpoint::ALL.len()],
    fallbacks: OnceLock<Slots>,
    hedges: OnceLock<Slots>,
}

impl AliasMetrics {
    pub(super) fn new(families: &Arc<Families>, alias: &str) -> Self {
        let (families, endpoints) = (Arc::clone(families), Default::default());
        Self(Arc::new(AliasInner { alias: alias.into(), families, endpoints, fallbacks: OnceLock::new(), hedges: OnceLock::new() }))
    }

    /// Returns the handle for one endpoint; resolved at the first use, one atomic load after that.
    pub fn endpoint(&self, endpoint: Endpoint) -> EndpointMetrics {
        let make = || EndpointMetrics::new(&self.0.families, endpoint, &self.0.alias);
        self.0.endpoints.get(endpoint as usize).map_or_else(make, |slot| slot.get_or_init(make).clone())
    }

    /// Counts a move to the next target, with the error that caused it.
    pub fn fallback(&self, reason: Kind) {
        self.0.fallbacks.get_or_init(|| self.0.families.fallbacks.get(&[&self.0.alias])).add(reason as usize, 1);
    }

    /// Counts a second try.
    pub fn hedge(&self, outcome: HedgeOutcome) {
        self.0.hedges.get_or_init(|| self.0.families.hedges.get(&[&self.0.alias])).add(outcome as usize, 1);
    }
}

/// What requests that meet one rule record. Cloning shares it.
#[derive(Debug, Clone)]
pub struct RuleMetrics(Slots);

impl RuleMetrics {
    pub(super) fn new(families: &Families, rule: &str) -> Self {
        Self(families.rules.get(&[rule]))
    }

    /// Counts a request that the rule decided.
    pub fn matched(&self) {
        self.0.add(0, 1);
    }

    /// Counts a request on which the rule's condition failed.
    pub fn failed(&self) {
        self.0.add(1, 1);
    }
}

/// What requests at one endpoint for one alias record. Cloning shares it.
#[derive(Debug, Clone)]
pub struct EndpointMetrics(Arc<EndpointInner>);

#[derive(Debug)]
struct EndpointInner {
    requests: Slots,
    duration: Histogram,
    overhead: Histogram,
}

impl EndpointMetrics {
    pub(super) fn new(families: &Families, endpoint: Endpoint, alias: &str) -> Self {
        Self(Arc::new(EndpointInner {
            requests: families.requests.get(&[endpoint.label(), alias]),
            duration: families.request_duration.get(&[endpoint.label(), alias]),
            overhead: families.overhead.get(&[endpoint.label()]),
        }))
    }

    /// Records an answered request: the status that the client saw (499 when it had gone) and the time from head to end.
    pub fn record_request(&self, status: u16, took: Duration) {
        self.0.requests.add(status_slot(status), 1);
        self.0.duration.observe(took);
    }

    /// Records the time that a request spent in the gateway itself.
    pub fn overhead(&self, took: Duration) {
        self.0.overhead.observe(took);
    }
}

/// What attempts at one target record. Cloning shares it.
#[derive(Debug, Clone)]
pub struct TargetMetrics {
    attempts: Slots,
    duration: Histogram,
    ttft: Histogram,
    tokens: Slots,
    cost: Counter,
    retries: Counter,
    retries_denied: Counter,
}

impl TargetMetrics {
    pub(super) fn new(families: &Families, provider: &str, model: &str) -> Self {
        Self {
            attempts: families.attempts.get(&[provider, model]),
            duration: families.attempt_duration.get(&[provider]),
            ttft: families.time_to_first_token.get(&[provider, model]),
            tokens: families.tokens.get(&[provider, model]),
            cost: families.cost.get(&[provider, model]),
            retries: families.retries.get(&[provider]),
            retries_denied: families.retries_denied.get(&[provider]),
        }
    }

    /// Records an attempt: the error that ended it (`None`: it succeeded) and how long it took.
    pub fn attempt(&self, error: Option<Kind>, took: Duration) {
        self.attempts.add(error.map_or(OK, |kind| kind as usize), 1);
        self.duration.observe(took);
    }

    /// Counts an attempt that was given up because another one beside it was quicker. How long it would have taken, nobody knows.
    pub fn hedge_lost(&self) {
        self.attempts.add(HEDGE_LOST, 1);
    }

    /// Records the time from a streamed request's arrival to its first content.
    pub fn time_to_first_token(&self, took: Duration) {
        self.ttft.observe(took);
    }

    /// Records what an answer cost.
    pub fn cost(&self, cost: Usd) {
        self.cost.inc_by(u64::try_from(cost.nano()).unwrap_or_default());
    }

    /// Records tokens as the upstream reported them.
    pub fn tokens(&self, input: u64, output: u64) {
        self.tokens.add(0, input);
        self.tokens.add(1, output);
    }

    /// Counts a further try at the same target.
    pub fn retry(&self) {
        self.retries.inc();
    }

    /// Counts a further try that the target was spared, because it failed already and took enough of them.
    pub fn retry_denied(&self) {
        self.retries_denied.inc();
    }
}
