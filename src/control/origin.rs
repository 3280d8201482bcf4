//! Where the spec comes from, and its text by names that mean the same on every machine.
//!
//! A file is named relative to the directory of the first spec file, with `/`: a checkout in CI and the gateway's own directory then
//! name the same file alike. A file elsewhere keeps its whole path as its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::spec::{Sources, tidy};

/// The spec files of this gateway, in order.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    paths: Vec<PathBuf>,
    base: PathBuf,
}

/// The text of a spec: every file that a load read, and which of them were named, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Texts {
    /// Text by name.
    pub(super) files: BTreeMap<String, String>,
    /// Names of the spec and its overlays, in order.
    pub(super) paths: Vec<String>,
}

impl Origin {
    /// Takes the spec and its overlays, in order.
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let paths: Vec<PathBuf> = paths.iter().map(|path| tidy(path)).collect();
        let base = paths.first().and_then(|path| path.parent()).map(Path::to_owned).unwrap_or_default();
        Self { paths, base }
    }

    /// Returns the spec files as this machine names them.
    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Returns the directory that references in the spec are relative to; empty is the working directory.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    /// Returns the names of the spec files.
    pub(super) fn names(&self) -> Vec<String> {
        self.paths.iter().map(|path| self.name(path)).collect()
    }

    /// Returns the name of a file.
    pub(super) fn name(&self, path: &Path) -> String {
        let path = tidy(path);
        path.strip_prefix(&self.base).unwrap_or(&path).to_string_lossy().into_owned()
    }

    /// Returns where a named file is.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// Returns what a load from the disk has read.
    pub(super) fn texts(&self, sources: &Sources) -> Texts {
        let files = sources.0.iter().map(|source| (self.name(&source.path), source.text.clone())).collect();
        Texts { files, paths: self.names() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<String> {
        Origin::new(&paths.iter().map(PathBuf::from).collect::<Vec<_>>()).names()
    }

    #[test]
    fn a_file_is_named_from_the_directory_of_the_first() {
        assert_eq!(names(&["gateway.yaml", "env/prod.yaml"]), ["gateway.yaml", "env/prod.yaml"]);
        assert_eq!(names(&["./gateway.yaml", "./env/prod.yaml"]), ["gateway.yaml", "env/prod.yaml"]);
        assert_eq!(names(&["/etc/b/gateway.yaml", "/etc/b/env/prod.yaml"]), ["gateway.yaml", "env/prod.yaml"]);
        assert_eq!(names(&["/etc/x/../b/gateway.yaml", "/etc/b/env/../prod.yaml"]), ["gateway.yaml", "prod.yaml"]);
        assert_eq!(names(&["../gateway.yaml", "../env/prod.yaml"]), ["gateway.yaml", "env/prod.yaml"]);
        assert_eq!(names(&["conf/a.yaml", "/run/b.yaml"]), ["a.yaml", "/run/b.yaml"]);
        let origin = Origin::new(&["conf/a.yaml".into()]);
        assert_eq!(origin.path("teams/x.yaml"), Path::new("conf/teams/x.yaml"));
        assert_eq!(origin.name(Path::new("conf/./teams/x.yaml")), "teams/x.yaml");
    }
}
