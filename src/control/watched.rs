//! Which files a load makes worth watching, whether the load succeeded or not.
//!
//! A spec that was refused must be watched as closely as one that runs: it is the one that somebody is about to repair. Its types may
//! be unknown then, so what it mentions is taken from its text.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::materials::Materials;
use super::origin::Origin;
use super::watch::WatchSet;
use crate::base::{Digest, glob};
use crate::spec::{Source, Sources};

/// What files name beside themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    /// Directories and patterns of `include`.
    pub(super) globs: BTreeSet<(PathBuf, String)>,
    /// Prompts, secrets, certificates.
    pub(super) files: BTreeSet<PathBuf>,
    /// A file could not be read as YAML, so that something may be missing here.
    pub(super) is_partial: bool,
}

impl Mentions {
    /// Finds what the sources name. `base` is the directory that references are relative to; `include` is relative to its own file.
    pub(super) fn find(sources: &Sources, base: &Path) -> Self {
        let mut mentions = Self::default();
        for source in &sources.0 {
            let is_yaml = source.path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
            match serde_yaml::from_str::<Value>(&source.text) {
                Ok(value) => {
                    let directory = source.path.parent().unwrap_or(Path::new(""));
                    mentions.includes(&value, directory);
                    // A prompt is relative to the file that names it, a secret to the spec.
                    mentions.walk(&value, base);
                    mentions.walk(&value, directory);
                }
                // A prompt is not YAML and names nothing.
                Err(_) => mentions.is_partial |= is_yaml,
            }
        }
        mentions
    }

    /// Returns whether a pattern takes in a file.
    pub(super) fn includes_path(&self, path: &Path) -> bool {
        self.globs.iter().any(|(directory, pattern)| path.parent() == Some(directory) && is_match(pattern, path))
    }

    fn includes(&mut self, value: &Value, directory: &Path) {
        for pattern in value.get("include").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let path = directory.join(pattern);
            if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
                self.globs.insert((parent.to_owned(), name.to_string_lossy().into_owned()));
            }
        }
    }

    fn walk(&mut self, value: &Value, base: &Path) {
        match value {
            Value::Object(members) => {
                if let Some(path) = members.get("file").and_then(Value::as_str).filter(|_| members.len() == 1) {
                    self.file(path, base);
                }
                // The access log is a file that the gateway writes; it changes with every request.
                let read = members.iter().filter(|(name, _)| *name != "access_log");
                read.for_each(|(_, value)| self.walk(value, base));
            }
            Value::Array(items) => items.iter().for_each(|value| self.walk(value, base)),
            Value::String(text) => {
                for rest in text.split("${file:").skip(1) {
                    self.file(rest.split('}').next().unwrap_or_default(), base);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn file(&mut self, path: &str, base: &Path) {
        // What an interpolation makes of it is not known here.
        if !path.is_empty() && !path.contains("${") {
            self.files.insert(base.join(path));
        }
    }
}

/// Returns whether a file's name is one that a pattern means. As in a shell, a leading dot must be written out.
pub(super) fn is_match(pattern: &str, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    (pattern.starts_with('.') || !name.starts_with('.')) && glob::matches(pattern, &name)
}

/// Makes the set to watch after a load from the disk: what it read, what it would read, and what the plan refers to.
pub(super) fn watch_set(origin: &Origin, sources: &Sources, mentions: &Mentions, materials: Option<&Materials>) -> WatchSet {
    let mut set = WatchSet::new();
    for path in origin.paths() {
        set.file(path, None);
    }
    for source in &sources.0 {
        set.file(&source.path, Some(source.digest));
    }
    for (path, digest) in materials.iter().flat_map(|materials| &materials.files) {
        match digest {
            Some(digest) => set.optional(path, Some(*digest)),
            None => set.absent(path),
        }
    }
    // One that is there although no load has read it costs one load more, which finds nothing new.
    for path in &mentions.files {
        set.absent(path);
    }
    for (directory, pattern) in &mentions.globs {
        set.glob(directory, pattern);
    }
    set
}

/// Returns whether the files still are what a load has read of them. An empty file, or a spec that is gone, is somebody in the middle of
/// saving. Blocks.
pub(super) fn is_settled(sources: &Sources, origin: &Origin) -> bool {
    let is_there = |path: &PathBuf| sources.0.iter().any(|source| source.path == *path);
    let is_same =
        |source: &Source| !source.text.is_empty() && std::fs::read(&source.path).is_ok_and(|bytes| Digest::of(&bytes) == source.digest);
    origin.paths().iter().all(is_there) && sources.0.iter().all(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        let source = |(path, text): &(&str, &str)| Source {
            path: path.into(),
            text: (*text).to_owned(),
            digest: Digest::of(text.as_bytes()),
            redacted: Vec::new(),
        };
        Sources(files.iter().map(source).collect())
    }

    #[test]
    fn a_file_that_is_empty_gone_or_has_changed_is_not_settled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.yaml");
        let origin = Origin::new(std::slice::from_ref(&path));
        let read = |text: &str| sources(&[(path.to_str().unwrap(), text)]);
        std::fs::write(&path, "version: 1\n").unwrap();
        assert!(is_settled(&read("version: 1\n"), &origin));
        assert!(!is_settled(&read("vers"), &origin));
        assert!(!is_settled(&Sources::default(), &origin));
        std::fs::write(&path, "").unwrap();
        assert!(!is_settled(&read(""), &origin));
    }

    #[test]
    fn a_file_that_is_refused_is_searched_for_what_it_names() {
        let text = "include: [teams/*.yaml, ../shared/all.yaml]\nnonsense: 1\nproviders: {a: {credentials: {k: {secret: {file: keys/a}}}}}\n\
                    models: {m: {targets: [], prompt: {system: {file: /p/m.md}}}}\nx: \"${file:note} and ${env:HOME}\"\ny: {file: \"${env:DIR}/k\"}\n\
                    telemetry: {access_log: {file: access.log}}\n";
        let found = Mentions::find(
            &sources(&[("etc/gateway.yaml", text), ("etc/prompt.md", "a: b: c"), ("etc/teams/a.yaml", "k: {file: k}")]),
            Path::new("etc"),
        );
        let globs = [("etc/../shared", "all.yaml"), ("etc/teams", "*.yaml")];
        assert_eq!(found.globs, globs.map(|(dir, pattern)| (PathBuf::from(dir), pattern.to_owned())).into());
        assert_eq!(found.files, ["/p/m.md", "etc/k", "etc/keys/a", "etc/note", "etc/teams/k"].map(PathBuf::from).into());
        assert!(!found.is_partial);
        assert!(Mentions::find(&sources(&[("gateway.yaml", "a: [")]), Path::new("")).is_partial);
    }
}
