//! What happens to files, and what the watcher says about it: each scenario by events alone and by polling alone.
//!
//! "Nothing came" is shown by counting looks, not by waiting: two further looks have been taken and judged, and no trigger is in
//! the channel. A look is provoked by touching an unrelated file beside the spec.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bifrostctl::base::Digest;
use bifrostctl::control::watch::{self, Mode, Options, Trigger, WatchSet, Watcher};
use tokio::sync::mpsc;

const BOTH: [Mode; 2] = [Mode::Notify, Mode::Poll];
const PATIENCE: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_millis(50);

struct Lab {
    _guard: tempfile::TempDir,
    root: PathBuf,
    spec: PathBuf,
    set: WatchSet,
    watcher: Watcher,
    triggers: mpsc::Receiver<Trigger>,
}

fn options(mode: Mode, quiet: Duration) -> Options {
    // The net is far away: what `Mode::Notify` sees, it sees by events.
    Options { mode, quiet, cap: quiet * 5, poll: quiet * 2, net: Duration::from_secs(3_600) }
}

impl Lab {
    /// Prepares files by `prepare`, which returns the spec's path, and watches the spec alone.
    async fn with(mode: Mode, quiet: Duration, prepare: impl FnOnce(&Path) -> PathBuf) -> Self {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let spec = prepare(&root);
        let (signals, triggers) = mpsc::channel(4);
        let mut set = WatchSet::new();
        set.file(&spec, Some(Digest::of(&fs::read(&spec).unwrap())));
        let watcher = watch::spawn(set.clone(), options(mode, quiet), signals);
        let lab = Self { _guard: guard, root, spec, set, watcher, triggers };
        lab.looks(1).await;
        lab
    }

    async fn new(mode: Mode) -> Self {
        Self::with(mode, QUIET, |root| {
            fs::write(root.join("gateway.yaml"), "start").unwrap();
            root.join("gateway.yaml")
        })
        .await
    }

    /// Does what a load does: reads, and says what it has read.
    fn reload(&mut self) {
        self.set.file(&self.spec, Some(Digest::of(&fs::read(&self.spec).unwrap())));
        self.watcher.set(self.set.clone());
    }

    async fn watch(&mut self, set: WatchSet) {
        self.set = set;
        self.watcher.set(self.set.clone());
        self.nothing().await;
    }

    async fn looks(&self, further: u64) {
        let goal = self.watcher.looks() + further;
        let deadline = Instant::now() + PATIENCE;
        while self.watcher.looks() < goal {
            assert!(Instant::now() < deadline, "no look was taken");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Shows that what was done so far causes nothing (more).
    async fn nothing(&mut self) {
        // The first look may have begun before what was done; the second has not.
        for _ in 0..2 {
            fs::write(self.root.join("unrelated"), self.watcher.looks().to_string()).unwrap();
            self.looks(1).await;
        }
        assert_eq!(self.triggers.try_recv(), Err(mpsc::error::TryRecvError::Empty));
    }

    async fn trigger(&mut self) -> Trigger {
        tokio::time::timeout(PATIENCE, self.triggers.recv()).await.expect("a trigger in time").expect("a running watcher")
    }

    /// Shows that what was done is one change, not more.
    async fn one_change(&mut self) {
        assert_eq!(self.trigger().await, Trigger::FilesChanged);
        self.reload();
        self.nothing().await;
    }
}

fn rename_over(path: &Path, text: &str) {
    let temporary = path.with_extension("tmp");
    fs::write(&temporary, text).unwrap();
    fs::rename(&temporary, path).unwrap();
}

#[tokio::test]
async fn a_save_in_place_is_one_change_each_time() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        for save in 0..3 {
            fs::write(&lab.spec, format!("save {save}")).unwrap();
            lab.one_change().await;
        }
    }
}

#[tokio::test]
async fn a_save_by_renaming_over_is_one_change_each_time() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        for save in 0..3 {
            rename_over(&lab.spec, &format!("save {save}"));
            lab.one_change().await;
        }
    }
}

#[tokio::test]
async fn a_save_as_vim_does_it_is_one_change_each_time() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        let backup = lab.root.join("gateway.yaml~");
        for save in 0..3 {
            fs::write(lab.root.join("4913"), "").unwrap();
            fs::remove_file(lab.root.join("4913")).unwrap();
            fs::rename(&lab.spec, &backup).unwrap();
            fs::write(&lab.spec, format!("save {save}")).unwrap();
            fs::remove_file(&backup).unwrap();
            lab.one_change().await;
        }
    }
}

/// Swaps as the kubelet does: a new directory, a new link, renamed over `..data`, the old directory removed.
fn kubelet_swap(mount: &Path, version: u32) {
    let (new, link) = (format!("..ts{version}"), mount.join("..data_tmp"));
    fs::create_dir(mount.join(&new)).unwrap();
    fs::write(mount.join(&new).join("gateway.yaml"), format!("version {version}")).unwrap();
    symlink(&new, &link).unwrap();
    fs::rename(&link, mount.join("..data")).unwrap();
    if let Some(before) = version.checked_sub(1) {
        fs::remove_dir_all(mount.join(format!("..ts{before}"))).unwrap();
    }
}

#[tokio::test]
async fn a_config_map_swap_is_one_change_each_time() {
    for mode in BOTH {
        let mut lab = Lab::with(mode, QUIET, |root| {
            kubelet_swap(root, 0);
            symlink("..data/gateway.yaml", root.join("gateway.yaml")).unwrap();
            root.join("gateway.yaml")
        })
        .await;
        for version in 1..4 {
            kubelet_swap(&lab.root, version);
            lab.one_change().await;
        }
    }
}

#[tokio::test]
async fn a_link_to_another_directory_is_followed_there() {
    for mode in BOTH {
        let mut lab = Lab::with(mode, QUIET, |root| {
            for release in ["1", "2"] {
                fs::create_dir(root.join(release)).unwrap();
                fs::write(root.join(release).join("gateway.yaml"), format!("release {release}")).unwrap();
            }
            symlink("1", root.join("current")).unwrap();
            root.join("current/gateway.yaml")
        })
        .await;
        symlink("2", lab.root.join("next")).unwrap();
        fs::rename(lab.root.join("next"), lab.root.join("current")).unwrap();
        lab.one_change().await;
        fs::write(lab.root.join("2/gateway.yaml"), "written where it is now").unwrap();
        lab.one_change().await;
        fs::write(lab.root.join("1/gateway.yaml"), "written where it was").unwrap();
        lab.nothing().await;
    }
}

#[tokio::test]
async fn a_directory_that_another_replaces_is_watched_in_its_place() {
    for mode in BOTH {
        let mut lab = Lab::with(mode, QUIET, |root| {
            fs::create_dir(root.join("conf")).unwrap();
            fs::write(root.join("conf/gateway.yaml"), "old").unwrap();
            root.join("conf/gateway.yaml")
        })
        .await;
        // Nothing beside the spec may be touched here: the directories themselves must tell.
        fs::create_dir(lab.root.join("new")).unwrap();
        fs::write(lab.root.join("new/gateway.yaml"), "new").unwrap();
        fs::rename(lab.root.join("conf"), lab.root.join("old")).unwrap();
        fs::rename(lab.root.join("new"), lab.root.join("conf")).unwrap();
        assert_eq!(lab.trigger().await, Trigger::FilesChanged);
        fs::write(&lab.spec, "newer").unwrap();
        assert_eq!(lab.trigger().await, Trigger::FilesChanged);
    }
}

#[tokio::test]
async fn truncating_thinking_and_writing_is_one_change() {
    for mode in BOTH {
        let quiet = Duration::from_millis(250);
        let mut lab = Lab::with(mode, quiet, |root| {
            fs::write(root.join("gateway.yaml"), "start").unwrap();
            root.join("gateway.yaml")
        })
        .await;
        fs::write(&lab.spec, "").unwrap();
        lab.looks(2).await;
        fs::write(&lab.spec, "thought of").unwrap();
        lab.one_change().await;
    }
}

#[tokio::test]
async fn a_file_that_stays_empty_is_never_a_change() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        fs::write(&lab.spec, "").unwrap();
        assert_eq!(lab.trigger().await, Trigger::Empty(lab.spec.clone()));
        lab.nothing().await;
        fs::write(&lab.spec, "start").unwrap();
        assert_eq!(lab.trigger().await, Trigger::Restored);
        lab.nothing().await;
    }
}

#[tokio::test]
async fn a_deleted_file_is_missing_until_it_is_back() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        fs::remove_file(&lab.spec).unwrap();
        assert_eq!(lab.trigger().await, Trigger::Missing(lab.spec.clone()));
        lab.nothing().await;
        fs::write(&lab.spec, "start").unwrap();
        assert_eq!(lab.trigger().await, Trigger::Restored);
        fs::remove_file(&lab.spec).unwrap();
        assert_eq!(lab.trigger().await, Trigger::Missing(lab.spec.clone()));
        fs::write(&lab.spec, "something else").unwrap();
        lab.one_change().await;
    }
}

#[tokio::test]
async fn a_writer_that_never_pauses_cannot_put_a_change_off_for_ever() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        let spec = lab.spec.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let writer = tokio::task::spawn(async move {
            tokio::pin!(stopped);
            let mut writes = 0_u64;
            let mut tick = tokio::time::interval(QUIET / 10);
            loop {
                tokio::select! {
                    _ = &mut stopped => return writes,
                    _ = tick.tick() => {
                        rename_over(&spec, &format!("write {writes}"));
                        writes += 1;
                    }
                }
            }
        });
        for _ in 0..3 {
            assert_eq!(lab.trigger().await, Trigger::FilesChanged);
        }
        stop.send(()).unwrap();
        let writes = writer.await.unwrap();
        assert!(writes >= 9, "{writes} writes must not be 3 changes, or more of them");
    }
}

#[tokio::test]
async fn the_same_bytes_again_are_nothing() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        fs::write(&lab.spec, "start").unwrap();
        lab.nothing().await;
        rename_over(&lab.spec, "start");
        lab.nothing().await;
        fs::write(&lab.spec, "other").unwrap();
        lab.one_change().await;
    }
}

#[tokio::test]
async fn a_file_that_joins_or_leaves_an_include_directory_is_a_change() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        let teams = lab.root.join("teams");
        let mut set = lab.set.clone();
        set.glob(&teams, "*.yaml");
        // The directory itself comes later.
        lab.watch(set).await;
        fs::create_dir(&teams).unwrap();
        fs::write(teams.join("a.yaml"), "a").unwrap();
        assert_eq!(lab.trigger().await, Trigger::FilesChanged);
        lab.set.file(teams.join("a.yaml"), Some(Digest::of(b"a")));
        lab.reload();
        lab.nothing().await;
        fs::write(teams.join("a.yaml"), "a changed").unwrap();
        assert_eq!(lab.trigger().await, Trigger::FilesChanged);
        fs::write(teams.join(".a.yaml.swp"), "an editor's").unwrap();
        fs::write(teams.join("README.md"), "for people").unwrap();
        lab.nothing().await;
        fs::remove_file(teams.join("a.yaml")).unwrap();
        assert_eq!(lab.trigger().await, Trigger::FilesChanged);
        lab.nothing().await;
    }
}

#[tokio::test]
async fn a_secret_that_is_rotated_or_appears_is_a_change() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        let (secret, absent) = (lab.root.join("secret"), lab.root.join("secrets/optional"));
        fs::write(&secret, "canary-1").unwrap();
        let mut set = lab.set.clone();
        set.file(&secret, None);
        set.optional(&absent, None);
        lab.watch(set).await;
        rename_over(&secret, "canary-2");
        lab.one_change().await;
        fs::create_dir(lab.root.join("secrets")).unwrap();
        fs::write(&absent, "canary-3").unwrap();
        lab.one_change().await;
        fs::remove_file(&absent).unwrap();
        lab.one_change().await;
        fs::remove_file(&secret).unwrap();
        assert_eq!(lab.trigger().await, Trigger::Missing(secret.clone()));
    }
}

#[tokio::test]
async fn a_change_that_the_loader_has_not_read_is_seen_although_no_event_follows() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        // The loader has read "start"; the file changes before the set is handed over, and the event is spent.
        fs::write(&lab.spec, "after the read").unwrap();
        assert_eq!(lab.trigger().await, Trigger::FilesChanged);
        let mut set = WatchSet::new();
        set.file(&lab.spec, Some(Digest::of(b"in between")));
        lab.watcher.set(set);
        assert_eq!(lab.trigger().await, Trigger::FilesChanged);
    }
}

#[tokio::test]
async fn a_file_that_left_the_set_is_no_longer_watched() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        let other = lab.root.join("other.yaml");
        fs::write(&other, "other").unwrap();
        let mut set = WatchSet::new();
        set.file(&other, Some(Digest::of(b"other")));
        lab.watch(set).await;
        fs::write(&lab.spec, "nobody reads this").unwrap();
        lab.nothing().await;
        fs::write(&other, "changed").unwrap();
        assert_eq!(lab.trigger().await, Trigger::FilesChanged);
    }
}

#[tokio::test]
async fn a_busy_receiver_loses_no_change() {
    for mode in BOTH {
        let mut lab = Lab::new(mode).await;
        // Four triggers fill the channel; the fifth waits in the watcher's hand.
        for change in 1..=4 {
            fs::write(&lab.spec, format!("change {change}")).unwrap();
            let deadline = Instant::now() + PATIENCE;
            while lab.triggers.len() < change {
                assert!(Instant::now() < deadline, "change {change} was not reported");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
        let looks = lab.watcher.looks();
        fs::write(&lab.spec, "change 5").unwrap();
        while lab.watcher.looks() == looks {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        for _ in 1..=5 {
            assert_eq!(lab.trigger().await, Trigger::FilesChanged);
        }
        lab.nothing().await;
    }
}

#[tokio::test]
async fn the_mode_is_told() {
    assert_eq!(Lab::new(Mode::Notify).await.watcher.mode(), "notify");
    assert_eq!(Lab::new(Mode::Poll).await.watcher.mode(), "poll");
    let (signals, mut triggers) = mpsc::channel(1);
    let off = watch::spawn(WatchSet::new(), options(Mode::Off, QUIET), signals);
    assert_eq!(off.mode(), "off");
    assert_eq!(triggers.recv().await, None, "nothing runs that could ever send");
}
