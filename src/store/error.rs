//! What can go wrong with the state directory.

use std::io;
use std::path::{Path, PathBuf};

use super::book::Failure;

/// Why the state could not be read or written. Paths are the operator's own and are shown.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another gateway uses the same state directory.
    #[error(
        "the state directory is in use by another gateway{}: {} is locked; give each gateway its own `state`",
        holder.map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The process that holds it, as far as it said.
        holder: Option<u32>,
    },
    /// The file system refused.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried: `create`, `read`, `write`, …
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A revision's file is not what was written.
    #[error("the revision in {} cannot be read: {why}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The book cannot be used.
    #[error("the book {} cannot be used: {why}", path.display())]
    Book {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The book that gateways share cannot be used.
    #[error(transparent)]
    Shared(Failure),
}

impl StoreError {
    /// Wraps what the system said about a path.
    pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }
}
