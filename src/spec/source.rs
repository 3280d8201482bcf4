//! Source files: where they are read from, and the set that one load has read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Location;
use crate::base::Digest;

/// Most bytes of one file. A spec of 10,000 keys has about 2 MB.
pub(super) const FILE_LIMIT: usize = 2 << 20;

/// Somewhere to read files from: the disk, memory (admin API, tests), a Git revision.
pub trait Files {
    /// Reads one file.
    ///
    /// # Errors
    /// What the file system says.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Lists the files of a directory (names only, sorted, no recursion).
    ///
    /// # Errors
    /// What the file system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>>;
}

/// The disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // Read a little more than is allowed and no further: a path may name a device that never ends.
        let mut bytes = Vec::new();
        File::open(path)?.take(FILE_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if entry.path().is_file() {
                names.push(PathBuf::from(entry.file_name()));
            }
        }
        names.sort();
        Ok(names)
    }
}

/// Files held in memory, by path.
#[derive(Debug, Clone, Default)]
pub struct Memory(pub BTreeMap<PathBuf, Vec<u8>>);

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.0.get(path).cloned().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let names = self.0.keys().filter(|path| path.parent() == Some(dir)).filter_map(|path| path.file_name());
        Ok(names.map(PathBuf::from).collect())
    }
}

/// One file as it was read.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path as the user would write it.
    pub path: PathBuf,
    /// The text. Lossy where the file is not UTF-8 (which is an error of its own).
    pub text: String,
    /// Digest of the bytes.
    pub digest: Digest,
    /// Bytes of `text` that reports mask, because a secret may stand there: plain texts where a reference belongs. In any order.
    pub redacted: Vec<Range<usize>>,
}

/// Every file that one load has read: specs, includes, prompt templates. Never secrets.
#[derive(Debug, Clone, Default)]
pub struct Sources(pub Vec<Source>);

impl Sources {
    /// Returns line and column, both from 1, columns in characters, of a location's start.
    pub fn line_column(&self, location: Location) -> Option<(usize, usize)> {
        let source = self.0.get(location.file)?;
        let before = source.text.get(..location.start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((line, column))
    }

    /// Returns `file:line:col` of a location's start.
    pub fn place(&self, location: Location) -> Option<String> {
        let (line, column) = self.line_column(location)?;
        Some(format!("{}:{line}:{column}", self.0.get(location.file)?.path.display()))
    }

    /// Digests the whole set, paths included.
    pub fn digest(&self) -> Digest {
        let names: Vec<String> = self.0.iter().map(|source| source.path.display().to_string()).collect();
        Digest::of_parts(self.0.iter().zip(&names).flat_map(|(source, name)| [name.as_bytes(), source.digest.as_bytes().as_slice()]))
    }
}
