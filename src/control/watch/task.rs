//! The watcher's task: waits for events, the timer or the next poll, then looks and reports.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::look::{Look, look};
use super::place::{is_remote, resolve, single_file_mounts};
use super::settle::{Settled, Verdict};
use super::{Mode, NOTIFY, Options, POLL, Shared, Trigger, WatchSet};

/// Runs until the receiver of the signals is gone, or the task is aborted.
pub(super) async fn run(shared: Arc<Shared>, initial: WatchSet, options: Options, signals: mpsc::Sender<Trigger>) {
    let mut settled = Settled::default();
    settled.replace(initial);
    let eyes = Eyes::open(&shared, options.mode);
    // The first look is taken at once: it begins the watching.
    let round = Some(Round { first: Instant::now(), due: Instant::now(), polled: false });
    let mut task = Task { shared, options, settled, eyes: Some(eyes), round, next_poll: Instant::now(), previous: None };
    loop {
        let wake = task.round.as_ref().map_or(task.next_poll, |round| round.due);
        tokio::select! {
            () = task.shared.replaced.notified() => task.replace(),
            () = task.shared.happened.notified() => task.postpone(),
            () = sleep_until(wake) => match task.look().await {
                Ok(None) => {}
                Ok(Some(trigger)) => if signals.send(trigger).await.is_err() { return },
                Err(error) if error.is_panic() => task.recover(),
                // The runtime is being shut down.
                Err(_) => return,
            },
        }
    }
}

/// From the first sign of a change to the look that settles it.
struct Round {
    first: Instant,
    due: Instant,
    /// A poll began it. Nothing tells then whether the writer has finished, so two looks must agree.
    polled: bool,
}

struct Task {
    shared: Arc<Shared>,
    options: Options,
    settled: Settled,
    /// Away while a look is being taken.
    eyes: Option<Eyes>,
    round: Option<Round>,
    next_poll: Instant,
    /// What the last look of this round saw.
    previous: Option<Look>,
}

impl Task {
    fn replace(&mut self) {
        let next = self.shared.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(set) = next {
            self.settled.replace(set);
            self.postpone();
        }
    }

    /// Begins a round, or puts off its look: the trailing edge, but never later than the cap.
    fn postpone(&mut self) {
        let now = Instant::now();
        let (first, polled) = self.round.as_ref().map_or((now, false), |round| (round.first, round.polled));
        self.round = Some(Round { first, due: (now + self.options.quiet).min(first + self.options.cap), polled });
    }

    /// A look that panicked must not end the watching; the next one begins with new watches.
    fn recover(&mut self) {
        tracing::error!("looking at the spec's files failed unexpectedly");
        self.next_poll = Instant::now() + self.options.net;
    }

    /// Takes one look and judges it. `Err` when it panicked or the runtime is being shut down.
    async fn look(&mut self) -> Result<Option<Trigger>, tokio::task::JoinError> {
        let round = self.round.take().unwrap_or_else(|| Round { first: Instant::now(), due: Instant::now(), polled: true });
        let set = self.settled.set().clone();
        let mut eyes = self.eyes.take().unwrap_or_else(|| Eyes::open(&self.shared, self.options.mode));
        let taken = tokio::task::spawn_blocking(move || {
            // Watches first, so that what happens during the look is an event after it.
            eyes.follow(&set);
            let seen = look(&set);
            (eyes, seen)
        });
        let (eyes, seen) = taken.await?;
        let blind = eyes.blind;
        self.eyes = Some(eyes);
        self.shared.mode.store(if blind { POLL } else { NOTIFY }, Ordering::Relaxed);
        let now = Instant::now();
        self.next_poll = now + self.interval(blind);
        let verdict = self.verdict(seen, blind, round, now);
        self.shared.looks.fetch_add(1, Ordering::Release);
        Ok(verdict)
    }

    /// Judges what a look saw; begins the next round if it is not settled.
    fn verdict(&mut self, seen: Look, blind: bool, round: Round, now: Instant) -> Option<Trigger> {
        let unsure = (blind || round.polled) && self.settled.is_news(&seen) && self.previous.as_ref() != Some(&seen);
        if unsure && now < round.first + self.options.cap {
            self.previous = Some(seen);
            self.round = Some(Round { due: now + self.options.quiet, ..round });
            return None;
        }
        self.previous = None;
        match self.settled.judge(seen, now, self.options.quiet) {
            Verdict::Settled(trigger) => trigger,
            Verdict::Again => {
                self.round = Some(Round { first: now, due: now + self.options.quiet, polled: round.polled });
                None
            }
        }
    }

    /// How long to wait for the next poll if nothing happens before.
    const fn interval(&self, blind: bool) -> Duration {
        match self.options.mode {
            _ if blind => self.options.poll,
            Mode::Auto => self.options.net,
            // A day: events are all that was asked for.
            Mode::Notify | Mode::Poll | Mode::Off => Duration::from_secs(86_400),
        }
    }
}

/// The watches on directories.
struct Eyes {
    shared: Arc<Shared>,
    watcher: Option<RecommendedWatcher>,
    /// Watched directories with what they are (device and inode): a directory that was replaced by another of the same name
    /// must be watched anew.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    /// Events cannot be relied on at the moment.
    blind: bool,
    /// What the operator was told already.
    told: BTreeSet<String>,
}

impl Eyes {
    fn open(shared: &Arc<Shared>, mode: Mode) -> Self {
        let mut eyes = Self { shared: Arc::clone(shared), watcher: None, watched: BTreeMap::new(), blind: true, told: BTreeSet::new() };
        if matches!(mode, Mode::Auto | Mode::Notify) {
            match notify::recommended_watcher(receiver(shared)) {
                Ok(watcher) => eyes.watcher = Some(watcher),
                Err(error) => eyes.tell(&format!("events are not available ({error})")),
            }
        }
        eyes
    }

    /// Watches every directory that takes part in resolving the set, and no other. Blocks.
    fn follow(&mut self, set: &WatchSet) {
        if self.watcher.is_none() {
            return;
        }
        let mut dirs = BTreeSet::new();
        let mut files = BTreeSet::new();
        for path in set.files.keys() {
            let place = resolve(path);
            dirs.extend(place.dirs);
            files.extend(place.file);
        }
        // The pattern stands for a file in the directory.
        dirs.extend(set.globs.iter().flat_map(|(dir, pattern)| resolve(&dir.join(pattern)).dirs));
        let complete = self.watch(&dirs);
        let failed = self.shared.failed.load(Ordering::Relaxed);
        if failed {
            self.tell("the source of events has failed");
        }
        let remote = dirs.iter().any(|dir| is_remote(dir));
        if remote {
            self.tell("a directory is on a network file system, which causes no events");
        }
        let mounted = self.mounted(&files);
        self.blind = !complete || failed || remote || mounted;
    }

    fn watch(&mut self, dirs: &BTreeSet<PathBuf>) -> bool {
        let wanted: BTreeMap<PathBuf, (u64, u64)> = dirs.iter().filter_map(|dir| Some((dir.clone(), identity(dir)?))).collect();
        let Some(watcher) = &mut self.watcher else { return false };
        self.watched.retain(|dir, identity| {
            let keep = wanted.get(dir) == Some(identity);
            if !keep {
                // A directory that is gone has lost its watch already.
                let _ = watcher.unwatch(dir);
            }
            keep
        });
        let mut refused = None;
        for (dir, identity) in wanted {
            if self.watched.contains_key(&dir) {
                continue;
            }
            match watcher.watch(&dir, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(dir, identity);
                }
                Err(error) => refused = Some(error),
            }
        }
        if let Some(error) = &refused {
            self.tell(&format!("a directory cannot be watched ({})", reason(error)));
        }
        refused.is_none()
    }

    fn mounted(&mut self, files: &BTreeSet<PathBuf>) -> bool {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mounted = single_file_mounts(&mounts, files);
        for path in &mounted {
            if self.told.insert(format!("mount {}", path.display())) {
                tracing::warn!(path = %path.display(), "file is a mount of its own and keeps its content when it is replaced; mount its directory");
            }
        }
        !mounted.is_empty()
    }

    /// Says once why polling is used.
    fn tell(&mut self, why: &str) {
        if self.told.insert(why.to_owned()) {
            tracing::warn!(why, "files are polled");
        }
    }
}

/// An error's kind without its paths.
fn reason(error: &notify::Error) -> String {
    match &error.kind {
        notify::ErrorKind::MaxFilesWatch => "the limit of inotify watches is reached; see fs.inotify.max_user_watches".to_owned(),
        notify::ErrorKind::Io(error) => error.to_string(),
        other => format!("{other:?}"),
    }
}

fn identity(dir: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(dir).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// What runs on the thread of the event source: it only says that something happened. A queue that has overflowed says so with
/// an event too, and a look at everything is the answer to both.
fn receiver(shared: &Arc<Shared>) -> impl Fn(notify::Result<Event>) + Send + 'static {
    let shared = Arc::clone(shared);
    move |event| match event {
        Ok(event) if is_reading(event.kind) => {}
        Ok(_) => shared.happened.notify_one(),
        Err(_) => {
            shared.failed.store(true, Ordering::Relaxed);
            shared.happened.notify_one();
        }
    }
}

/// Our own looks cause such events.
const fn is_reading(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(access) if !matches!(access, AccessKind::Close(AccessMode::Write)))
}
