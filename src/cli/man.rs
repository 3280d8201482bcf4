//! `man`: manual pages, one per command, written from what the command line itself knows.

use std::path::PathBuf;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use serde_json::json;

use super::args::Cli;
use super::exit::{CommandError, Exit};
use super::output::{Format, Outcome};
use super::table_text::count;

/// Prints a manual page, or writes the pages of all commands to a directory.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES)]
pub(crate) struct Args {
    /// The command whose page is printed; without one, the page of bifrostctl.
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Vec<String>,
    /// Writes every page to this directory, which is created when missing.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl man key rotate | man -l -
  bifrostctl man --out ~/.local/share/man/man1";

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

/// Environment variables that the command line reads, beside those that a spec names.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("BIFROST_ENDPOINT", "The admin API, where --endpoint does not name it: unix:PATH or http://HOST:PORT."),
    ("BIFROST_TOKEN_FILE", "A file with the admin token, where --token-file does not name one."),
    ("BIFROST_URL", "Where `chat` and `bench` connect, where --url does not say."),
    ("BIFROST_KEY", "The virtual key that `chat` and `bench` send, where no file is named."),
    ("BIFROST_COMPLETE", "Set by completion scripts: the shell that asks."),
    ("NO_COLOR", "Not empty: no colour, unless --color says otherwise."),
    ("TERM", "`dumb`: as NO_COLOR."),
];

/// Defines an apostrophe that every formatter shows as one.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// A page by the name of its file.
struct Page {
    file: String,
    text: String,
}

pub(super) fn run(args: &Args) -> Result<Outcome, CommandError> {
    let mut root = Cli::command();
    root.build();
    let Some(directory) = &args.out else {
        let command = find(&root, &args.command)?;
        let page = page(command).map_err(|error| CommandError::failure(format!("cannot write the page: {error}")))?;
        return Ok(Outcome::ok("").result(json!({"file": page.file, "text": page.text})).text(page.text));
    };
    let failed = |error: std::io::Error| CommandError::failure(format!("cannot write to {}: {error}", directory.display()));
    let mut pages = Vec::new();
    collect(&root, &mut pages).map_err(failed)?;
    std::fs::create_dir_all(directory).map_err(failed)?;
    for page in &pages {
        std::fs::write(directory.join(&page.file), &page.text).map_err(failed)?;
    }
    let files: Vec<String> = pages.iter().map(|page| directory.join(&page.file).display().to_string()).collect();
    Ok(Outcome::ok(format!("{} written to {}", count(files.len(), "page"), directory.display())).result(json!({"files": files})))
}

fn find<'c>(root: &'c Command, path: &[String]) -> Result<&'c Command, CommandError> {
    path.iter().try_fold(root, |command, name| {
        command.find_subcommand(name).ok_or_else(|| {
            let known: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
            CommandError::usage(format!("there is no command `{}`", path.join(" "))).hint(format!("known here: {}", known.join(", ")))
        })
    })
}

fn collect(command: &Command, pages: &mut Vec<Page>) -> std::io::Result<()> {
    pages.push(page(command)?);
    command.get_subcommands().try_for_each(|inner| collect(inner, pages))
}

fn page(command: &Command) -> std::io::Result<Page> {
    let man = Man::new(command.clone()).source(concat!("bifrostctl ", env!("CARGO_PKG_VERSION"))).manual("bifrostctl manual");
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    examples(command).to_writer(&mut out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut out)?;
    }
    man.render_options_section(&mut out)?;
    exit_codes().to_writer(&mut out)?;
    table("ENVIRONMENT", ENVIRONMENT.iter().map(|(name, about)| ((*name).to_owned(), *about))).to_writer(&mut out)?;
    // Every section is written with this before it.
    let text = String::from_utf8_lossy(&out).replace(PREAMBLE, "");
    Ok(Page { file: man.get_filename(), text: format!("{PREAMBLE}{text}") })
}

/// The examples with which the help opens.
fn examples(command: &Command) -> Roff {
    let mut roff = Roff::new();
    let text = command.get_before_help().map(ToString::to_string).unwrap_or_default();
    let lines: Vec<&str> = text.lines().skip(1).map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    if !lines.is_empty() {
        roff.control("SH", ["EXAMPLES"]);
        roff.control("nf", []);
        for line in lines {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff
}

fn exit_codes() -> Roff {
    table("EXIT STATUS", Exit::ALL.iter().map(|exit| (exit.code().to_string(), exit.meaning())))
}

fn table<'a>(heading: &str, rows: impl Iterator<Item = (String, &'a str)>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (name, about) in rows {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(about)]);
    }
    roff
}
