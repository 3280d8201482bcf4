//! The record of one request, written exactly once: at the end of its answer, or when the client is gone.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Method, Uri};

use super::Gateway;
use crate::base::Clock;
use crate::error::Kind;
use crate::table::{Alias, Key, RoutingTable, Target};
use crate::telemetry::{AccessEntry, AccessLog, AliasMetrics, AttemptEntry, Endpoint, Held, Metrics, RequestId};
use crate::wire::openai_chat::Usage;

/// One call of an upstream.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) target: Arc<Target>,
    pub(super) credential: String,
    pub(super) failure: Option<Kind>,
    pub(super) status: Option<u16>,
    pub(super) took_ms: u64,
}

/// What is known of a request, and where it is written.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gateway_metrics: Arc<Metrics>,
    /// Of what serves; of nothing yet where the request was refused before that was known.
    pub(super) metrics: AliasMetrics,
    pub(super) log: AccessLog,
    pub(super) id: RequestId,
    pub(super) arrived_unix_ms: u64,
    pub(super) arrived_ms: u64,
    pub(super) revision: u64,
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) endpoint: Endpoint,
    pub(super) key: Option<Arc<Key>>,
    pub(super) model: Option<String>,
    pub(super) alias: Option<Arc<Alias>>,
    pub(super) rule: Option<String>,
    pub(super) attempts: Vec<Attempt>,
    pub(super) status: u16,
    pub(super) error: Option<Kind>,
    pub(super) stream: bool,
    pub(super) ttft_ms: Option<u64>,
    pub(super) usage: Option<Usage>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) in_flight: Option<Held>,
    pub(super) done: bool,
}

impl Exchange {
    /// Begins the record of a request.
    pub(super) fn begin(gateway: &Gateway, table: &RoutingTable, head: &Parts) -> Self {
        let unix_ms = gateway.clock.unix_ms();
        Self {
            clock: Arc::clone(&gateway.clock),
            gateway_metrics: Arc::clone(&gateway.services.metrics),
            metrics: table.unnamed.none.clone(),
            log: gateway.log.clone(),
            id: gateway.ids.next(unix_ms),
            arrived_unix_ms: unix_ms,
            arrived_ms: gateway.clock.monotonic_ms(),
            revision: table.revision,
            method: head.method.clone(),
            uri: head.uri.clone(),
            endpoint: Endpoint::Unknown,
            key: None,
            model: None,
            alias: None,
            rule: None,
            attempts: Vec::new(),
            status: 500,
            error: None,
            stream: false,
            ttft_ms: None,
            usage: None,
            bytes_in: 0,
            bytes_out: 0,
            in_flight: Some(gateway.services.metrics.in_flight()),
            done: false,
        }
    }

    /// Counts bytes that went to the client.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }

    /// Writes the record; further calls do nothing.
    pub(super) fn end(&mut self) {
        self.finish(false);
    }

    fn finish(&mut self, client_gone: bool) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.in_flight = None;
        let duration_ms = self.clock.monotonic_ms().saturating_sub(self.arrived_ms);
        let status = if client_gone { 499 } else { self.status };
        self.metrics.endpoint(self.endpoint).record_request(status, Duration::from_millis(duration_ms));
        if let (true, Some(kind)) = (self.attempts.is_empty(), self.error) {
            self.gateway_metrics.refused(kind);
        }
        let last = self.attempts.last();
        if let (Some(usage), Some(last)) = (self.usage, last) {
            last.target.metrics.tokens(usage.input, usage.output);
        }
        if self.log.enabled() {
            self.write(duration_ms, status, client_gone);
        }
    }

    fn write(&self, duration_ms: u64, status: u16, client_gone: bool) {
        let attempts: Vec<_> = self.attempts.iter().map(Attempt::entry).collect();
        let served = self.attempts.last().filter(|attempt| attempt.failure.is_none());
        let upstream_ms: u64 = self.attempts.iter().map(|attempt| attempt.took_ms).sum();
        self.log.write(&AccessEntry {
            unix_ms: self.arrived_unix_ms,
            request_id: self.id.as_str(),
            revision: self.revision,
            method: self.method.as_str(),
            path: self.uri.path(),
            endpoint: Some(self.endpoint),
            key: self.key.as_ref().map(|key| key.name.as_str()),
            team: self.key.as_ref().and_then(|key| key.spec.team.as_deref()),
            model: self.model.as_deref(),
            alias: self.alias.as_ref().map(|alias| alias.name.as_str()),
            rule: self.rule.as_deref(),
            target: served.map(|attempt| (attempt.target.provider.name.as_str(), attempt.target.model.as_str())),
            credential: served.map(|attempt| attempt.credential.as_str()),
            attempts: &attempts,
            fallbacks: self.fallbacks(),
            status,
            error: self.error.map(Kind::code),
            stream: self.stream,
            duration_ms,
            overhead_us: if self.stream { 0 } else { duration_ms.saturating_sub(upstream_ms) * 1000 },
            ttft_ms: self.ttft_ms,
            tokens_in: self.usage.map(|usage| usage.input),
            tokens_out: self.usage.map(|usage| usage.output),
            usage_source: self.usage.map(|_| "provider"),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            client_gone,
        });
    }

    fn fallbacks(&self) -> u32 {
        let changes = self.attempts.windows(2).filter(|pair| match pair {
            [before, after] => !Arc::ptr_eq(&before.target, &after.target),
            _ => false,
        });
        u32::try_from(changes.count()).unwrap_or(u32::MAX)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.finish(true);
    }
}

impl Attempt {
    fn entry(&self) -> AttemptEntry<'_> {
        AttemptEntry {
            target: (&self.target.provider.name, &self.target.model),
            credential: Some(&self.credential),
            outcome: self.failure.map_or("ok", Kind::code),
            status: self.status,
            ms: self.took_ms,
        }
    }
}
