//! One gateway takes over from another on this machine, and nobody notices: neither clients nor the book.
//!
//! The successor connects to the socket in the state directory, gets the listeners and the lock of the directory as descriptors, makes
//! everything ready that may fail, and then says so. Only then the predecessor freezes its accounts, tells what is held, and hands them
//! over; it accepts no more and drains. Until that moment, whatever goes wrong, the predecessor goes on as if nothing had happened.
//!
//! | file | is |
//! |---|---|
//! | `link` | messages and descriptors on a Unix socket |
//! | `words` | what the two say to each other |
//! | `host` | the predecessor: listens, hands over |
//! | `remote` | the predecessor afterwards: its accounts are the successor's |
//! | `heir` | the successor: claims, and answers for the accounts afterwards |
//! | `launch` | starting a successor of one's own, for `upgrade` |
//!
//! Where gateways share the book, the successor is one more of them: only listeners and directory change hands.

mod heir;
mod host;
mod launch;
mod link;
mod remote;
mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) use heir::{Answering, Claim, claim};
pub(super) use host::{Handed, Host, Parts, Pause};
pub use launch::Program;
pub(super) use launch::{LaunchError, launch};
pub(super) use remote::Remote;

/// How long the other side may take to get ready: it may have many keys' windows to look at.
const READY: Duration = Duration::from_secs(30);
/// How long the accounts may be frozen before the predecessor takes them back.
const FROZEN: Duration = Duration::from_secs(5);
/// How long one answer about money may take.
const ANSWER: Duration = Duration::from_secs(2);

/// Returns where a gateway waits for its successor.
fn socket(state: &Path) -> PathBuf {
    state.join("upgrade.sock")
}

/// Why one gateway does not take over from the other.
#[derive(Debug, thiserror::Error)]
pub enum SuccessionError {
    /// Nobody is there.
    #[error("no gateway answers at {place}: {source}")]
    Nobody {
        /// The socket.
        place: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The other side refused.
    #[error("the running gateway does not hand over: {0}")]
    Refused(String),
    /// The other side went away, was too slow, or said what makes no sense.
    #[error("the hand-over broke off: {0}")]
    Broken(String),
    /// Something else that only this machine can tell.
    #[error("the hand-over failed: {0}")]
    System(String),
}

impl From<std::io::Error> for SuccessionError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
                Self::Broken("the other gateway did not answer in time".to_owned())
            }
            std::io::ErrorKind::UnexpectedEof => Self::Broken("the other gateway went away".to_owned()),
            _ => Self::Broken(error.to_string()),
        }
    }
}
