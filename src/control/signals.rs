//! The process's signals: SIGHUP reloads; SIGTERM and SIGINT end the gateway, the first in order, the second at once.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, watch};

use crate::server::Stop;

/// The signals, listened to from the moment this is made.
pub(super) struct Signals {
    hang_up: Signal,
    terminate: Signal,
    interrupt: Signal,
    reload: Arc<Notify>,
    stop: Arc<watch::Sender<Stop>>,
}

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new(reload: &Arc<Notify>, stop: &Arc<watch::Sender<Stop>>) -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: Arc::clone(reload),
            stop: Arc::clone(stop),
        })
    }

    /// Passes signals on until everything is cut.
    pub(super) async fn run(mut self, mut ordered: watch::Receiver<Stop>) {
        loop {
            tokio::select! {
                () = cut(&mut ordered) => return,
                _ = self.hang_up.recv() => self.reload.notify_one(),
                _ = self.terminate.recv() => end(&self.stop),
                _ = self.interrupt.recv() => end(&self.stop),
            }
        }
    }
}

/// Waits for the order to stop, in order or at once.
pub(super) async fn stopped(ordered: &mut watch::Receiver<Stop>) {
    // A sender that is gone gives the same order.
    let _ = ordered.wait_for(|stop| *stop != Stop::Run).await;
}

/// Waits for the order to stop at once.
pub(super) async fn cut(ordered: &mut watch::Receiver<Stop>) {
    let _ = ordered.wait_for(|stop| *stop == Stop::Now).await;
}

/// Ends the gateway: the first time in order, the second time at once.
pub(super) fn end(stop: &watch::Sender<Stop>) {
    stop.send_modify(|stop| {
        *stop = match *stop {
            Stop::Run => Stop::Drain,
            Stop::Drain | Stop::Leave | Stop::Now => Stop::Now,
        };
    });
}
