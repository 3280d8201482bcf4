//! The body of an answer: whole, or a stream that is relayed.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::exchange::Exchange;
use super::stream::Stream;

/// What goes to the client. Dropping it before its end means that the client is gone.
#[derive(Debug)]
pub struct Reply(Inner);

#[derive(Debug)]
enum Inner {
    Whole { left: Option<Bytes>, exchange: Option<Box<Exchange>> },
    Stream(Box<Stream>),
}

impl Reply {
    /// Wraps a body that is there already.
    pub(super) fn whole(body: Bytes) -> Self {
        Self(Inner::Whole { left: Some(body), exchange: None })
    }

    /// Wraps a stream.
    pub(super) fn stream(stream: Stream) -> Self {
        Self(Inner::Stream(Box::new(stream)))
    }

    /// Hands over the record of the request, which is written once, at the end of the body or when it is dropped.
    pub(super) fn record(&mut self, exchange: Exchange) {
        match &mut self.0 {
            Inner::Whole { exchange: slot, .. } => *slot = Some(Box::new(exchange)),
            Inner::Stream(stream) => stream.record(exchange),
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Inner::Whole { left, exchange } => {
                let body = left.take();
                if let Some(mut exchange) = exchange.take() {
                    exchange.sent(body.as_ref().map_or(0, Bytes::len));
                    exchange.end();
                }
                Poll::Ready(body.filter(|body| !body.is_empty()).map(|body| Ok(Frame::data(body))))
            }
            Inner::Stream(stream) => stream.poll(cx).map(|piece| piece.map(|piece| Ok(Frame::data(piece)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Inner::Whole { left: None, .. })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole { left, .. } => SizeHint::with_exact(left.as_ref().map_or(0, |body| body.len() as u64)),
            Inner::Stream(_) => SizeHint::default(),
        }
    }
}
