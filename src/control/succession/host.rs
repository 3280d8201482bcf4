//! The predecessor: waits for a successor in the state directory, and hands over to it.
//!
//! Rule: nothing has changed until the successor has said that it serves as soon as it may; then all changes at once.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};

use super::link::Link;
use super::remote::Remote;
use super::words::{FORM, FromPredecessor, FromSuccessor, Sum};
use super::{FROZEN, SuccessionError, socket};
use crate::control::shared::Shared;
use crate::control::signals;
use crate::limit::budget::Frozen;
use crate::plan::State;
use crate::server::{Listener, SocketFile, Stop};
use crate::store::book;

/// How long the writer may take to end what it does.
const PAUSED: Duration = Duration::from_secs(10);

/// Who has taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) struct Handed {
    pub(in crate::control) pid: u32,
    pub(in crate::control) version: String,
    pub(in crate::control) revision: u64,
    /// How long nothing could be reserved meanwhile.
    pub(in crate::control) frozen: Duration,
}

/// What is handed over beside the accounts.
pub(in crate::control) struct Parts {
    pub(in crate::control) clients: OwnedFd,
    pub(in crate::control) admin: OwnedFd,
    /// The file of the admin socket, where it has one.
    pub(in crate::control) admin_file: Option<PathBuf>,
}

/// Asks the writer of the running table to pause: it says when it does, and hears whether it goes on.
pub(in crate::control) type Pause = (oneshot::Sender<()>, oneshot::Receiver<()>);

/// Waits for a successor.
pub(in crate::control) struct Host {
    listener: UnixListener,
    file: SocketFile,
    parts: Parts,
    shared: Arc<Shared>,
    writer: mpsc::Sender<Pause>,
    stop: Arc<watch::Sender<Stop>>,
}

impl Host {
    /// Begins to wait: on what a predecessor left, or on a socket of its own. None, with a word in the log, where there can be none.
    pub(in crate::control) fn new(
        given: Option<std::os::unix::net::UnixListener>,
        parts: Parts,
        shared: &Arc<Shared>,
        writer: mpsc::Sender<Pause>,
        stop: &Arc<watch::Sender<Stop>>,
    ) -> Option<Self> {
        let place = socket(shared.store.state());
        let made = match given {
            Some(given) => Listener::from_unix(given).map_err(|error| error.to_string()),
            None => Listener::unix(&place).map_err(|error| error.to_string()),
        };
        match made {
            Ok(Listener::Unix(listener, file)) => {
                Some(Self { listener, file, parts, shared: Arc::clone(shared), writer, stop: Arc::clone(stop) })
            }
            Ok(Listener::Tcp(_)) => None,
            Err(error) => {
                tracing::warn!(error, "no other gateway can take over from this one (`bifrostctl upgrade`)");
                None
            }
        }
    }

    /// Takes over the socket's file from the gateway before.
    pub(in crate::control) fn own(&mut self) {
        self.file.own(&socket(self.shared.store.state()));
    }

    /// Waits until somebody has taken over, or the order to stop.
    pub(in crate::control) async fn run(self, mut ordered: watch::Receiver<Stop>) {
        loop {
            let accepted = tokio::select! {
                biased;
                () = signals::stopped(&mut ordered) => return,
                accepted = self.listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
            if uid != Some(rustix::process::geteuid().as_raw()) {
                tracing::warn!(uid, "another user wanted to take over; it was turned away");
                continue;
            }
            match self.hand_over(stream).await {
                Ok((handed, paused)) => {
                    self.leave(handed);
                    // The writer hears the order to stop before it goes on.
                    return drop(paused);
                }
                Err(error) => tracing::warn!(%error, "another gateway wanted to take over and did not; this one goes on"),
            }
        }
    }

    /// Another gateway serves: this one takes nothing more.
    fn leave(self, handed: Handed) {
        let Handed { pid, version, revision, frozen } = &handed;
        tracing::info!(pid, version, revision, ?frozen, "another gateway has taken over: this one finishes what runs");
        self.file.leave();
        self.shared.store.let_go();
        self.shared.handed.send_replace(Some(handed));
        self.stop.send_modify(|stop| {
            if matches!(*stop, Stop::Run | Stop::Drain) {
                *stop = Stop::Leave;
            }
        });
    }

    /// Hands over while the writer pauses, which it does until the second value drops.
    async fn hand_over(&self, stream: UnixStream) -> Result<(Handed, oneshot::Sender<()>), SuccessionError> {
        let link = Link::new(stream.into_std()?)?;
        let (paused, is_paused) = oneshot::channel();
        let (resume, resumed) = oneshot::channel();
        let pausing = async {
            self.writer.send((paused, resumed)).await.ok()?;
            is_paused.await.ok()
        };
        let Ok(Some(())) = tokio::time::timeout(PAUSED, pausing).await else {
            let why = "it is in the middle of a change of its spec, or of its own end".to_owned();
            link.send(&FromPredecessor::Refused { why: why.clone() })?;
            return Err(SuccessionError::Refused(why));
        };
        let shared = Arc::clone(&self.shared);
        let descriptors = self.descriptors()?;
        let handed = tokio::task::spawn_blocking(move || converse(&link, &shared, descriptors)).await;
        handed.map_err(|error| SuccessionError::System(error.to_string()))?.map(|handed| (handed, resume))
    }

    fn descriptors(&self) -> Result<Descriptors, SuccessionError> {
        Ok(Descriptors {
            all: [
                self.parts.clients.try_clone()?,
                self.parts.admin.try_clone()?,
                self.shared
                    .store
                    .lock_descriptor()
                    .ok_or_else(|| SuccessionError::System("the state directory is not locked".to_owned()))??,
                self.listener.as_fd().try_clone_to_owned()?,
            ],
            admin_file: self.parts.admin_file.clone(),
        })
    }
}

struct Descriptors {
    all: [OwnedFd; 4],
    admin_file: Option<PathBuf>,
}

/// Talks to whoever wants to take over, up to the moment from which it has.
fn converse(link: &Link, shared: &Shared, descriptors: Descriptors) -> Result<Handed, SuccessionError> {
    let FromSuccessor::Hello { form, tables, version, pid } = link.receive()? else { return Err(nonsense()) };
    if let Some(why) = refusal(shared, form, tables) {
        link.send(&FromPredecessor::Refused { why: why.clone() })?;
        return Err(SuccessionError::Refused(why));
    }
    let welcome = FromPredecessor::Welcome {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        admin: descriptors.admin_file.clone(),
    };
    link.send_with(&welcome, &descriptors.all.each_ref().map(AsFd::as_fd))?;
    drop(descriptors);
    let FromSuccessor::Ready = link.receive()? else { return Err(nonsense()) };
    if is_shared(shared) {
        let revision = give(link, Vec::new())?;
        link.send(&FromPredecessor::Yours)?;
        return Ok(Handed { pid, version, revision, frozen: Duration::ZERO });
    }
    let since = Instant::now();
    let frozen = shared.ledger.freeze();
    let revision = give(link, held(&frozen)?)?;
    if shared.is_draining() {
        return Err(SuccessionError::Refused("it is ending".to_owned()));
    }
    link.patience(super::ANSWER)?;
    let remote = Arc::new(Remote::new(link.duplicate()?));
    frozen.hand_over(Arc::clone(&remote) as _, || link.send(&FromPredecessor::Yours))?;
    // It is handed over once.
    let _ = shared.remote.set(remote);
    Ok(Handed { pid, version, revision, frozen: since.elapsed() })
}

/// Tells what is held, and waits until the successor is ready to serve.
fn give(link: &Link, held: Vec<Sum>) -> Result<u64, SuccessionError> {
    link.patience(FROZEN)?;
    link.send(&FromPredecessor::Estate { held })?;
    match link.receive()? {
        FromSuccessor::Serve { revision } => Ok(revision),
        FromSuccessor::Hello { .. } | FromSuccessor::Ready | FromSuccessor::Answer(_) | FromSuccessor::Farewell => Err(nonsense()),
    }
}

fn held(frozen: &Frozen<'_>) -> Result<Vec<Sum>, SuccessionError> {
    let held = frozen.held().map_err(|error| SuccessionError::System(format!("the book cannot be written: {error}")))?;
    Ok(held.iter().map(Sum::from).collect())
}

/// Says why nobody may take over now.
fn refusal(shared: &Shared, form: u32, tables: u32) -> Option<String> {
    if shared.is_draining() {
        return Some("it is ending".to_owned());
    }
    if shared.inherits() {
        return Some("the gateway before it is still finishing its requests".to_owned());
    }
    if form != FORM {
        return Some(format!("the versions differ too much (hand-over of form {form}, and this gateway knows {FORM}): restart it instead"));
    }
    if !is_shared(shared) && tables != book::TABLES {
        let (old, new) = (book::TABLES, tables);
        return Some(format!("the other version keeps the book in another form ({new}, here {old}): restart it instead"));
    }
    None
}

fn is_shared(shared: &Shared) -> bool {
    matches!(shared.current().plan.gateway.state, State::Shared(_))
}

fn nonsense() -> SuccessionError {
    SuccessionError::Broken("the other gateway said what makes no sense here".to_owned())
}
