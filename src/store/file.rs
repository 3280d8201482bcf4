//! Private directories and files that are there whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;

/// Makes a directory that only the owner may enter; an existing one is made so.
pub(super) fn private_dir(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StoreError::io("create", path))?;
    fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(StoreError::io("protect", path))
}

/// The name under which a file is written before it is whole: `.NAME.tmp`.
pub(super) fn temporary(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!(".{name}.tmp"))
}

/// Whether a name is one of [`temporary`].
pub(super) fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".tmp")
}

/// Writes a file (0600) under a temporary name, syncs it, renames it, and syncs the directory: after a crash it is there whole or not at
/// all. On an error the temporary file is removed.
pub(super) fn write_whole(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let (temporary, path) = (temporary(directory, name), directory.join(name));
    let written = write_synced(&temporary, bytes).and_then(|()| fs::rename(&temporary, &path));
    if let Err(source) = written {
        // The error that counts is the first one; a leftover is removed at the next start.
        let _ = fs::remove_file(&temporary);
        return Err(StoreError::Io { doing: "write", path, source });
    }
    sync_dir(directory)
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // Only the holder of the lock writes here, so that what stands there is a leftover.
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(StoreError::io("sync", path))
}
