//! How much of a request's time went to others: the client's body, the upstream, a wait between tries. The rest is the gateway's own.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::base::Clock;

/// Adds waits up, in microseconds.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    clock: &'a dyn Clock,
    us: AtomicU64,
}

impl<'a> Waiting<'a> {
    pub(super) const fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, us: AtomicU64::new(0) }
    }

    /// Waits for a future, and counts the time also where the wait is given up.
    pub(super) fn on<F: Future>(&self, future: F) -> Timed<'_, F> {
        Timed { future, running: Running { waiting: self, from_us: self.clock.monotonic_us() } }
    }

    pub(super) fn total_us(&self) -> u64 {
        self.us.load(Ordering::Relaxed)
    }
}

pin_project! {
    /// A future whose time counts as a wait. Not an `async fn`, which would hold the future twice.
    pub(super) struct Timed<'a, F> {
        #[pin]
        future: F,
        running: Running<'a>,
    }
}

impl<F: Future> Future for Timed<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

struct Running<'a> {
    waiting: &'a Waiting<'a>,
    from_us: u64,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let took_us = self.waiting.clock.monotonic_us().saturating_sub(self.from_us);
        self.waiting.us.fetch_add(took_us, Ordering::Relaxed);
    }
}
