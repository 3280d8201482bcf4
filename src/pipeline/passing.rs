//! An answer that is passed on piece by piece as it comes: audio, files, events of endpoints that the gateway does not read.
//!
//! Events of a model's answer are listened to for what they say of its cost. Rule: nothing is held, so nothing can be tried again; an end that is no end cuts the connection, never looks clean.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as _, SizeHint};

use super::ending;
use super::exchange::Exchange;
use super::stream::Lease;
use crate::error::{GatewayError, Kind};
use crate::provider::{IdleBody, UpstreamBody};
use crate::wire::relayed::Listener;

/// A body on its way.
#[derive(Debug)]
pub(super) struct Passing {
    upstream: Option<IdleBody<UpstreamBody>>,
    /// Hears what events say of the cost, where they may say it.
    listener: Option<Box<Listener>>,
    pub(super) lease: Option<Lease>,
    pub(super) exchange: Option<Exchange>,
}

impl Passing {
    pub(super) const fn new(upstream: IdleBody<UpstreamBody>, listener: Option<Box<Listener>>) -> Self {
        Self { upstream: Some(upstream), listener, lease: None, exchange: None }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.upstream.as_ref().map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }

    /// Gives the next bytes for the client.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, GatewayError>>> {
        loop {
            let Some(upstream) = &mut self.upstream else { return Poll::Ready(None) };
            if self.lease.as_mut().is_some_and(|lease| !lease.holds()) {
                let error = GatewayError::new(Kind::Revoked, "The virtual key was revoked while this answer was running.");
                return Poll::Ready(self.end(Some(error)));
            }
            if self.exchange.as_mut().is_some_and(|exchange| exchange.guest.is_over(cx)) {
                return Poll::Ready(self.end(Some(ending::over())));
            }
            match ready!(Pin::new(upstream).poll_frame(cx)) {
                None => return Poll::Ready(self.end(None)),
                Some(Err(error)) => return Poll::Ready(self.end(Some(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        if let Some(exchange) = &mut self.exchange {
                            exchange.sent(data.len());
                            // Heard at once: the client may leave before the end.
                            if let Some(listener) = &mut self.listener
                                && listener.push(data.clone())
                            {
                                exchange.hear(listener.metered(), 0);
                            }
                        }
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
            }
        }
    }

    fn end(&mut self, error: Option<GatewayError>) -> Option<Result<Bytes, GatewayError>> {
        self.upstream = None;
        if let Some(mut exchange) = self.exchange.take() {
            exchange.conclude(error.as_ref());
            exchange.end();
        }
        error.map(Err)
    }
}
