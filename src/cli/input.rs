//! The spec as commands read it: from the disk or standard input, loaded and compiled, or refused with everything that is wrong.
//!
//! Rule: commands never look at the environment unless they are told to; what a spec means in review may not depend on the machine.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::context::{Context, DEFAULT_FILE};
use super::exit::{CommandError, Exit};
use super::findings::Findings;
use super::git::Repository;
use super::table_text::count;
use crate::plan::{self, Plan};
use crate::spec::{self, Diagnostic, Disk, Environment, Files, Inputs, Loaded, Rejected, Sources};

/// How a spec from standard input is called in messages.
pub(crate) const STDIN: &str = "<stdin>";

/// Far above any spec that the loader takes. Bytes.
const STDIN_LIMIT: u64 = 16 << 20;

/// An environment in which nothing is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoEnvironment;

impl Environment for NoEnvironment {
    fn get(&self, _: &str) -> Option<String> {
        None
    }
}

/// The disk, and standard input under its name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inflow {
    stdin: Option<Arc<Vec<u8>>>,
}

impl Files for Inflow {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match &self.stdin {
            Some(bytes) if path == Path::new(STDIN) => Ok(bytes.to_vec()),
            Some(_) | None => Disk.read(path),
        }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.list(dir)
    }
}

/// What the options name: the spec, its overlays, and where they are read from.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Where files are read from.
    pub(crate) files: Inflow,
    /// The spec, then its overlays.
    pub(crate) paths: Vec<PathBuf>,
    /// When the options were looked at, in milliseconds since the Unix epoch: tells which keys are over.
    now_unix_ms: u64,
}

impl Source {
    /// Reads standard input if the options name it; looks whether the spec itself is there.
    ///
    /// # Errors
    /// A failure when the spec cannot be read.
    pub(crate) fn open(context: &mut Context<'_>) -> Result<Self, CommandError> {
        if let Some(source) = &context.source {
            return Ok(source.clone());
        }
        let source = Self::read(context)?;
        context.source = Some(source.clone());
        Ok(source)
    }

    /// Returns the commit that the spec's files stand at. None outside of Git, and for standard input, which no commit holds.
    pub(crate) fn commit(&self, loaded: &Loaded) -> Option<String> {
        if self.paths.iter().any(|path| path == Path::new(STDIN)) {
            return None;
        }
        let paths: Vec<_> = loaded.sources.0.iter().map(|source| source.path.clone()).collect();
        Repository::of(self.base_dir()).ok()?.head(&paths)
    }

    fn read(context: &mut Context<'_>) -> Result<Self, CommandError> {
        let paths = context.paths();
        Self::of(&paths, context)
    }

    /// Takes files that were named apart from the options; `-` is standard input.
    ///
    /// # Errors
    /// A failure when one of them cannot be read.
    pub(crate) fn of(paths: &[PathBuf], context: &mut Context<'_>) -> Result<Self, CommandError> {
        let mut paths = paths.to_vec();
        let mut files = Inflow::default();
        let on_stdin = paths.iter().filter(|path| path.as_os_str() == "-").count();
        if on_stdin > 1 {
            return Err(CommandError::usage("standard input can be read only once").hint("give `-f -` once"));
        }
        if on_stdin == 1 {
            let mut bytes = Vec::new();
            let read = (&mut context.io.stdin).take(STDIN_LIMIT).read_to_end(&mut bytes);
            read.map_err(|error| CommandError::failure(format!("cannot read standard input: {error}")))?;
            files.stdin = Some(Arc::new(bytes));
        }
        for path in &mut paths {
            if path.as_os_str() == "-" {
                *path = PathBuf::from(STDIN);
            } else {
                look(path)?;
            }
        }
        Ok(Self { files, paths, now_unix_ms: context.io.clock.unix_ms() })
    }

    /// Returns the directory that the spec's references are relative to.
    pub(crate) fn base_dir(&self) -> &Path {
        self.paths.first().and_then(|path| path.parent()).unwrap_or_else(|| Path::new(""))
    }

    /// Returns the spec and its overlays as a person would name them.
    pub(crate) fn name(&self) -> String {
        let names: Vec<String> = self.paths.iter().map(|path| path.display().to_string()).collect();
        names.join(" + ")
    }

    /// Loads and compiles, and warns of keys that are over.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn check(&self, env: &dyn Environment, strict_env: bool) -> Result<Checked, Rejected> {
        let inputs = Inputs { files: &self.files, paths: &self.paths, env, strict_env };
        judge(&inputs, |loaded| plan::compile_at(loaded, self.now_unix_ms))
    }
}

fn look(path: &Path) -> Result<(), CommandError> {
    match std::fs::metadata(path) {
        Ok(about) if about.is_dir() => Err(CommandError::failure(format!("{} is a directory", path.display())).hint("name the spec in it")),
        Ok(_) => Ok(()),
        Err(error) => {
            let wrong = CommandError::failure(format!("cannot read {}: {error}", path.display()));
            let fresh = path == Path::new(DEFAULT_FILE) && error.kind() == io::ErrorKind::NotFound;
            Err(if fresh { wrong.hint("`bifrostctl init` writes one; -f names another") } else { wrong })
        }
    }
}

/// A spec that is fine.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// As loaded.
    pub(crate) loaded: Loaded,
    /// As compiled.
    pub(crate) plan: Plan,
    /// What is suspicious: the loader's findings and the compiler's.
    pub(crate) warnings: Vec<Diagnostic>,
}

/// Loads and compiles: what `validate` accepts is what `apply` sends.
///
/// # Errors
/// Everything that is wrong.
pub(crate) fn check(inputs: &Inputs<'_>) -> Result<Checked, Rejected> {
    judge(inputs, plan::compile)
}

fn judge(inputs: &Inputs<'_>, compile: impl Fn(&Loaded) -> Result<plan::Compiled, Vec<Diagnostic>>) -> Result<Checked, Rejected> {
    let loaded = spec::load(inputs)?;
    match compile(&loaded) {
        Ok(compiled) => {
            let mut warnings = loaded.warnings.clone();
            warnings.extend(compiled.warnings);
            Ok(Checked { plan: compiled.plan, warnings: in_order(warnings), loaded })
        }
        Err(found) => {
            let mut diagnostics = loaded.warnings;
            diagnostics.extend(found);
            Err(Rejected { sources: loaded.sources, diagnostics: in_order(diagnostics) })
        }
    }
}

fn in_order(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by(|a, b| (a.location, a.code, &a.message).cmp(&(b.location, b.code, &b.message)));
    diagnostics
}

/// Makes the error of a command that needs a valid spec and has none.
pub(crate) fn refused(name: &str, rejected: &Rejected, context: &Context<'_>) -> CommandError {
    refused_by("is not valid", name, rejected, context)
}

/// Makes the error of a command that needs something of a spec which it has not.
pub(crate) fn refused_by(want: &str, name: &str, rejected: &Rejected, context: &Context<'_>) -> CommandError {
    let findings = Findings::new(rejected.diagnostics.clone(), &rejected.sources);
    let message = format!("{name} {want}: {}", findings.tally());
    CommandError::new(Exit::Invalid, message).details(findings.messages(context))
}

/// Says what a plan holds: `4 providers, 6 models, 3 keys`.
pub(crate) fn contents(plan: &Plan) -> String {
    let mut parts = vec![count(plan.providers.len(), "provider"), count(plan.models.len(), "model")];
    for (number, noun) in [(plan.rules.len(), "rule"), (plan.teams.len(), "team")] {
        if number > 0 {
            parts.push(count(number, noun));
        }
    }
    parts.push(count(plan.virtual_keys.len(), "key"));
    parts.join(", ")
}

/// The texts of a spec under paths relative to its directory, as the admin API takes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bundle {
    /// Every file: specs, includes, prompts. Never secrets.
    pub(crate) files: BTreeMap<String, String>,
    /// The spec and its overlays, in order.
    pub(crate) paths: Vec<String>,
}

impl Bundle {
    /// Takes the files that a load has read.
    pub(crate) fn new(sources: &Sources, paths: &[PathBuf]) -> Self {
        let base = paths.first().and_then(|path| path.parent()).unwrap_or_else(|| Path::new(""));
        let name = |path: &Path| if path == Path::new(STDIN) { DEFAULT_FILE.to_owned() } else { relative(path, base) };
        Self {
            files: sources.0.iter().map(|source| (name(&source.path), source.text.clone())).collect(),
            paths: paths.iter().map(|path| name(path)).collect(),
        }
    }
}

/// Names a file as the gateway does: relative to the spec's directory, with its whole path where it lies elsewhere.
fn relative(path: &Path, base: &Path) -> String {
    let path = spec::tidy(path);
    // The directory of a file that stands in the working directory is `.`, which is no part of a tidy path.
    let base = spec::tidy(base);
    let base = if base == Path::new(".") { Path::new("") } else { &base };
    path.strip_prefix(base).unwrap_or(&path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_seen_from_the_specs_directory() {
        for (path, base, seen) in [
            ("gateway.yaml", "", "gateway.yaml"),
            ("./gateway.yaml", ".", "gateway.yaml"),
            ("infra/gw/gateway.yaml", "infra/gw", "gateway.yaml"),
            ("infra/env/prod.yaml", "infra/gw", "infra/env/prod.yaml"),
            ("infra/gw/prod.yaml", "infra/env/../gw", "prod.yaml"),
            ("/etc/gw/teams/a.yaml", "/etc/gw", "teams/a.yaml"),
        ] {
            assert_eq!(relative(Path::new(path), Path::new(base)), seen);
        }
    }
}
