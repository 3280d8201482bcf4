//! The one task that all others of a gateway belong to: it waits for the order to stop, and for every task after it.
//!
//! The end has an order: no new connections and no reloads; requests finish, or are told so and end when the time is up; whoever does
//! not take that is cut; the admin API, which shows the drain, comes next; then the access log and the book, which the last requests
//! wrote to; the built-in mock last.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch as signal;
use tokio::task::{JoinError, JoinSet};

use super::admin::Admin;
use super::front::Front;
use super::ready::Upstream;
use super::service;
use super::shared::Shared;
use super::signals::{self, Signals};
use super::succession::Host;
use super::writer::{Triggers, Writer};
use crate::pipeline::Ending;
use crate::server::{Drained, Listener, Server, Stop};
use crate::telemetry::AccessLog;

/// How long the admin API's last answers may take, and the access log's last lines.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long a client may take to read that its answer ends, when the grace is over; and when somebody does not want to wait for that.
const FAREWELL: Duration = Duration::from_secs(5);
const SHORT_FAREWELL: Duration = Duration::from_millis(500);

/// How a gateway ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How the connections of clients ended.
    pub drained: Drained,
    /// Whether a task ended that should not have; it was logged.
    pub failed: bool,
}

/// The tasks, and what ends them.
pub(super) struct Life {
    shared: Arc<Shared>,
    log: AccessLog,
    ending: Arc<Ending>,
    /// The order to stop the whole.
    stop: Arc<signal::Sender<Stop>>,
    ordered: signal::Receiver<Stop>,
    client: signal::Sender<Stop>,
    admin: signal::Sender<Stop>,
    tasks: JoinSet<Done>,
    ended: Ended,
    upstream: Option<Upstream>,
}

/// What a task brings back.
enum Done {
    Client(Drained),
    Writer(Box<Upstream>),
    Other,
}

impl Life {
    /// Begins with no tasks.
    pub(super) fn new(shared: Arc<Shared>, (log, ending): (AccessLog, Arc<Ending>), stop: Arc<signal::Sender<Stop>>) -> Self {
        let ordered = stop.subscribe();
        let ended = Ended { drained: Drained { finished: 0, aborted: 0 }, failed: false };
        let (client, admin) = (signal::Sender::new(Stop::Run), signal::Sender::new(Stop::Run));
        Self { shared, log, ending, stop, ordered, client, admin, tasks: JoinSet::new(), ended, upstream: None }
    }

    /// Serves clients.
    pub(super) fn serve_clients(&mut self, server: Server<Front>, listener: Listener) {
        let ordered = self.client.subscribe();
        self.tasks.spawn(async move { Done::Client(server.run(listener, ordered).await) });
    }

    /// Serves the admin API.
    pub(super) fn serve_admin(&mut self, server: Server<Admin>, listener: Listener) {
        let ordered = self.admin.subscribe();
        self.tasks.spawn(async move {
            server.run(listener, ordered).await;
            Done::Other
        });
    }

    /// Takes reloads.
    pub(super) fn write(&mut self, writer: Writer, triggers: Triggers) {
        self.tasks.spawn(async move { Done::Writer(Box::new(writer.run(triggers).await)) });
    }

    /// Waits for a successor.
    pub(super) fn host(&mut self, host: Host) {
        let ordered = self.ordered.clone();
        self.tasks.spawn(async move {
            host.run(ordered).await;
            Done::Other
        });
    }

    /// Listens to the process's signals.
    pub(super) fn listen(&mut self, signals: Signals) {
        let ordered = self.ordered.clone();
        self.tasks.spawn(async move {
            signals.run(ordered).await;
            Done::Other
        });
    }

    /// Lives until the order to stop, then ends everything in order.
    pub(super) async fn live(mut self) -> Ended {
        self.wait().await;
        self.drain().await;
        self.close().await
    }

    async fn wait(&mut self) {
        let done = tokio::select! {
            // First: after the order, tasks end rightly.
            biased;
            () = signals::stopped(&mut self.ordered) => return,
            done = self.tasks.join_next() => done,
        };
        // Another task may hear the order a moment before this one.
        if *self.ordered.borrow() != Stop::Run {
            self.take(done);
            return;
        }
        // None of them ends before the order but by a fault of ours.
        tracing::error!("a task of the gateway ended unexpectedly; the gateway ends");
        self.take(done);
        self.ended.failed = true;
        self.stop.send_replace(Stop::Drain);
    }

    /// Lets requests finish; when the time is up or a second order comes, tells them to end, and cuts those whose clients do not take it.
    async fn drain(&mut self) {
        self.shared.draining.store(true, Ordering::Relaxed);
        let grace = self.shared.live.load().plan.gateway.drain;
        tracing::info!(%grace, "the gateway ends: running requests may finish");
        match *self.ordered.borrow() {
            // The successor serves both from now on, and tells the service manager.
            Stop::Leave => {
                self.client.send_replace(Stop::Leave);
                self.admin.send_replace(Stop::Leave);
            }
            Stop::Run | Stop::Drain | Stop::Now => {
                service::stopping();
                self.client.send_replace(Stop::Drain);
            }
        }
        if !self.is_drained_within(grace.get(), true).await {
            let running = self.ending.end();
            if running > 0 {
                tracing::warn!(running, %grace, "requests have not finished in time and end with an error");
            }
            // An order that came before says that nobody wants to wait.
            let farewell = if *self.ordered.borrow() == Stop::Now { SHORT_FAREWELL } else { FAREWELL };
            self.is_drained_within(farewell, false).await;
        }
        self.client.send_replace(Stop::Now);
    }

    /// Waits until all connections of clients have ended, for so long at most, or until a second order where that counts; returns whether
    /// they have.
    async fn is_drained_within(&mut self, most: Duration, may_be_cut: bool) -> bool {
        let mut ordered = self.ordered.clone();
        let mut over = std::pin::pin!(async move {
            tokio::select! {
                () = tokio::time::sleep(most) => {}
                () = signals::cut(&mut ordered), if may_be_cut => {}
            }
        });
        loop {
            tokio::select! {
                () = &mut over => return false,
                done = self.tasks.join_next() => if self.take(done) { return true },
            }
        }
    }

    async fn close(mut self) -> Ended {
        // The successor's socket stays.
        let is_handed = self.shared.handed.borrow().is_some();
        self.admin.send_replace(if is_handed { Stop::Leave } else { Stop::Drain });
        // Also what ends the signals' task.
        self.stop.send_replace(Stop::Now);
        while let Some(done) = self.tasks.join_next().await {
            self.take(Some(done));
        }
        // A connection that was cut leaves requests that are still being settled.
        self.ending.end();
        if tokio::time::timeout(LAST_WORDS, self.ending.all_gone()).await.is_err() {
            tracing::error!(
                running = self.ending.running(),
                "requests were not settled in time; the next start charges what is known of them"
            );
        }
        let log = self.log;
        let closed = tokio::task::spawn_blocking(move || log.close(LAST_WORDS)).await;
        if !matches!(closed, Ok(true)) {
            tracing::warn!("the last lines of the access log could not be written in time");
        }
        // Nobody books any more.
        let shared = Arc::clone(&self.shared);
        if tokio::task::spawn_blocking(move || close_book(&shared)).await.is_err() {
            tracing::error!("the book could not be closed; what waited to be written is charged at the next start as far as it was open");
        }
        if let Some(mut upstream) = self.upstream {
            upstream.stop().await;
        }
        let Drained { finished, aborted } = self.ended.drained;
        tracing::info!(finished, aborted, "the gateway has ended");
        self.ended
    }

    /// Takes what a task brings back; returns whether there is nothing more to wait for before the rest is ended.
    fn take(&mut self, done: Option<Result<Done, JoinError>>) -> bool {
        match done {
            Some(Ok(Done::Client(drained))) => {
                self.ended.drained = drained;
                true
            }
            Some(Ok(Done::Writer(upstream))) => {
                self.upstream = Some(*upstream);
                false
            }
            Some(Ok(Done::Other)) => false,
            Some(Err(_)) => {
                self.ended.failed = true;
                true
            }
            None => true,
        }
    }
}

/// Closes the book, and where another gateway has taken over, tells it the last of what was spent.
fn close_book(shared: &Shared) {
    shared.answering.end();
    shared.ledger.conclude();
    if let Some(remote) = shared.remote.get()
        && !remote.bye()
    {
        tracing::warn!("the gateway that took over did not hear the end; it charges what is left open as after a crash");
    }
    shared.book.close_file();
}
