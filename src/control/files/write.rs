//! Staging, renaming, putting back.
//!
//! Everything that can run out (space, permissions, temporary names) happens in [`Staged::prepare`], before the first file changes.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

/// Mode of a file that is new: readable by others, as a checkout would make it. A spec holds no secrets.
const NEW_MODE: u32 = 0o644;

/// One file as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::control) enum Change {
    /// The file holds this text.
    Write(PathBuf, String),
    /// The file is gone.
    Remove(PathBuf),
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(in crate::control) enum WriteError {
    /// The gateway may not write there, or somebody else does.
    #[error("{} cannot be written by the gateway: {why}", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The file system failed.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file was changed and could not be put back.
    #[error("{first}; what was written before it could not be put back: {}", left.join(", "))]
    Torn {
        /// What went wrong first.
        first: Box<WriteError>,
        /// The files that differ from what they were, with what the system said.
        left: Vec<String>,
    },
}

/// Files that are ready to be renamed into place.
#[derive(Debug, Default)]
pub(in crate::control) struct Staged {
    steps: Vec<Step>,
    /// Directories that were made for new files, outermost first.
    made: Vec<PathBuf>,
}

#[derive(Debug)]
struct Step {
    path: PathBuf,
    /// What the file becomes; none when it goes.
    next: Option<TempPath>,
    /// What the file was; none when it was not there.
    before: Option<TempPath>,
}

/// Files that are in place. What they were is kept until this drops.
#[derive(Debug)]
#[must_use]
pub(in crate::control) struct Written {
    steps: Vec<Step>,
    made: Vec<PathBuf>,
}

impl Staged {
    /// Writes the new content beside each file and keeps a copy of the old. Blocks.
    ///
    /// # Errors
    /// [`WriteError`]; no file has changed then.
    pub(in crate::control) fn prepare(changes: &[Change]) -> Result<Self, WriteError> {
        let mut staged = Self::default();
        for change in changes {
            if let Err(error) = staged.stage(change) {
                let Self { steps, made } = staged;
                drop(steps);
                unmake(&made);
                return Err(error);
            }
        }
        Ok(staged)
    }

    fn stage(&mut self, change: &Change) -> Result<(), WriteError> {
        let (named, text) = match change {
            Change::Write(path, text) => (path, Some(text)),
            Change::Remove(path) => (path, None),
        };
        // The link stays a link: what it leads to is replaced.
        let path = fs::canonicalize(named).unwrap_or_else(|_| named.clone());
        if let Some(why) = managed(named).or_else(|| managed(&path)) {
            return Err(WriteError::ReadOnly { path: named.clone(), why });
        }
        let failed = |source| classify(&path, source);
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.make(parent).map_err(failed)?;
        let before = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        let old = fs::metadata(&path).ok();
        let before = before.map(|bytes| beside(parent, &bytes, old.as_ref())).transpose().map_err(failed)?;
        let next = text.map(|text| beside(parent, text.as_bytes(), old.as_ref())).transpose().map_err(failed)?;
        self.steps.push(Step { path, next, before });
        Ok(())
    }

    fn make(&mut self, directory: &Path) -> io::Result<()> {
        let missing: Vec<PathBuf> =
            directory.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists()).map(Path::to_owned).collect();
        for path in missing.into_iter().rev() {
            fs::create_dir(&path)?;
            self.made.push(path);
        }
        Ok(())
    }

    /// Renames everything into place and syncs the directories. Blocks.
    ///
    /// # Errors
    /// [`WriteError`]; every file is then what it was, or the error is [`WriteError::Torn`] and says which is not.
    pub(in crate::control) fn commit(self) -> Result<Written, WriteError> {
        let mut written = Written { steps: Vec::with_capacity(self.steps.len()), made: self.made };
        for step in self.steps {
            let Step { path, next, before } = step;
            let done = match next {
                Some(next) => next.persist(&path).map_err(|error| error.error),
                None => fs::remove_file(&path).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }),
            };
            match done.map_err(|source| classify(&path, source)) {
                Ok(()) => written.steps.push(Step { path, next: None, before }),
                Err(error) => {
                    return Err(match written.undo() {
                        Ok(()) => error,
                        Err(left) => WriteError::Torn { first: Box::new(error), left },
                    });
                }
            }
        }
        for step in &written.steps {
            // The content is in place; a directory that cannot be synced costs durability alone.
            let _ = step
                .path
                .parent()
                .map(File::open)
                .transpose()
                .and_then(|directory| directory.map_or(Ok(()), |directory| directory.sync_all()));
        }
        Ok(written)
    }
}

impl Written {
    /// Puts every file back as it was, last first. Blocks.
    ///
    /// # Errors
    /// The files that could not be put back.
    pub(in crate::control) fn undo(self) -> Result<(), Vec<String>> {
        let mut left = Vec::new();
        for step in self.steps.into_iter().rev() {
            let back = match step.before {
                Some(before) => before.persist(&step.path).map_err(|error| error.error),
                None => fs::remove_file(&step.path),
            };
            if let Err(error) = back {
                left.push(format!("{}: {error}", step.path.display()));
            }
        }
        unmake(&self.made);
        if left.is_empty() { Ok(()) } else { Err(left) }
    }
}

fn unmake(made: &[PathBuf]) {
    for path in made.iter().rev() {
        // One that somebody has put something into meanwhile stays.
        let _ = fs::remove_dir(path);
    }
}

/// Writes a synced file beside where it belongs; its name begins with a dot, so that no pattern of `include` takes it.
fn beside(directory: &Path, bytes: &[u8], old: Option<&fs::Metadata>) -> io::Result<TempPath> {
    let mut file: NamedTempFile = tempfile::Builder::new().prefix(".bifrost-").suffix(".tmp").tempfile_in(directory)?;
    file.write_all(bytes)?;
    let mode = old.map_or(NEW_MODE, |old| old.mode() & 0o7777);
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    if let Some(old) = old {
        // Only root can give files away; anybody else keeps what is theirs.
        let _ = std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()));
    }
    file.as_file().sync_all()?;
    Ok(file.into_temp_path())
}

fn classify(path: &Path, source: io::Error) -> WriteError {
    match source.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            WriteError::ReadOnly { path: path.to_owned(), why: source.to_string() }
        }
        // A file that is bind-mounted alone cannot be renamed over.
        io::ErrorKind::ResourceBusy => WriteError::ReadOnly { path: path.to_owned(), why: "it is a mount of its own".to_owned() },
        _ => WriteError::Io { path: path.to_owned(), source },
    }
}

/// Tells a file that somebody else puts there: a mounted ConfigMap would be written over at its next change.
fn managed(path: &Path) -> Option<String> {
    let directory = path.parent()?;
    let swapped = fs::symlink_metadata(directory.join("..data")).is_ok_and(|metadata| metadata.is_symlink());
    let within = directory.components().any(|part| part.as_os_str().to_string_lossy().starts_with("..20"));
    (swapped || within).then(|| "it belongs to a mounted ConfigMap or Secret".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) -> Change {
        Change::Write(path.to_owned(), text.to_owned())
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_written_made_and_removed_together_and_keep_their_mode() {
        let dir = tempfile::tempdir().unwrap();
        let [spec, team, prompt] = ["gateway.yaml", "team.yaml", "prompts/fast.md"].map(|name| dir.path().join(name));
        fs::write(&spec, "old").unwrap();
        fs::set_permissions(&spec, Permissions::from_mode(0o640)).unwrap();
        fs::write(&team, "old").unwrap();
        let changes = [write(&spec, "new"), Change::Remove(team.clone()), write(&prompt, "hello")];
        drop(Staged::prepare(&changes).unwrap().commit().unwrap());
        assert_eq!(fs::read_to_string(&spec).unwrap(), "new");
        assert_eq!(fs::metadata(&spec).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(&prompt).unwrap(), "hello");
        assert_eq!(fs::metadata(&prompt).unwrap().mode() & 0o777, NEW_MODE);
        assert_eq!(names(dir.path()), ["gateway.yaml", "prompts"], "the removed one is gone and nothing temporary is left");
    }

    #[test]
    fn when_the_second_rename_fails_the_first_file_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["a.yaml", "b.yaml"].map(|name| dir.path().join(name));
        fs::write(&first, "old").unwrap();
        let staged = Staged::prepare(&[write(&first, "new"), write(&second, "new")]).unwrap();
        // A directory in the way: the rename onto it fails, whoever the test runs as.
        fs::create_dir(&second).unwrap();
        let error = staged.commit().unwrap_err();
        assert!(matches!(&error, WriteError::Io { path, .. } if path.ends_with("b.yaml")), "{error}");
        assert_eq!(fs::read_to_string(&first).unwrap(), "old");
        assert_eq!(names(dir.path()), ["a.yaml", "b.yaml"]);
    }

    #[test]
    fn what_was_written_can_be_put_back_with_the_directories_that_were_made() {
        let dir = tempfile::tempdir().unwrap();
        let [spec, team, new] = ["gateway.yaml", "team.yaml", "x/y/new.md"].map(|name| dir.path().join(name));
        fs::write(&spec, "old").unwrap();
        fs::write(&team, "team").unwrap();
        let written = Staged::prepare(&[write(&spec, "new"), Change::Remove(team.clone()), write(&new, "n")]).unwrap().commit().unwrap();
        written.undo().unwrap();
        assert_eq!(fs::read_to_string(&spec).unwrap(), "old");
        assert_eq!(fs::read_to_string(&team).unwrap(), "team");
        assert_eq!(names(dir.path()), ["gateway.yaml", "team.yaml"]);
    }

    #[test]
    fn a_link_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        fs::create_dir(&real).unwrap();
        fs::write(real.join("gateway.yaml"), "old").unwrap();
        let link = dir.path().join("gateway.yaml");
        std::os::unix::fs::symlink("real/gateway.yaml", &link).unwrap();
        drop(Staged::prepare(&[write(&link, "new")]).unwrap().commit().unwrap());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(real.join("gateway.yaml")).unwrap(), "new");
    }

    #[test]
    fn a_mounted_configmap_is_not_written_even_when_it_could_be() {
        let dir = tempfile::tempdir().unwrap();
        let version = dir.path().join("..2026_11_25_06_00_00.1");
        fs::create_dir(&version).unwrap();
        fs::write(version.join("gateway.yaml"), "old").unwrap();
        std::os::unix::fs::symlink("..2026_11_25_06_00_00.1", dir.path().join("..data")).unwrap();
        let spec = dir.path().join("gateway.yaml");
        std::os::unix::fs::symlink("..data/gateway.yaml", &spec).unwrap();
        let error = Staged::prepare(&[write(&spec, "new")]).unwrap_err();
        assert!(matches!(error, WriteError::ReadOnly { .. }), "{error}");
        assert_eq!(fs::read_to_string(&spec).unwrap(), "old");
    }

    #[test]
    fn nothing_changes_when_one_file_cannot_be_staged() {
        let dir = tempfile::tempdir().unwrap();
        let spec = dir.path().join("gateway.yaml");
        fs::write(&spec, "old").unwrap();
        // The parent is a file: no temporary file can stand beside it.
        let changes = [write(&dir.path().join("new/a.md"), "n"), write(&spec, "new"), write(&spec.join("b.md"), "n")];
        assert!(Staged::prepare(&changes).is_err());
        assert_eq!(fs::read_to_string(&spec).unwrap(), "old");
        assert_eq!(names(dir.path()), ["gateway.yaml"]);
    }
}
