//! Where a command's result goes: one outcome, printed to every sink that `-o` named.
//!
//! Rule: standard output is data, standard error is messages. The format never changes the exit code.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Value, json};

use super::args::{ColorWhen, Global};
use super::exit::{CommandError, Exit};
use super::io::Io;
use super::table_text::{plain, workflow_text};
use super::test::junit;
use crate::spec::{Sources, report};

/// The version of the JSON envelope; its schema is `schemas/cli-output.v1.schema.json`.
const SCHEMA: &str = "bifrost.dev/cli/v1";

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    /// For a person.
    Human,
    /// One versioned envelope.
    Json,
    /// GitHub's workflow commands: annotations in the pull request.
    Github,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// A comment or a step summary.
    Markdown,
    /// A table for spreadsheets (RFC 4180).
    Csv,
    /// JUnit's XML, for the lists of tests that CI systems keep.
    Junit,
}

impl Format {
    const ALL: [Self; 7] = [Self::Human, Self::Json, Self::Github, Self::Sarif, Self::Markdown, Self::Csv, Self::Junit];

    /// Returns the name that `-o` takes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Json => "json",
            Self::Github => "github",
            Self::Sarif => "sarif",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Junit => "junit",
        }
    }
}

/// One `-o FORMAT[=PATH]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sink {
    /// How.
    pub(crate) format: Format,
    /// Where; the standard streams when absent.
    pub(crate) path: Option<PathBuf>,
}

impl FromStr for Sink {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, path) = match text.split_once('=') {
            Some((_, "")) => return Err("expected a path after `=`".to_owned()),
            Some((name, path)) => (name, Some(PathBuf::from(path))),
            None => (text, None),
        };
        match Format::ALL.into_iter().find(|format| format.name() == name) {
            Some(format) => Ok(Self { format, path }),
            None => Err(format!("expected one of {}", names(&Format::ALL))),
        }
    }
}

fn names(formats: &[Format]) -> String {
    formats.iter().map(|format| format.name()).collect::<Vec<_>>().join(", ")
}

/// What a command has to say.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The exit code.
    pub(crate) exit: Exit,
    /// One line: what happened. A message.
    pub(crate) summary: String,
    /// What to do next, or what would be right. Messages.
    pub(crate) hints: Vec<String>,
    /// What a person gets on standard output.
    pub(crate) text: String,
    /// What JSON gets in `result`.
    pub(crate) result: Value,
    /// Findings and changes.
    pub(crate) details: Details,
}

/// Findings and changes, which a result and a failure alike may bring along.
#[derive(Debug, Clone, Default)]
pub(crate) struct Details {
    /// What a person reads about them, before the summary. Messages.
    pub(crate) messages: String,
    /// What JSON gets in `diagnostics`.
    pub(crate) diagnostics: Vec<Value>,
    /// What JSON gets in `changes`.
    pub(crate) changes: Vec<Value>,
    /// What JSON gets in `risk`.
    pub(crate) risk: Option<&'static str>,
    /// What the other formats get.
    pub(crate) renditions: BTreeMap<Format, String>,
}

impl Outcome {
    /// Makes a success with its summary; empty says nothing.
    pub(crate) fn ok(summary: impl Into<String>) -> Self {
        Self {
            exit: Exit::Ok,
            summary: summary.into(),
            hints: Vec::new(),
            text: String::new(),
            result: Value::Null,
            details: Details::default(),
        }
    }

    /// Adds what a person gets on standard output.
    pub(crate) fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds what JSON gets in `result`.
    pub(crate) fn result(mut self, result: Value) -> Self {
        self.result = result;
        self
    }

    /// Adds what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Sets the exit code.
    pub(crate) const fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds findings and changes.
    pub(crate) fn details(mut self, details: Details) -> Self {
        self.details = details;
        self
    }

    fn failed(error: CommandError) -> Self {
        let details = error.details.map_or_else(Details::default, |details| *details);
        Self { exit: error.exit, summary: error.message, hints: error.hints, text: String::new(), result: Value::Null, details }
    }
}

/// The JSON envelope.
#[derive(Serialize)]
struct Envelope<'a> {
    schema: &'static str,
    command: &'a str,
    ok: bool,
    exit_code: u8,
    summary: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    hints: &'a [String],
    diagnostics: &'a [Value],
    changes: &'a [Value],
    risk: Option<&'a str>,
    #[serde(skip_serializing_if = "Value::is_null")]
    result: &'a Value,
}

/// What a sink is given.
#[derive(Clone, Copy)]
struct Said<'a> {
    outcome: &'a Outcome,
    failed: bool,
}

/// Prints outcomes as the global options ask.
pub(crate) struct Printer<'a> {
    command: &'a str,
    sinks: Vec<Sink>,
    global: &'a Global,
}

impl<'a> Printer<'a> {
    /// Checks that the command can print what `-o` asks for.
    ///
    /// # Errors
    /// A usage error for a format that the command does not have, or for two machine formats on one stream.
    pub(crate) fn new(command: &'a str, formats: &[Format], global: &'a Global) -> Result<Self, CommandError> {
        let mut sinks = global.output.clone();
        if sinks.is_empty() {
            sinks.push(Sink { format: Format::Human, path: None });
        }
        for sink in &sinks {
            if !formats.contains(&sink.format) {
                let message = format!("`{command}` has no output format `{}`", sink.format.name());
                return Err(CommandError::usage(message).hint(format!("it has: {}", names(formats))));
            }
        }
        if sinks.iter().filter(|sink| sink.path.is_none() && sink.format != Format::Human).count() > 1 {
            return Err(CommandError::usage("two machine formats cannot share standard output")
                .hint("give all but one a file, such as `-o sarif=out.sarif`"));
        }
        Ok(Self { command, sinks, global })
    }

    /// Prints messages only: for a command line whose `-o` cannot be honoured.
    pub(crate) const fn plain(command: &'a str, global: &'a Global) -> Self {
        Self { command, sinks: Vec::new(), global }
    }

    /// Prints a result, or the error that stands in its place, and returns the exit code.
    pub(crate) fn print(&self, result: Result<Outcome, CommandError>, io: &mut Io) -> Exit {
        let (outcome, failed) = match result {
            Ok(outcome) => (outcome, false),
            Err(error) => (Outcome::failed(error), true),
        };
        let said = Said { outcome: &outcome, failed };
        let mut exit = outcome.exit;
        for sink in &self.sinks {
            let text = self.render(sink.format, said);
            match &sink.path {
                None => self.put(sink.format, &text, io),
                Some(path) => {
                    // A file is no terminal, whatever the streams are.
                    let text = if sink.format == Format::Human { plain(&text) } else { text };
                    if let Err(error) = std::fs::write(path, &text) {
                        io.stderr.line(&format!("error: cannot write {}: {error}", path.display()));
                        exit = worse(exit);
                    }
                }
            }
        }
        self.messages(said, io);
        if let Err(error) = io.stdout.finish() {
            io.stderr.line(&format!("error: cannot write to standard output: {error}"));
            exit = worse(exit);
        }
        io.stderr.flush();
        exit
    }

    fn put(&self, format: Format, text: &str, io: &mut Io) {
        let machine_on_stdout = self.sinks.iter().any(|sink| sink.path.is_none() && sink.format != Format::Human);
        if format == Format::Human && machine_on_stdout {
            io.stderr.put(text);
        } else {
            io.stdout.put(text);
        }
    }

    fn render(&self, format: Format, said: Said<'_>) -> String {
        let outcome = said.outcome;
        match format {
            Format::Human => outcome.text.clone(),
            Format::Json => self.envelope(outcome),
            Format::Github | Format::Sarif | Format::Markdown | Format::Csv | Format::Junit => {
                match outcome.details.renditions.get(&format) {
                    Some(text) => text.clone(),
                    None => self.bare(format, said),
                }
            }
        }
    }

    /// Says in a machine's format what has no rendition of its own: a failure that no place in a spec is to blame for.
    fn bare(&self, format: Format, said: Said<'_>) -> String {
        let outcome = said.outcome;
        match format {
            // A table has no place for a failure; the message says it.
            Format::Human | Format::Json | Format::Csv => String::new(),
            Format::Junit => junit::broken(self.command, if said.failed { &outcome.summary } else { "" }),
            Format::Github if said.failed => format!("::error title=bifrostctl {}::{}\n", self.command, workflow_text(&outcome.summary)),
            Format::Github => String::new(),
            Format::Markdown if said.failed => {
                let hints: String = outcome.hints.iter().map(|hint| format!("- {hint}\n")).collect();
                let gap = if hints.is_empty() { "" } else { "\n" };
                format!("**`bifrostctl {}` failed:** {}\n{gap}{hints}", self.command, outcome.summary)
            }
            Format::Markdown => format!("{}\n", outcome.summary),
            Format::Sarif => {
                // Without this mark an empty run would tell code scanning that every finding is fixed.
                let mut log = report::sarif(&[], &Sources::default(), &|_| None);
                let invocation = json!([{"executionSuccessful": !said.failed, "exitCode": outcome.exit.code(),
                    "toolExecutionNotifications": [{"level": "error", "message": {"text": outcome.summary}}]}]);
                if let Some(run) = log.pointer_mut("/runs/0").and_then(Value::as_object_mut).filter(|_| said.failed) {
                    run.insert("invocations".to_owned(), invocation);
                }
                pretty(&log)
            }
        }
    }

    fn envelope(&self, outcome: &Outcome) -> String {
        pretty(&Envelope {
            schema: SCHEMA,
            command: self.command,
            ok: outcome.exit == Exit::Ok,
            exit_code: outcome.exit.code(),
            summary: &outcome.summary,
            hints: &outcome.hints,
            diagnostics: &outcome.details.diagnostics,
            changes: &outcome.details.changes,
            risk: outcome.details.risk,
            result: &outcome.result,
        })
    }

    fn messages(&self, said: Said<'_>, io: &mut Io) {
        if self.global.quiet && !said.failed {
            return;
        }
        let outcome = said.outcome;
        io.stderr.put(&outcome.details.messages);
        let paint = Paint(self.color(io.terminal.stderr, io));
        if said.failed {
            io.stderr.line(&format!("{} {}", paint.red("error:"), outcome.summary));
        } else if !outcome.summary.is_empty() {
            io.stderr.line(&outcome.summary);
        }
        for hint in &outcome.hints {
            io.stderr.line(&format!("{} {hint}", paint.cyan("hint:")));
        }
    }

    /// Returns whether a stream gets colour.
    pub(crate) fn color(&self, terminal: bool, io: &Io) -> bool {
        color(self.global.color, terminal, io)
    }
}

/// Returns whether a stream gets colour.
pub(crate) fn color(when: ColorWhen, terminal: bool, io: &Io) -> bool {
    match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => terminal && io.variable("NO_COLOR").is_none() && io.variable("TERM").as_deref() != Some("dumb"),
    }
}

/// Writes JSON for people and machines alike: indented, with a line end.
pub(crate) fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// A sink that failed is a failure, unless something worse is known already.
fn worse(exit: Exit) -> Exit {
    if exit == Exit::Ok { Exit::Failure } else { exit }
}

/// Colours words, or leaves them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    /// Bold red.
    pub(crate) fn red(self, text: &str) -> String {
        self.code("1;31", text)
    }

    /// Cyan.
    pub(crate) fn cyan(self, text: &str) -> String {
        self.code("36", text)
    }

    /// Green.
    pub(crate) fn green(self, text: &str) -> String {
        self.code("32", text)
    }

    /// Yellow.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.code("33", text)
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
