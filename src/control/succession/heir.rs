//! The successor: claims what a running gateway has, and answers for its requests until the last has ended.
//!
//! Rule: until the predecessor has said that all is this process's, nothing is accepted and nothing of the predecessor's is touched.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::link::Link;
use super::words::{Answer, Ask, FORM, FromPredecessor, FromSuccessor, nanos, need};
use super::{ANSWER, FROZEN, SuccessionError, socket};
use crate::base::{Clock, Usd};
use crate::control::sockets::Sockets;
use crate::limit::budget::{Held, Inheritance, Ledger};
use crate::store::book::{self, Book};

/// What a predecessor is about to hand over.
#[derive(Debug)]
pub(in crate::control) struct Claim {
    link: Link,
    /// The predecessor's process.
    pub(in crate::control) pid: u32,
    sockets: Option<Sockets>,
    lock: Option<OwnedFd>,
    /// Where the next successor is waited for.
    next: Option<UnixListener>,
}

/// Asks the gateway that holds a state directory to hand over. Blocks.
///
/// # Errors
/// [`SuccessionError`]; then nothing has changed.
pub(in crate::control) fn claim(state: &Path) -> Result<Claim, SuccessionError> {
    let place = socket(state);
    let stream = UnixStream::connect(&place).map_err(|source| SuccessionError::Nobody { place, source })?;
    let link = Link::new(stream)?;
    let version = env!("CARGO_PKG_VERSION").to_owned();
    link.send(&FromSuccessor::Hello { form: FORM, tables: book::TABLES, version, pid: std::process::id() })?;
    let (pid, file, descriptors) = match link.receive_with()? {
        (FromPredecessor::Welcome { version: _, pid, admin }, descriptors) => (pid, admin, descriptors),
        (FromPredecessor::Refused { why }, _) => return Err(SuccessionError::Refused(why)),
        (FromPredecessor::Estate { .. } | FromPredecessor::Yours | FromPredecessor::Ask(_), _) => return Err(nonsense()),
    };
    let Ok([clients, admin, lock, next]) = <[OwnedFd; 4]>::try_from(descriptors) else { return Err(nonsense()) };
    let sockets = match file {
        Some(file) => Sockets::inherited(TcpListener::from(clients)).with_admin(UnixListener::from(admin), file),
        None => Sockets::inherited(TcpListener::from(clients)).with_tcp_admin(TcpListener::from(admin)),
    };
    Ok(Claim { link, pid, sockets: Some(sockets), lock: Some(lock), next: Some(UnixListener::from(next)) })
}

impl Claim {
    /// Returns the listening sockets, once.
    pub(in crate::control) fn sockets(&mut self) -> Sockets {
        self.sockets.take().unwrap_or_default()
    }

    /// Returns the lock of the state directory, once.
    pub(in crate::control) fn lock(&mut self) -> Option<OwnedFd> {
        self.lock.take()
    }

    /// Returns where the next successor is waited for, once.
    pub(in crate::control) fn next(&mut self) -> Option<UnixListener> {
        self.next.take()
    }

    /// Takes over: from here on this process serves, and the predecessor accepts nothing more. Blocks. Returns what must be answered for;
    /// nothing where gateways share the book.
    ///
    /// # Errors
    /// [`SuccessionError`]; then the predecessor goes on, and this process must end.
    pub(in crate::control) fn take_over(
        self,
        ledger: &Arc<Ledger>,
        (book, is_shared): (&Book, bool),
        revision: u64,
    ) -> Result<Option<Estate>, SuccessionError> {
        self.link.send(&FromSuccessor::Ready)?;
        let FromPredecessor::Estate { held } = self.link.receive()? else { return Err(nonsense()) };
        let began = Instant::now();
        self.link.patience(FROZEN)?;
        let inheritance = match is_shared {
            true => None,
            false => {
                let unread = |error: book::BookError| SuccessionError::System(format!("what was spent cannot be read: {error}"));
                ledger.attach(book.clone()).map_err(unread)?;
                Some(ledger.inherit(held.into_iter().map(Held::from).collect()))
            }
        };
        self.link.send(&FromSuccessor::Serve { revision })?;
        let FromPredecessor::Yours = self.link.receive()? else { return Err(nonsense()) };
        let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        tracing::info!(predecessor = self.pid, took_us, "this gateway has taken over");
        let Some(inheritance) = inheritance else { return Ok(None) };
        self.link.patience(ANSWER)?;
        self.link.listen()?;
        Ok(Some(Estate { link: self.link, inheritance, book: book.clone(), predecessor: self.pid }))
    }
}

/// The requests of a predecessor that still run.
pub(in crate::control) struct Estate {
    link: Link,
    inheritance: Inheritance,
    book: Book,
    predecessor: u32,
}

/// Ends the answering for a predecessor when this process ends first.
#[derive(Debug, Default)]
pub(in crate::control) struct Answering(Mutex<Option<Link>>);

impl Answering {
    /// Returns whether a predecessor still runs requests.
    pub(in crate::control) fn is_on(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Stops answering.
    pub(in crate::control) fn end(&self) {
        if let Some(link) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            link.close();
        }
    }
}

impl Estate {
    /// Answers on a thread of its own until the predecessor has ended.
    ///
    /// # Errors
    /// What the system says; then the predecessor's requests are held for until they are charged as after a crash.
    pub(in crate::control) fn answer(self, answering: &Arc<Answering>, clock: Arc<dyn Clock>) -> std::io::Result<()> {
        *answering.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.link.duplicate()?);
        let answering = Arc::clone(answering);
        std::thread::Builder::new().name("predecessor".to_owned()).spawn(move || {
            self.run(&*clock);
            answering.end();
        })?;
        Ok(())
    }

    fn run(mut self, clock: &dyn Clock) {
        let was_told = loop {
            match self.link.receive() {
                Ok(FromPredecessor::Ask(Ask::Bye)) => {
                    // It may end now; whether it still hears that changes nothing.
                    let _ = self.link.send(&FromSuccessor::Farewell);
                    break true;
                }
                Ok(FromPredecessor::Ask(ask)) => match self.respond(ask).map(|answer| self.link.send(&answer)) {
                    None | Some(Ok(())) => {}
                    Some(Err(_)) => break false,
                },
                Ok(
                    FromPredecessor::Welcome { .. }
                    | FromPredecessor::Refused { .. }
                    | FromPredecessor::Estate { .. }
                    | FromPredecessor::Yours,
                )
                | Err(_) => break false,
            }
        };
        self.conclude(was_told, clock.unix_ms());
    }

    fn respond(&mut self, ask: Ask) -> Option<FromSuccessor> {
        let answer = match ask {
            Ask::Reserve { accounts, most, step, now_ms } => {
                let reserved = self.inheritance.reserve(&accounts, need(most, step), now_ms);
                reserved.map(|(bucket, amounts)| Answer::Holds { bucket, amounts: nanos(&amounts) })
            }
            Ask::Extend { held, upto } => {
                let held = held.into();
                let extended = self.inheritance.extend(&held, Usd::from_nano(upto));
                extended.map(|amounts| Answer::Holds { bucket: held.bucket, amounts: nanos(&amounts) })
            }
            Ask::Settle { held, cost } => {
                self.inheritance.settle(&held.into(), Usd::from_nano(cost));
                return None;
            }
            Ask::Bye => return Some(FromSuccessor::Farewell),
        };
        Some(FromSuccessor::Answer(answer.unwrap_or_else(Answer::from)))
    }

    /// Ends the lines that the predecessor left open, as after a crash, and gives back what is still held for it.
    fn conclude(self, was_told: bool, now_ms: u64) {
        let Self { link: _, inheritance, book, predecessor } = self;
        let held = inheritance.left();
        let expired = book.expire_others(now_ms);
        let concluded =
            expired.as_ref().map_err(Clone::clone).and_then(|expired| inheritance.conclude(was_told && expired.expired == 0 && held == 0));
        match (was_told, expired, concluded) {
            (true, Ok(expired), Ok(())) if expired.expired == 0 && held == 0 => {
                tracing::info!(predecessor, "the gateway before this one has ended; all of its requests are settled");
            }
            (_, Ok(expired), Ok(())) => {
                let (lines, charged) = (expired.expired, expired.charged);
                tracing::warn!(predecessor, lines, %charged, "the gateway before this one ended early; what it left is charged what is known of it");
            }
            (_, Err(error), _) | (_, _, Err(error)) => {
                tracing::error!(predecessor, %error, "what the gateway before this one left cannot be settled now; the next start does it");
            }
        }
    }
}

fn nonsense() -> SuccessionError {
    SuccessionError::Broken("the other gateway said what makes no sense here".to_owned())
}
