//! Every spec that was accepted, one JSON file each: `STATE/revisions/00000041.json`.
//!
//! A revision holds the spec's text as it was written, with references in place of secrets, so that it can be shown, compared and rolled
//! back to. Files that are not revisions are left where they are and reported as [`Skipped`].

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lock::Lock;
use super::{StoreError, file};
use crate::base::{Clock, Digest, SystemClock};

/// How many revisions are kept.
pub const KEEP: usize = 1000;

/// The form of the files. A file of another form is of a newer version of this program.
const FORM: u32 = 1;

/// Far above any spec that the loader takes, with its includes.
const MAX_BYTES: u64 = 256 << 20;

/// What is appended.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRevision {
    /// Digest of the plan.
    pub digest: Digest,
    /// The spec and its includes: path relative to the spec's directory, and text.
    pub files: BTreeMap<String, String>,
    /// The spec files in the order in which they were given.
    pub paths: Vec<String>,
    /// The resolved spec, without secrets.
    pub model: Value,
    /// Who did it.
    pub actor: String,
    /// Why, in the actor's words.
    pub reason: Option<String>,
    /// The commit that the spec comes from.
    pub git_commit: Option<String>,
    /// What caused it: `start`, `file`, `signal`, `apply`, `rollback`, …
    pub trigger: String,
    /// What changed, in one line.
    pub summary: String,
}

/// What a list shows of a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionInfo {
    /// Its number, from 1; grows by one or more.
    pub number: u64,
    /// When it was appended, RFC 3339 in UTC.
    pub created: String,
    /// Digest of the plan.
    pub digest: Digest,
    /// Who did it.
    pub actor: String,
    /// Why, in the actor's words.
    pub reason: Option<String>,
    /// The commit that the spec comes from.
    pub git_commit: Option<String>,
    /// What caused it.
    pub trigger: String,
    /// What changed, in one line.
    pub summary: String,
}

/// A revision with its files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// What a list shows.
    #[serde(flatten)]
    pub info: RevisionInfo,
    /// The spec files in the order in which they were given.
    pub paths: Vec<String>,
    /// The spec and its includes: path relative to the spec's directory, and text.
    pub files: BTreeMap<String, String>,
    /// The resolved spec, without secrets.
    pub model: Value,
}

/// A file that is no readable revision; it was left where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many revisions are kept; at least one.
    pub keep: usize,
    /// Tells when a revision was appended.
    pub clock: Arc<dyn Clock>,
}

impl Default for Options {
    fn default() -> Self {
        Self { keep: KEEP, clock: Arc::new(SystemClock::default()) }
    }
}

/// The revisions of one state directory, which this process holds while the value lives.
#[derive(Debug)]
pub struct Revisions {
    directory: PathBuf,
    options: Options,
    /// Guards the list and the directory: held while a file is written, so that numbers and files agree.
    index: Mutex<Index>,
    /// Guards the lock of the directory; none once another process holds it.
    lock: Mutex<Option<Lock>>,
}

#[derive(Debug, Default)]
struct Index {
    infos: BTreeMap<u64, RevisionInfo>,
    skipped: Vec<Skipped>,
    /// The highest number that any file has or had, readable or not.
    highest: u64,
}

#[derive(Deserialize)]
struct Stored<T> {
    form: u32,
    #[serde(flatten)]
    revision: T,
}

#[derive(Serialize)]
struct Storing<'a> {
    form: u32,
    #[serde(flatten)]
    revision: &'a Revision,
}

impl Revisions {
    /// Opens the revisions of a state directory, which is created where it is missing; removes what a crash left half-written.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another gateway uses the directory; [`StoreError::Io`].
    pub fn open(state: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(state, Options::default())
    }

    /// Opens them with options of one's own.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(state: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        Self::open_under(state.as_ref(), options, Lock::take)
    }

    /// Opens them under the lock that the process held which this one follows.
    ///
    /// # Errors
    /// As [`Self::open`], and where the lock is that of another directory.
    pub fn open_after(state: impl AsRef<Path>, options: Options, lock: OwnedFd) -> Result<Self, StoreError> {
        Self::open_under(state.as_ref(), options, |path| Lock::adopt(lock, path))
    }

    fn open_under(state: &Path, options: Options, lock: impl FnOnce(&Path) -> Result<Lock, StoreError>) -> Result<Self, StoreError> {
        let directory = state.join("revisions");
        file::private_dir(&directory)?;
        let lock = Mutex::new(Some(lock(&state.join("gateway.lock"))?));
        let index = scan(&directory)?.into();
        Ok(Self { directory, options, index, lock })
    }

    /// Makes a descriptor of the lock, for the process that follows; none where it was given up.
    pub fn lock_descriptor(&self) -> Option<std::io::Result<OwnedFd>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Lock::descriptor)
    }

    /// Gives up the directory: the process that follows holds it. What is here may still be read, and nothing must be appended.
    pub fn let_go(&self) {
        *self.lock.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the state directory, which this process holds.
    pub fn state(&self) -> &Path {
        self.directory.parent().unwrap_or(Path::new("."))
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a revision and returns it with its number and time. It is on the disk when this returns. The oldest ones beyond the limit
    /// are removed.
    ///
    /// # Errors
    /// [`StoreError::Io`]; then there is no such revision, and its number is not used again.
    pub fn append(&self, new: NewRevision) -> Result<Revision, StoreError> {
        let mut index = self.lock();
        index.highest += 1;
        // A process that was to follow may have appended one, and then not followed.
        while self.directory.join(file_name(index.highest)).exists() {
            index.highest += 1;
        }
        let revision = new.into_revision(index.highest, self.options.clock.unix_ms());
        let name = file_name(revision.info.number);
        let bytes = serde_json::to_vec_pretty(&Storing { form: FORM, revision: &revision }).unwrap_or_default();
        file::write_whole(&self.directory, &name, &bytes)?;
        index.infos.insert(revision.info.number, revision.info.clone());
        while index.infos.len() > self.options.keep.max(1) {
            let Some((oldest, _)) = index.infos.pop_first() else { break };
            // What cannot be removed now is found, and tried again, after the next start.
            let _ = fs::remove_file(self.directory.join(file_name(oldest)));
        }
        Ok(revision)
    }

    /// Returns what is known of each revision, oldest first. Reads nothing.
    pub fn list(&self) -> Vec<RevisionInfo> {
        self.lock().infos.values().cloned().collect()
    }

    /// Returns what is known of the newest revision. Reads nothing.
    pub fn latest_info(&self) -> Option<RevisionInfo> {
        self.lock().infos.values().next_back().cloned()
    }

    /// Reads a revision; none when there is no such number.
    ///
    /// # Errors
    /// [`StoreError::Io`] and [`StoreError::Corrupt`] when the file changed since it was opened.
    pub fn get(&self, number: u64) -> Result<Option<Revision>, StoreError> {
        let index = self.lock();
        if !index.infos.contains_key(&number) {
            return Ok(None);
        }
        read(&self.directory.join(file_name(number)), number, |revision: &Revision| revision.info.number).map(Some)
    }

    /// Reads the newest revision; none in a new state directory.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn latest(&self) -> Result<Option<Revision>, StoreError> {
        let newest = self.latest_info();
        newest.map_or(Ok(None), |info| self.get(info.number))
    }

    /// Returns the files that were no readable revisions when the directory was opened.
    pub fn skipped(&self) -> Vec<Skipped> {
        self.lock().skipped.clone()
    }
}

impl NewRevision {
    fn into_revision(self, number: u64, unix_ms: u64) -> Revision {
        let created = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).unwrap_or_default();
        let info = RevisionInfo {
            number,
            created: created.to_string(),
            digest: self.digest,
            actor: self.actor,
            reason: self.reason,
            git_commit: self.git_commit,
            trigger: self.trigger,
            summary: self.summary,
        };
        Revision { info, paths: self.paths, files: self.files, model: self.model }
    }
}

fn file_name(number: u64) -> String {
    format!("{number:08}.json")
}

/// Returns the number that a file's name says, where it is the name that the number has.
fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".json")?.parse().ok()?;
    (number > 0 && number < u64::MAX && file_name(number) == name).then_some(number)
}

fn scan(directory: &Path) -> Result<Index, StoreError> {
    let mut index = Index::default();
    for entry in fs::read_dir(directory).map_err(StoreError::io("read", directory))? {
        let entry = entry.map_err(StoreError::io("read", directory))?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if file::is_temporary(&name) {
            // A crash left it: it never was a revision. One that cannot be removed does no harm.
            let _ = fs::remove_file(&path);
            continue;
        }
        let Some(number) = number_of(&name) else {
            index.skipped.push(Skipped { path, why: "its name is not that of a revision".to_owned() });
            continue;
        };
        index.highest = index.highest.max(number);
        match read(&path, number, |info: &RevisionInfo| info.number) {
            Ok(info) => drop(index.infos.insert(number, info)),
            Err(StoreError::Corrupt { path, why }) => index.skipped.push(Skipped { path, why }),
            Err(error @ (StoreError::Io { .. } | StoreError::Locked { .. } | StoreError::Book { .. } | StoreError::Shared(_))) => {
                index.skipped.push(Skipped { path, why: error.to_string() });
            }
        }
    }
    index.skipped.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(index)
}

fn read<T: DeserializeOwned>(path: &Path, number: u64, number_in: impl Fn(&T) -> u64) -> Result<T, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt { path: path.to_owned(), why };
    let file = File::open(path).map_err(StoreError::io("read", path))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(StoreError::io("read", path))?;
    let stored: Stored<T> = serde_json::from_slice(&bytes).map_err(|error| corrupt(error.to_string()))?;
    if stored.form != FORM {
        return Err(corrupt(format!("its form is {}, and this version knows form {FORM}", stored.form)));
    }
    let told = number_in(&stored.revision);
    if told != number {
        return Err(corrupt(format!("it says that it is revision {told}")));
    }
    Ok(stored.revision)
}
