//! Watching the files of a spec: the spec itself, overlays, includes, prompts, secret files.
//!
//! It never reads for the loader and decides nothing about a spec; it says *that* something changed. Rules:
//! - Directories are watched, not files: editors rename over a file, and Kubernetes swaps a symlink beside it, so a watch on
//!   the file itself would see the first change and no other.
//! - What counts is content. An event only arms a timer; after it, the digests of all files are compared with those of the
//!   last settled look. The same bytes written again are nothing.
//! - An empty file is somebody in the middle of writing, and a missing one somebody in the middle of replacing: neither is a
//!   change. If it stays so, it is reported, and what runs goes on running.
//! - A watch that fails turns into polling. The watcher never ends before its [`Watcher`] does.

mod look;
mod place;
mod settle;
mod task;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use crate::base::Digest;

pub use place::single_file_mounts;

/// What the watcher reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// The content of the set differs from what it was when it was last settled.
    FilesChanged,
    /// A file that is needed has gone and stays away. What runs goes on running.
    Missing(PathBuf),
    /// A file is empty and stays so. What runs goes on running.
    Empty(PathBuf),
    /// What was missing or empty is back, with the content it had.
    Restored,
}

/// How changes are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Events, a slow poll beside them, and a quick poll where events cannot be had: on network file systems, for files that
    /// are mounts of their own, and when the system refuses a watch.
    #[default]
    Auto,
    /// Events only, as long as the system gives them.
    Notify,
    /// Polling only.
    Poll,
    /// Nothing is watched.
    Off,
}

/// The watcher's times.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How changes are noticed.
    pub mode: Mode,
    /// How long nothing must happen before the files are looked at.
    pub quiet: Duration,
    /// How long a directory that is never quiet may put that off.
    pub cap: Duration,
    /// How often files are looked at where polling is all there is.
    pub poll: Duration,
    /// How often files are looked at beside events in [`Mode::Auto`]: a net for what events have missed.
    pub net: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            quiet: Duration::from_millis(250),
            cap: Duration::from_secs(1),
            poll: Duration::from_secs(1),
            net: Duration::from_secs(5),
        }
    }
}

/// The files of one load.
///
/// A digest is that of the bytes which the loader has read: a change between its reading and [`Watcher::set`] is then not
/// lost. Without one, what the watcher saw last (or sees first) is taken for what was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchSet {
    files: BTreeMap<PathBuf, Watched>,
    globs: BTreeSet<(PathBuf, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Watched {
    read: Read,
    required: bool,
}

/// What a loader knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Content(Digest),
    Absent,
    Unknown,
}

impl From<Option<Digest>> for Read {
    fn from(digest: Option<Digest>) -> Self {
        digest.map_or(Self::Unknown, Self::Content)
    }
}

impl WatchSet {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file without which the spec cannot be loaded: its absence is [`Trigger::Missing`].
    pub fn file(&mut self, path: impl Into<PathBuf>, read: Option<Digest>) {
        self.files.insert(path.into(), Watched { read: read.into(), required: true });
    }

    /// Adds a file that may be absent, as an optional credential's: it comes and goes as a change.
    pub fn optional(&mut self, path: impl Into<PathBuf>, read: Option<Digest>) {
        self.files.entry(path.into()).or_insert(Watched { read: read.into(), required: false });
    }

    /// Adds a file that the loader wanted and did not find: that it comes is a change, also when it came a moment after.
    pub fn absent(&mut self, path: impl Into<PathBuf>) {
        self.files.entry(path.into()).or_insert(Watched { read: Read::Absent, required: false });
    }

    /// Adds the files of a directory whose names match `pattern` (`*` and `?`): one that appears or goes is a change. Those
    /// that the loader has read are added by [`WatchSet::file`] as well.
    pub fn glob(&mut self, dir: impl Into<PathBuf>, pattern: impl Into<String>) {
        self.globs.insert((dir.into(), pattern.into()));
    }
}

/// A running watcher; dropping it ends it.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    task: Option<tokio::task::AbortHandle>,
}

impl Watcher {
    /// Watches another set from now on: after each load, whether it was applied or not.
    pub fn set(&self, set: WatchSet) {
        *self.shared.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(set);
        self.shared.replaced.notify_one();
    }

    /// Returns how changes are noticed at the moment: `notify`, `poll` or `off`.
    pub fn mode(&self) -> &'static str {
        match self.shared.mode.load(Ordering::Relaxed) {
            NOTIFY => "notify",
            POLL => "poll",
            _ => "off",
        }
    }

    /// Returns how many looks have been taken so far.
    pub fn looks(&self) -> u64 {
        self.shared.looks.load(Ordering::Acquire)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

// 0 is off.
const NOTIFY: u8 = 1;
const POLL: u8 = 2;

/// What the watcher's task shares with its handle and with the thread that receives events.
#[derive(Debug, Default)]
struct Shared {
    /// Guards the set that the task has not taken yet; only the newest counts.
    next: Mutex<Option<WatchSet>>,
    replaced: Notify,
    /// Something happened in a watched directory. One permit holds any number of events, so this cannot grow.
    happened: Notify,
    mode: AtomicU8,
    /// Looks that have been judged.
    looks: AtomicU64,
    /// The event source reported an error: it is no longer trusted.
    failed: std::sync::atomic::AtomicBool,
}

/// Starts watching. Must be called on a tokio runtime. Triggers go to `signals`, which may be of any size: while it is full, no
/// further look is taken, and what happens meanwhile is seen at the next.
pub fn spawn(initial: WatchSet, options: Options, signals: mpsc::Sender<Trigger>) -> Watcher {
    let shared = Arc::new(Shared::default());
    let start = match options.mode {
        Mode::Off => return Watcher { shared, task: None },
        Mode::Poll => POLL,
        Mode::Auto | Mode::Notify => NOTIFY,
    };
    shared.mode.store(start, Ordering::Relaxed);
    let task = tokio::spawn(task::run(Arc::clone(&shared), initial, options, signals));
    Watcher { shared, task: Some(task.abort_handle()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn when_events_fail_files_are_polled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.yaml");
        std::fs::write(&path, "a").unwrap();
        let mut set = WatchSet::new();
        set.file(&path, Some(Digest::of(b"a")));
        let (signals, mut triggers) = mpsc::channel(1);
        let options =
            Options { mode: Mode::Notify, quiet: Duration::from_millis(20), poll: Duration::from_millis(50), ..Options::default() };
        let watcher = spawn(set, options, signals);
        watcher.shared.failed.store(true, Ordering::Relaxed);
        watcher.shared.happened.notify_one();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while watcher.mode() != "poll" {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::task::yield_now().await;
        }
        std::fs::write(&path, "b").unwrap();
        let trigger = tokio::time::timeout(Duration::from_secs(10), triggers.recv()).await.unwrap();
        assert_eq!(trigger, Some(Trigger::FilesChanged));
    }
}
