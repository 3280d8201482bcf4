//! The one thread that writes: takes whatever waits and commits it at once, so that many share one sync of the disk.
//!
//! Rule: a closing that was taken is written or, when it cannot be, kept and tried again; an opening that could not be written is refused
//! and forgotten, so that whoever opened it knows that there is no line.

use std::sync::Arc;

use super::error::{BookError, Failure, FailureKind};
use super::queue::{Next, Operation, Queue, Queued, refuse};
use super::write::{Tally, Writer};

/// Most operations in one transaction: what a disk takes in some tens of milliseconds.
const MOST_AT_ONCE: usize = 4_096;

/// What is called once when the disk lost what it had taken: the process should end, and its next start finds what really is there.
pub type OnFatal = Arc<dyn Fn(&Failure) + Send + Sync>;

/// Where is written.
pub(super) enum Writing {
    /// The embedded file.
    File(Writer),
    /// The shared store.
    #[cfg(feature = "postgres")]
    Server(super::postgres::Writer),
}

impl Writing {
    fn write<'q>(&mut self, batch: impl Iterator<Item = &'q Operation> + Clone, is_probe: bool) -> Result<Tally, Failure> {
        match self {
            Self::File(writer) => writer.write(batch, is_probe).map_err(|error| Failure::from(&error)),
            #[cfg(feature = "postgres")]
            Self::Server(writer) => writer.write(batch, is_probe),
        }
    }

    /// Leaves what was written as a reader likes it best.
    fn tidy(&self) {
        match self {
            Self::File(writer) => {
                if let Err(error) = writer.checkpoint() {
                    tracing::warn!(%error, "the book's log could not be moved into its file; the next start reads both");
                }
            }
            #[cfg(feature = "postgres")]
            Self::Server(_) => {}
        }
    }
}

/// The thread's state.
pub(super) struct Committer {
    pub(super) queue: Arc<Queue>,
    pub(super) writing: Writing,
    pub(super) on_fatal: OnFatal,
}

impl Committer {
    /// Writes until the end.
    pub(super) fn run(mut self) {
        let mut kept = Vec::new();
        loop {
            match self.queue.next(std::mem::take(&mut kept), MOST_AT_ONCE) {
                Next::End => return,
                Next::Write(batch) => match self.write(batch) {
                    Ok(()) => {}
                    Err((FailureKind::Sync, _)) => return,
                    Err((
                        FailureKind::Full | FailureKind::Io | FailureKind::Unreachable | FailureKind::Lease | FailureKind::Other,
                        left,
                    )) => kept = left,
                },
                Next::WriteAndEnd(batch) => {
                    self.write_last(batch);
                    return;
                }
            }
        }
    }

    /// Writes a batch and tells whoever waits; returns what is to be tried again.
    fn write(&mut self, batch: Vec<Queued>) -> Result<(), (FailureKind, Vec<Queued>)> {
        #[cfg(test)]
        if let Writing::File(writer) = &mut self.writing {
            writer.fail_with(self.queue.fault.load(std::sync::atomic::Ordering::SeqCst));
        }
        // A failure is over when something was written, not when there was nothing to write.
        let has_failed = self.queue.failure().is_some();
        match self.writing.write(batch.iter().map(|queued| &queued.operation), has_failed) {
            Ok(tally) => {
                if has_failed {
                    tracing::info!("the book writes again");
                }
                self.queue.wrote(tally.lines, tally.late);
                for queued in batch {
                    queued.finish(Ok(()));
                }
                Ok(())
            }
            Err(failure) => Err(self.fail(batch, &failure)),
        }
    }

    fn fail(&self, batch: Vec<Queued>, failure: &Failure) -> (FailureKind, Vec<Queued>) {
        if self.queue.failure().as_ref() != Some(failure) {
            tracing::error!(kind = failure.kind.word(), error = %failure, "the book cannot be written");
        }
        // First: nobody may learn of the refusal and then be taken as if nothing had happened.
        self.queue.failed(failure);
        if failure.kind == FailureKind::Sync {
            self.queue.end(true);
            (self.on_fatal)(failure);
        }
        let (closings, refused): (Vec<_>, Vec<_>) = batch.into_iter().partition(Queued::is_closing);
        refuse(refused, &BookError::Failed(failure.clone()));
        (failure.kind, closings)
    }

    fn write_last(&mut self, batch: Vec<Queued>) {
        if let Err((_, left)) = self.write(batch) {
            let closings = u64::try_from(left.len()).unwrap_or(u64::MAX);
            tracing::error!(closings, "the book ends with closings that could not be written; their lines expire at the next start");
            self.queue.gave_up(closings);
        } else {
            self.writing.tidy();
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        // Also when the thread ends by a fault of ours: nobody shall wait for what nobody writes.
        self.queue.dissolve();
    }
}
