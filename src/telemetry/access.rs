//! The access log's output: one thread owns it; requests only append to a bounded buffer.
//!
//! Rules: a request never waits for the output; when the buffer is full the line is lost and counted. Lines leave whole and in
//! the order of their arrival. The writer lingers a moment after the first line of a batch, so that a busy gateway pays one
//! wake-up and one system call for many lines instead of one for each.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;

use super::entry::AccessEntry;
use crate::plan;

/// Most lines that wait for the output.
const MOST_LINES: usize = 8_192;
/// Most bytes that wait for the output.
const MOST_BYTES: usize = 8 << 20;
/// How long the writer gathers lines after the first one.
const LINGER: Duration = Duration::from_millis(25);
/// How long an output that is not ready (a non-blocking pipe) may stay so before its lines are lost.
const NOT_READY: Duration = Duration::from_secs(5);

/// Where lines go, opened. Made by [`Destination::open`], which may fail, and put to use by [`AccessLog::switch`], which cannot.
#[derive(Debug)]
pub struct Destination {
    file: Option<File>,
    /// Known for files only, which can be opened again.
    path: Option<PathBuf>,
}

impl Destination {
    /// Opens what the plan names. A file is created (mode 0640) or appended to.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(to: &plan::AccessLog) -> io::Result<Self> {
        match to {
            plan::AccessLog::Off => Ok(Self { file: None, path: None }),
            plan::AccessLog::Stdout => Self::descriptor(&io::stdout()),
            plan::AccessLog::Stderr => Self::descriptor(&io::stderr()),
            plan::AccessLog::File(path) => {
                let path = PathBuf::from(path);
                Ok(Self { file: Some(append(&path)?), path: Some(path) })
            }
        }
    }

    /// A descriptor of our own on the same stream: without the standard library's line buffer.
    fn descriptor(stream: &impl AsFd) -> io::Result<Self> {
        Ok(Self { file: Some(File::from(stream.as_fd().try_clone_to_owned()?)), path: None })
    }
}

fn append(path: &PathBuf) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

/// The access log. Cloning shares it; dropping the last one ends its thread after what was accepted has been written.
#[derive(Debug, Clone)]
pub struct AccessLog(Arc<Handle>);

#[derive(Debug)]
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.request(|state| state.closing = true);
    }
}

#[derive(Debug)]
struct Shared {
    enabled: AtomicBool,
    dropped: Counter,
    /// Guards what waits for the writer; held for a copy of a few hundred bytes at most.
    state: Mutex<State>,
    wake: Condvar,
    handled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    buffer: Vec<u8>,
    /// Lines in `buffer` and in `switches`.
    lines: usize,
    bytes: usize,
    /// What was accepted before each change of destination, with the destination that follows.
    switches: Vec<(Vec<u8>, Destination)>,
    reopen: bool,
    closing: bool,
    /// Whether somebody waits, so that the writer must not linger.
    urgent: bool,
    /// Lines and requests so far, and how many of them the writer has dealt with.
    requested: u64,
    handled: u64,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Only copies and flags change under the lock, so its content is sound after a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and tells the writer to act at once. Returns the ticket that [`Shared::wait`] takes.
    fn request(&self, change: impl FnOnce(&mut State)) -> u64 {
        let mut state = self.lock();
        change(&mut state);
        state.urgent = true;
        state.requested += 1;
        self.wake.notify_one();
        state.requested
    }

    fn wait(&self, ticket: u64, timeout: Duration) -> bool {
        let state = self.lock();
        let waiting = |state: &mut State| state.handled < ticket && !state.ended;
        let (state, _) = self.handled.wait_timeout_while(state, timeout, waiting).unwrap_or_else(PoisonError::into_inner);
        // A thread that has ended took everything that was accepted with it.
        state.handled >= ticket || state.ended
    }
}

impl AccessLog {
    /// Opens the access log and starts its thread. `dropped` counts lost lines; see [`super::Metrics::access_log_dropped`].
    ///
    /// # Errors
    /// The destination cannot be opened, or there is no thread to be had.
    pub fn open(to: &plan::AccessLog, dropped: Counter) -> io::Result<Self> {
        let destination = Destination::open(to)?;
        let shared = Arc::new(Shared {
            enabled: AtomicBool::new(destination.file.is_some()),
            dropped,
            state: Mutex::default(),
            wake: Condvar::new(),
            handled: Condvar::new(),
        });
        let writer = Writer { shared: Arc::clone(&shared), output: destination, torn: false, failing: false };
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run())?;
        Ok(Self(Arc::new(Handle(shared))))
    }

    /// Makes an access log that goes nowhere: its lines are kept, at most 8,192 of them, until [`AccessLog::take`].
    pub fn kept(dropped: Counter) -> Self {
        Self(Arc::new(Handle(Arc::new(Shared {
            enabled: AtomicBool::new(true),
            dropped,
            state: Mutex::default(),
            wake: Condvar::new(),
            handled: Condvar::new(),
        }))))
    }

    /// Takes the lines that wait for the output.
    pub fn take(&self) -> Vec<u8> {
        let mut state = self.0.0.lock();
        (state.lines, state.bytes) = (0, 0);
        std::mem::take(&mut state.buffer)
    }

    /// Returns whether lines go anywhere. A caller may then skip making an entry.
    pub fn enabled(&self) -> bool {
        self.0.0.enabled.load(Ordering::Relaxed)
    }

    /// Hands one line over. Never waits for the output; the line is lost and counted when too much is waiting already.
    pub fn write(&self, entry: &AccessEntry<'_>) {
        thread_local! {
            /// Each thread formats into a buffer of its own, outside the lock.
            static LINE: RefCell<Vec<u8>> = RefCell::new(Vec::with_capacity(1_024));
        }
        if !self.enabled() {
            return;
        }
        LINE.with_borrow_mut(|line| {
            line.clear();
            entry.write(line);
            self.accept(line);
        });
    }

    fn accept(&self, line: &[u8]) {
        let shared = &self.0.0;
        let mut state = shared.lock();
        if state.closing || state.lines >= MOST_LINES || state.bytes + line.len() > MOST_BYTES {
            drop(state);
            shared.dropped.inc();
            return;
        }
        state.buffer.extend_from_slice(line);
        state.lines += 1;
        state.bytes += line.len();
        state.requested += 1;
        // The first line wakes a sleeping writer; half full ends its lingering.
        if state.lines == 1 || state.lines == MOST_LINES / 2 {
            shared.wake.notify_one();
        }
    }

    /// Sends the lines from now on to another destination; those accepted before still go to the old one. Does not wait.
    pub fn switch(&self, to: Destination) {
        self.0.0.enabled.store(to.file.is_some(), Ordering::Relaxed);
        self.0.0.request(|state| {
            let before = std::mem::take(&mut state.buffer);
            state.switches.push((before, to));
        });
    }

    /// Opens the file again under its name, after `logrotate` has moved it. Does nothing for other destinations. Blocks until
    /// it is done, at most `timeout`; returns whether it was.
    pub fn reopen(&self, timeout: Duration) -> bool {
        let ticket = self.0.0.request(|state| state.reopen = true);
        self.0.0.wait(ticket, timeout)
    }

    /// Waits until every line accepted so far has been written or lost, at most `timeout`; returns whether it was. Blocks.
    pub fn flush(&self, timeout: Duration) -> bool {
        let ticket = self.0.0.request(|_| ());
        self.0.0.wait(ticket, timeout)
    }

    /// Writes what was accepted and ends the thread; lines that come later are lost and counted. Blocks at most `timeout`, so
    /// that a stuck pipe cannot keep the process alive; returns whether all was written.
    pub fn close(&self, timeout: Duration) -> bool {
        let ticket = self.0.0.request(|state| state.closing = true);
        self.0.0.wait(ticket, timeout)
    }
}

/// The thread that owns the output.
struct Writer {
    shared: Arc<Shared>,
    output: Destination,
    /// The last line went out only in part, so that the next must begin on a line of its own.
    torn: bool,
    /// The last batch failed; the operator was told.
    failing: bool,
}

/// What the writer takes out of the shared state at once.
#[derive(Default)]
struct Batch {
    switches: Vec<(Vec<u8>, Destination)>,
    buffer: Vec<u8>,
    reopen: bool,
    closing: bool,
    ticket: u64,
}

impl Writer {
    fn run(mut self) {
        let mut spare = Vec::new();
        loop {
            let Batch { switches, buffer, reopen, closing, ticket } = self.take(spare);
            for (before, destination) in switches {
                self.put(&before);
                self.output = destination;
                (self.torn, self.failing) = (false, false);
            }
            self.put(&buffer);
            if reopen {
                self.reopen();
            }
            // The buffer is used again, so a steady load allocates nothing; one that a burst blew up is given back.
            spare = if buffer.capacity() > 1 << 20 { Vec::new() } else { buffer };
            spare.clear();
            let mut state = self.shared.lock();
            state.handled = ticket;
            state.ended = closing;
            self.shared.handled.notify_all();
            if closing {
                return;
            }
        }
    }

    /// Waits for something to do, gathers for a moment, and takes all there is.
    fn take(&self, spare: Vec<u8>) -> Batch {
        let idle = |state: &mut State| state.handled == state.requested;
        let gather = |state: &mut State| !state.urgent && state.lines < MOST_LINES / 2;
        let state = self.shared.lock();
        let state = self.shared.wake.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self.shared.wake.wait_timeout_while(state, LINGER, gather).unwrap_or_else(PoisonError::into_inner);
        state.lines = 0;
        state.bytes = 0;
        state.urgent = false;
        Batch {
            switches: std::mem::take(&mut state.switches),
            buffer: std::mem::replace(&mut state.buffer, spare),
            reopen: std::mem::take(&mut state.reopen),
            closing: state.closing,
            ticket: state.requested,
        }
    }

    fn reopen(&mut self) {
        let Some(path) = &self.output.path else { return };
        match append(path) {
            Ok(file) => {
                self.output.file = Some(file);
                self.torn = false;
            }
            Err(error) => tracing::warn!(%error, "access log could not be opened again; the old file is kept"),
        }
    }

    fn put(&mut self, lines: &[u8]) {
        let Some(file) = &mut self.output.file else { return };
        if lines.is_empty() {
            return;
        }
        let result = if self.torn { write_some(file, b"\n").map_err(|(_, error)| (0, error)) } else { Ok(()) };
        let result = result.and_then(|()| {
            self.torn = false;
            write_some(file, lines)
        });
        match result {
            Ok(()) if self.failing => {
                self.failing = false;
                tracing::info!("access log is written again");
            }
            Ok(()) => {}
            Err((written, error)) => self.failed(lines, written, &error),
        }
    }

    fn failed(&mut self, lines: &[u8], written: usize, error: &io::Error) {
        let (whole, rest) = lines.split_at_checked(written).unwrap_or((lines, &[]));
        self.torn |= whole.last().is_some_and(|byte| *byte != b'\n');
        self.shared.dropped.inc_by(memchr::memchr_iter(b'\n', rest).count() as u64);
        if !self.failing {
            self.failing = true;
            tracing::warn!(%error, "access log could not be written; lines are lost until it can");
        }
    }
}

/// Writes all of `bytes`, or says how many went out before the error.
fn write_some(file: &mut File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    let mut give_up: Option<Instant> = None;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => {
                written += count;
                give_up = None;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Whoever shares our standard output may have made it non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let until = *give_up.get_or_insert_with(|| Instant::now() + NOT_READY);
                if Instant::now() >= until {
                    return Err((written, error));
                }
                std::thread::park_timeout(Duration::from_millis(5));
            }
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_line_that_went_out_in_part_the_next_one_stands_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        std::fs::write(&path, "one\ntw").unwrap();
        let shared = Arc::new(Shared {
            enabled: AtomicBool::new(true),
            dropped: Counter::default(),
            state: Mutex::default(),
            wake: Condvar::new(),
            handled: Condvar::new(),
        });
        let output = Destination { file: Some(append(&path).unwrap()), path: None };
        let mut writer = Writer { shared: Arc::clone(&shared), output, torn: false, failing: false };
        writer.failed(b"one\ntwo\nthree\n", 6, &io::ErrorKind::StorageFull.into());
        assert_eq!(shared.dropped.get(), 2);
        writer.put(b"four\n");
        writer.put(b"five\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntw\nfour\nfive\n");
    }
}
