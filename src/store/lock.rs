//! One gateway per state directory.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::StoreError;

/// Holds the state directory for this process. The system gives it up when the file closes, also after a crash.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock without waiting.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process, or another part of this one, holds it.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(path).map_err(StoreError::io("open", path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(StoreError::Locked { path: path.to_owned(), holder: holder(&mut file) }),
            Err(error) => return Err(StoreError::io("lock", path)(error.into())),
        }
        note(&mut file);
        Ok(Self { file })
    }

    /// Takes over the lock from the process that holds it, by a descriptor of its own: it is held until both have given it up.
    ///
    /// # Errors
    /// [`StoreError::Io`], where it is not the lock of this place.
    pub(super) fn adopt(descriptor: OwnedFd, path: &Path) -> Result<Self, StoreError> {
        let mut file = File::from(descriptor);
        let (given, named) =
            (file.metadata().map_err(StoreError::io("read", path))?, path.metadata().map_err(StoreError::io("read", path))?);
        if (given.dev(), given.ino()) != (named.dev(), named.ino()) {
            return Err(StoreError::io("take over", path)(std::io::Error::other("the lock is that of another state directory")));
        }
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|error| StoreError::io("lock", path)(error.into()))?;
        note(&mut file);
        Ok(Self { file })
    }

    /// Makes another descriptor of the lock, for whoever takes it over.
    pub(super) fn descriptor(&self) -> std::io::Result<OwnedFd> {
        self.file.try_clone().map(OwnedFd::from)
    }
}

/// Writes down who holds it: only a hint for whoever comes second; the lock holds without it.
fn note(file: &mut File) {
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
