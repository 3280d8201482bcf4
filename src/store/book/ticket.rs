//! What tells when something is on the disk.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::error::BookError;
use super::queue::Queue;

/// Tells when an operation is on the disk. Need not be waited for.
#[derive(Debug)]
#[must_use = "says when, and whether, it is on the disk; drop it where that does not matter"]
pub struct Ticket {
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting { told: oneshot::Receiver<Result<(), BookError>>, queue: Arc<Queue>, has_hurried: bool },
    Known(Result<(), BookError>),
}

impl Ticket {
    /// Makes a ticket and what completes it.
    pub(super) fn new(queue: &Arc<Queue>) -> (oneshot::Sender<Result<(), BookError>>, Self) {
        let (done, told) = oneshot::channel();
        (done, Self { state: State::Waiting { told, queue: Arc::clone(queue), has_hurried: false } })
    }

    /// Waits until it is on the disk. May be asked again, and may be cancelled.
    ///
    /// # Errors
    /// It is not: see the operation for what that means.
    pub async fn durable(&mut self) -> Result<(), BookError> {
        let result = match &mut self.state {
            State::Known(result) => return result.clone(),
            State::Waiting { told, queue, has_hurried } => match told.try_recv() {
                Ok(result) => result,
                Err(TryRecvError::Closed) => Err(BookError::Closed),
                Err(TryRecvError::Empty) => {
                    if !std::mem::replace(has_hurried, true) {
                        queue.hurry();
                    }
                    told.await.unwrap_or(Err(BookError::Closed))
                }
            },
        };
        self.state = State::Known(result.clone());
        result
    }

    /// As [`Self::durable`], but blocks the thread. A task that calls it keeps its whole thread from other work, for as long as a commit takes.
    ///
    /// # Errors
    /// As there.
    pub fn wait(mut self) -> Result<(), BookError> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        let mut durable = std::pin::pin!(self.durable());
        loop {
            match durable.as_mut().poll(&mut context) {
                Poll::Ready(result) => return result,
                // May return for no reason; then it is asked again.
                Poll::Pending => thread::park(),
            }
        }
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
