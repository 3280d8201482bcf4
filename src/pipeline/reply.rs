//! The body of an answer: whole, a stream that is read as it passes, or bytes that are passed on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::exchange::Exchange;
use super::passing::Passing;
use super::stream::Stream;
use crate::error::GatewayError;

/// What goes to the client. Dropping it before its end means that the client is gone.
#[derive(Debug)]
pub struct Reply(Inner);

#[derive(Debug)]
enum Inner {
    Whole { left: Option<Bytes>, exchange: Option<Box<Exchange>> },
    Stream(Box<Stream>),
    Passing(Box<Passing>),
}

impl Reply {
    /// Wraps a body that is there already.
    pub(super) fn whole(body: Bytes) -> Self {
        Self(Inner::Whole { left: Some(body), exchange: None })
    }

    /// Wraps a stream.
    pub(super) const fn stream(stream: Box<Stream>) -> Self {
        Self(Inner::Stream(stream))
    }

    /// Wraps an answer that is passed on as it comes.
    pub(super) const fn passing(passing: Box<Passing>) -> Self {
        Self(Inner::Passing(passing))
    }

    /// Hands over the record of the request, which is written once, at the end of the body or when it is dropped.
    pub(super) fn record(&mut self, exchange: Exchange) {
        match &mut self.0 {
            Inner::Whole { exchange: slot, .. } => *slot = Some(Box::new(exchange)),
            Inner::Stream(stream) => stream.record(exchange),
            Inner::Passing(passing) => passing.exchange = Some(exchange),
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    /// Cuts the connection: the answer broke off where no error could be written any more.
    type Error = GatewayError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GatewayError>>> {
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
            Inner::Passing(passing) => passing.poll(cx).map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Inner::Whole { left: None, .. })
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Whole { left, .. } => SizeHint::with_exact(left.as_ref().map_or(0, |body| body.len() as u64)),
            Inner::Stream(_) => SizeHint::default(),
            Inner::Passing(passing) => passing.size_hint(),
        }
    }
}
