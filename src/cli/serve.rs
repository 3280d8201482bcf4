//! `serve`: runs the gateway in this process until a signal ends it.

use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;

use super::context::{Context, DEFAULT_FILE};
use super::exit::{CommandError, Exit};
use super::findings::Findings;
use super::output::{Format, Outcome};
use super::peek;
use crate::base::{Digest, SystemClock};
use crate::control::watch::{self, Mode};
use crate::control::{Ended, OnInvalid, Options, Program, Running, Sockets, StartError, SuccessionError, service, start_on};
use crate::plan::Auth;
use crate::spec::{ProcessEnvironment, Rejected};
use crate::store::StoreError;
use crate::table::Key;
use crate::table::explain::{Outcome as Fate, Question};
use crate::telemetry::log;

/// Runs the gateway from its spec: serves clients and the admin API, watches the files, and swaps in what changes.
///
/// SIGHUP reloads. SIGTERM or Ctrl-C lets running requests finish within `gateway.drain`; a second one ends them at once, with an error.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// How changes of the files are noticed.
    #[arg(long, value_enum, default_value_t = Watch::Auto, value_name = "HOW")]
    watch: Watch,
    /// What a bad spec does at the start: ends it, or serves the newest revision of the state directory.
    #[arg(long, value_enum, default_value_t = OnInvalidStart::Fail, value_name = "WHAT")]
    on_invalid_start: OnInvalidStart,
    /// Threads that serve clients [default: one for each core that the process may use].
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1024))]
    workers: Option<u16>,
    /// Takes over from the gateway that has the state directory now: its sockets, its accounts, not one request lost. A bad spec ends
    /// the start.
    #[arg(long)]
    take_over: bool,
}

/// How changes of the files are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Watch {
    /// By events, and by polling where there are none.
    Auto,
    /// By events alone.
    Notify,
    /// By polling alone.
    Poll,
    /// Not at all: by SIGHUP and `apply`.
    Off,
}

/// What a bad spec does at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnInvalidStart {
    /// Ends the start.
    Fail,
    /// Serves the newest revision of the state directory that can run.
    LastGood,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl serve
  bifrostctl serve -f gateway.yaml -f env/prod.yaml --watch poll
  bifrostctl serve --env prod --on-invalid-start last-good";

pub(super) const FORMATS: &[Format] = &[Format::Human];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    let paths = context.paths();
    for path in &paths {
        look(path)?;
    }
    let filter = context.io.variable(log::FILTER_VARIABLE);
    log::init(filter.as_deref()).map_err(|error| CommandError::usage(error.to_string()))?;
    // Before there are threads: it changes the environment.
    let sockets = Sockets::passed().map_err(|error| CommandError::failure(format!("the gateway did not start: {error}")))?;
    let mode = match args.watch {
        Watch::Auto => Mode::Auto,
        Watch::Notify => Mode::Notify,
        Watch::Poll => Mode::Poll,
        Watch::Off => Mode::Off,
    };
    let on_invalid = match args.on_invalid_start {
        OnInvalidStart::Fail => OnInvalid::Fail,
        OnInvalidStart::LastGood => OnInvalid::LastGood,
    };
    let options = Options {
        paths,
        env: Arc::new(ProcessEnvironment),
        clock: Arc::new(SystemClock::default()),
        watch: watch::Options { mode, ..watch::Options::default() },
        on_invalid,
        signals: true,
        take_over: args.take_over,
        program: Program::this(),
        workers: args.workers.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from),
    };
    // Clients are served by threads of their own; here is what is rare: files, the admin API, signals, the built-in mock.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| CommandError::failure(format!("cannot start the async runtime: {error}")))?;
    let ended = runtime.block_on(async {
        let running = start_on(sockets, options).await.map_err(|error| explain(&error, context))?;
        service::ready();
        let text = greeting(&running, context);
        context.io.stdout.put(&text);
        context.io.stdout.flush();
        Ok(running.ended().await)
    })?;
    conclude(ended)
}

fn look(path: &Path) -> Result<(), CommandError> {
    if path.as_os_str() == "-" {
        return Err(CommandError::usage("`serve` watches its files, so it cannot read standard input").hint("name a file with -f"));
    }
    let Err(error) = std::fs::metadata(path) else { return Ok(()) };
    let wrong = CommandError::failure(format!("cannot read {}: {error}", path.display()));
    let fresh = path == Path::new(DEFAULT_FILE);
    Err(if fresh { wrong.hint("`bifrostctl init` writes one; -f names another") } else { wrong })
}

fn conclude(Ended { drained, failed }: Ended) -> Result<Outcome, CommandError> {
    if failed {
        return Err(CommandError::failure("a part of the gateway ended unexpectedly").hint("the log on standard error says which"));
    }
    Ok(match drained.aborted {
        0 => Outcome::ok("the gateway has ended"),
        cut => Outcome::ok(format!("the gateway has ended; {cut} connections were cut")),
    })
}

fn explain(error: &StartError, context: &Context<'_>) -> CommandError {
    match error {
        StartError::Invalid(rejected) => refused(rejected, "", context)
            .hint("with --on-invalid-start last-good, the newest accepted revision that can run serves instead"),
        StartError::NoLastGood { rejected, why } => refused(rejected, &format!("; there is no earlier revision to serve: {why}"), context),
        StartError::Store(StoreError::Shared(_)) => CommandError::failure(format!("the gateway did not start: {error}"))
            .hint("`gateway.state.postgres` refers to the server's URL: check that the server runs there and lets this user in"),
        StartError::Succession(SuccessionError::Nobody { .. }) => CommandError::failure(format!("the gateway did not start: {error}"))
            .hint("where no gateway runs, start one without --take-over"),
        StartError::Succession(SuccessionError::Refused(_)) => {
            CommandError::new(Exit::Rejected, format!("the gateway did not start: {error}"))
        }
        StartError::Store(_) | StartError::Listen(_) | StartError::Succession(_) | StartError::System(_) => {
            CommandError::failure(format!("the gateway did not start: {error}"))
        }
    }
}

fn refused(rejected: &Rejected, more: &str, context: &Context<'_>) -> CommandError {
    let findings = Findings::new(rejected.diagnostics.clone(), &rejected.sources);
    let message = format!("the gateway did not start, because of its spec: {}{more}", findings.tally());
    CommandError::new(Exit::Invalid, message).details(findings.messages(context))
}

/// Says where the gateway is, what it serves, and how to try it.
fn greeting(running: &Running, context: &Context<'_>) -> String {
    let table = running.table();
    let scheme = if table.plan.gateway.tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", peek::reachable(&running.address().to_string()));
    let files: Vec<String> = context.paths().iter().map(|path| path.display().to_string()).collect();
    let what = if running.is_in_step() {
        files.join(" + ")
    } else {
        format!("revision {}: {} was refused, as the log says", table.revision, files.join(" + "))
    };
    let mut text = format!(
        "The gateway serves {what}\n  clients   {url}/v1\n  admin     {}\n  revision  {} (digest {})\n\n",
        running.admin(),
        table.revision,
        table.digest.short(),
    );
    text.push_str(&trial(running, &url));
    text
}

/// Writes a request that works as it is pasted, as far as the spec lets us know its key.
fn trial(running: &Running, url: &str) -> String {
    let table = running.table();
    let key = match table.plan.gateway.auth {
        Auth::Off | Auth::Optional => None,
        Auth::Required => Some(written_key(running)),
    };
    let mut lines = Vec::new();
    let (header, name) = match &key {
        None => (String::new(), None),
        Some(Some((secret, key))) => (format!(" -H 'authorization: Bearer {secret}'"), Some(key.name.clone())),
        Some(None) => {
            lines.push("Set BIFROST_KEY to a virtual key of the spec (`bifrostctl key new` makes one), then:".to_owned());
            (" -H \"authorization: Bearer $BIFROST_KEY\"".to_owned(), table.plan.virtual_keys.keys().next().cloned())
        }
    };
    let mut aliases = table.plan.models.keys();
    let Some(alias) = aliases.find(|alias| is_served(running, name.clone(), alias)) else {
        lines.push("No alias can be served now: see `bifrostctl status`.".to_owned());
        return lines.join("\n") + "\n";
    };
    let body = serde_json::json!({"model": alias, "messages": [{"role": "user", "content": "Hello"}]});
    if lines.is_empty() {
        lines.push("Try it:".to_owned());
    }
    // A name that would end the quotes is no name to paste.
    let body = body.to_string().replace('\'', "'\\''");
    lines.push(format!("  curl {url}/v1/chat/completions{header} -H 'content-type: application/json' -d '{body}'"));
    lines.join("\n") + "\n"
}

fn is_served(running: &Running, key: Option<String>, alias: &str) -> bool {
    let question = Question { key, model: Some(alias.to_owned()), ..Question::default() };
    running.explain(&question).is_ok_and(|answer| answer.outcome == Fate::Routed)
}

/// Finds a virtual key that stands in the spec's own text, as a demonstration's does in a comment. What a file says openly is no
/// secret; whether it is the key is known by its digest.
fn written_key(running: &Running) -> Option<(String, Arc<Key>)> {
    let table = running.table();
    let texts = running.texts();
    let words =
        texts.values().flat_map(|text| text.split(|character: char| !character.is_ascii_graphic() || "'\"`,;()<>{}".contains(character)));
    words.filter(|word| word.len() >= 16).find_map(|word| {
        let key = table.keys.get(&Digest::of(word.as_bytes()))?;
        Some((word.to_owned(), Arc::clone(key)))
    })
}
