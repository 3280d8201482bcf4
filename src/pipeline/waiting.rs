//! How much of a request's time went to others: the client's body, the upstream, a wait between tries. The rest is the gateway's own.

use std::sync::atomic::{AtomicU64, Ordering};

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
    pub(super) async fn on<F: Future>(&self, future: F) -> F::Output {
        let _running = Running { waiting: self, from_us: self.clock.monotonic_us() };
        future.await
    }

    pub(super) fn total_us(&self) -> u64 {
        self.us.load(Ordering::Relaxed)
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
