//! The predecessor, once it has handed over: its requests reserve with the successor.
//!
//! Rule: where the successor cannot be reached, nothing new is reserved where a budget applies; what runs goes on with what it holds.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::link::Link;
use super::words::{Answer, Ask, FromPredecessor, FromSuccessor, amounts};
use crate::base::Usd;
use crate::limit::budget::{Claimed, Need, Refused, Short, Successor};

/// The successor's accounts.
pub(in crate::control) struct Remote {
    /// Guards the conversation: one question at a time.
    link: Mutex<Link>,
    is_gone: AtomicBool,
}

impl Remote {
    pub(super) fn new(link: Link) -> Self {
        Self { link: Mutex::new(link), is_gone: AtomicBool::new(false) }
    }

    /// Says that nothing runs any more and all was told; returns whether the successor has heard it. Blocks.
    pub(in crate::control) fn bye(&self) -> bool {
        let heard = self.call(&FromPredecessor::Ask(Ask::Bye), |link| link.receive());
        matches!(heard, Ok(FromSuccessor::Farewell))
    }

    fn call<T>(&self, message: &FromPredecessor, then: impl FnOnce(&Link) -> io::Result<T>) -> io::Result<T> {
        let link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_gone.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        link.send(message).and_then(|()| then(&link)).inspect_err(|error| {
            // What comes later on this connection would answer another question.
            self.is_gone.store(true, Ordering::SeqCst);
            link.close();
            tracing::error!(%error, "the gateway that took over cannot be reached; what runs here goes on, and its lines are written here");
        })
    }

    fn ask(&self, ask: Ask) -> Result<(u64, Vec<Usd>), Refused> {
        let gone = || Refused::Store("the gateway that took over cannot be reached".to_owned());
        match self.call(&FromPredecessor::Ask(ask), |link| link.receive()) {
            Ok(FromSuccessor::Answer(Answer::Holds { bucket, amounts: nanos })) => Ok((bucket, amounts(&nanos))),
            Ok(FromSuccessor::Answer(Answer::Short(short))) => Err(Refused::Short(short.into_iter().map(Short::from).collect())),
            Ok(FromSuccessor::Answer(Answer::Store(why))) => Err(Refused::Store(why)),
            Ok(FromSuccessor::Hello { .. } | FromSuccessor::Ready | FromSuccessor::Serve { .. } | FromSuccessor::Farewell) | Err(_) => {
                Err(gone())
            }
        }
    }
}

impl Successor for Remote {
    fn reserve(&self, accounts: &[Arc<str>], need: Need, now_ms: u64) -> Result<(u64, Vec<Usd>), Refused> {
        self.ask(Ask::Reserve { accounts: accounts.to_vec(), most: need.most.map(Usd::nano), step: need.step.nano(), now_ms })
    }

    fn extend(&self, held: &Claimed, upto: Usd) -> Result<Vec<Usd>, Refused> {
        self.ask(Ask::Extend { held: held.into(), upto: upto.nano() }).map(|(_, amounts)| amounts)
    }

    fn settle(&self, held: &Claimed, cost: Usd) {
        // Where it does not arrive, the successor reads the line in the book once it sees that this process has ended.
        let _ = self.call(&FromPredecessor::Ask(Ask::Settle { held: held.into(), cost: cost.nano() }), |_| Ok(()));
    }
}
