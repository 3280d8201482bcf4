//! The end of all requests: counts those that run, tells them when they must end, and knows when the last has.
//!
//! It is not the drain, which waits before it gives this order. Rule: whoever is told ends with a word to its client, and is settled and
//! logged like any other.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::error::{GatewayError, Kind};

/// The order to end, and those it concerns. One for the process.
#[derive(Default)]
pub struct Ending {
    is_over: AtomicBool,
    /// Requests whose record is not written yet.
    running: AtomicUsize,
    /// Tells that the last one has gone.
    gone: Notify,
    /// Guards the places of those who wait; held for no more than one of them.
    sleepers: Mutex<Sleepers>,
}

#[derive(Default)]
struct Sleepers {
    places: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Ending {
    /// Orders all requests to end, those that come later too; returns how many run.
    pub fn end(&self) -> usize {
        self.is_over.store(true, Ordering::SeqCst);
        let places = std::mem::take(&mut self.sleepers.lock().unwrap_or_else(PoisonError::into_inner).places);
        places.into_iter().flatten().for_each(Waker::wake);
        self.running()
    }

    /// Returns how many requests run: their records are not written yet.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// Waits until none runs. For after [`Self::end`].
    pub async fn all_gone(&self) {
        loop {
            let gone = self.gone.notified();
            if self.running() == 0 {
                return;
            }
            gone.await;
        }
    }

    /// Counts a request in.
    pub(super) fn enter(self: &Arc<Self>) -> Guest {
        self.running.fetch_add(1, Ordering::SeqCst);
        Guest { sleeper: Sleeper { ending: Arc::clone(self), place: None } }
    }

    /// Runs a future until it is done or the order comes.
    pub(super) fn or<F: Future + Unpin>(self: &Arc<Self>, future: F) -> Interruptible<F> {
        Interruptible { future, sleeper: Sleeper { ending: Arc::clone(self), place: None } }
    }
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ending").field("running", &self.running).field("is_over", &self.is_over).finish_non_exhaustive()
    }
}

/// Returns what a request is told that must end now.
pub(super) fn over() -> GatewayError {
    GatewayError::new(Kind::Draining, "The gateway is stopping, and this answer did not end within the time that it gives. Try again.")
}

/// A request that runs, until it drops.
#[derive(Debug)]
pub(super) struct Guest {
    sleeper: Sleeper,
}

impl Guest {
    /// Returns whether the request must end now; where not, its task is woken when it must.
    pub(super) fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        self.sleeper.is_over(cx)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let ending = &self.sleeper.ending;
        if ending.running.fetch_sub(1, Ordering::SeqCst) == 1 && ending.is_over.load(Ordering::SeqCst) {
            ending.gone.notify_waiters();
        }
    }
}

/// A place among those who wait for the order.
#[derive(Debug)]
struct Sleeper {
    ending: Arc<Ending>,
    place: Option<(usize, Waker)>,
}

impl Sleeper {
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let is_over = || self.ending.is_over.load(Ordering::SeqCst);
        // A task mostly waits under the same waker, and then there is nothing to do.
        if is_over() || self.place.as_ref().is_some_and(|(_, waker)| waker.will_wake(cx.waker())) {
            return is_over();
        }
        let mut sleepers = self.ending.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.place.as_ref().map(|(place, _)| *place);
        let place = known.or_else(|| sleepers.free.pop()).unwrap_or(sleepers.places.len());
        if place >= sleepers.places.len() {
            sleepers.places.resize(place + 1, None);
        }
        if let Some(slot) = sleepers.places.get_mut(place) {
            *slot = Some(cx.waker().clone());
        }
        drop(sleepers);
        self.place = Some((place, cx.waker().clone()));
        // The order may have been given meanwhile.
        self.ending.is_over.load(Ordering::SeqCst)
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let Some((place, _)) = self.place.take() else { return };
        let mut sleepers = self.ending.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = sleepers.places.get_mut(place) {
            *slot = None;
        }
        sleepers.free.push(place);
    }
}

/// A future that the order interrupts.
#[derive(Debug)]
pub(super) struct Interruptible<F> {
    future: F,
    sleeper: Sleeper,
}

impl<F: Future + Unpin> Future for Interruptible<F> {
    type Output = Result<F::Output, GatewayError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = Pin::new(&mut self.future).poll(cx) {
            return Poll::Ready(Ok(output));
        }
        if self.sleeper.is_over(cx) { Poll::Ready(Err(over())) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_told_whoever_comes_later_too_and_the_last_one_is_waited_for() {
        let ending = Arc::new(Ending::default());
        let (first, second) = (ending.enter(), ending.enter());
        let waiting = tokio::spawn({
            let ending = Arc::clone(&ending);
            async move { ending.or(std::future::pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        assert_eq!(ending.or(std::future::ready(1)).await.unwrap(), 1);
        assert_eq!(ending.end(), 2);
        assert_eq!(waiting.await.unwrap().unwrap_err().kind, Kind::Draining);
        assert_eq!(ending.or(std::future::pending::<()>()).await.unwrap_err().kind, Kind::Draining);
        drop(first);
        let all_gone = tokio::spawn({
            let ending = Arc::clone(&ending);
            async move { ending.all_gone().await }
        });
        tokio::task::yield_now().await;
        assert!(!all_gone.is_finished());
        drop(second);
        all_gone.await.unwrap();
    }

    #[test]
    fn a_place_is_used_again_and_a_waker_is_kept_once() {
        let ending = Arc::new(Ending::default());
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            let mut guest = ending.enter();
            assert!(!guest.is_over(&mut cx) && !guest.is_over(&mut cx));
            assert_eq!(ending.sleepers.lock().unwrap().places.len(), 1);
        }
        assert_eq!((ending.running(), ending.sleepers.lock().unwrap().places.iter().flatten().count()), (0, 0));
    }
}
