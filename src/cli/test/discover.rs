//! Where tests are when nobody names them.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::exit::CommandError;
use crate::spec::{Disk, Files as _};

/// What names of such files end with.
const ENDING: &str = ".test.yaml";

/// Finds `*.test.yaml` in the directory of a spec, and in `tests` there, by name.
///
/// # Errors
/// There are none, or a directory cannot be listed.
pub(super) fn beside(folder: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let mut found = Vec::new();
    for folder in [folder.to_owned(), folder.join("tests")] {
        let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
        match Disk.list(listed) {
            Ok(names) => {
                let is_test = |name: &PathBuf| name.to_str().is_some_and(|name| name.ends_with(ENDING));
                let mut here: Vec<_> = names.into_iter().filter(is_test).map(|name| folder.join(name)).collect();
                here.sort();
                found.extend(here);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(CommandError::failure(format!("cannot list {}: {error}", listed.display()))),
        }
    }
    if found.is_empty() {
        return Err(CommandError::failure("there are no tests: no *.test.yaml stands beside the spec or in tests/ there")
            .hint("name files of tests, or write one: see `docs/testing.md`"));
    }
    Ok(found)
}
