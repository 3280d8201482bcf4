//! What a command works with: the global options and the outside world, and the questions that several commands ask of both.

use std::io::Read;
use std::path::PathBuf;

use super::admin::Admin;
use super::args::Global;
use super::exit::CommandError;
use super::input::Source;
use super::io::Io;
use super::peek;
use crate::base::Secret;

/// The file that is read when `-f` names none.
pub(crate) const DEFAULT_FILE: &str = "gateway.yaml";

/// Largest secret, token or key that is read from a file or from standard input. Bytes.
const SECRET_LIMIT: u64 = 64 * 1024;

/// The global options and the outside world.
pub(crate) struct Context<'a> {
    /// The global options.
    pub(crate) global: &'a Global,
    /// The outside world.
    pub(crate) io: &'a mut Io,
    /// The spec once it was opened: standard input can be read only once.
    pub(crate) source: Option<Source>,
}

impl Context<'_> {
    /// Returns the spec and its overlays, in order, as the options name them.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let mut paths = self.global.file.clone();
        if paths.is_empty() {
            paths.push(PathBuf::from(DEFAULT_FILE));
        }
        if let (Some(name), Some(first)) = (&self.global.env, paths.first()) {
            let overlay = first.with_file_name("env").join(format!("{name}.yaml"));
            paths.push(overlay);
        }
        paths
    }

    /// Prints a message, unless `--quiet`.
    pub(crate) fn note(&mut self, text: &str) {
        if !self.global.quiet {
            self.io.stderr.line(text);
        }
    }

    /// Prints a message with `--verbose` only.
    pub(crate) fn detail(&mut self, text: &str) {
        if self.global.verbose {
            self.io.stderr.line(text);
        }
    }

    /// Returns whether a question can be answered.
    pub(crate) const fn can_ask(&self) -> bool {
        self.io.terminal.stdin && self.io.terminal.stderr && !self.global.no_input
    }

    /// Makes the client of the admin API.
    pub(crate) fn admin(&self) -> Result<Admin, CommandError> {
        Admin::new(peek::endpoint(self)?, self.token()?, self.global.timeout.get())
    }

    /// Reads the admin token from `--token-file` or `BIFROST_TOKEN_FILE`, if either is set.
    fn token(&self) -> Result<Option<Secret<String>>, CommandError> {
        let path = match &self.global.token_file {
            Some(path) => path.clone(),
            None => match self.io.variable("BIFROST_TOKEN_FILE") {
                Some(path) => PathBuf::from(path),
                None => return Ok(None),
            },
        };
        let text = read_secret_file(&path)?;
        Ok(Some(Secret::new(text)))
    }
}

/// Reads a secret from a file; surrounding white space is trimmed.
pub(crate) fn read_secret_file(path: &std::path::Path) -> Result<String, CommandError> {
    let name = path.display();
    let file = std::fs::File::open(path).map_err(|error| CommandError::failure(format!("cannot read {name}: {error}")))?;
    let text = read_secret(file).map_err(|error| CommandError::failure(format!("cannot read {name}: {error}")))?;
    if text.is_empty() { Err(CommandError::failure(format!("{name} is empty"))) } else { Ok(text) }
}

/// Reads a secret from a stream; surrounding white space is trimmed.
pub(crate) fn read_secret(source: impl Read) -> std::io::Result<String> {
    let mut text = String::new();
    source.take(SECRET_LIMIT).read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}

/// Reads a file, or standard input where its name is `-`; at most `limit` bytes.
pub(crate) fn read_all(path: &std::path::Path, limit: u64, context: &mut Context<'_>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        (&mut context.io.stdin).take(limit).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
