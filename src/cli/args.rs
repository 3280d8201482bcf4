//! What was typed: the command line as clap sees it. What it means is each command's business.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use super::output::Sink;
use super::{chat, completion, history, init, key, mock, status, version};
use crate::base::Span;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "bifrostctl",
    bin_name = "bifrostctl",
    version,
    about = "An LLM gateway that is reviewed like code: one YAML spec, validated in CI, diffed in the pull request, applied to a running gateway.",
    before_help = EXAMPLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    propagate_version = false
)]
pub(crate) struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub(crate) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl init                                  # write a gateway.yaml to start from
  bifrostctl key new --name web                    # make a virtual key
  bifrostctl mock --listen 127.0.0.1:9000          # an upstream that breaks on demand
  bifrostctl chat --help                           # one streamed request";

/// Options that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The spec, then overlays over it; `-` reads standard input [default: gateway.yaml].
    #[arg(short, long, global = true, value_name = "PATH", action = ArgAction::Append)]
    pub(crate) file: Vec<PathBuf>,
    /// Adds env/NAME.yaml, beside the spec, as the last overlay.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// The admin API: unix:PATH or http://HOST:PORT [env: BIFROST_ENDPOINT] [default: what the spec names].
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// A file with the admin token; needed over TCP [env: BIFROST_TOKEN_FILE].
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) token_file: Option<PathBuf>,
    /// How to print, and where; repeatable: human, json, github, sarif, markdown [default: human].
    #[arg(short, long, global = true, value_name = "FORMAT[=PATH]", action = ArgAction::Append)]
    pub(crate) output: Vec<Sink>,
    /// Prints errors and data only.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Prints more about what is done.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// When to colour: auto, always, never; `auto` respects NO_COLOR and TERM=dumb.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = ColorWhen::Auto, hide_possible_values = true)]
    pub(crate) color: ColorWhen,
    /// How long to wait for the gateway, in all.
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s")]
    pub(crate) timeout: Span,
    /// Never asks; what would need an answer fails.
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The command, with its own options.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Args),
    Status(status::Args),
    History(history::Args),
    Key(key::Args),
    Chat(chat::Args),
    Mock(mock::Args),
    Completion(completion::Args),
    Version(version::Args),
}
