//! The command line, run as the real binary in a directory of its own, and in process where no directory matters.

mod bench;
mod canary;
mod catalog;
mod chat;
mod completion;
mod deploy;
mod diff;
mod exit_codes;
mod explain;
mod fake;
mod fmt;
mod hammer;
mod help;
mod import;
mod init;
mod key;
mod killed;
mod man;
mod mock;
mod pinned;
mod render;
#[cfg(feature = "postgres")]
mod replicas;
mod repository;
mod rotate;
mod scan;
pub(crate) mod serve;
mod simulate;
mod sockets;
mod spend;
mod status;
mod streams;
mod test;
#[cfg(all(feature = "postgres", feature = "redis"))]
mod together;
mod upgrade;
mod validate;
pub(crate) mod whole_loop;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use bifrostctl::base::ManualClock;
use bifrostctl::cli::{self, Io, Stream, Terminal};
use serde_json::Value;
use tempfile::TempDir;

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Returns the JSON envelope on standard output, after checking it against its schema.
    pub(crate) fn json(&self) -> Value {
        let envelope: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"));
        let schema: Value = serde_json::from_str(include_str!("../../../schemas/cli-output.v1.schema.json")).unwrap();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&envelope).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(wrong.is_empty(), "{wrong:?} in {envelope:#}");
        assert_eq!(envelope["exit_code"], self.code, "JSON mode never changes the code");
        envelope
    }
}

/// A directory with files, in which commands run.
pub(crate) struct Place {
    dir: TempDir,
    env: BTreeMap<String, String>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), env: BTreeMap::new() }
    }

    pub(crate) fn file(self, path: &str, text: &str) -> Self {
        let path = self.dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(path)).unwrap()
    }

    /// Prepares the real binary: this directory, this environment and nothing else of ours.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bifrostctl"));
        command.args(args).current_dir(self.path()).env_clear().envs(&self.env);
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Done {
        self.feed(args, "")
    }

    /// Runs a command line in this process with this environment and text on its standard input. Paths must be absolute.
    pub(crate) fn inside(&self, args: &[&str], stdin: &str) -> Done {
        within(args, typed(stdin), Terminal::default(), self.env.clone())
    }

    /// Runs the real binary with text on its standard input.
    pub(crate) fn feed(&self, args: &[&str], stdin: &str) -> Done {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        // A command that reads nothing closes its end early.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command line in this process: nothing in the environment, no terminal, empty standard input.
pub(crate) fn run(args: &[&str]) -> Done {
    within(args, typed(""), Terminal::default(), BTreeMap::new())
}

/// Runs a command line in this process, with somebody at a terminal who types `stdin`.
pub(crate) fn answer(args: &[&str], stdin: &str) -> Done {
    let env = BTreeMap::from([("NO_COLOR".to_owned(), "1".to_owned())]);
    within(args, typed(stdin), Terminal { stdin: true, stdout: false, stderr: true }, env)
}

fn typed(text: &str) -> Box<dyn io::Read + Send> {
    Box::new(io::Cursor::new(text.as_bytes().to_vec()))
}

fn within(args: &[&str], stdin: Box<dyn io::Read + Send>, terminal: Terminal, env: BTreeMap<String, String>) -> Done {
    let (stdout, stderr) = (Buffer::default(), Buffer::default());
    let mut io = Io {
        stdin,
        stdout: Stream::new(stdout.clone()),
        stderr: Stream::new(stderr.clone()),
        env: Box::new(env),
        clock: Box::new(ManualClock::at(1_800_000_000_000)),
        terminal,
    };
    let line = std::iter::once("bifrostctl").chain(args.iter().copied()).map(Into::into);
    let exit = cli::run(line, &mut io);
    Done { code: i32::from(exit.code()), stdout: stdout.text(), stderr: stderr.text() }
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
