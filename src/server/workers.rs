//! Threads that serve connections, each with a runtime of its own.
//!
//! A connection stays on the thread that it was given to, and so does all that is done for its requests. On one runtime for all
//! threads, each event woke a second thread to look for work, which cost more than the work. Rule: whoever accepts gives a connection
//! to the thread with the fewest.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Most threads that look names up for one worker at the same time.
const LOOKUPS: usize = 16;

/// The threads. They end when this drops, and whatever runs on them is cut.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    handle: Handle,
    /// Connections that it has now.
    load: Arc<AtomicUsize>,
    /// Ends the thread by being dropped.
    #[expect(dead_code, reason = "a guard: what counts is when it is dropped")]
    stop: oneshot::Sender<()>,
}

impl Workers {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// What the system says, when it gives no thread or no event queue.
    pub fn start(count: usize) -> io::Result<Self> {
        (0..count.max(1)).map(Worker::start).collect::<io::Result<_>>().map(Self)
    }

    /// Takes a place on the thread with the fewest connections. Among equals the first is taken.
    pub(super) fn seat(&self) -> Option<Seat> {
        let worker = self.0.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed))?;
        worker.load.fetch_add(1, Ordering::Relaxed);
        Some(Seat { handle: worker.handle.clone(), load: Arc::clone(&worker.load) })
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(LOOKUPS).build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
            // A dropped sender is the order to end.
            let _ = runtime.block_on(stopped);
            // Without waiting for lookups that nobody needs any more.
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, load: Arc::default(), stop })
    }
}

/// A connection's place on a thread, until it drops.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) handle: Handle,
    load: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_goes_to_the_thread_with_the_fewest_and_leaves_its_place_when_it_ends() {
        let workers = Workers::start(2).unwrap();
        let name = |seat: &Seat| {
            let (said, heard) = std::sync::mpsc::channel();
            seat.handle.spawn(async move { said.send(std::thread::current().name().map(str::to_owned)) });
            heard.recv().unwrap().unwrap()
        };
        let (first, second) = (workers.seat().unwrap(), workers.seat().unwrap());
        assert_eq!((name(&first).as_str(), name(&second).as_str()), ("worker-0", "worker-1"));
        drop(second);
        assert_eq!(name(&workers.seat().unwrap()), "worker-1");
    }

    #[test]
    fn what_runs_on_a_thread_is_cut_when_the_threads_end() {
        let (held, released) = std::sync::mpsc::channel::<()>();
        let workers = Workers::start(1).unwrap();
        workers.seat().unwrap().handle.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(workers);
        assert!(released.recv().is_err(), "the task was dropped");
    }
}
