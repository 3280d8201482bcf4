//! What is searched: the files of a tree, or what is staged in Git.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use ignore::WalkBuilder;

use crate::cli::exit::CommandError;
use crate::cli::git::Repository;
use crate::spec::tidy;

/// Larger files are data. Bytes.
const LARGEST: u64 = 2 << 20;
/// A zero byte in so much of a file's beginning makes it binary, as it does for Git. Bytes.
const SNIFFED: usize = 8_000;

/// A file that is searched.
pub(super) struct Text {
    pub(super) path: PathBuf,
    /// Lossy where it is not UTF-8.
    pub(super) text: String,
}

/// What was looked at.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) texts: Vec<Text>,
    pub(super) binary: usize,
    pub(super) large: usize,
    /// What could not be read, and why.
    pub(super) unreadable: Vec<String>,
}

impl Looked {
    fn take(&mut self, path: PathBuf, bytes: &[u8]) {
        if bytes.len() as u64 > LARGEST {
            self.large += 1;
        } else if bytes.iter().take(SNIFFED).any(|byte| *byte == 0) {
            self.binary += 1;
        } else {
            self.texts.push(Text { path, text: String::from_utf8_lossy(bytes).into_owned() });
        }
    }
}

/// Reads the files below some paths, in order of their names: hidden ones too, but not what `.gitignore` leaves out, nor `.git`.
///
/// # Errors
/// A failure when one of the paths is not there.
pub(super) fn walk(paths: &[PathBuf]) -> Result<Looked, CommandError> {
    let mut looked = Looked::default();
    for root in paths {
        std::fs::metadata(root).map_err(|error| CommandError::failure(format!("cannot read {}: {error}", root.display())))?;
        let mut walk = WalkBuilder::new(root);
        walk.hidden(false).require_git(false).sort_by_file_name(Ord::cmp).filter_entry(|entry| entry.file_name() != ".git");
        for entry in walk.build() {
            match entry {
                Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_file()) => look(&mut looked, entry.path()),
                Ok(_) => {}
                Err(error) => looked.unreadable.push(error.to_string()),
            }
        }
    }
    Ok(looked)
}

fn look(looked: &mut Looked, path: &Path) {
    let mut bytes = Vec::new();
    // A little more than is allowed tells that there is more.
    match File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)) {
        Ok(_) => looked.take(tidy(path), &bytes),
        Err(error) => looked.unreadable.push(format!("cannot read {}: {error}", path.display())),
    }
}

/// Reads what is staged for the next commit, as it is staged.
///
/// # Errors
/// A failure when there is no Git repository here.
pub(super) fn staged(paths: &[PathBuf]) -> Result<Looked, CommandError> {
    let repository = Repository::of(Path::new(""))?;
    let mut looked = Looked::default();
    for (path, bytes) in repository.staged(paths)? {
        looked.take(path, &bytes);
    }
    Ok(looked)
}
