//! Writing the spec's own files: all of them or none, each whole or not at all, and none that is not the spec's.
//!
//! | file | is |
//! |---|---|
//! | `permit` | which files an apply may write; decides |
//! | `replace` | the same for who edits the files from outside: commands |
//! | `write` | staging, renaming, putting back; does I/O |
//!
//! Not a journal: a crash between two renames can leave a mixture, which the next start loads or refuses as it would any other.

mod permit;
mod replace;
mod write;

pub(super) use permit::{Refused, changes};
pub(crate) use replace::replace;
pub(super) use write::{Staged, WriteError, Written};
