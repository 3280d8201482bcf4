//! The gateway's metrics: the registry, what is in it, and where handles come from.
//!
//! Rule: whoever serves a request holds handles ([`AliasMetrics`], [`TargetMetrics`]) that were resolved when the routing table
//! was built, so recording is a few atomic additions. What other modules already count or time (connections, cooldowns,
//! breakers, live tables) is not counted twice: they register a source, which is asked at each scrape.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Metric, Registry};

use super::handle::{AliasMetrics, EndpointMetrics, Held, RuleMetrics, TargetMetrics};
use super::names::{self, Name};
use super::series::{Histogram, LATENCY, OVERHEAD, Series, Slots, Slotted};
use super::source::{Samples, Sources};
use crate::error::Kind;

/// The content type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The alias label of a request for `provider/model`.
pub const DIRECT: &str = "direct";

/// The alias label of a request that was refused before its model was known.
pub const NONE: &str = "none";

/// The model label of a target that the spec does not name: what clients may ask for has no bound.
pub const OTHER: &str = "other";

/// What a request asked for; the label `endpoint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// `/v1/chat/completions`.
    ChatCompletions,
    /// `/v1/completions`.
    Completions,
    /// `/v1/embeddings`.
    Embeddings,
    /// `/v1/responses`.
    Responses,
    /// `/v1/messages`.
    Messages,
    /// `/v1beta/models/MODEL:generateContent` and its stream.
    GenerateContent,
    /// `/model/MODEL/converse` and its stream, Bedrock's.
    Converse,
    /// `/v2/chat`, Cohere's.
    CohereChat,
    /// `/v1/rerank`.
    Rerank,
    /// Requests for the length of a prompt.
    CountTokens,
    /// `/v1/models`.
    Models,
    /// Any other path that is relayed as it is.
    Relay,
    /// A path that does not exist.
    Unknown,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 13] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::GenerateContent,
        Self::Converse,
        Self::CohereChat,
        Self::Rerank,
        Self::CountTokens,
        Self::Models,
        Self::Relay,
        Self::Unknown,
    ];

    /// Returns the label's value, which the access log uses too.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Responses => "responses",
            Self::Messages => "messages",
            Self::GenerateContent => "generate_content",
            Self::Converse => "converse",
            Self::CohereChat => "cohere_chat",
            Self::Rerank => "rerank",
            Self::CountTokens => "count_tokens",
            Self::Models => "models",
            Self::Relay => "relay",
            Self::Unknown => "unknown",
        }
    }
}

/// The statuses that are told apart; any other is counted under its class, so that an upstream cannot invent label values.
static STATUS: Slotted = Slotted {
    label: "status",
    values: &[
        "200", "400", "401", "402", "403", "404", "405", "408", "413", "422", "429", "499", "500", "502", "503", "504", "529", "1xx",
        "2xx", "3xx", "4xx", "5xx",
    ],
};

pub(super) const fn status_slot(status: u16) -> usize {
    match status {
        200 => 0,
        400 => 1,
        401 => 2,
        402 => 3,
        403 => 4,
        404 => 5,
        405 => 6,
        408 => 7,
        413 => 8,
        422 => 9,
        429 => 10,
        499 => 11,
        500 => 12,
        502 => 13,
        503 => 14,
        504 => 15,
        529 => 16,
        _ => match status / 100 {
            0 | 1 => 17,
            2 => 18,
            3 => 19,
            4 => 20,
            _ => 21,
        },
    }
}

const KINDS: usize = Kind::ALL.len();

/// The slot of an attempt that succeeded: the one after the last kind.
pub(super) const OK: usize = KINDS;

static CODES: [&str; KINDS] = with_codes([""; KINDS]);
/// The slot of an attempt that was given up because another one beside it was quicker.
pub(super) const HEDGE_LOST: usize = KINDS + 1;

static OUTCOMES: [&str; KINDS + 2] = outcomes();

const fn outcomes() -> [&'static str; KINDS + 2] {
    let mut slots = with_codes(["ok"; KINDS + 2]);
    let [.., last] = &mut slots;
    *last = "hedge_lost";
    slots
}

/// Writes the code of each kind into the slot that `kind as usize` finds.
const fn with_codes<const N: usize>(mut slots: [&'static str; N]) -> [&'static str; N] {
    let mut kinds = Kind::ALL.as_slice();
    let mut left = slots.as_mut_slice();
    while let ([kind, more @ ..], [slot, after @ ..]) = (kinds, left) {
        *slot = kind.code();
        kinds = more;
        left = after;
    }
    slots
}

/// In the order of [`Queued`].
static QUEUED: Slotted = Slotted { label: "outcome", values: &["served", "timed_out", "refused"] };
static REASON: Slotted = Slotted { label: "reason", values: &CODES };
static OUTCOME: Slotted = Slotted { label: "outcome", values: &OUTCOMES };
static HEDGE_OUTCOME: Slotted = Slotted { label: "outcome", values: &["won", "lost", "failed", "cancelled", "denied"] };
static RULE_OUTCOME: Slotted = Slotted { label: "outcome", values: &["matched", "failed"] };
static DIRECTION: Slotted = Slotted { label: "direction", values: &["input", "output"] };

/// How a wait for a place at a provider ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queued {
    /// One came free.
    Served,
    /// None did in time.
    TimedOut,
    /// There was none: it was likely to be in vain.
    Refused,
}

/// Every metric of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
    sources: Sources,
    in_flight: Gauge,
    streams_open: Gauge,
    access_log_dropped: Counter,
    refused: Slots,
    limited: Series<Counter>,
    queued: Slots,
    queue_wait: Histogram,
    config: super::config::ConfigMetrics,
}

/// The metrics whose series come and go with the spec.
#[derive(Debug)]
pub(super) struct Families {
    pub(super) requests: Series<Slots>,
    pub(super) request_duration: Series<Histogram>,
    pub(super) overhead: Series<Histogram>,
    pub(super) fallbacks: Series<Slots>,
    pub(super) time_to_first_token: Series<Histogram>,
    pub(super) attempts: Series<Slots>,
    pub(super) attempt_duration: Series<Histogram>,
    pub(super) hedges: Series<Slots>,
    pub(super) rules: Series<Slots>,
    pub(super) retries: Series<Counter>,
    pub(super) retries_denied: Series<Counter>,
    pub(super) tokens: Series<Slots>,
    pub(super) cost: Series<Counter>,
}

impl Families {
    fn new() -> Self {
        Self {
            requests: Series::new(&names::REQUESTS, || Slots::new(&STATUS)),
            request_duration: Series::new(&names::REQUEST_DURATION, || Histogram::new(LATENCY)),
            overhead: Series::new(&names::OVERHEAD, || Histogram::new(OVERHEAD)),
            fallbacks: Series::new(&names::FALLBACKS, || Slots::new(&REASON)),
            time_to_first_token: Series::new(&names::TIME_TO_FIRST_TOKEN, || Histogram::new(LATENCY)),
            attempts: Series::new(&names::ATTEMPTS, || Slots::new(&OUTCOME)),
            attempt_duration: Series::new(&names::ATTEMPT_DURATION, || Histogram::new(LATENCY)),
            hedges: Series::new(&names::HEDGES, || Slots::new(&HEDGE_OUTCOME)),
            rules: Series::new(&names::RULES, || Slots::new(&RULE_OUTCOME)),
            retries: Series::new(&names::RETRIES, Counter::default),
            retries_denied: Series::new(&names::RETRIES_DENIED, Counter::default),
            tokens: Series::new(&names::TOKENS, || Slots::new(&DIRECTION)),
            cost: Series::new(&names::COST, Counter::default),
        }
    }

    fn register(&self, registry: &mut Registry) {
        register(registry, &names::REQUESTS, self.requests.clone());
        register(registry, &names::REQUEST_DURATION, self.request_duration.clone());
        register(registry, &names::OVERHEAD, self.overhead.clone());
        register(registry, &names::TIME_TO_FIRST_TOKEN, self.time_to_first_token.clone());
        register(registry, &names::ATTEMPTS, self.attempts.clone());
        register(registry, &names::ATTEMPT_DURATION, self.attempt_duration.clone());
        register(registry, &names::FALLBACKS, self.fallbacks.clone());
        register(registry, &names::HEDGES, self.hedges.clone());
        register(registry, &names::RULES, self.rules.clone());
        register(registry, &names::RETRIES, self.retries.clone());
        register(registry, &names::RETRIES_DENIED, self.retries_denied.clone());
        register(registry, &names::TOKENS, self.tokens.clone());
        register(registry, &names::COST, self.cost.clone());
    }
}

/// Registers one metric under its name.
pub(super) fn register(registry: &mut Registry, name: &'static Name, metric: impl Metric) {
    registry.register(name.name, name.help, metric);
}

impl Metrics {
    /// Makes the process's metrics; `build_info` is set.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix(names::PREFIX);
        let families = Arc::new(Families::new());
        families.register(&mut registry);
        let refused = Series::new(&names::REFUSED, || Slots::new(&REASON));
        register(&mut registry, &names::REFUSED, refused.clone());
        let limited = Series::new(&names::LIMITED, Counter::default);
        register(&mut registry, &names::LIMITED, limited.clone());
        let queued = Series::new(&names::QUEUED, || Slots::new(&QUEUED));
        register(&mut registry, &names::QUEUED, queued.clone());
        let queue_wait = Series::new(&names::QUEUE_WAIT, || Histogram::new(LATENCY));
        register(&mut registry, &names::QUEUE_WAIT, queue_wait.clone());
        let (in_flight, streams_open, access_log_dropped) = (Gauge::default(), Gauge::default(), Counter::default());
        register(&mut registry, &names::IN_FLIGHT, in_flight.clone());
        register(&mut registry, &names::STREAMS_OPEN, streams_open.clone());
        register(&mut registry, &names::ACCESS_LOG_DROPPED, access_log_dropped.clone());
        let config = super::config::ConfigMetrics::register(&mut registry);
        let sources = Sources::default();
        registry.register_collector(Box::new(sources.clone()));
        sources.add(|samples| samples.add(&names::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1));
        Arc::new(Self {
            registry,
            families,
            sources,
            in_flight,
            streams_open,
            access_log_dropped,
            refused: refused.get(&[]),
            limited,
            queued: queued.get(&[]),
            queue_wait: queue_wait.get(&[]),
            config,
        })
    }

    /// Encodes everything in the OpenMetrics text format; see [`CONTENT_TYPE`]. Asks every source.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail, and neither does any of our encoders by itself.
        if text::encode(&mut text, &self.registry).is_err() {
            tracing::error!("metrics could not be encoded");
        }
        text
    }

    /// Resolves the handle of one alias (or [`DIRECT`], [`NONE`]). For the builder of a routing table, not for each request.
    pub fn alias(&self, alias: &str) -> AliasMetrics {
        AliasMetrics::new(&self.families, alias)
    }

    /// Resolves the handle of one alias at one endpoint.
    pub fn endpoint(&self, endpoint: Endpoint, alias: &str) -> EndpointMetrics {
        EndpointMetrics::new(&self.families, endpoint, alias)
    }

    /// Resolves the handle of one target. For the builder of a routing table, not for each request. A model that the spec
    /// does not name is recorded as [`OTHER`].
    pub fn target(&self, provider: &str, model: &str) -> TargetMetrics {
        TargetMetrics::new(&self.families, provider, model)
    }

    /// Resolves the handle of one rule. For the builder of a routing table, not for each request.
    pub fn rule(&self, rule: &str) -> RuleMetrics {
        RuleMetrics::new(&self.families, rule)
    }

    /// Counts a request that the gateway refused itself.
    pub fn refused(&self, kind: Kind) {
        self.refused.add(kind as usize, 1);
    }

    /// Counts what a limit kept back: on what the limit is set, and what it limits. Takes a lock, which only refusals pay for.
    pub fn limited(&self, scope: &str, limit: &str) {
        self.limited.get(&[scope, limit]).inc();
    }

    /// Counts a request that found every target taken, and how long it waited.
    pub fn queued(&self, outcome: Queued, waited: Duration) {
        self.queued.add(outcome as usize, 1);
        self.queue_wait.observe(waited);
    }

    /// Counts a request as being served until the guard drops; none where `limit` requests are being served already.
    pub fn admit(&self, limit: u32) -> Option<Held> {
        Held::within(&self.in_flight, limit)
    }

    /// Returns how many requests are being served.
    pub fn requests_in_flight(&self) -> u64 {
        u64::try_from(self.in_flight.get()).unwrap_or_default()
    }

    /// Counts a streamed answer as open until the guard drops.
    pub fn stream_open(&self) -> Held {
        Held::new(&self.streams_open)
    }

    /// Returns the counter of lost access log lines, for [`super::AccessLog::open`].
    pub fn access_log_dropped(&self) -> Counter {
        self.access_log_dropped.clone()
    }

    /// Returns the metrics of reloads.
    pub const fn config(&self) -> &super::config::ConfigMetrics {
        &self.config
    }

    /// Registers something that is asked at each scrape for what it counts itself. It must be quick and must not block.
    pub fn add_source(&self, source: impl Fn(&mut Samples) + Send + Sync + 'static) {
        self.sources.add(source);
    }

    /// Forgets the series of aliases that `keep` refuses; [`DIRECT`] and [`NONE`] stay. Handles that running requests hold
    /// stay usable and are no longer shown. Call it after a reload has been committed.
    pub fn retain_aliases(&self, keep: impl Fn(&str) -> bool) {
        let keep = |alias: Option<&Arc<str>>| alias.is_none_or(|alias| matches!(&**alias, DIRECT | NONE) || keep(alias));
        self.families.requests.retain(|labels| keep(labels.get(1)));
        self.families.request_duration.retain(|labels| keep(labels.get(1)));
        self.families.fallbacks.retain(|labels| keep(labels.first()));
        self.families.hedges.retain(|labels| keep(labels.first()));
    }

    /// Forgets the series of rules that `keep` refuses. Call it after a reload has been committed.
    pub fn retain_rules(&self, keep: impl Fn(&str) -> bool) {
        self.families.rules.retain(|labels| labels.first().is_some_and(|rule| keep(rule)));
    }

    /// Forgets the series of targets that `keep(provider, model)` refuses, and of providers of which none is kept. `keep` is
    /// asked about [`OTHER`] too. Call it after a reload has been committed.
    pub fn retain_targets(&self, keep: impl Fn(&str, &str) -> bool) {
        let families = &self.families;
        let mut providers = std::collections::BTreeSet::new();
        let pairs = families.attempts.keys();
        for pair in &pairs {
            if let [provider, model] = pair.as_slice()
                && keep(provider, model)
            {
                providers.insert(Arc::clone(provider));
            }
        }
        let kept = |labels: &[Arc<str>]| matches!(labels, [provider, model] if keep(provider, model));
        families.attempts.retain(kept);
        families.time_to_first_token.retain(kept);
        families.tokens.retain(kept);
        families.cost.retain(kept);
        families.attempt_duration.retain(|labels| labels.first().is_some_and(|provider| providers.contains(provider)));
        for series in [&families.retries, &families.retries_denied] {
            series.retain(|labels| labels.first().is_some_and(|provider| providers.contains(provider)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_counted_in_the_slot_of_its_own_code() {
        for kind in Kind::ALL {
            assert_eq!(CODES[kind as usize], kind.code());
            assert_eq!(OUTCOMES[kind as usize], kind.code());
        }
        assert_eq!(OUTCOMES[OK], "ok");
    }

    #[test]
    fn a_status_is_counted_as_itself_or_as_its_class() {
        for status in 0..=u16::from(u8::MAX) * 3 {
            let label = STATUS.values[status_slot(status)];
            if label.ends_with("xx") {
                let class = (status / 100).clamp(1, 5);
                assert_eq!(label, format!("{class}xx"), "{status}");
            } else {
                assert_eq!(label, status.to_string());
            }
        }
    }

    #[test]
    fn an_endpoint_finds_its_own_slot() {
        for (at, endpoint) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(endpoint as usize, at);
        }
    }
}
