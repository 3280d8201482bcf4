//! Specs in memory and in fixture folders.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use bifrostctl::spec::{self, Diagnostic, Files, Inputs, Loaded, Memory, Rejected, Sources};

/// A spec of files in memory, with its environment.
#[derive(Default)]
pub(crate) struct Given {
    files: Memory,
    paths: Vec<PathBuf>,
    env: BTreeMap<String, String>,
    lenient: bool,
}

/// A spec of one file, `gateway.yaml`.
pub(crate) fn given(yaml: impl Into<Vec<u8>>) -> Given {
    Given::default().main("gateway.yaml", yaml)
}

impl Given {
    /// Adds a file that is named on the command line.
    pub(crate) fn main(mut self, path: &str, text: impl Into<Vec<u8>>) -> Self {
        self.paths.push(path.into());
        self.file(path, text)
    }

    /// Adds a file.
    pub(crate) fn file(mut self, path: &str, text: impl Into<Vec<u8>>) -> Self {
        self.files.0.insert(path.into(), text.into());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Lets variables be unset.
    pub(crate) fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    pub(crate) fn load(&self) -> Result<Loaded, Rejected> {
        spec::load(&Inputs { files: &self.files, paths: &self.paths, env: &self.env, strict_env: !self.lenient })
    }

    pub(crate) fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|rejected| panic!("{:#?}", lines(&rejected.diagnostics, &rejected.sources)))
    }

    /// Returns the findings, of a refusal or of a success, as `CODE@place: message`.
    pub(crate) fn findings(&self) -> Vec<String> {
        match self.load() {
            Ok(loaded) => lines(&loaded.warnings, &loaded.sources),
            Err(rejected) => lines(&rejected.diagnostics, &rejected.sources),
        }
    }
}

/// Writes findings as `CODE@place: message`.
pub(crate) fn lines(found: &[Diagnostic], sources: &Sources) -> Vec<String> {
    found.iter().map(|found| format!("{}: {}", coordinate(found, sources), found.message)).collect()
}

/// Writes a finding as `CODE@place`.
pub(crate) fn coordinate(found: &Diagnostic, sources: &Sources) -> String {
    match found.location.and_then(|location| sources.place(location)) {
        Some(place) => format!("{}@{place}", found.code),
        None => found.code.to_owned(),
    }
}

/// Files as seen from a folder, so that places do not name where the tests run.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Files for Folder {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        spec::Disk.read(&self.0.join(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        spec::Disk.list(&self.0.join(dir))
    }
}
