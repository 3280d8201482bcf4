//! What the mock was asked, byte for byte, and how each exchange ended.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its place among all requests, from 1.
    pub number: u64,
    /// The connection it came on, from 1.
    pub connection: u64,
    /// Who sent it.
    pub peer: SocketAddr,
    /// The method.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Headers in the order and the spelling in which they came. Bytes that are not UTF-8 are replaced; `head` has them.
    pub headers: Vec<(String, String)>,
    /// The exact bytes of the head, its empty line included.
    pub head: Bytes,
    /// The exact bytes of the body, without chunk framing.
    pub body: Bytes,
    /// Bytes of the answer's body (without chunk framing) that were handed to the kernel.
    pub sent: u64,
    /// Pieces of a stream's text that were handed to the kernel whole: the tokens that a provider would bill.
    pub contents: u64,
    /// From the request's last byte to the end of the exchange; zero while it runs.
    pub elapsed: Duration,
    /// How the exchange ended.
    pub ending: Ending,
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It has not ended.
    Running,
    /// The whole answer was sent.
    Completed,
    /// It broke where its behaviour said.
    Broken,
    /// The client closed the connection after [`Recorded::sent`] bytes.
    ClientClosed,
    /// The client closed the connection within its own request.
    RequestCut,
    /// The mock was stopped.
    Stopped,
}

impl Recorded {
    /// Returns the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Returns the path without its query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Parses the body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// The last records, bounded in number and in bytes.
#[derive(Debug)]
pub(super) struct Records {
    /// Guards the list; held for a push or a copy, never across an await.
    list: Mutex<List>,
    limit: usize,
    limit_bytes: usize,
    /// Ticks at every change, for those who wait.
    changed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct List {
    records: VecDeque<Recorded>,
    bytes: usize,
    arrived: u64,
}

impl Records {
    pub(super) fn new(limit: usize, limit_bytes: usize) -> Self {
        Self { list: Mutex::default(), limit, limit_bytes, changed: watch::Sender::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        self.changed.send_modify(|ticks| *ticks += 1);
    }

    /// Counts a request and keeps its record; the guard that is returned ends it.
    pub(super) fn begin(self: &Arc<Self>, mut record: Recorded) -> Exchange {
        let mut list = self.lock();
        list.arrived += 1;
        record.number = list.arrived;
        let exchange = Exchange {
            records: Arc::clone(self),
            number: record.number,
            start: Instant::now(),
            sent: 0,
            contents: 0,
            ending: Ending::Stopped,
        };
        list.bytes += record.size();
        list.records.push_back(record);
        while list.records.len() > self.limit || list.bytes > self.limit_bytes {
            let Some(oldest) = list.records.pop_front() else { break };
            list.bytes -= oldest.size();
        }
        drop(list);
        self.tick();
        exchange
    }

    fn end(&self, exchange: &Exchange) {
        let mut list = self.lock();
        let first = list.records.front().map_or(u64::MAX, |record| record.number);
        let place = exchange.number.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        if let Some(record) = place.and_then(|place| list.records.get_mut(place)) {
            record.sent = exchange.sent;
            record.contents = exchange.contents;
            record.elapsed = exchange.start.elapsed();
            record.ending = exchange.ending;
        }
        drop(list);
        self.tick();
    }

    pub(super) fn all(&self) -> Vec<Recorded> {
        self.lock().records.iter().cloned().collect()
    }

    pub(super) fn arrived(&self) -> u64 {
        self.lock().arrived
    }

    pub(super) fn clear(&self) {
        let mut list = self.lock();
        list.records.clear();
        list.bytes = 0;
    }

    /// Waits until the records are as wanted.
    pub(super) async fn wait(&self, mut is_met: impl FnMut(&[Recorded]) -> bool) -> Vec<Recorded> {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let is_met = is_met(self.lock().records.make_contiguous());
            if is_met || changed.changed().await.is_err() {
                return self.all();
            }
        }
    }
}

impl Recorded {
    fn size(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// One exchange that runs; dropping it writes its end.
#[derive(Debug)]
pub(super) struct Exchange {
    records: Arc<Records>,
    pub(super) number: u64,
    start: Instant,
    pub(super) sent: u64,
    pub(super) contents: u64,
    pub(super) ending: Ending,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.records.end(self);
    }
}
