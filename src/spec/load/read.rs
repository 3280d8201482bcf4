//! Reading files into the set of sources, within budgets, and saying what is wrong with one that cannot be read.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::mask;
use super::node::shown;
use crate::base::Digest;
use crate::spec::codes;
use crate::spec::source::FILE_LIMIT;
use crate::spec::{Diagnostic, Files, Location, Source, Sources};

/// Most bytes of all files, and of everything that interpolation puts in.
pub(super) const TOTAL_LIMIT: usize = 8 << 20;

/// The files of one load, and what was found wrong so far.
pub(super) struct Reading<'a> {
    pub(super) files: &'a dyn Files,
    pub(super) sources: Sources,
    pub(super) found: Vec<Diagnostic>,
    /// Whether a part of the spec is missing, so that nothing can be said about what is not there.
    pub(super) incomplete: bool,
    /// What became of each file; nothing where it was refused, which was reported then.
    by_path: BTreeMap<PathBuf, Option<usize>>,
    total: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(files: &'a dyn Files) -> Self {
        Self { files, sources: Sources::default(), found: Vec::new(), incomplete: false, by_path: BTreeMap::new(), total: 0 }
    }

    /// Reads a file once and returns its index. A file that cannot be read is reported, at `blame` where something names it.
    pub(super) fn open(&mut self, path: &Path, blame: Option<Location>) -> Option<usize> {
        let path = tidy(path);
        if let Some(index) = self.by_path.get(&path) {
            return *index;
        }
        match self.files.read(&path) {
            Ok(bytes) => {
                let index = self.keep(&path, &bytes, blame);
                self.by_path.insert(path, index);
                index
            }
            Err(error) => {
                let problem = unreadable(&path, &error).at(blame);
                self.refuse(if blame.is_some() { problem.help("paths are relative to the file that they stand in") } else { problem });
                None
            }
        }
    }

    /// Reports what leaves the spec incomplete.
    pub(super) fn refuse(&mut self, problem: Diagnostic) {
        self.incomplete = true;
        self.found.push(problem);
    }

    pub(super) fn source(&self, index: usize) -> Option<&Source> {
        self.sources.0.get(index)
    }

    /// Returns where a file stands that another one names.
    pub(super) fn beside(&self, index: usize, name: &str) -> PathBuf {
        let folder = self.source(index).and_then(|source| source.path.parent()).unwrap_or(Path::new(""));
        tidy(&folder.join(name))
    }

    fn keep(&mut self, path: &Path, bytes: &[u8], blame: Option<Location>) -> Option<usize> {
        self.total = self.total.saturating_add(bytes.len());
        if bytes.len() > FILE_LIMIT || self.total > TOTAL_LIMIT {
            let what = if bytes.len() > FILE_LIMIT { "has more than 2 MiB" } else { "takes the spec over 8 MiB" };
            self.refuse(Diagnostic::error(codes::TOO_LARGE, format!("`{}` {what}", path.display())).at(blame));
            return None;
        }
        let index = self.sources.0.len();
        let digest = Digest::of(bytes);
        let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let problem = match std::str::from_utf8(bytes) {
            Ok(text) => lone_carriage_return(text, index),
            Err(error) => Some(not_utf8(path, bytes, error.valid_up_to(), index)),
        };
        let text = String::from_utf8_lossy(bytes).into_owned();
        let redacted = mask::secret_like(&text);
        self.sources.0.push(Source { path: path.to_owned(), text, digest, redacted });
        if let Some(problem) = problem {
            self.refuse(problem);
            return None;
        }
        Some(index)
    }
}

/// Writes a path as people do: no `./` at its start, no `x/../`.
pub fn tidy(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            Component::ParentDir | Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    if out.as_os_str().is_empty() { PathBuf::from(".") } else { out }
}

/// Says why a path cannot be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let path = path.to_string_lossy();
    let path = shown(&path);
    if error.kind() == io::ErrorKind::NotFound {
        return Diagnostic::error(codes::FILE_MISSING, format!("`{path}` does not exist"));
    }
    let why = match error.kind() {
        io::ErrorKind::IsADirectory => "it is a directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        kind => kind.to_string(),
    };
    Diagnostic::error(codes::FILE_UNREADABLE, format!("`{path}` cannot be read: {why}"))
}

fn not_utf8(path: &Path, bytes: &[u8], valid: usize, file: usize) -> Diagnostic {
    let utf16 = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
    let what = if utf16 { "is UTF-16" } else { "is not UTF-8" };
    Diagnostic::error(codes::NOT_UTF8, format!("`{}` {what}", path.display()))
        .at(Some(Location { file, start: valid, end: valid }))
        .help("save the file as UTF-8")
}

fn lone_carriage_return(text: &str, file: usize) -> Option<Diagnostic> {
    let bytes = text.as_bytes();
    let start = memchr::memchr_iter(b'\r', bytes).find(|at| bytes.get(at + 1) != Some(&b'\n'))?;
    let place = Location { file, start, end: start + 1 };
    let problem = Diagnostic::error(codes::CARRIAGE_RETURN, "a carriage return stands alone, without a line feed behind it");
    Some(problem.at(Some(place)).help("end lines with LF, or with CR LF"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_as_people_write_them() {
        for (path, expected) in
            [("./a.yaml", "a.yaml"), ("x/../y/./b", "y/b"), ("../a", "../a"), ("../../a", "../../a"), ("/a/../b", "/b"), ("x/..", ".")]
        {
            assert_eq!(tidy(Path::new(path)), PathBuf::from(expected));
        }
    }
}
