//! What was typed: the command line as clap sees it. What it means is each command's business.

use std::path::PathBuf;

use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use super::output::Sink;
use super::{
    apply, bench, budget, catalog, chat, completion, diff, drift, explain, fmt, history, import, init, key, man, mock, render, rollback,
    schema, serve, simulate, spend, status, test, upgrade, validate, version,
};
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
  bifrostctl validate                              # check it
  bifrostctl fmt                                   # lay it out as everybody does
  bifrostctl serve                                 # run the gateway
  bifrostctl diff --against git:origin/main        # what it would change
  bifrostctl apply                                 # change the running gateway
  bifrostctl key new --name web                    # make a virtual key
  bifrostctl mock --listen 127.0.0.1:9000          # an upstream that breaks on demand
  bifrostctl chat --model fast \"hi\"               # one streamed request";

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
    /// How to print, and where; repeatable: human, json, github, sarif, markdown, csv, junit [default: human].
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
    Validate(validate::Args),
    Fmt(fmt::Args),
    Render(render::Args),
    Schema(schema::Args),
    Diff(diff::Args),
    Apply(apply::Args),
    Serve(serve::Args),
    Upgrade(upgrade::Args),
    Status(status::Args),
    History(history::Args),
    Drift(drift::Args),
    Rollback(rollback::Args),
    Explain(explain::Args),
    Simulate(simulate::Args),
    Test(test::Args),
    Import(import::Args),
    Key(key::Args),
    Spend(spend::Args),
    Budget(budget::Args),
    Catalog(catalog::Args),
    Chat(chat::Args),
    Bench(bench::Args),
    Mock(mock::Args),
    Completion(completion::Args),
    Man(man::Args),
    Version(version::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// Cuts one example line into the command lines in it: at pipes and `||`, and before redirections and comments.
    fn lines(example: &str) -> Vec<Vec<String>> {
        let mut lines = vec![Vec::new()];
        let mut word = String::new();
        let mut quoted = None;
        for character in example.chars().chain([' ']) {
            match character {
                quote if quoted == Some(quote) => quoted = None,
                '"' | '\'' if quoted.is_none() => quoted = Some(character),
                ' ' if quoted.is_none() => {
                    let word = std::mem::take(&mut word);
                    match word.as_str() {
                        "" => {}
                        "|" | "||" => lines.push(Vec::new()),
                        _ => lines.last_mut().unwrap().push(word),
                    }
                }
                _ => word.push(character),
            }
        }
        for line in &mut lines {
            let end = line.iter().position(|word| word == "<" || word == ">" || word.starts_with('#')).unwrap_or(line.len());
            line.truncate(end);
        }
        lines
    }

    fn every_example(command: &clap::Command, found: &mut Vec<String>) {
        let text = command.get_before_help().map(ToString::to_string).unwrap_or_default();
        found.extend(text.lines().skip(1).map(|line| line.trim().to_owned()));
        for command in command.get_subcommands() {
            every_example(command, found);
        }
    }

    #[test]
    fn every_example_of_the_help_is_a_command_line_that_exists() {
        let mut examples = Vec::new();
        every_example(&Cli::command(), &mut examples);
        let mut parsed = 0;
        for example in &examples {
            let inner = example.split_once("$(").and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(example);
            for line in lines(inner).into_iter().filter(|line| line.first().is_some_and(|word| word == "bifrostctl")) {
                let result = Cli::try_parse_from(&line);
                assert!(result.is_ok(), "{example}: {}", result.unwrap_err());
                parsed += 1;
            }
        }
        assert!(parsed > 20, "only {parsed} of {} examples were found", examples.len());
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
