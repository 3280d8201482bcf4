//! The request body: a cap, an idle timer and a minimum rate around what hyper delivers. One type for HTTP/1.1, HTTP/2 and tests.

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::config::BodyTimers;
use super::gate::Exchange;

/// Why a request body could not be read. The connection closes after the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The body is over the cap; the status is 413.
    #[error("the request body is over the limit of {limit} bytes")]
    TooLarge {
        /// The cap in bytes.
        limit: u64,
    },
    /// The client sent too slowly, or nothing; the status is 408.
    #[error("the request body did not arrive in time")]
    Timeout,
    /// The client is gone: nobody will read an answer.
    #[error("the client closed the connection before the end of the request body")]
    Disconnected,
    /// The body's framing is broken; the status is 400.
    #[error("the framing of the request body is malformed")]
    Malformed,
}

#[derive(Debug)]
enum Source {
    Incoming(Incoming),
    Bytes(Option<Bytes>),
}

/// The body of a request. Trailers are dropped.
#[derive(Debug)]
pub struct RequestBody {
    source: Source,
    timers: BodyTimers,
    exchange: Option<Arc<Exchange>>,
    received: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self::new(Source::Bytes(Some(bytes)), BodyTimers::default(), None)
    }
}

impl RequestBody {
    fn new(source: Source, timers: BodyTimers, exchange: Option<Arc<Exchange>>) -> Self {
        Self { source, timers, exchange, received: 0, waited: Duration::ZERO, waiting_since: None, timer: None }
    }

    pub(super) fn incoming(body: Incoming, timers: BodyTimers, exchange: Option<&Arc<Exchange>>) -> Self {
        if body.is_end_stream() {
            return Self::new(Source::Bytes(None), timers, None);
        }
        Self::new(Source::Incoming(body), timers, exchange.cloned())
    }

    /// Reads the whole body, at most `limit` bytes. A body that arrived in one piece is not copied.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] before anything is read where the client declares its length; otherwise as the body fails.
    pub async fn collect_capped(mut self, limit: u64) -> Result<Bytes, BodyError> {
        let hint = self.size_hint();
        if hint.lower() > limit {
            return Err(BodyError::TooLarge { limit });
        }
        let Some(first) = self.next_data().await? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next_within(first.len(), limit).await? else {
            return within(first, limit);
        };
        let expected = hint.exact().unwrap_or_default().min(limit);
        let mut whole = BytesMut::with_capacity(usize::try_from(expected).unwrap_or_default().max(first.len() + second.len()));
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&second);
        drop((first, second));
        while let Some(data) = self.next_within(whole.len(), limit).await? {
            whole.extend_from_slice(&data);
        }
        within(whole.freeze(), limit)
    }

    async fn next_within(&mut self, so_far: usize, limit: u64) -> Result<Option<Bytes>, BodyError> {
        if so_far as u64 > limit { Err(BodyError::TooLarge { limit }) } else { self.next_data().await }
    }

    /// Returns the next bytes, or none at the end.
    ///
    /// # Errors
    /// As the body fails; after an error there is no more.
    pub async fn next_data(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            match std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await {
                None => return Ok(None),
                Some(Err(error)) => return Err(error),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Decides whether the client has been too slow; arms the timer otherwise.
    fn is_too_slow(&mut self, cx: &mut Context<'_>) -> bool {
        if self.waiting_since.is_none() {
            let now = Instant::now();
            let deadline = now + self.timers.patience(self.received, self.waited);
            self.waiting_since = Some(now);
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(deadline),
                None => self.timer = Some(Box::pin(tokio::time::sleep_until(deadline))),
            }
        }
        self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
    }
}

fn within(bytes: Bytes, limit: u64) -> Result<Bytes, BodyError> {
    if bytes.len() as u64 > limit { Err(BodyError::TooLarge { limit }) } else { Ok(bytes) }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::Bytes(bytes) => return Poll::Ready(bytes.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes)))),
            Source::Incoming(incoming) => Pin::new(incoming).poll_frame(cx),
        };
        let Poll::Ready(frame) = polled else {
            if !this.is_too_slow(cx) {
                return Poll::Pending;
            }
            this.source = Source::Bytes(None);
            return Poll::Ready(Some(Err(BodyError::Timeout)));
        };
        if let Some(since) = this.waiting_since.take() {
            this.waited += since.elapsed();
        }
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) => {
                this.received += frame.data_ref().map_or(0, |data| data.len() as u64);
                Ok(frame)
            }
            Err(error) => Err(classify(&error)),
        }))
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Bytes(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Source::Incoming(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Bytes(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Source::Incoming(incoming) => incoming.size_hint(),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(exchange) = &self.exchange {
            exchange.drop_body();
        }
    }
}

fn classify(error: &hyper::Error) -> BodyError {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(cause) = cause.downcast_ref::<io::Error>() {
            return match cause.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => BodyError::Malformed,
                _ => BodyError::Disconnected,
            };
        }
        source = cause.source();
    }
    BodyError::Disconnected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_at_the_cap_passes_and_one_byte_more_does_not() {
        let body = || RequestBody::from(Bytes::from_static(b"12345"));
        assert_eq!(body().collect_capped(5).await, Ok(Bytes::from_static(b"12345")));
        assert_eq!(body().collect_capped(4).await, Err(BodyError::TooLarge { limit: 4 }));
        assert_eq!(RequestBody::from(Bytes::new()).collect_capped(0).await, Ok(Bytes::new()));
    }
}
