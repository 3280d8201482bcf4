//! A stream on its way to the client: whole events, watched as they pass, closed with a typed error where the upstream fails.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Body as _;
use tokio::runtime::Handle;

use super::ending;
use super::exchange::Exchange;
use super::reader::{Heard, Reader};
use crate::base::{Clock, Digest};
use crate::error::{GatewayError, Kind};
use crate::provider::{IdleBody, UpstreamBody};
use crate::table::Live;
use crate::wire::Format;
use crate::wire::codec::Failure;

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
    /// An error in place of content, with its event where it came in the client's format.
    Failed(Failure, Option<Bytes>),
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
    pub(super) reader: Reader,
    pub(super) queue: VecDeque<Bytes>,
    /// Nothing more comes from the upstream; the queue is all that is left.
    pub(super) over: bool,
    pub(super) lease: Option<Lease>,
    pub(super) exchange: Option<Exchange>,
}

impl Stream {
    /// Makes a stream that nothing was read of yet.
    pub(super) const fn new(upstream: IdleBody<UpstreamBody>, reader: Reader) -> Self {
        Self::new_with(Some(upstream), reader)
    }

    const fn new_with(upstream: Option<IdleBody<UpstreamBody>>, reader: Reader) -> Self {
        Self { upstream, reader, queue: VecDeque::new(), over: false, lease: None, exchange: None }
    }

    /// Reads the upstream until the first content, holding back what comes before it.
    ///
    /// # Errors
    /// Whatever keeps the next target possible: an error event, a malformed event, an end or a fault before content.
    pub(super) async fn open(&mut self) -> Result<(), Early> {
        let mut held = 0;
        loop {
            while let Some(heard) = self.reader.next() {
                match heard {
                    Heard::Hidden => {}
                    Heard::Pass { bytes, has_content } => {
                        held += bytes.len();
                        self.queue.push_back(bytes);
                        if has_content {
                            return Ok(());
                        }
                        if held > HELD_CAP {
                            return Err(malformed("The provider sent too much before any content.").into());
                        }
                    }
                    // A translated stream may come in one piece, its end included.
                    Heard::Done(bytes) if self.reader.has_content() => {
                        self.queue.push_back(bytes);
                        self.complete();
                        return Ok(());
                    }
                    Heard::Done(_) => return Err(malformed("The provider's stream ended without content.").into()),
                    Heard::Failed(failure, None) if failure.kind == Kind::UpstreamMalformed => {
                        return Err(malformed("The provider sent a malformed event.").detail(failure.message).into());
                    }
                    Heard::Failed(failure, event) => return Err(Early::Failed(failure, event)),
                }
            }
            match std::future::poll_fn(|cx| self.pull(cx)).await {
                Some(Ok(piece)) => self.reader.push(piece)?,
                Some(Err(error)) => return Err(error.into()),
                None => {
                    let text = "The provider's stream ended before its first content.";
                    return Err(GatewayError::new(Kind::UpstreamTruncated, text).into());
                }
            }
        }
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
                if piece.is_empty() {
                    continue;
                }
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
            if self.exchange.as_mut().is_some_and(|exchange| exchange.guest.is_over(cx)) {
                self.fail(&ending::over());
                continue;
            }
            // The piece that opened the gate may hold more events, the end among them.
            self.pass();
            if let Some(error) = self.exchange.as_mut().and_then(|exchange| exchange.advance(&self.reader).err()) {
                self.fail(&error);
            }
            if self.over || !self.queue.is_empty() {
                continue;
            }
            match self.pull(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(piece))) => {
                    if let Err(error) = self.reader.push(piece) {
                        self.fail(&error);
                    }
                }
                Poll::Ready(Some(Err(error))) if error.kind == Kind::UpstreamTruncated || self.reader.has_ended() => {
                    self.close(Some(&error))
                }
                Poll::Ready(Some(Err(error))) => self.fail(&error),
                Poll::Ready(None) => self.close(None),
            }
        }
    }

    /// Listens to what has arrived and was not read, without waiting for more.
    fn hear_the_rest(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut heard = 0;
        while let Poll::Ready(Some(Ok(piece))) = self.pull(&mut cx) {
            heard += piece.len();
            if heard > HELD_CAP || self.reader.push(piece).is_err() {
                return;
            }
            while self.reader.next().is_some() {}
        }
    }

    /// Queues everything that has come.
    fn pass(&mut self) {
        while let Some(heard) = self.reader.next() {
            match heard {
                Heard::Hidden => {}
                Heard::Pass { bytes, .. } => self.queue.push_back(bytes),
                Heard::Done(bytes) => {
                    self.queue.push_back(bytes);
                    self.complete();
                    return;
                }
                Heard::Failed(failure, Some(event)) => {
                    // The provider's own words, in the client's format already; no end follows.
                    self.queue.push_back(event);
                    self.over = true;
                    self.upstream = None;
                    let kind = match failure.kind {
                        Kind::UpstreamMalformed => Kind::UpstreamServerError,
                        kind => kind,
                    };
                    self.settle(Some(&GatewayError::new(kind, "").detail("an error event after content")));
                    return;
                }
                Heard::Failed(failure, None) if failure.kind == Kind::UpstreamMalformed => {
                    self.fail(&malformed("The provider sent a malformed event.").detail(failure.message));
                    return;
                }
                Heard::Failed(failure, None) => {
                    self.fail(&GatewayError::new(failure.kind, failure.message).detail("an error event after content"));
                    return;
                }
            }
        }
    }

    /// The stream's own end was seen.
    fn complete(&mut self) {
        self.over = true;
        if let Some(upstream) = self.upstream.take() {
            upstream.into_inner().finish();
        }
    }

    /// Judges an end without terminator: a finish reason completes the stream, anything less was cut.
    fn close(&mut self, error: Option<&GatewayError>) {
        self.over = true;
        match (self.reader.end(), error) {
            (Some(last), _) => self.queue.push_back(last),
            (None, Some(error)) => self.fail(error),
            (None, None) => self.fail(&GatewayError::new(Kind::UpstreamTruncated, "The provider's stream was cut before its end.")),
        }
    }

    /// Ends the stream with a typed error, never a clean end.
    fn fail(&mut self, error: &GatewayError) {
        self.over = true;
        self.upstream = None;
        let id = self.exchange.as_ref().map(|exchange| exchange.id);
        let id = id.as_ref().map_or("", |id| id.as_str());
        let event = self.reader.failure(error, id);
        self.queue.push_back(event);
        self.settle(Some(error));
    }

    /// Tells the record how the stream went; the end is written when the client has got it.
    fn settle(&mut self, failure: Option<&GatewayError>) {
        let Some(exchange) = &mut self.exchange else { return };
        exchange.hear_stream(&self.reader);
        match failure {
            Some(error) => exchange.conclude(Some(error)),
            None => exchange.end(),
        }
    }
}

impl Drop for Stream {
    /// The client may have left in the middle: what came until then is to be paid, and what the provider sent and nobody read as well.
    fn drop(&mut self) {
        let Some(mut exchange) = self.exchange.take() else { return };
        exchange.hear_stream(&self.reader);
        let (Some(_), Ok(runtime)) = (exchange.tab.as_ref().and(self.upstream.as_ref()), Handle::try_current()) else { return };
        exchange.abandon();
        let mut rest =
            Self::new_with(self.upstream.take(), std::mem::replace(&mut self.reader, Reader::relay(Format::OpenaiChat, false, false)));
        runtime.spawn(async move {
            // Until the runtime has heard of what has arrived by now.
            tokio::task::yield_now().await;
            rest.hear_the_rest();
            exchange.hear_stream(&rest.reader);
            // Booked before the provider learns that nobody listens.
            drop(exchange);
            drop(rest);
        });
    }
}

fn malformed(text: &str) -> GatewayError {
    GatewayError::new(Kind::UpstreamMalformed, text)
}
