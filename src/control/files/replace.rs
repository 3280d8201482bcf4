//! Writing over files from outside of a gateway: what `fmt` and `key rotate` do.

use std::path::PathBuf;

use super::write::{Change, Staged, WriteError};

/// Writes over files, all of them or none: beside each, synced, and renamed into place with the mode that it had. Blocks.
///
/// # Errors
/// What went wrong, in a sentence; every file is what it was then, or the sentence says which is not.
pub(crate) fn replace(texts: Vec<(PathBuf, String)>) -> Result<(), String> {
    let changes: Vec<Change> = texts.into_iter().map(|(path, text)| Change::Write(path, text)).collect();
    let written = Staged::prepare(&changes).and_then(Staged::commit).map_err(|error| match error {
        WriteError::ReadOnly { path, why } => format!("cannot write {}: {why}", path.display()),
        error @ (WriteError::Io { .. } | WriteError::Torn { .. }) => error.to_string(),
    })?;
    drop(written);
    Ok(())
}
