//! `catalog`: what is known of models without being told: prices, how much fits into them, what they can do, when they end.

mod convert;
mod diff;
mod list;
mod show;
mod update;
mod used;
mod verify;

use clap::Subcommand;

use super::context::Context;
use super::exit::CommandError;
use super::output::{Format, Outcome};

/// Shows and checks what models cost and can do, as reviewed data.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  bifrostctl catalog list --provider openai --model \"gpt-5*\"
  bifrostctl catalog show anthropic/claude-sonnet-5
  bifrostctl catalog verify                              # the embedded data, and the prices of the spec
  bifrostctl catalog diff --from prices.json             # what a newer file of genai-prices would change
  bifrostctl catalog update --from prices.json > prices.yaml";

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Verify(verify::Args),
    Diff(diff::Args),
    Update(update::Args),
    Convert(convert::Args),
}

impl Args {
    /// Returns the command's whole name.
    pub(super) const fn name(&self) -> &'static str {
        match &self.command {
            Command::List(_) => "catalog list",
            Command::Show(_) => "catalog show",
            Command::Verify(_) => "catalog verify",
            Command::Diff(_) => "catalog diff",
            Command::Update(_) => "catalog update",
            Command::Convert(_) => "catalog convert",
        }
    }
}

pub(super) const FORMATS: &[Format] = &[Format::Human, Format::Json];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<Outcome, CommandError> {
    match &args.command {
        Command::List(args) => list::run(args, context),
        Command::Show(args) => show::run(args, context),
        Command::Verify(args) => verify::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::Update(args) => update::run(args, context),
        Command::Convert(args) => convert::run(args, context),
    }
}
