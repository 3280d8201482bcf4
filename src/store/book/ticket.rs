//! What tells when something is on the disk.

use tokio::sync::oneshot;

use super::error::BookError;

/// Tells when an operation is on the disk. Need not be waited for.
#[derive(Debug)]
#[must_use = "says when, and whether, it is on the disk; drop it where that does not matter"]
pub struct Ticket {
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(oneshot::Receiver<Result<(), BookError>>),
    Known(Result<(), BookError>),
}

impl Ticket {
    /// Makes a ticket and what completes it.
    pub(super) fn new() -> (oneshot::Sender<Result<(), BookError>>, Self) {
        let (done, waiting) = oneshot::channel();
        (done, Self { state: State::Waiting(waiting) })
    }

    /// Waits until it is on the disk. May be asked again, and may be cancelled.
    ///
    /// # Errors
    /// It is not: see the operation for what that means.
    pub async fn durable(&mut self) -> Result<(), BookError> {
        let result = match &mut self.state {
            State::Known(result) => return result.clone(),
            State::Waiting(waiting) => waiting.await.unwrap_or(Err(BookError::Closed)),
        };
        self.state = State::Known(result.clone());
        result
    }

    /// As [`Self::durable`], for threads outside a runtime: blocks. Must not be called by a task.
    ///
    /// # Errors
    /// As there.
    pub fn wait(self) -> Result<(), BookError> {
        match self.state {
            State::Known(result) => result,
            State::Waiting(waiting) => waiting.blocking_recv().unwrap_or(Err(BookError::Closed)),
        }
    }
}
