//! One look at all files: digests of contents and lists of names. Does I/O, decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::WatchSet;
use crate::base::{Digest, glob};

/// What is seen of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It has content.
    Content(Digest),
    /// It has none.
    Empty,
    /// It is not there.
    Absent,
    /// It is there and cannot be read, or is no regular file (which is never opened: reading a pipe would consume it).
    Unreadable,
}

impl Seen {
    /// What a loader saw who read bytes with this digest.
    pub(super) fn of_digest(digest: Digest) -> Self {
        if digest == Digest::of(b"") { Self::Empty } else { Self::Content(digest) }
    }
}

/// What is seen of the whole set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Each file of the set.
    pub(super) files: BTreeMap<PathBuf, Seen>,
    /// The names that match, by directory and pattern.
    pub(super) names: BTreeMap<(PathBuf, String), BTreeSet<OsString>>,
}

/// Looks at every file of the set. Blocks.
pub(super) fn look(set: &WatchSet) -> Look {
    Look {
        files: set.files.keys().map(|path| (path.clone(), see(path))).collect(),
        names: set.globs.iter().map(|glob| (glob.clone(), matching(&glob.0, &glob.1))).collect(),
    }
}

fn see(path: &Path) -> Seen {
    match std::fs::metadata(path) {
        Err(error) => absent_or_unreadable(&error),
        Ok(metadata) if !metadata.is_file() => Seen::Unreadable,
        Ok(_) => match std::fs::read(path) {
            Err(error) => absent_or_unreadable(&error),
            Ok(bytes) if bytes.is_empty() => Seen::Empty,
            Ok(bytes) => Seen::Content(Digest::of(&bytes)),
        },
    }
}

fn absent_or_unreadable(error: &std::io::Error) -> Seen {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Seen::Absent,
        _ => Seen::Unreadable,
    }
}

/// Names of the files in `dir` that match. A directory that cannot be listed has none.
fn matching(dir: &Path, pattern: &str) -> BTreeSet<OsString> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| matches(pattern, &entry.file_name().to_string_lossy()) && entry.path().is_file());
    files.map(|entry| entry.file_name()).collect()
}

/// Matches a name with `*` (any run) and `?` (any one). As in a shell, a leading dot must be written out, so that editors'
/// temporary files are not taken for new ones.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    (pattern.starts_with('.') || !name.starts_with('.')) && glob::matches(pattern, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_a_shell_does() {
        for (pattern, name, expected) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", ".yaml", false),
            ("*.yaml", ".#a.yaml", false),
            (".*.yaml", ".a.yaml", true),
            ("*.yaml", "a.yaml.swp", false),
            ("*a*b*c", "xxaxxbxxbxc", true),
            ("*a*b*c", "xxaxxbxx", false),
            ("t?am.yaml", "team.yaml", true),
            ("t?am.yaml", "tam.yaml", false),
            ("*", "", true),
            ("", "a", false),
            ("ä*", "ähnlich", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_pipe_is_never_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
        assert_eq!(see(&path), Seen::Unreadable);
    }
}
