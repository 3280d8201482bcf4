//! The async runtime of commands that talk to somebody, and Ctrl-C.

use std::future::Future;

use tokio::signal::unix::{SignalKind, signal};

use super::exit::{CommandError, Exit};

/// Runs work to its end, or to Ctrl-C.
///
/// # Errors
/// The work's own; [`Exit::Interrupted`] on Ctrl-C; a failure when the system gives no threads.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::failure(format!("cannot start the async runtime: {error}")))?;
    let result = runtime.block_on(async {
        // Listened for before the work begins: a signal that comes in between would end the process as a failure.
        let mut interrupt =
            signal(SignalKind::interrupt()).map_err(|error| CommandError::failure(format!("cannot listen for Ctrl-C: {error}")))?;
        tokio::select! {
            result = work => result,
            _ = interrupt.recv() => Err(CommandError::new(Exit::Interrupted, "interrupted")),
        }
    });
    // A read that nobody ends (a prompt) must not hold the process.
    runtime.shutdown_background();
    result
}
