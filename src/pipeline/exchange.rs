//! The record of one request, written exactly once: at the end of its answer, or when the client is gone.

use std::sync::Arc;
use std::time::Duration;

use crate::base::Clock;
use crate::error::Kind;
use crate::table::Target;
use crate::telemetry::{AccessEntry, AccessLog, AttemptEntry, Endpoint, Held, Metrics, RequestId};
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
    pub(super) metrics: Arc<Metrics>,
    pub(super) log: AccessLog,
    pub(super) id: RequestId,
    pub(super) arrived_unix_ms: u64,
    pub(super) arrived_ms: u64,
    pub(super) revision: u64,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) endpoint: Endpoint,
    pub(super) key: Option<String>,
    pub(super) team: Option<String>,
    pub(super) model: Option<String>,
    pub(super) alias: Option<String>,
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
        let alias = self.alias.as_deref().unwrap_or(crate::telemetry::DIRECT);
        self.metrics.endpoint(self.endpoint, alias).record_request(status, Duration::from_millis(duration_ms));
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
            method: &self.method,
            path: &self.path,
            endpoint: Some(self.endpoint),
            key: self.key.as_deref(),
            team: self.team.as_deref(),
            model: self.model.as_deref(),
            alias: self.alias.as_deref(),
            rule: None,
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
