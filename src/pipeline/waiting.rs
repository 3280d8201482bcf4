//! How much of a request's time went to others: the client's body, the upstream, a wait between tries. The rest is the gateway's own. Time in
//! which several are waited for counts once.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::base::Clock;

/// Adds waits up, in microseconds. All of them are in one task, so what is counted here is never counted at once.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    clock: &'a dyn Clock,
    us: AtomicU64,
    /// Waits that go on, and when the first of them began.
    running: AtomicU32,
    since_us: AtomicU64,
}

impl<'a> Waiting<'a> {
    pub(super) const fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, us: AtomicU64::new(0), running: AtomicU32::new(0), since_us: AtomicU64::new(0) }
    }

    /// Waits for a future, and counts the time also where the wait is given up.
    pub(super) fn on<F: Future>(&self, future: F) -> Timed<'_, F> {
        if self.running.fetch_add(1, Ordering::Relaxed) == 0 {
            self.since_us.store(self.clock.monotonic_us(), Ordering::Relaxed);
        }
        Timed { future, running: Running { waiting: self } }
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
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let Waiting { clock, us, running, since_us } = self.waiting;
        if running.fetch_sub(1, Ordering::Relaxed) == 1 {
            us.fetch_add(clock.monotonic_us().saturating_sub(since_us.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ManualClock;

    #[test]
    fn time_in_which_several_are_waited_for_counts_once() {
        let clock = ManualClock::at(1);
        let waiting = Waiting::new(&clock);
        let first = waiting.on(std::future::pending::<()>());
        clock.advance(10);
        let second = waiting.on(std::future::pending::<()>());
        clock.advance(5);
        drop(first);
        clock.advance(3);
        drop(second);
        clock.advance(50);
        assert_eq!(waiting.total_us(), 18_000);
        drop(waiting.on(std::future::ready(())));
        assert_eq!(waiting.total_us(), 18_000);
    }
}
