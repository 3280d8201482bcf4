//! The command line: one file per command. The only module that prints.
//!
//! Rule: a command takes its arguments and the outside world ([`Io`]) and returns an outcome; printing it and turning it into
//! an exit code happens here, once.

mod admin;
mod apply;
mod args;
mod base;
mod bench;
mod budget;
mod catalog;
mod changes;
mod chat;
pub mod codes;
mod complete;
mod completion;
mod context;
mod deploy;
mod diff;
mod drift;
mod exit;
mod explain;
mod findings;
mod fmt;
mod git;
mod guard;
mod history;
mod import;
mod init;
mod input;
mod io;
mod key;
mod man;
mod mock;
mod output;
mod peek;
mod prompt;
mod render;
mod request_log;
mod rollback;
mod runtime;
mod saved;
mod schema;
mod serve;
mod settle;
mod simulate;
mod spend;
mod status;
mod table_text;
mod test;
mod upgrade;
mod validate;
mod verdict;
mod version;
mod virtual_key;
mod written;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
use context::Context;
pub use exit::Exit;
pub use io::{Io, Stream, Terminal};
use output::{Format, Outcome, Printer};

/// Runs one command line, the program's name included, and returns its exit code. Everything is flushed before it returns.
pub fn run(args: impl IntoIterator<Item = OsString>, io: &mut Io) -> Exit {
    if let Some(shell) = io.variable(complete::VARIABLE) {
        complete::answer(&args.into_iter().collect::<Vec<_>>(), &shell, io);
        return Exit::Ok;
    }
    let parsed = Cli::command().try_get_matches_from(args).and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    match parsed {
        Ok(cli) => dispatch(&cli, io),
        Err(error) => complain(&error, io),
    }
}

/// Prints clap's help, version or usage error to the stream where it belongs.
fn complain(error: &clap::Error, io: &mut Io) -> Exit {
    let rendered = error.render();
    let terminal = if error.use_stderr() { io.terminal.stderr } else { io.terminal.stdout };
    let color = output::color(args::ColorWhen::Auto, terminal, io);
    let text = if color { rendered.ansi().to_string() } else { rendered.to_string() };
    let (stream, exit) = if error.use_stderr() { (&mut io.stderr, Exit::Usage) } else { (&mut io.stdout, Exit::Ok) };
    stream.put(&text);
    match stream.finish() {
        Ok(()) => exit,
        Err(_) => Exit::Failure,
    }
}

fn dispatch(cli: &Cli, io: &mut Io) -> Exit {
    let (name, formats) = surface(&cli.command);
    let printer = match Printer::new(name, formats, &cli.global) {
        Ok(printer) => printer,
        Err(error) => return Printer::plain(name, &cli.global).print(Err(error), io),
    };
    let result = perform(&cli.command, &mut Context { global: &cli.global, io, source: None });
    printer.print(result, io)
}

/// Returns a command's whole name and the formats it prints.
const fn surface(command: &Command) -> (&'static str, &'static [Format]) {
    match command {
        Command::Init(_) => ("init", init::FORMATS),
        Command::Validate(_) => ("validate", validate::FORMATS),
        Command::Fmt(_) => ("fmt", fmt::FORMATS),
        Command::Render(_) => ("render", render::FORMATS),
        Command::Schema(_) => ("schema", schema::FORMATS),
        Command::Diff(_) => ("diff", diff::FORMATS),
        Command::Apply(_) => ("apply", apply::FORMATS),
        Command::Drift(_) => ("drift", drift::FORMATS),
        Command::Rollback(_) => ("rollback", rollback::FORMATS),
        Command::Status(_) => ("status", status::FORMATS),
        Command::History(_) => ("history", history::FORMATS),
        Command::Explain(_) => ("explain", explain::FORMATS),
        Command::Simulate(_) => ("simulate", simulate::FORMATS),
        Command::Test(_) => ("test", test::FORMATS),
        Command::Import(_) => ("import", import::FORMATS),
        Command::Key(args) => (args.name(), args.formats()),
        Command::Spend(_) => ("spend", spend::FORMATS),
        Command::Budget(args) => (args.name(), budget::FORMATS),
        Command::Catalog(args) => (args.name(), catalog::FORMATS),
        Command::Chat(_) => ("chat", chat::FORMATS),
        Command::Bench(_) => ("bench", bench::FORMATS),
        Command::Mock(_) => ("mock", mock::FORMATS),
        Command::Serve(_) => ("serve", serve::FORMATS),
        Command::Upgrade(_) => ("upgrade", upgrade::FORMATS),
        Command::Completion(_) => ("completion", completion::FORMATS),
        Command::Man(_) => ("man", man::FORMATS),
        Command::Version(_) => ("version", version::FORMATS),
    }
}

fn perform(command: &Command, context: &mut Context<'_>) -> Result<Outcome, exit::CommandError> {
    match command {
        Command::Init(args) => init::run(args, context),
        Command::Validate(args) => validate::run(args, context),
        Command::Fmt(args) => fmt::run(args, context),
        Command::Render(args) => render::run(args, context),
        Command::Schema(args) => schema::run(args),
        Command::Diff(args) => diff::run(args, context),
        Command::Apply(args) => apply::run(args, context),
        Command::Drift(args) => drift::run(args, context),
        Command::Rollback(args) => rollback::run(args, context),
        Command::Status(_) => status::run(context),
        Command::History(args) => history::run(args, context),
        Command::Explain(args) => explain::run(args, context),
        Command::Simulate(args) => simulate::run(args, context),
        Command::Test(args) => test::run(args, context),
        Command::Import(args) => import::run(args, context),
        Command::Key(args) => key::run(args, context),
        Command::Spend(args) => spend::run(args, context),
        Command::Budget(args) => budget::run(args, context),
        Command::Catalog(args) => catalog::run(args, context),
        Command::Chat(args) => chat::run(args, context),
        Command::Bench(args) => bench::run(args, context),
        Command::Mock(args) => mock::run(args, context),
        Command::Serve(args) => serve::run(args, context),
        Command::Upgrade(args) => upgrade::run(args, context),
        Command::Completion(args) => completion::run(args),
        Command::Man(args) => man::run(args),
        Command::Version(_) => version::run(),
    }
}
