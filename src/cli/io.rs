//! The outside world as an argument: streams, environment, clock, terminal. Tests bring their own.

use std::io::{self, IsTerminal, Read, Write};

use crate::base::{Clock, SystemClock};
use crate::spec::{Environment, ProcessEnvironment};

/// What a command may touch of the process that runs it.
pub struct Io {
    /// Standard input; taken by whoever reads it.
    pub stdin: Box<dyn Read + Send>,
    /// Data.
    pub stdout: Stream,
    /// Messages.
    pub stderr: Stream,
    /// Environment variables.
    pub env: Box<dyn Environment>,
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Which streams are a terminal.
    pub terminal: Terminal,
}

/// Which streams are a terminal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminal {
    /// Somebody can answer.
    pub stdin: bool,
    /// Somebody sees the data.
    pub stdout: bool,
    /// Somebody sees the messages.
    pub stderr: bool,
}

impl Io {
    /// Takes the process's own streams, environment and clock.
    pub fn process() -> Self {
        let terminal =
            Terminal { stdin: io::stdin().is_terminal(), stdout: io::stdout().is_terminal(), stderr: io::stderr().is_terminal() };
        Self {
            stdin: Box::new(io::stdin()),
            stdout: Stream::new(io::stdout()),
            stderr: Stream::new(io::stderr()),
            env: Box::new(ProcessEnvironment),
            clock: Box::new(SystemClock::default()),
            terminal,
        }
    }

    /// Returns a variable's value; empty counts as unset.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.env.get(name).filter(|value| !value.is_empty())
    }
}

/// An output stream that remembers its first failure instead of returning it from every write.
///
/// A reader that went away (`bifrostctl … | head`) is not a failure: the rest is dropped quietly.
pub struct Stream {
    inner: Box<dyn Write + Send>,
    state: State,
}

enum State {
    Open,
    Closed,
    Failed(io::Error),
}

impl Stream {
    /// Wraps a writer.
    pub fn new(inner: impl Write + Send + 'static) -> Self {
        Self { inner: Box::new(inner), state: State::Open }
    }

    /// Writes text, unless the stream has ended or failed before.
    pub fn put(&mut self, text: &str) {
        if matches!(self.state, State::Open)
            && let Err(error) = self.inner.write_all(text.as_bytes())
        {
            self.fail(error);
        }
    }

    /// Writes text and a line end.
    pub fn line(&mut self, text: &str) {
        self.put(text);
        self.put("\n");
    }

    /// Hands everything written so far to the system.
    pub fn flush(&mut self) {
        if matches!(self.state, State::Open)
            && let Err(error) = self.inner.flush()
        {
            self.fail(error);
        }
    }

    /// Returns whether anybody may still be reading.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    /// Flushes and gives the first failure, if there was one.
    ///
    /// # Errors
    /// What the system said to the write that failed; never a broken pipe.
    pub fn finish(&mut self) -> io::Result<()> {
        self.flush();
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Open => {
                self.state = State::Open;
                Ok(())
            }
            State::Closed => Ok(()),
            State::Failed(error) => Err(error),
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.state = if error.kind() == io::ErrorKind::BrokenPipe { State::Closed } else { State::Failed(error) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let mut stream = Stream::new(Broken(io::ErrorKind::BrokenPipe));
        stream.line("a");
        assert!(!stream.is_open());
        stream.line("b");
        assert!(stream.finish().is_ok());
    }

    #[test]
    fn a_full_disk_is_reported_once_at_the_end() {
        let mut stream = Stream::new(Broken(io::ErrorKind::StorageFull));
        stream.line("a");
        assert_eq!(stream.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert!(stream.finish().is_ok());
    }
}
