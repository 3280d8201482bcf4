//! The record of one request, written exactly once: at the end of its answer, or when the client is gone.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, Method};

use super::Gateway;
use super::ending::Guest;
use super::limits::{self, Limits};
use super::money::{Bill, End, Tab};
use super::reader::Reader;
use super::route;
use super::tried::Attempt;
use crate::base::{Clock, Usd};
use crate::error::{GatewayError, Kind};
use crate::limit::budget::Payer;
use crate::provider::Probe;
use crate::table::{Alias, Key, RoutingTable, Uses, max_output_tokens, uses};
use crate::telemetry::{AccessEntry, AccessLog, AliasMetrics, Endpoint, Held, Metrics, RequestId};
use crate::wire::Format;
use crate::wire::edit::Object;
use crate::wire::ir::{Metered, Usage};

/// What the end of a running stream must be told to.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) jitter: f64,
    /// The right to probe the target and the credential, held until the stream shows how they are.
    #[expect(dead_code, reason = "guards: what counts is when they are dropped")]
    pub(super) probes: [Option<Probe>; 2],
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
    pub(super) arrived_us: u64,
    /// Until the answer's head, without waits for others; none where the client left before it.
    pub(super) overhead_us: Option<u64>,
    pub(super) revision: u64,
    pub(super) method: Method,
    /// A copy: a part of the head as it came would keep all that came with it in memory, for as long as the answer takes.
    pub(super) path: Box<str>,
    pub(super) endpoint: Endpoint,
    pub(super) key: Option<Arc<Key>>,
    pub(super) model: Option<Arc<str>>,
    pub(super) alias: Option<Arc<Alias>>,
    pub(super) rule: Option<String>,
    pub(super) limits: Limits,
    pub(super) attempts: Vec<Attempt>,
    /// The attempt that serves, while it is a stream that runs.
    pub(super) open: Option<Open>,
    /// The format that the client is answered in, errors too.
    pub(super) dialect: Format,
    /// What the translation of the request lost.
    pub(super) loss: Option<String>,
    pub(super) status: u16,
    pub(super) error: Option<Kind>,
    /// What is known of the error beyond what the client is told.
    pub(super) detail: Option<String>,
    pub(super) stream: bool,
    /// What the log tells of the request beyond that; nothing where there is no log.
    pub(super) noted: Noted,
    pub(super) ttft_us: Option<u64>,
    /// What the upstream said of the cost, and our own count of the output.
    metered: Metered,
    passed: u64,
    /// Content came after the upstream last said what was used.
    is_outrun: bool,
    /// What the answer costs, while that is not settled.
    pub(super) tab: Option<Box<Tab>>,
    /// What it was settled with.
    settled: Option<Box<Tab>>,
    bill: Option<Bill>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Counted while it lives.
    pub(super) in_flight: Option<Held>,
    pub(super) stream_open: Option<Held>,
    pub(super) done: bool,
    /// Counted until the record is written: the last to drop.
    pub(super) guest: Guest,
}

/// What the log tells of a request, for whoever replays it.
#[derive(Debug, Default)]
pub(super) struct Noted {
    uses: Uses,
    max_output: Option<u64>,
    headers: Vec<(String, String)>,
}

impl Noted {
    /// Lists what the request uses.
    fn uses(&self) -> Vec<&'static str> {
        let Uses { tools, vision, json_schema } = self.uses;
        let all = [(tools, "tools"), (vision, "vision"), (json_schema, "json_schema")];
        all.into_iter().filter_map(|(is_used, word)| is_used.then_some(word)).collect()
    }
}

impl Exchange {
    /// Notes what the log is to tell of the request.
    pub(super) fn note(&mut self, body: Option<&Object<'_>>, headers: &HeaderMap, wanted: &[String]) {
        if !self.log.enabled() {
            return;
        }
        let value = |name: &String| Some((name.clone(), headers.get(name)?.to_str().ok()?.to_owned()));
        self.noted = Noted {
            uses: body.map(uses).unwrap_or_default(),
            max_output: body.and_then(max_output_tokens),
            headers: wanted.iter().filter_map(value).collect(),
        };
    }

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
            arrived_us: gateway.clock.monotonic_us(),
            overhead_us: None,
            revision: table.revision,
            method: head.method.clone(),
            path: head.uri.path().into(),
            endpoint: Endpoint::Unknown,
            key: None,
            model: None,
            alias: None,
            rule: None,
            limits: Limits::default(),
            attempts: Vec::new(),
            open: None,
            dialect: route::dialect_of(head.uri.path(), &head.headers),
            loss: None,
            status: 500,
            error: None,
            detail: None,
            stream: false,
            noted: Noted::default(),
            ttft_us: None,
            metered: Metered::default(),
            passed: 0,
            is_outrun: false,
            tab: None,
            settled: None,
            bill: None,
            bytes_in: 0,
            bytes_out: 0,
            in_flight: None,
            stream_open: None,
            done: false,
            guest: gateway.ending.enter(),
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

    /// Hears what the upstream says of the cost, and how many tokens of its output passed by our own count.
    pub(super) const fn hear(&mut self, metered: Metered, passed: u64) {
        (self.metered, self.passed) = (metered, passed);
    }

    /// Hears the same of a stream.
    pub(super) fn hear_stream(&mut self, reader: &Reader) {
        self.hear(reader.metered(), reader.content_tokens());
        self.is_outrun = reader.outran_its_usage();
    }

    /// Tells the tab how far a running stream has come.
    ///
    /// # Errors
    /// [`Kind::BudgetExceeded`], where it cannot go on.
    pub(super) fn advance(&mut self, reader: &Reader) -> Result<(), GatewayError> {
        match &mut self.tab {
            Some(tab) => tab.advance(|| reader.metered(), reader.content_tokens()),
            None => Ok(()),
        }
    }

    /// Settles what the answer costs, once. `cut` says why it is not whole, where it is not.
    pub(super) fn bill(&mut self, cut: Option<&'static str>) {
        let Some(mut tab) = self.tab.take() else { return };
        let end = match cut {
            None if !self.is_outrun => End::Whole(self.metered, self.passed),
            // A stream that came to its end without the last word on what it used is counted as one that did not.
            None | Some(_) => End::Cut(self.metered, self.passed),
        };
        let status = self.serving().and_then(|attempt| attempt.status);
        self.bill = tab.settle(end, (cut.unwrap_or("ok"), status));
        if let (Some(cost), Some(last)) = (self.cost(), self.serving()) {
            last.target.metrics.cost(cost);
        }
        self.settled = Some(tab);
    }

    /// Waits until the line of what was settled is on the disk, where a budget applies.
    ///
    /// # Errors
    /// [`Kind::LedgerUnavailable`], where a budget wants it written and it is not.
    pub(super) async fn durable(&mut self, payer: &Payer) -> Result<(), GatewayError> {
        match &mut self.settled {
            Some(tab) => tab.durable(payer).await,
            None => Ok(()),
        }
    }

    /// Returns the attempt that serves, or failed last.
    pub(super) fn serving(&self) -> Option<&Attempt> {
        self.attempts.iter().rfind(|attempt| !attempt.is_aside())
    }

    /// Returns what the answer cost, where that is known by now.
    pub(super) fn cost(&self) -> Option<Usd> {
        self.bill.and_then(|bill| bill.cost)
    }

    /// Judges the running stream's end: a target has succeeded only when its stream is whole. Further calls do nothing.
    pub(super) fn conclude(&mut self, failure: Option<&GatewayError>) {
        if let Some(error) = failure {
            self.error = Some(error.kind);
            self.detail.clone_from(&error.detail);
        }
        self.judge_stream(self.error, false);
    }

    fn judge_stream(&mut self, failure: Option<Kind>, client_gone: bool) {
        let Some(open) = self.open.take() else { return };
        let Some(last) = self.attempts.iter_mut().rfind(|attempt| !attempt.is_aside()) else { return };
        last.end(failure, client_gone, (self.clock.monotonic_ms(), open.jitter));
    }

    /// The client has left: frees at once what others may wait for. What it costs is settled, and the record written, when this is dropped.
    pub(super) fn abandon(&mut self) {
        self.judge_stream(None, true);
        (self.in_flight, self.stream_open) = (None, None);
        self.settle_limits();
    }

    fn finish(&mut self, client_gone: bool) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.judge_stream(None, client_gone);
        self.bill(if client_gone { Some("client_gone") } else { self.error.map(Kind::code) });
        (self.in_flight, self.stream_open) = (None, None);
        self.settle_limits();
        let duration_us = self.clock.monotonic_us().saturating_sub(self.arrived_us);
        let status = if client_gone { 499 } else { self.status };
        let metrics = self.metrics.endpoint(self.endpoint);
        metrics.record_request(status, Duration::from_micros(duration_us));
        match (self.error, self.overhead_us) {
            (Some(kind), _) if self.attempts.is_empty() => self.gateway_metrics.refused(kind),
            (_, Some(overhead_us)) => metrics.overhead(Duration::from_micros(overhead_us)),
            (_, None) => {}
        }
        let last = self.serving();
        if let (Some(usage), Some(last)) = (self.usage(), last) {
            last.target.metrics.tokens(usage.whole_input(), usage.output);
        }
        if self.log.enabled() {
            self.write(duration_us / 1000, status, client_gone);
        }
    }

    /// Returns what was used, as it was billed, or would be if it ended now; as the upstream said it, where nothing is.
    fn usage(&self) -> Option<Usage> {
        let so_far = || self.tab.as_ref().map(|tab| tab.so_far(self.metered, self.passed));
        self.bill.map(|bill| bill.usage).or_else(so_far).or(self.metered.usage)
    }

    /// Ends what the request and its last attempt hold of limits. What was taken for a prompt stays taken where nobody knows what was used.
    fn settle_limits(&mut self) {
        let used = self.usage().map(|usage| usage.total());
        let is_unused = || self.ttft_us.is_none() && self.attempts.iter().all(|attempt| attempt.failure.is_some());
        self.limits.settle(used.or_else(|| is_unused().then_some(0)), &*self.clock);
        let last = self.attempts.iter_mut().rfind(|attempt| !attempt.is_aside());
        if let (Some(grant), Some(used)) = (last.and_then(|last| last.grant.take()), used) {
            grant.settle(used, limits::now_ns(&*self.clock));
        }
    }

    fn write(&self, duration_ms: u64, status: u16, client_gone: bool) {
        let attempts: Vec<_> = self.attempts.iter().map(Attempt::entry).collect();
        let uses = self.noted.uses();
        let served = self.serving().filter(|attempt| attempt.status.is_some() && attempt.failure.is_none());
        self.log.write(&AccessEntry {
            unix_ms: self.arrived_unix_ms,
            request_id: self.id.as_str(),
            revision: self.revision,
            method: self.method.as_str(),
            path: &self.path,
            endpoint: Some(self.endpoint),
            key: self.key.as_ref().map(|key| key.name.as_str()),
            team: self.key.as_ref().and_then(|key| key.spec.team.as_deref()),
            model: self.model.as_deref(),
            uses: &uses,
            max_output: self.noted.max_output,
            headers: &self.noted.headers,
            alias: self.alias.as_ref().map(|alias| alias.name.as_str()),
            rule: self.rule.as_deref(),
            target: served.map(|attempt| (attempt.target.provider.name.as_str(), attempt.target.model.as_str())),
            credential: served.map(|attempt| attempt.credential.name.as_str()),
            attempts: &attempts,
            fallbacks: self.fallbacks(),
            loss: self.loss.as_deref(),
            status,
            error: self.error.map(Kind::code),
            detail: self.detail.as_deref(),
            stream: self.stream,
            duration_ms,
            overhead_us: self.overhead_us.unwrap_or_default(),
            ttft_ms: self.ttft_us.map(|us| us / 1000),
            tokens_in: self.usage().map(|usage| usage.whole_input()),
            tokens_out: self.usage().map(|usage| usage.output),
            usage_source: self.bill.map(|bill| bill.source.word()).or(self.metered.usage.map(|_| "provider")),
            cost: self.cost(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            client_gone,
        });
    }

    fn fallbacks(&self) -> u32 {
        let chain = || self.attempts.iter().filter(|attempt| !attempt.is_aside());
        let changes = chain().zip(chain().skip(1)).filter(|(before, after)| !Arc::ptr_eq(&before.target, &after.target));
        u32::try_from(changes.count()).unwrap_or(u32::MAX)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.finish(true);
    }
}
