//! A stream on its way to the client: whole events, watched as they pass, closed with a typed error where the upstream fails.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Body as _;

use super::exchange::Exchange;
use crate::base::{Clock, Digest};
use crate::error::{GatewayError, Kind};
use crate::provider::{IdleBody, UpstreamBody};
use crate::table::Live;
use crate::wire::frame::{self, Sse};
use crate::wire::openai_chat::{Event, Watcher, classify_event, error_event};

/// Most bytes that are held back before the first content: keep-alives and roles are small.
const HELD_CAP: usize = 1 << 20;

/// What a stream needs to find out that its key was revoked.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) live: Arc<Live>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) revision: u64,
    /// The key's digest; none where the request is anonymous.
    pub(super) key: Option<Digest>,
}

impl Lease {
    /// Looks the key up again when the revision has moved: one atomic load otherwise.
    pub(super) fn holds(&mut self) -> bool {
        let revision = self.live.revision();
        if revision == self.revision {
            return true;
        }
        self.revision = revision;
        let Some(digest) = &self.key else { return true };
        self.live.load().keys.get(digest).is_some_and(|key| key.is_valid(self.clock.unix_ms()))
    }
}

/// Why a stream did not get as far as content.
#[derive(Debug)]
pub(super) enum Early {
    /// An error event, with its data.
    Event(Bytes),
    Fault(GatewayError),
}

impl From<GatewayError> for Early {
    fn from(error: GatewayError) -> Self {
        Self::Fault(error)
    }
}

/// A stream whose gate has opened: its first content has come.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) upstream: Option<IdleBody<UpstreamBody>>,
    pub(super) sse: Sse,
    pub(super) watcher: Watcher,
    pub(super) hide_usage: bool,
    pub(super) queue: VecDeque<Bytes>,
    pub(super) done_marker: bool,
    /// Nothing more comes from the upstream; the queue is all that is left.
    pub(super) over: bool,
    pub(super) lease: Option<Lease>,
    pub(super) exchange: Option<Exchange>,
}

impl Stream {
    /// Reads the upstream until the first content, holding back what comes before it.
    ///
    /// # Errors
    /// Whatever keeps the next target possible: an error event, a malformed event, an end or a fault before content.
    pub(super) async fn open(&mut self) -> Result<(), Early> {
        let mut held = 0;
        loop {
            while let Some(event) = self.sse.next_event() {
                held += event.len();
                if held > HELD_CAP {
                    return Err(malformed("The provider sent too much before any content.").into());
                }
                match self.watcher.observe(&event) {
                    Event::Usage if self.hide_usage => {}
                    Event::Quiet | Event::Usage => self.queue.push_back(event),
                    Event::Content => {
                        self.queue.push_back(event);
                        return Ok(());
                    }
                    Event::Error => return Err(Early::Event(data(&event))),
                    Event::Done => return Err(malformed("The provider's stream ended without content.").into()),
                    Event::Malformed => return Err(malformed("The provider sent a malformed event.").into()),
                }
            }
            match std::future::poll_fn(|cx| self.pull(cx)).await {
                Some(Ok(piece)) => self.push(piece)?,
                Some(Err(error)) => return Err(error.into()),
                None => {
                    let text = "The provider's stream ended before its first content.";
                    return Err(GatewayError::new(Kind::UpstreamTruncated, text).into());
                }
            }
        }
    }

    fn push(&mut self, piece: Bytes) -> Result<(), GatewayError> {
        self.sse
            .push(piece)
            .map_err(|error| GatewayError::new(Kind::UpstreamMalformed, "The provider sent an oversized event.").detail(error))
    }

    /// Takes the next piece of data from the upstream.
    fn pull(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, GatewayError>>> {
        loop {
            let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
            match std::task::ready!(Pin::new(upstream).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    // Trailers say nothing that is used here.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => {
                    self.upstream = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => self.upstream = None,
            }
        }
    }

    /// Hands over the record of the request.
    pub(super) fn record(&mut self, exchange: Exchange) {
        self.exchange = Some(exchange);
    }

    /// Gives the next bytes for the client.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if let Some(piece) = self.queue.pop_front() {
                if let Some(exchange) = &mut self.exchange {
                    exchange.sent(piece.len());
                }
                return Poll::Ready(Some(piece));
            }
            if self.over {
                self.settle(None);
                return Poll::Ready(None);
            }
            if self.lease.as_mut().is_some_and(|lease| !lease.holds()) {
                self.fail(&GatewayError::new(Kind::Revoked, "The virtual key was revoked while this stream was running."));
                continue;
            }
            // The piece that opened the gate may hold more events, the end among them.
            self.pass();
            if self.over || !self.queue.is_empty() {
                continue;
            }
            match self.pull(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(piece))) => match self.push(piece) {
                    Ok(()) => {}
                    Err(error) => self.fail(&error),
                },
                Poll::Ready(Some(Err(error))) if self.watcher.finished && error.kind == Kind::UpstreamTruncated => self.close(),
                Poll::Ready(Some(Err(error))) => self.fail(&error),
                Poll::Ready(None) => self.close(),
            }
        }
    }

    /// Queues every whole event that has come.
    fn pass(&mut self) {
        while let Some(event) = self.sse.next_event() {
            match self.watcher.observe(&event) {
                Event::Usage if self.hide_usage => {}
                Event::Quiet | Event::Content | Event::Usage => self.queue.push_back(event),
                Event::Done => {
                    self.queue.push_back(event);
                    self.over = true;
                    if let Some(upstream) = self.upstream.take() {
                        upstream.into_inner().finish();
                    }
                    return;
                }
                Event::Error => {
                    // The provider's own words, in the client's format already; no `[DONE]` follows.
                    let kind = classify_event(&data(&event));
                    self.queue.push_back(event);
                    self.over = true;
                    self.upstream = None;
                    let kind = match kind {
                        Kind::UpstreamMalformed => Kind::UpstreamServerError,
                        kind => kind,
                    };
                    self.settle(Some(&GatewayError::new(kind, "").detail("an error event after content")));
                    return;
                }
                Event::Malformed => {
                    self.fail(&malformed("The provider sent a malformed event."));
                    return;
                }
            }
        }
    }

    /// Judges an end without terminator: a finish reason completes the stream, anything less was cut.
    fn close(&mut self) {
        self.over = true;
        if !self.watcher.complete() {
            self.fail(&GatewayError::new(Kind::UpstreamTruncated, "The provider's stream was cut before its end."));
        } else if self.done_marker {
            // The client's SDK waits for it, whether or not this server forgot it.
            self.queue.push_back(Bytes::from_static(b"data: [DONE]\n\n"));
        }
    }

    /// Ends the stream with a typed error, never a clean end.
    fn fail(&mut self, error: &GatewayError) {
        self.over = true;
        self.upstream = None;
        let id = self.exchange.as_ref().map(|exchange| exchange.id);
        let id = id.as_ref().map_or("", |id| id.as_str());
        self.queue.push_back(Bytes::from(error_event(error.kind, &error.public, id)));
        self.settle(Some(error));
    }

    /// Tells the record how the stream went; the end is written when the client has got it.
    fn settle(&mut self, failure: Option<&GatewayError>) {
        let Some(exchange) = &mut self.exchange else { return };
        exchange.usage = self.watcher.usage;
        match failure {
            Some(error) => exchange.conclude(Some(error)),
            None => exchange.end(),
        }
    }
}

fn malformed(text: &str) -> GatewayError {
    GatewayError::new(Kind::UpstreamMalformed, text)
}

/// Returns the data of an event, as it stands in it.
fn data(event: &Bytes) -> Bytes {
    let mut found: &[u8] = &[];
    frame::fields(event, |line| found = line);
    event.slice_ref(found)
}
