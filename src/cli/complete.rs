//! Answers to a shell that completes a command line: commands, options, and names as they stand in the spec.
//!
//! It runs at every press of a key. Rule: it never says what is wrong and never waits. A spec that cannot be read has no names, and a
//! gateway that does not answer within a tenth of a second has none either.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::{Command, CommandFactory};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;
use serde_json::Value;

use super::admin::{Admin, Call, Endpoint};
use super::args::Cli;
use super::context::DEFAULT_FILE;
use super::input::NoEnvironment;
use super::io::Io;
use super::peek::DEFAULT_ADMIN;
use super::{runtime, validate};
use crate::spec::{self, Disk, Files, Inputs};

/// The variable that names the shell that asks; without it a command line is one to run.
pub(crate) const VARIABLE: &str = "BIFROST_COMPLETE";
/// How long the running gateway may take.
const PATIENCE: Duration = Duration::from_millis(100);

/// What can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Aliases, and the upstream models that they lead to.
    Model,
    Alias,
    Key,
    Team,
    Provider,
    Budget,
    /// Revisions of the running gateway.
    Revision,
    /// Stable codes of findings.
    Code,
    /// Overlays beside the spec.
    Environment,
}

/// Which arguments take which names.
const PLACES: &[(&[&str], &str, Kind)] = &[
    (&[], "env", Kind::Environment),
    (&["explain"], "key", Kind::Key),
    (&["explain"], "model", Kind::Model),
    (&["bench"], "model", Kind::Model),
    (&["chat"], "model", Kind::Model),
    (&["key", "rotate"], "name", Kind::Key),
    (&["key", "new"], "team", Kind::Team),
    (&["key", "new"], "models", Kind::Model),
    (&["spend"], "key", Kind::Key),
    (&["spend"], "team", Kind::Team),
    (&["spend"], "alias", Kind::Alias),
    (&["spend"], "provider", Kind::Provider),
    (&["spend"], "model", Kind::Model),
    (&["spend"], "budget", Kind::Budget),
    (&["budget", "reset"], "name", Kind::Budget),
    (&["rollback"], "to", Kind::Revision),
    (&["validate"], "explain", Kind::Code),
    (&["validate"], "allow", Kind::Code),
];

/// Answers the shell; prints nothing where there is nothing to complete. `args` are those of a completion script: the program, `--`,
/// and the words of the line so far.
pub(super) fn answer(args: &[OsString], shell: &str, io: &mut Io) {
    let shells = Shells::builtins();
    let (Some(completer), Some(at)) = (shells.completer(shell), args.iter().position(|arg| arg == "--")) else { return };
    let words = args.get(at + 1..).unwrap_or_default().to_vec();
    let endpoint = io.variable("BIFROST_ENDPOINT");
    let names = Arc::new(Names::new(&words, endpoint.as_deref()));
    let mut out = Vec::new();
    let directory = std::env::current_dir().ok();
    if completer.write_complete(&mut command(&names), words, directory.as_deref(), &mut out).is_ok() {
        io.stdout.put(&String::from_utf8_lossy(&out));
    }
    io.stdout.flush();
}

/// The command line, with names for its arguments.
fn command(names: &Arc<Names>) -> Command {
    PLACES.iter().fold(Cli::command(), |command, (path, arg, kind)| {
        let (names, kind) = (Arc::clone(names), *kind);
        attach(command, path, arg, ArgValueCandidates::new(move || names.candidates(kind)))
    })
}

fn attach(command: Command, path: &[&str], arg: &str, candidates: ArgValueCandidates) -> Command {
    match path.split_first() {
        None => command.mut_arg(arg, |arg| arg.add(candidates)),
        Some((first, rest)) => command.mut_subcommand(first, |inner| attach(inner, rest, arg, candidates)),
    }
}

/// Files and nothing that could make a reader wait.
struct Regular;

impl Files for Regular {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path.is_file() { Disk.read(path) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        Disk.list(dir)
    }
}

/// The names of the spec that the line names, read when the first of them is needed.
struct Names {
    paths: Vec<PathBuf>,
    endpoint: Option<Endpoint>,
    spec: OnceLock<Value>,
}

impl Names {
    fn new(words: &[OsString], endpoint: Option<&str>) -> Self {
        let mut paths: Vec<PathBuf> = values(words, "--file", "-f").map(PathBuf::from).collect();
        if paths.is_empty() {
            paths.push(PathBuf::from(DEFAULT_FILE));
        }
        if let (Some(name), Some(first)) = (values(words, "--env", "").last(), paths.first()) {
            let overlay = first.with_file_name("env").join(format!("{name}.yaml"));
            paths.push(overlay);
        }
        let named = values(words, "--endpoint", "").last();
        let endpoint = named.as_deref().or(endpoint).and_then(|text| text.parse().ok());
        Self { paths, endpoint, spec: OnceLock::new() }
    }

    fn candidates(&self, kind: Kind) -> Vec<CompletionCandidate> {
        let mut names = match kind {
            Kind::Model => self.models(),
            Kind::Alias => self.members("models"),
            Kind::Key => self.members("virtual_keys"),
            Kind::Team => self.members("teams"),
            Kind::Provider => self.members("providers"),
            Kind::Budget => self.budgets(),
            Kind::Revision => self.revisions(),
            Kind::Code => validate::explain::all().map(|code| code.code.to_owned()).collect(),
            Kind::Environment => self.environments(),
        };
        names.sort();
        names.dedup();
        // What would act on the terminal, or end a word, is typed by hand.
        names.retain(|name| crate::base::visible(name) == *name && !name.contains(char::is_whitespace));
        names.into_iter().map(CompletionCandidate::new).collect()
    }

    /// The spec as far as it can be read; else that of the running gateway.
    fn spec(&self) -> &Value {
        self.spec.get_or_init(|| {
            let inputs = Inputs { files: &Regular, paths: &self.paths, env: &NoEnvironment, strict_env: false };
            match spec::load(&inputs) {
                Ok(loaded) => loaded.value,
                Err(rejected) => {
                    let read: Vec<Value> = rejected.sources.0.iter().filter_map(|source| serde_yaml::from_str(&source.text).ok()).collect();
                    if read.is_empty() {
                        self.ask("/v1/spec").and_then(|mut answer| Some(answer.get_mut("plan")?.take()))
                    } else {
                        united(read)
                    }
                    .unwrap_or_default()
                }
            }
        })
    }

    fn members(&self, section: &str) -> Vec<String> {
        self.spec().get(section).and_then(Value::as_object).map(|members| members.keys().cloned().collect()).unwrap_or_default()
    }

    fn models(&self) -> Vec<String> {
        let mut names = self.members("models");
        let models = self.spec().get("models").and_then(Value::as_object).into_iter().flat_map(|models| models.values());
        for target in models.filter_map(|model| model.get("targets")?.as_array()).flatten() {
            let text = |member: &str| target.get(member).and_then(Value::as_str);
            match (target.as_str(), text("provider"), text("model")) {
                (Some(target), _, _) => names.push(target.to_owned()),
                (None, Some(provider), Some(model)) => names.push(format!("{provider}/{model}")),
                (None, _, _) => {}
            }
        }
        names
    }

    /// Budgets as the gateway names them; without one, the shared ones of the spec and the accounts.
    fn budgets(&self) -> Vec<String> {
        self.spec();
        let live = self.ask("/v1/budgets");
        let named = |answer: &Value| {
            let budgets = answer.get("budgets")?.as_array()?.iter();
            Some(budgets.filter_map(|budget| budget.get("budget")?.as_str().map(ToOwned::to_owned)).collect::<Vec<String>>())
        };
        live.as_ref().and_then(named).unwrap_or_else(|| {
            let accounts = |section, prefix: &str| self.members(section).into_iter().map(move |name| format!("{prefix}:{name}")).collect();
            let accounts: [Vec<String>; 3] = [self.members("budgets"), accounts("virtual_keys", "key"), accounts("teams", "team")];
            accounts.concat()
        })
    }

    fn revisions(&self) -> Vec<String> {
        self.spec();
        let answer = self.ask("/v1/revisions").unwrap_or_default();
        let revisions = answer.get("revisions").and_then(Value::as_array).into_iter().flatten();
        revisions.filter_map(|revision| revision.get("number")?.as_u64().map(|number| number.to_string())).collect()
    }

    fn environments(&self) -> Vec<String> {
        let folder = self.paths.first().map(|first| first.with_file_name("env")).unwrap_or_default();
        let files = Disk.list(&folder).unwrap_or_default();
        files.iter().filter_map(|file| file.to_str()?.strip_suffix(".yaml").map(ToOwned::to_owned)).collect()
    }

    /// Asks the running gateway, over a socket of this machine alone.
    fn ask(&self, path: &str) -> Option<Value> {
        let endpoint = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => {
                // Only a spec that was read: who has none yet is asking for it here.
                let named = self.spec.get().and_then(|spec| spec.pointer("/gateway/admin"));
                named.map_or(Some(DEFAULT_ADMIN), Value::as_str)?.parse().ok()?
            }
        };
        if !matches!(endpoint, Endpoint::Unix(_)) {
            return None;
        }
        let admin = Admin::new(endpoint, None, PATIENCE).ok()?;
        runtime::block_on(async { admin.send(Call::get(path)).await?.success() }).ok()
    }
}

/// Puts the sections of several files together, as far as they are maps.
fn united(read: Vec<Value>) -> Option<Value> {
    read.into_iter().reduce(|mut all, more| {
        let Value::Object(sections) = more else { return all };
        for (name, section) in sections {
            match (all.get_mut(&name).and_then(Value::as_object_mut), section) {
                (Some(known), Value::Object(members)) => known.extend(members),
                (None, section) => {
                    if let Some(all) = all.as_object_mut() {
                        all.insert(name, section);
                    }
                }
                (Some(_), _) => {}
            }
        }
        all
    })
}

/// Finds the values of an option in the words of a line: `--file X`, `--file=X`, `-f X`, `-fX`.
fn values<'w>(words: &'w [OsString], long: &'w str, short: &'w str) -> impl Iterator<Item = String> + 'w {
    words.iter().enumerate().filter_map(move |(at, word)| {
        let word = word.to_str()?;
        let next = || words.get(at + 1).and_then(|next| next.to_str()).filter(|next| !next.is_empty());
        if word == long || (!short.is_empty() && word == short) {
            return next().map(ToOwned::to_owned);
        }
        let behind = word.strip_prefix(long).and_then(|rest| rest.strip_prefix('='));
        let glued = || word.strip_prefix(short).filter(|_| !short.is_empty() && !word.starts_with("--"));
        behind.or_else(glued).filter(|value| !value.is_empty()).map(ToOwned::to_owned)
    })
}
