//! The body of an upstream's answer, with a limit on silence.
//!
//! It passes the same `Bytes` on that the connection read. Rule: only time spent waiting for the upstream counts as silence; a slow
//! reader of ours does not make the upstream late.

use std::error::Error;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{GatewayError, Kind};

pin_project! {
    /// A body that fails with [`Kind::UpstreamTimeout`] after `idle` without a frame, and maps every other failure to its kind.
    ///
    /// Costs one clock reading for each time the upstream made us wait. The timer is armed at the first wait and moved only when it
    /// fires too early, so that a quick stream never touches the timer wheel twice.
    #[derive(Debug)]
    pub struct IdleBody<B> {
        #[pin]
        inner: B,
        // Boxed, and only once there is something to wait for, so that the body can be moved while it is read.
        timer: Option<Pin<Box<Sleep>>>,
        idle: Duration,
        waiting_since: Option<Instant>,
    }
}

impl<B> IdleBody<B> {
    /// Limits the silence between frames of `inner`.
    pub const fn new(inner: B, idle: Duration) -> Self {
        Self { inner, timer: None, idle, waiting_since: None }
    }

    /// Returns what it limits.
    pub fn into_inner(self) -> B {
        self.inner
    }
}

impl<B> Body for IdleBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = GatewayError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, GatewayError>>> {
        let this = self.project();
        if let Poll::Ready(frame) = this.inner.poll_frame(context) {
            *this.waiting_since = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(|error| broken(&*error.into()))));
        }
        let since = *this.waiting_since.get_or_insert_with(Instant::now);
        let deadline = since + *this.idle;
        let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= deadline {
                break;
            }
            timer.as_mut().reset(deadline);
        }
        let silence = this.idle.as_millis();
        Poll::Ready(Some(Err(GatewayError::new(Kind::UpstreamTimeout, "the provider fell silent during its answer")
            .detail(format_args!("no bytes for {silence} ms")))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// Maps a failure while the body was read.
fn broken(error: &(dyn Error + Send + Sync + 'static)) -> GatewayError {
    let kind = links(error).find_map(|link| link.downcast_ref::<io::Error>().map(io::Error::kind));
    match kind {
        // hyper reports a chunk size that is not one as invalid input or data.
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            GatewayError::new(Kind::UpstreamMalformed, "the provider's answer is not valid HTTP").detail(chain(error))
        }
        _ => GatewayError::new(Kind::UpstreamTruncated, "the provider's answer ended before its end").detail(chain(error)),
    }
}

/// Walks an error and its sources.
pub(super) fn links<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Writes an error with its sources on one line; for details only.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for link in links(error) {
        let link = link.to_string();
        if !text.ends_with(&link) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&link);
        }
    }
    text
}
