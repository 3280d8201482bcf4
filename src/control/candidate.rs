//! A spec on its way to being served: read, compiled, compared. Nothing of it runs yet.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codes;
use super::materials::Materials;
use super::origin::{Origin, Texts};
use crate::base::Digest;
use crate::plan::diff::{Diff, diff};
use crate::plan::{Plan, compile_at};
use crate::spec::{self, Diagnostic, Disk, Environment, Files, Inputs, Loaded, Rejected};
use crate::table::PrepareError;

/// Where a spec is read from.
#[derive(Debug)]
pub(super) enum From {
    /// This gateway's own files.
    Disk,
    /// Text under names. What it refers to beside itself is on this machine.
    Memory(Texts),
}

/// A spec that loads and compiles.
#[derive(Debug)]
pub(super) struct Candidate {
    /// What was loaded, with its sources.
    pub(super) loaded: Loaded,
    /// The text of it, by names.
    pub(super) texts: Texts,
    /// The plan.
    pub(super) plan: Arc<Plan>,
    /// The plan's digest.
    pub(super) digest: Digest,
    /// Warnings of loader and compiler.
    pub(super) warnings: Vec<Diagnostic>,
    /// What the plan refers to outside the spec.
    pub(super) materials: Materials,
}

/// Loads and compiles, with warnings of keys that are over at `now_unix_ms`. Blocks.
///
/// # Errors
/// Everything that is wrong, with the files that were read.
pub(super) fn read(from: From, origin: &Origin, env: &(dyn Environment + Send + Sync), now_unix_ms: u64) -> Result<Candidate, Rejected> {
    let (loaded, texts) = match from {
        From::Disk => {
            let loaded = spec::load(&Inputs { files: &Disk, paths: origin.paths(), env, strict_env: true })?;
            let texts = origin.texts(&loaded.sources);
            (loaded, texts)
        }
        From::Memory(texts) => {
            let paths: Vec<PathBuf> = texts.paths.iter().map(PathBuf::from).collect();
            let files = Named { texts: &texts, base: origin.base() };
            let loaded = spec::load(&Inputs { files: &files, paths: &paths, env, strict_env: true })?;
            let texts = part_of(texts, &loaded);
            (loaded, texts)
        }
    };
    match compile_at(&loaded, now_unix_ms) {
        Ok(compiled) => {
            let mut warnings = loaded.warnings.clone();
            warnings.extend(compiled.warnings);
            let materials = Materials::read(&compiled.plan, env, origin.base());
            let digest = compiled.plan.digest();
            Ok(Candidate { loaded, texts, plan: Arc::new(compiled.plan), digest, warnings, materials })
        }
        Err(mut diagnostics) => {
            diagnostics.extend(loaded.warnings);
            Err(Rejected { sources: loaded.sources, diagnostics })
        }
    }
}

/// Text under names; beside it the disk, for what a spec refers to. Listings see the names alone.
struct Named<'a> {
    texts: &'a Texts,
    base: &'a Path,
}

impl Files for Named<'_> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match path.to_str().and_then(|name| self.texts.files.get(name)) {
            Some(text) => Ok(text.clone().into_bytes()),
            None => Disk.read(&self.base.join(path)),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let paths = self.texts.files.keys().map(Path::new);
        Ok(paths.filter(|path| path.parent() == Some(dir)).filter_map(Path::file_name).map(PathBuf::from).collect())
    }
}

/// Keeps what the load has read: the rest is no part of the spec.
fn part_of(texts: Texts, loaded: &Loaded) -> Texts {
    let Texts { mut files, paths } = texts;
    files.retain(|name, _| loaded.sources.0.iter().any(|source| source.path == Path::new(name)));
    Texts { files, paths }
}

impl Candidate {
    /// Compares with the plan that runs.
    pub(super) fn diff(&self, running: &Plan) -> Diff {
        diff(running, &self.plan)
    }

    /// Refuses the spec for what this process cannot do with it.
    pub(super) fn cannot_run(self, errors: &[PrepareError]) -> Rejected {
        self.refuse(errors.iter().map(|error| {
            // The remedy stands after the semicolon.
            let (message, help) = error.message.split_once("; ").unwrap_or((&error.message, ""));
            let diagnostic = Diagnostic::error(codes::CANNOT_RUN, message);
            (error.place.clone(), if help.is_empty() { diagnostic } else { diagnostic.help(help) })
        }))
    }

    /// Refuses the spec for changes that need a restart.
    pub(super) fn needs_restart(self, diff: &Diff) -> Rejected {
        self.refuse(diff.needs_restart().into_iter().map(|change| {
            let message = format!("`{}` cannot change while the gateway runs ({})", change.path, change.summary);
            let help = "restart the gateway, or take this change back: nothing of the file was applied";
            (change.spec_pointer(), Diagnostic::error(codes::NEEDS_RESTART, message).help(help))
        }))
    }

    fn refuse(self, found: impl Iterator<Item = (String, Diagnostic)>) -> Rejected {
        let spans = &self.loaded.spans;
        let diagnostics = found.map(|(place, diagnostic)| diagnostic.at(spans.value(&place)).pointer(place)).collect();
        Rejected { sources: self.loaded.sources, diagnostics }
    }
}
