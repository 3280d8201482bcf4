//! Durable state: the revisions that the gateway ran, in files of its state directory, and the book of what was spent.
//!
//! It keeps what it is given and decides nothing. All calls block on the disk: on a runtime, call them through `spawn_blocking`.
//!
//! Rule: what `append` returned survives a crash; what a crash left half-written is never read as a revision.

pub mod book;
mod error;
mod file;
mod lock;
pub mod rates;
mod revisions;

pub use error::StoreError;
pub use revisions::{KEEP, NewRevision, Options, Revision, RevisionInfo, Revisions, Skipped};
