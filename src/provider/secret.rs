//! Reads a secret from where the spec says it is kept.
//!
//! Not a vault client and not a watcher: it reads once and says what is wrong. Rule: no error holds any part of a value.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::base::{Digest, Secret};
use crate::plan::SecretRef;
use crate::spec::Environment;

/// Largest secret file in bytes. A longer one is almost surely the wrong file.
const FILE_LIMIT_BYTES: u64 = 64 * 1024;

/// Why a secret could not be read. The text names the reference and the remedy, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or not UTF-8.
    #[error(
        "environment variable `{0}` is not set; set it in the gateway's environment, or mark the credential `optional: true` to run without it"
    )]
    Unset(String),
    /// The reference leads to nothing but blanks.
    #[error("the secret in {0} is empty; put the key there, or use `secret: none` for a server without keys")]
    Empty(String),
    /// The file is not there.
    #[error("the secret in {0} does not exist (looked at `{path}`); create it, or mark the credential `optional: true`", path = .1.display())]
    Missing(String, PathBuf),
    /// The file cannot be read.
    #[error("the secret in {0} cannot be read (`{path}`: {2}); let the gateway's user read it", path = .1.display())]
    Unreadable(String, PathBuf, io::ErrorKind),
    /// The path names a directory, a pipe or a device.
    #[error("the secret in {0} is not a regular file (`{path}`); name the file that holds the key and nothing else", path = .1.display())]
    NotAFile(String, PathBuf),
    /// The file is over the cap.
    #[error("the secret in {0} is over 64 KiB; name the file that holds the key and nothing else")]
    TooLarge(String),
    /// Bytes that a header cannot carry.
    #[error(
        "the secret in {0} holds something other than visible ASCII (a line break, a blank at an end, or another script); store the key alone"
    )]
    NotVisible(String),
    /// There is no credentials directory.
    #[error(
        "credential `{0}` needs `$CREDENTIALS_DIRECTORY`, which is not set; run under systemd with `LoadCredential={0}:PATH`, or use `file:`"
    )]
    NoCredentialsDirectory(String),
    /// The name of a credential is a path.
    #[error("credential `{0}` is not a plain name; use `file:` for a path")]
    NotAName(String),
}

impl SecretError {
    /// Returns whether the secret is simply not there, which an `optional` credential may be.
    pub const fn is_absent(&self) -> bool {
        match self {
            Self::Unset(_) | Self::Empty(_) | Self::Missing(..) | Self::NoCredentialsDirectory(_) => true,
            Self::Unreadable(..) | Self::NotAFile(..) | Self::TooLarge(_) | Self::NotVisible(_) | Self::NotAName(_) => false,
        }
    }
}

/// Reads the secret that `reference` names; `None` for `secret: none`. Relative paths start at `base_dir`, the spec's directory.
///
/// One newline at the end of a file is trimmed; what is left must be visible ASCII, since it travels in a header.
///
/// # Errors
/// [`SecretError`], with the reference and the remedy.
pub fn resolve(reference: &SecretRef, env: &dyn Environment, base_dir: &Path) -> Result<Option<Secret<String>>, SecretError> {
    let Some(text) = resolve_document(reference, env, base_dir)? else { return Ok(None) };
    let is_visible = |text: &str| text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && !text.starts_with(' ') && !text.ends_with(' ');
    if is_visible(text.expose()) { Ok(Some(text)) } else { Err(SecretError::NotVisible(reference.to_string())) }
}

/// Reads a secret that is a document of several lines, such as a Google key file; otherwise as [`resolve`].
///
/// # Errors
/// [`SecretError`], with the reference and the remedy.
pub fn resolve_document(reference: &SecretRef, env: &dyn Environment, base_dir: &Path) -> Result<Option<Secret<String>>, SecretError> {
    let text = match reference {
        SecretRef::None => return Ok(None),
        SecretRef::Env(name) => env.get(name).ok_or_else(|| SecretError::Unset(name.clone()))?,
        SecretRef::File(path) => read(reference, &base_dir.join(path))?,
        SecretRef::Cred(name) => {
            let plain = Path::new(name).components().count() == 1 && !name.contains(['/', '\\']) && name != "." && name != "..";
            if !plain {
                return Err(SecretError::NotAName(name.clone()));
            }
            let dir = env.get("CREDENTIALS_DIRECTORY").filter(|dir| !dir.is_empty());
            let dir = dir.ok_or_else(|| SecretError::NoCredentialsDirectory(name.clone()))?;
            read(reference, &Path::new(&dir).join(name))?
        }
    };
    if text.trim().is_empty() { Err(SecretError::Empty(reference.to_string())) } else { Ok(Some(Secret::new(text))) }
}

fn read(reference: &SecretRef, path: &Path) -> Result<String, SecretError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => SecretError::Missing(reference.to_string(), path.to_owned()),
        kind => SecretError::Unreadable(reference.to_string(), path.to_owned(), kind),
    };
    // Looked at before it is opened: opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(SecretError::NotAFile(reference.to_string(), path.to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_LIMIT_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_LIMIT_BYTES {
        return Err(SecretError::TooLarge(reference.to_string()));
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    String::from_utf8(bytes).map_err(|_| SecretError::NotVisible(reference.to_string()))
}

/// Digests a secret, to see that it changed. Never shown: a short key could be guessed from it.
pub fn fingerprint(secret: &Secret<String>) -> Digest {
    Digest::of_parts([b"secret".as_slice(), secret.expose().as_bytes()])
}
